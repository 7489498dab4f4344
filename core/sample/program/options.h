// What mdgen-sample is asked for. No LibTorch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "mdgen/v1/job_spec.pb.h"

namespace CLI {
class App;
}

namespace mdgen::sample {

enum class Verb { kSim, kTps, kUpsample, kDesign };
std::optional<Verb> parse_verb(const std::string& name);
std::string verb_name(Verb verb);
std::string verb_help(Verb verb);

struct Options {
  Verb verb = Verb::kSim;
  std::filesystem::path checkpoint;
  std::string weights;             // "ema", "raw", "" for the moving average where there is one
  std::filesystem::path data_dir;  // "": the checkpoint's
  std::filesystem::path split;     // "": the checkpoint's validation split
  std::optional<std::string> suffix;
  std::vector<std::string> pdb_id;  // none: all of the split
  std::filesystem::path out_dir = ".";
  int chunk_idx = 0;
  int n_chunks = 1;
  std::optional<std::int64_t> num_frames;  // none: what the model was trained with
  int num_rollouts = 100;                  // sim
  int num_batches = 100;                   // tps, design
  int batch_size = 1;
  bool random_start_idx = false;        // design
  std::vector<std::int64_t> start_idx;  // tps, design
  std::vector<std::int64_t> end_idx;    // tps
  std::filesystem::path endpoints;      // tps, design: a file, or a folder of {name}_metadata.json
  std::string mddir;                    // accepted, has no effect
  bool no_frames = false;               // sim: accepted when the model has it
  bool tps = false;                     // sim: refused
  bool xtc = false;
  bool npy = false;
  bool overwrite = false;
  bool reference_compat = false;
  double time_step = 1;  // ps between the frames of an XTC file
  std::uint64_t seed = 137;
  std::string device = "cpu";
  int threads = 0;
  std::string sampling_method;
  std::string ode_error_norm;
  std::optional<double> rtol;
  std::optional<double> atol;
  std::optional<int> ode_steps;
};

void add_options(CLI::App& app, Options& options);

// What is wrong with a command line that parses, with what would be right; "" when nothing is.
std::string usage_problem(const Options& options);

// Why a model cannot do what is asked for; "" when it can.
std::string why_not(const Options& options, const v1::JobSpec& trained);

// Fills what the command line leaves to the checkpoint, and puts the solver's options into the spec.
void complete(Options& options, v1::JobSpec& trained);

}  // namespace mdgen::sample
