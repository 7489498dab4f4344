// What a person may want to do next, told after a command.
#pragma once

#include <string>
#include <vector>

#include "services/client/surroundings.h"
#include "services/client/verbs.h"

namespace mdgen::client {

// Verbs with their arguments: "logs j1 -f". Pure functions.
std::vector<std::string> next_after_submit(const v1::Job& job);
std::vector<std::string> next_after_status(const v1::Job& job);  // by its state
std::vector<std::string> next_after_change(const v1::Job& job);

// One line on world.err, where world.out is a terminal and a table was asked for; nothing with options.quiet.
// The commands carry the address if it was given as a flag.
void print_hints(const std::vector<std::string>& verbs, const Options& options, const Surroundings& world);

}  // namespace mdgen::client
