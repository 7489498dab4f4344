#include "core/sample/program/options.h"

#include <CLI/CLI.hpp>
#include <array>

#include "core/base/command_line.h"

namespace mdgen::sample {
namespace {

struct VerbText {
  Verb verb;
  const char* name;
  const char* help;
};
constexpr std::array<VerbText, 4> kVerbs = {{
    {Verb::kSim, "sim",
     "Forward simulation from the first frame of each protein's array, rollout after rollout."},
    {Verb::kTps, "tps", "Interpolation: paths from a start frame to an end frame of each protein's array."},
    {Verb::kUpsample, "upsample", "Upsampling: every frame of each protein's array is a key frame."},
    {Verb::kDesign, "design", "Inpainting and sequence design on windows of each protein's array."},
}};

const VerbText& text_of(Verb verb) { return kVerbs[static_cast<std::size_t>(verb)]; }

void add_data_options(CLI::App& app, Options& options) {
  app.add_option("--sim_ckpt,--ckpt", options.checkpoint,
                 "checkpoint folder, run folder (its newest good checkpoint) or Lightning .ckpt file")
      ->required();
  app.add_option("--weights", options.weights, "ema or raw (default: ema where the checkpoint has it)")
      ->check(CLI::IsMember({"ema", "raw"}));
  app.add_option("--data_dir", options.data_dir, "folder of {name}{suffix}.npy (default: the checkpoint's)");
  app.add_option("--split", options.split,
                 "CSV with name,seqres: the proteins (default: the checkpoint's validation split)");
  app.add_option("--suffix", options.suffix,
                 options.verb == Verb::kUpsample ? "end of the file names, before .npy (default: _i100)"
                                                 : "end of the file names, before .npy");
  app.add_option_function<std::vector<std::string>>(
         "--pdb_id",
         [&](const std::vector<std::string>& names) {
           options.pdb_id = names;
           std::erase(options.pdb_id, "");  // what the flag alone gives
         },
         "only these proteins of the split")
      ->expected(0, -1);
  app.add_option("--chunk_idx", options.chunk_idx, "which of the split's --n_chunks parts, from 0")
      ->check(mdgen::non_negative_number())
      ->capture_default_str();
  app.add_option("--n_chunks", options.n_chunks, "cut the split into this many parts")
      ->check(mdgen::positive_number())
      ->capture_default_str();
}

void add_output_options(CLI::App& app, Options& options) {
  app.add_option("--out_dir", options.out_dir, "folder of the results; made when absent")
      ->capture_default_str();
  app.add_flag(
      "--xtc", options.xtc,
      options.verb == Verb::kSim
          ? "frames superposed on the first into {name}.xtc, the first into {name}.pdb (default: all "
            "frames into {name}.pdb)"
          : "(always: frames superposed on the first into .xtc, the first into .pdb)");
  app.add_flag("--npy", options.npy, "also .npy (frames, residues, 14, 3), as mdgen-prep writes them");
  app.add_option("--time_step", options.time_step, "ps between two frames, for the .xtc files")
      ->check(mdgen::positive_number())
      ->capture_default_str();
  app.add_flag("--overwrite", options.overwrite, "sample again what is there already");
}

void add_solver_options(CLI::App& app, Options& options) {
  app.add_option("--seed", options.seed, "seed of the noise")->capture_default_str();
  app.add_option("--batch_size", options.batch_size, "samples at a time; results do not depend on it")
      ->check(mdgen::positive_number())
      ->capture_default_str();
  app.add_option("--sampling_method", options.sampling_method, "dopri5 or euler (default: the checkpoint's)")
      ->check(CLI::IsMember({"dopri5", "euler"}));
  app.add_option("--ode_steps", options.ode_steps, "steps of euler (default: the checkpoint's)")
      ->check(mdgen::positive_number());
  app.add_option("--ode_error_norm", options.ode_error_norm,
                 "error norm of dopri5 over each sample, or over the batch as in the original (default: the "
                 "checkpoint's)")
      ->check(CLI::IsMember({"sample", "batch"}));
  app.add_option("--rtol", options.rtol, "relative tolerance of dopri5 (default: the checkpoint's)")
      ->check(mdgen::positive_number());
  app.add_option("--atol", options.atol, "absolute tolerance of dopri5 (default: the checkpoint's)")
      ->check(mdgen::positive_number());
  app.add_option("--device", options.device, "cpu, cuda or cuda:N")->capture_default_str();
  app.add_option("--threads", options.threads, "CPU threads (default: 0, all cores)")
      ->check(mdgen::non_negative_number())
      ->capture_default_str();
}

void add_frame_options(CLI::App& app, Options& options) {
  app.add_option("--num_frames", options.num_frames,
                 "frames at a time (default: what the model was trained with)")
      ->check(mdgen::positive_number());
}

void add_endpoint_options(CLI::App& app, Options& options) {
  const bool tps = options.verb == Verb::kTps;
  app.add_option("--num_batches", options.num_batches, "batches of --batch_size samples for each protein")
      ->check(mdgen::positive_number())
      ->capture_default_str();
  app.add_option("--start_idx", options.start_idx,
                 "first frame of a sample in the array, from 0 (-1: the last); of several one is drawn")
      ->expected(1, -1);
  if (tps)
    app.add_option("--end_idx", options.end_idx,
                   "last frame of a sample in the array; of several one is drawn")
        ->expected(1, -1);
  app.add_option("--endpoints", options.endpoints,
                 "JSON file with the frames of each protein, or a folder of {name}_metadata.json");
  if (!tps) app.add_flag("--random_start_idx", options.random_start_idx, "draw each sample's first frame");
  app.add_option("--mddir", options.mddir,
                 "(no effect: the MSM analysis that chose frames in the original is not part of this)");
}

bool is_device(const std::string& device) {
  return device == "cpu" || device == "cuda" ||
         (device.starts_with("cuda:") && device.size() > 5 &&
          device.find_first_not_of("0123456789", 5) == std::string::npos);
}

std::string wrong_task(const Options& options, const v1::ModelSpec& model) {
  const bool sequence = model.inpainting() || model.design() || model.mpnn() || model.dynamic_mpnn();
  switch (options.verb) {
    case Verb::kSim:
      if (!model.sim_condition()) return "without sim_condition";
      if (model.cond_interval() > 0) return "with cond_interval (it upsamples)";
      if (model.tps_condition()) return "with tps_condition (it interpolates)";
      return sequence ? "with inpainting or design" : "";
    case Verb::kTps:
      if (!model.tps_condition()) return "without tps_condition";
      return sequence ? "with inpainting or design" : "";
    case Verb::kUpsample:
      return model.cond_interval() > 0 ? "" : "without cond_interval";
    case Verb::kDesign:
      return sequence ? "" : "without inpainting, design, mpnn or dynamic_mpnn";
  }
  return "";
}

}  // namespace

std::optional<Verb> parse_verb(const std::string& name) {
  for (const VerbText& text : kVerbs)
    if (name == text.name) return text.verb;
  return std::nullopt;
}
std::string verb_name(Verb verb) { return text_of(verb).name; }
std::string verb_help(Verb verb) { return text_of(verb).help; }

void add_options(CLI::App& app, Options& options) {
  const bool paths = options.verb == Verb::kTps || options.verb == Verb::kDesign;
  if (paths) options.batch_size = 10;
  add_data_options(app, options);
  if (options.verb != Verb::kUpsample) add_frame_options(app, options);
  if (options.verb == Verb::kSim) {
    app.add_option("--num_rollouts", options.num_rollouts,
                   "blocks of --num_frames, each from the last frame of the one before")
        ->check(mdgen::positive_number())
        ->capture_default_str();
    app.add_flag("--reference_compat", options.reference_compat,
                 "keep each rollout's first frame, which repeats the last one, as the original does");
    app.add_flag("--no_frames", options.no_frames, "(follows from the checkpoint)");
    app.add_flag("--tps", options.tps, "(refused: see mdgen-sample tps)");
  }
  if (paths) add_endpoint_options(app, options);
  add_output_options(app, options);
  add_solver_options(app, options);
  // Of a flag that is given twice the last one counts, as in the original.
  for (CLI::Option* option : app.get_options())
    if (option->get_items_expected_max() == 1) option->take_last();
}

std::string usage_problem(const Options& options) {
  if (options.tps)
    return "--tps: interpolation is a verb of its own: mdgen-sample tps --start_idx 0 --end_idx -1 …";
  if (options.chunk_idx >= options.n_chunks)
    return "--chunk_idx " + std::to_string(options.chunk_idx) +
           " counts from 0 and must be below --n_chunks " + std::to_string(options.n_chunks);
  if (!is_device(options.device)) return "--device " + options.device + ": cpu, cuda or cuda:N is expected";
  if (options.suffix && options.suffix->find('/') != std::string::npos) return "--suffix: no '/' allowed";
  const bool given = !options.start_idx.empty() || !options.end_idx.empty();
  if (given && !options.endpoints.empty()) return "--endpoints excludes --start_idx and --end_idx";
  if (options.verb == Verb::kTps && options.endpoints.empty() &&
      (options.start_idx.empty() || options.end_idx.empty()))
    return "tps: which frames to connect? --start_idx and --end_idx, or --endpoints FILE (the MSM analysis "
           "that "
           "chooses them in the original is not part of this program)";
  if (options.verb == Verb::kDesign && !options.random_start_idx && options.endpoints.empty() && !given)
    return "design: which windows? --random_start_idx, --start_idx or --endpoints FILE (the MSM analysis "
           "that "
           "chooses them in the original is not part of this program)";
  if (options.random_start_idx && (given || !options.endpoints.empty()))
    return "--random_start_idx excludes --start_idx and --endpoints";
  return "";
}

std::string why_not(const Options& options, const v1::JobSpec& trained) {
  const v1::ModelSpec& model = trained.model();
  const std::string wrong = wrong_task(options, model);
  if (!wrong.empty())
    return options.checkpoint.string() + ": the model was trained " + wrong + ", so it cannot do '" +
           verb_name(options.verb) + "'";
  if (options.no_frames && !model.no_frames())
    return "--no_frames: " + options.checkpoint.string() + " was trained with frames";
  if (options.verb == Verb::kUpsample && trained.data().num_frames() < model.cond_interval())
    return options.checkpoint.string() +
           ": num_frames is smaller than cond_interval, so no block has a key frame";
  if (options.verb == Verb::kTps && options.num_frames && *options.num_frames < 2)
    return "--num_frames 1: a path has a first and a last frame";
  return "";
}

void complete(Options& options, v1::JobSpec& trained) {
  if (options.data_dir.empty()) options.data_dir = trained.data().data_dir();
  if (options.split.empty()) options.split = trained.data().val_split();
  if (!options.suffix) options.suffix = options.verb == Verb::kUpsample ? "_i100" : "";
  if (!options.num_frames || options.verb == Verb::kUpsample)
    options.num_frames = trained.data().num_frames();
  if (options.verb != Verb::kSim) options.xtc = true;
  v1::TransportSpec& transport = *trained.mutable_transport();
  if (!options.sampling_method.empty()) transport.set_sampling_method(options.sampling_method);
  if (!options.ode_error_norm.empty()) transport.set_ode_error_norm(options.ode_error_norm);
  if (options.rtol) transport.set_ode_rtol(*options.rtol);
  if (options.atol) transport.set_ode_atol(*options.atol);
  if (options.ode_steps) transport.set_ode_steps(*options.ode_steps);
}

}  // namespace mdgen::sample
