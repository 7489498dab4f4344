// mdgenctl as a function: arguments in, exit code out.
#pragma once

#include <string>
#include <vector>

#include "services/client/exit_code.h"
#include "services/client/surroundings.h"
#include "services/client/verbs.h"

namespace mdgen::client {

// `arguments` without the program's name. Never throws.
ExitCode run_client(std::vector<std::string> arguments, const Surroundings& world);

// Address, certificate, token and output of flags, else of the environment, else of the configuration file,
// whose `output` counts only `with_output`. Throws UsageError for a file that is wrong.
void apply_configuration(Options& options, const Variable& variable, bool with_output);

}  // namespace mdgen::client
