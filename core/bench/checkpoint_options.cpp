#include "core/bench/checkpoint_options.h"

#include <CLI/CLI.hpp>

#include "core/base/command_line.h"
#include "core/bench/full_size_job.h"
#include "core/config/spec.h"

namespace mdgen::bench {
namespace {

constexpr const char* kFooter =
    "Every other option is a training job's (mdgenctl spec), such as --embed_dim 64, --precision bf16-true,\n"
    "--ema=false.";

}  // namespace

void add_options(CLI::App& app, CheckpointOptions& options) {
  app.add_option("--dir", options.dir, "a folder on the disk to be measured; what is written is removed")
      ->check(CLI::ExistingDirectory)
      ->capture_default_str();
  app.add_option("--rounds", options.rounds, "checkpoints")->check(positive_number())->capture_default_str();
  app.add_option("--threads", options.threads, "threads of the operations (0: all cores)")
      ->check(non_negative_number())
      ->capture_default_str();
  app.add_flag("--json", options.json, "one JSON object in place of the table");
  app.allow_extras();
  app.footer(kFooter);
}

v1::JobSpec resolved_spec(const CheckpointOptions& options) {
  v1::JobSpec spec = full_size_job(options.dir);
  config::apply_assignment(spec, "ema=true");
  config::apply_flags(spec, options.flags);
  return config::resolve(spec, std::filesystem::current_path()).spec;
}

}  // namespace mdgen::bench
