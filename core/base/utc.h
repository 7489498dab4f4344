// A moment as text.
#pragma once

#include <chrono>
#include <string>

namespace mdgen {

// "2026-01-31T12:34:56Z": RFC 3339 in UTC, cut to whole seconds.
std::string utc_text(std::chrono::system_clock::time_point moment);
// With milliseconds: "2026-01-31T12:34:56.789Z".
std::string utc_text_with_milliseconds(std::chrono::system_clock::time_point moment);

}  // namespace mdgen
