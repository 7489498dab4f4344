// mdgen-coordinator backup | restore.
#pragma once

#include <optional>

namespace mdgen::coordinator {

// Nothing: the command line is none of these. Else done, and the exit status: 0, 1 refused, 2 usage.
std::optional<int> store_command(int argc, const char* const* argv);

}  // namespace mdgen::coordinator
