// `mdgen-coordinator token add|list|rm`.
#pragma once

namespace mdgen::access {

// `argv[0]` is "token". Returns the exit status: 0, 1 (it could not be done), 2 (wrong use).
int run_token_command(int argc, char** argv);

}  // namespace mdgen::access
