// Logging through spdlog's default logger: to stderr, one line an event, "2026-11-23T09:15:02.123Z I agent:
// …". MDGEN_LOG sets the level (trace, debug, info, warn, error, off; default info).
#pragma once

#include <spdlog/spdlog.h>

#include <string>

namespace mdgen {

// Call once, first thing in main; `who` is printed in each line ("coordinator", "rank 3").
void init_logging(const std::string& who);

}  // namespace mdgen
