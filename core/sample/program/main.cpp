// mdgen-sample: trajectories from a trained model.
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>

#include "core/base/command_line.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/sample/program/options.h"
#include "core/sample/program/run.h"
#include "core/sample/program/stop.h"

namespace {

using mdgen::sample::Verb;

constexpr int kBad = 1;
constexpr Verb kVerbs[] = {Verb::kSim, Verb::kTps, Verb::kUpsample, Verb::kDesign};

void print_overview(std::FILE* out) {
  std::fputs("Samples trajectories from a trained model.\nUsage: mdgen-sample VERB [OPTIONS]\n\n", out);
  for (const Verb verb : kVerbs)
    std::fprintf(out, "  %-9s %s\n", mdgen::sample::verb_name(verb).c_str(),
                 mdgen::sample::verb_help(verb).c_str());
  std::fputs("\nmdgen-sample VERB --help lists a verb's options; --version says which one this is.\n", out);
}

int no_verb(const std::string& word) {
  if (word == "--help" || word == "-h") {
    print_overview(stdout);
    return 0;
  }
  if (word == "--version") {
    std::printf("mdgen-sample %s\n", MDGEN_VERSION);
    return 0;
  }
  std::vector<std::string> names;
  for (const Verb verb : kVerbs) names.push_back(mdgen::sample::verb_name(verb));
  const std::string nearest = mdgen::nearest_name(word, names);
  if (!word.empty())
    std::fprintf(stderr, "unknown verb %s%s\n", word.c_str(),
                 nearest.empty() ? "" : ("; did you mean " + nearest + "?").c_str());
  print_overview(stderr);
  return mdgen::kExitUsage;
}

bool is_refusal(const mdgen::Error& error) {
  return error.code() == mdgen::ErrorCode::kFailedPrecondition ||
         error.code() == mdgen::ErrorCode::kInvalidArgument;
}

}  // namespace

int main(int argc, char** argv) {
  mdgen::sample::install_stop_handlers();
  const std::string word = argc > 1 ? argv[1] : "";
  const auto verb = mdgen::sample::parse_verb(word);
  if (!verb) return no_verb(word);

  const std::string program = "mdgen-sample " + word;
  CLI::App app(mdgen::sample::verb_help(*verb), program);
  mdgen::sample::Options options;
  options.verb = *verb;
  mdgen::sample::add_options(app, options);
  argv[1] = const_cast<char*>(program.c_str());
  if (const auto status = mdgen::parse_command_line(app, argc - 1, argv + 1)) return *status;
  if (const std::string problem = mdgen::sample::usage_problem(options); !problem.empty()) {
    std::fprintf(stderr, "%s\n", problem.c_str());
    return mdgen::kExitUsage;
  }
  mdgen::init_logging("sample");
  try {
    return mdgen::sample::run(std::move(options), mdgen::SystemClock(), std::cout) ? 0 : kBad;
  } catch (const mdgen::Error& error) {
    spdlog::error("{}", error.what());
    return is_refusal(error) ? mdgen::kExitUsage : kBad;
  } catch (const std::exception& error) {
    spdlog::error("{}", error.what());
    return kBad;
  }
}
