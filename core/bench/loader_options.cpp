#include "core/bench/loader_options.h"

#include <CLI/CLI.hpp>
#include <map>

#include "core/base/command_line.h"
#include "core/base/files.h"
#include "core/config/spec.h"

namespace mdgen::bench {
namespace {

constexpr const char* kFooter =
    "Every other option is a training job's (mdgenctl spec), such as --num_workers, --batch_size, --crop,\n"
    "--reference_compat; it wins over the file of --config.";

// What a job needs to be complete and the measurement does not care about.
v1::JobSpec placeholders(const std::filesystem::path& folder) {
  v1::JobSpec spec;
  config::apply_assignment(spec, "name=bench");
  config::apply_assignment(spec, "work_dir=" + folder.string());
  config::apply_assignment(spec, "no_validate=true");
  return spec;
}

void use_synthetic(v1::JobSpec& spec, const LoaderOptions& options, const std::filesystem::path& folder) {
  for (const std::string& assignment :
       {"train_split=" + (folder / "split.csv").string(), "data_dir=" + folder.string(),
        std::string("atlas=true"), "num_frames=" + std::to_string(options.synthetic.frames - 1),
        "crop=" + std::to_string(options.crop), std::string("sim_condition=true"),
        std::string("prepend_ipa=true")})
    config::apply_assignment(spec, assignment);
}

}  // namespace

void add_options(CLI::App& app, LoaderOptions& options) {
  static const std::map<std::string, StepKind> kSteps = {
      {"none", StepKind::kNone}, {"sleep", StepKind::kSleep}, {"train", StepKind::kTrain}};
  app.add_option("--config", options.config, "a job's YAML (default: a synthetic set)")
      ->check(CLI::ExistingFile);
  app.add_option("--entries", options.synthetic.entries, "proteins of the synthetic set")
      ->check(positive_number())
      ->capture_default_str();
  app.add_option("--frames", options.synthetic.frames, "its frames; samples show one less")
      ->check(CLI::Range(2, 1000000))
      ->capture_default_str();
  app.add_option("--residues", options.synthetic.residues, "its residues")
      ->check(positive_number())
      ->capture_default_str();
  app.add_option("--crop", options.crop, "most residues of a sample of the synthetic set")
      ->check(positive_number())
      ->capture_default_str();
  app.add_option("--dtype", options.synthetic.dtype, "its dtype")
      ->check(CLI::IsMember({"float16", "float32"}))
      ->capture_default_str();
  app.add_option("--samples", options.samples, "samples of each measurement")
      ->check(positive_number())
      ->capture_default_str();
  app.add_option("--step", options.step, "what takes the batches: none, sleep or train (default: none)")
      ->transform(CLI::CheckedTransformer(kSteps, CLI::ignore_case));
  app.add_option("--step_ms", options.step_ms, "with --step sleep: its time for each sample, in ms")
      ->check(positive_number())
      ->capture_default_str();
  app.add_option("--threads", options.threads,
                 "threads of the training step and its operations (0: all cores)")
      ->check(non_negative_number())
      ->capture_default_str();
  app.add_flag("--json", options.json, "one JSON object in place of the table");
  app.allow_extras();
  app.footer(kFooter);
}

v1::JobSpec resolved_spec(const LoaderOptions& options, const std::filesystem::path& folder) {
  v1::JobSpec spec = placeholders(folder);
  if (!options.config.empty())
    spec.MergeFrom(config::parse_yaml(read_file(options.config), options.config));
  else
    use_synthetic(spec, options, folder);
  config::apply_flags(spec, options.flags);
  return config::resolve(spec, std::filesystem::current_path()).spec;
}

}  // namespace mdgen::bench
