// The command line of mdgen-bench step.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "mdgen/v1/job_spec.pb.h"

namespace CLI {
class App;
}

namespace mdgen::bench {

struct StepOptions {
  int samples = 1;     // of a step, in one micro-batch
  int frames = 100;    // of a sample
  int residues = 128;  // of a sample, padding included
  int valid = 0;       // of them, real ones; 0: all
  int steps = 5;       // measured, after one that is not
  int threads = 0;     // of the step's operations; 0: all cores
  std::string device = "cpu";
  std::string precision = "32-true";
  bool json = false;
  std::vector<std::string> flags;  // a training job's, over all that

  int valid_residues() const { return valid > 0 ? valid : residues; }
};

inline constexpr int kWarmUpSteps = 1;

void add_options(CLI::App& app, StepOptions& options);

// The job of a full-size model (unless the flags say otherwise) whose data set, to be written, lies in
// `folder`. Throws Error.
v1::JobSpec resolved_spec(const StepOptions& options, const std::filesystem::path& folder);

}  // namespace mdgen::bench
