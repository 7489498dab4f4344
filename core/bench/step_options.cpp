#include "core/bench/step_options.h"

#include <CLI/CLI.hpp>

#include "core/base/command_line.h"
#include "core/base/error.h"
#include "core/bench/full_size_job.h"
#include "core/config/spec.h"

namespace mdgen::bench {
namespace {

constexpr const char* kFooter =
    "Every other option is a training job's (mdgenctl spec), such as --grad_checkpointing, --padding crop,\n"
    "--num_layers 2, and wins over these.";

void number(CLI::App& app, const char* name, int& value, const char* help) {
  app.add_option(name, value, help)->check(positive_number())->capture_default_str();
}

}  // namespace

void add_options(CLI::App& app, StepOptions& options) {
  number(app, "--B", options.samples, "samples in the step");
  number(app, "--T", options.frames, "frames of a sample");
  number(app, "--L", options.residues, "residues of a sample");
  app.add_option("--valid", options.valid, "of them, real ones; the others are padding (default: all)")
      ->check(positive_number());
  number(app, "--steps", options.steps, "steps that are measured, after one that is not");
  app.add_option("--threads", options.threads, "threads of the step's operations (0: all cores)")
      ->check(non_negative_number())
      ->capture_default_str();
  app.add_option("--device", options.device, "cpu or cuda")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
  app.add_option("--precision", options.precision, "as a job's")->capture_default_str();
  app.add_flag("--json", options.json, "one JSON object in place of the table");
  app.allow_extras();
  app.footer(kFooter);
}

v1::JobSpec resolved_spec(const StepOptions& options, const std::filesystem::path& folder) {
  if (options.valid > options.residues) {
    throw Error(ErrorCode::kInvalidArgument, "--valid " + std::to_string(options.valid) +
                                                 " is more than the --L " + std::to_string(options.residues) +
                                                 " residues");
  }
  const std::string samples = std::to_string(options.samples);
  v1::JobSpec spec = full_size_job(folder);
  for (const std::string& assignment :
       {"num_frames=" + std::to_string(options.frames), "crop=" + std::to_string(options.residues),
        "batch_size=" + samples, "global_batch_size=" + samples,
        "train_repeat=" + std::to_string(options.steps + kWarmUpSteps), std::string("num_workers=1"),
        "precision=" + options.precision})
    config::apply_assignment(spec, assignment);
  config::apply_flags(spec, options.flags);
  return config::resolve(spec, std::filesystem::current_path()).spec;
}

}  // namespace mdgen::bench
