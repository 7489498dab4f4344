// What every program does with its command line.
#pragma once

#include <optional>
#include <string>

namespace CLI {
class App;
class Validator;
}  // namespace CLI

namespace mdgen {

inline constexpr int kExitUsage = 2;

// Nothing: go on. Else the status to end with, everything said: 0 after --help and --version, kExitUsage
// after an error. An unknown argument is named before anything that is missing, with the nearest option that
// there is.
std::optional<int> parse_command_line(CLI::App& app, int argc, const char* const* argv);

// Checks of an option's value whose messages people can read.
CLI::Validator positive_number();
CLI::Validator non_negative_number();

}  // namespace mdgen
