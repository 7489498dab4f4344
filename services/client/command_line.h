// mdgenctl as a function: arguments in, exit code out.
#pragma once

#include <string>
#include <vector>

#include "services/client/exit_code.h"
#include "services/client/surroundings.h"

namespace mdgen::client {

// `arguments` without the program's name. Never throws.
ExitCode run_client(std::vector<std::string> arguments, const Surroundings& world);

}  // namespace mdgen::client
