#include "core/base/command_line.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <vector>

#include "core/base/text.h"

namespace mdgen {
namespace {

std::string unknown_argument(const CLI::App& app, const std::string& argument) {
  std::vector<std::string> known;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  const std::string name = argument.substr(0, argument.find('='));
  const std::string nearest = nearest_name(name, known);
  return "unknown argument " + argument + (nearest.empty() ? "" : "; did you mean " + nearest + "?");
}

template <typename Allowed>
CLI::Validator number_validator(const std::string& wanted, Allowed allowed) {
  return CLI::Validator(
      [=](std::string& text) {
        double value = 0;
        const bool is_good = CLI::detail::lexical_cast(text, value) && allowed(value);
        return is_good ? std::string() : "\"" + text + "\" is not " + wanted;
      },
      "");
}

}  // namespace

CLI::Validator positive_number() {
  return number_validator("a number above 0", [](double value) { return value > 0; });
}

CLI::Validator non_negative_number() {
  return number_validator("a number of at least 0", [](double value) { return value >= 0; });
}

std::optional<int> parse_command_line(CLI::App& app, int argc, const char* const* argv) {
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    const std::vector<std::string> extras = app.remaining();
    const std::string problem = extras.empty() ? error.what() : unknown_argument(app, extras.front());
    std::fprintf(stderr, "%s\n%s --help lists the options.\n", problem.c_str(), argv[0]);
    return kExitUsage;
  }
}

}  // namespace mdgen
