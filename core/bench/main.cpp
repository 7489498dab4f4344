// mdgen-bench: how fast the parts of training are on this machine.
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "core/base/command_line.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/process_memory.h"
#include "core/base/text.h"
#include "core/bench/allreduce_bench.h"
#include "core/bench/checkpoint_bench.h"
#include "core/bench/loader_bench.h"
#include "core/bench/step_bench.h"
#include "core/bench/synthetic_set.h"

namespace {

namespace bench = mdgen::bench;

constexpr int kBad = 1;

struct Verb {
  const char* name;
  const char* help;
  int (*run)(const Verb& verb, int argc, char** argv);  // argv[0] is the program with the verb
};

// `measure(options)`: the verb's work, with the options that were given.
template <typename Options, typename Measure>
int run_verb(const Verb& verb, int argc, char** argv, const Measure& measure) {
  CLI::App app(verb.help, argv[0]);
  Options options;
  add_options(app, options);
  if (const auto status = mdgen::parse_command_line(app, argc, argv)) return *status;
  options.flags = app.remaining();
  const auto result = measure(options);
  std::printf("%s\n", (options.json ? json(result) : table(result)).c_str());
  return 0;
}

int run_step(const Verb& verb, int argc, char** argv) {
  return run_verb<bench::StepOptions>(verb, argc, argv, [](const bench::StepOptions& options) {
    mdgen::keep_freed_memory();
    const bench::ScratchFolder folder;
    const mdgen::v1::JobSpec spec = resolved_spec(options, folder.path());
    bench::write_synthetic_set(
        folder.path(),
        {.entries = options.samples, .frames = options.frames + 1, .residues = options.valid_residues()});
    return measure_step(options, spec);
  });
}

int run_loader(const Verb& verb, int argc, char** argv) {
  return run_verb<bench::LoaderOptions>(verb, argc, argv, [](const bench::LoaderOptions& options) {
    const bench::ScratchFolder folder;
    const mdgen::v1::JobSpec spec = resolved_spec(options, folder.path());
    if (options.config.empty()) bench::write_synthetic_set(folder.path(), options.synthetic);
    return measure_loader(options, spec);
  });
}

int run_checkpoint(const Verb& verb, int argc, char** argv) {
  return run_verb<bench::CheckpointOptions>(verb, argc, argv, [](const bench::CheckpointOptions& options) {
    return measure_checkpoint(options, resolved_spec(options));
  });
}

int run_allreduce(const Verb& verb, int argc, char** argv) {
  return run_verb<bench::AllReduceOptions>(verb, argc, argv, [](const bench::AllReduceOptions& options) {
    return measure_allreduce(options, resolved_spec(options));
  });
}

constexpr Verb kVerbs[] = {
    {"step", "Measures the whole training step, part by part, against plain matrix products.", run_step},
    {"loader", "Measures the data loader: reading, features, and the wait that a step sees.", run_loader},
    {"checkpoint", "Measures checkpoints: what a step waits for, until it is on the disk, and restoring it.",
     run_checkpoint},
    {"allreduce", "Measures the reduction of gradients over Gloo ranks, by bucket size.", run_allreduce},
};

int no_verb(const std::string& word) {
  const bool asked = word == "--help" || word == "-h";
  if (word == "--version") {
    std::printf("mdgen-bench %s\n", MDGEN_VERSION);
    return 0;
  }
  std::vector<std::string> names;
  for (const Verb& verb : kVerbs) names.emplace_back(verb.name);
  const std::string nearest = mdgen::nearest_name(word, names);
  if (!asked && !word.empty())
    std::fprintf(stderr, "unknown verb %s%s\n", word.c_str(),
                 nearest.empty() ? "" : ("; did you mean " + nearest + "?").c_str());
  std::FILE* out = asked ? stdout : stderr;
  std::fputs("Measures parts of training.\nUsage: mdgen-bench VERB [OPTIONS]\n\n", out);
  for (const Verb& verb : kVerbs) std::fprintf(out, "  %-14s %s\n", verb.name, verb.help);
  std::fputs("\nmdgen-bench VERB --help lists a verb's options; --version says which one this is.\n", out);
  return asked ? 0 : mdgen::kExitUsage;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string word = argc > 1 ? argv[1] : "";
  for (const Verb& verb : kVerbs) {
    if (word != verb.name) continue;
    std::string program = "mdgen-bench " + word;
    argv[1] = program.data();
    mdgen::init_logging("bench");
    try {
      return verb.run(verb, argc - 1, argv + 1);
    } catch (const mdgen::Error& error) {
      spdlog::error("{}", error.what());
      return error.code() == mdgen::ErrorCode::kInvalidArgument ? mdgen::kExitUsage : kBad;
    } catch (const std::exception& error) {
      spdlog::error("{}", error.what());
      return kBad;
    }
  }
  return no_verb(word);
}
