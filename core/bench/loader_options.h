// The command line of mdgen-bench loader.
#pragma once

#include <string>
#include <vector>

#include "core/bench/synthetic_set.h"
#include "mdgen/v1/job_spec.pb.h"

namespace CLI {
class App;
}

namespace mdgen::bench {

enum class StepKind {
  kNone,   // takes the next batch at once: how fast the loader can be
  kSleep,  // a step elsewhere, as on a GPU: `step_ms` for each sample
  kTrain,  // the real step
};

struct LoaderOptions {
  std::string config;  // a job's YAML; "": a synthetic set
  SyntheticSet synthetic{};
  int crop = 256;    // synthetic set
  int samples = 64;  // measured in each part
  StepKind step = StepKind::kNone;
  double step_ms = 450;
  int threads = 0;  // of each operation and of the training step; 0: all cores
  bool json = false;
  std::vector<std::string> flags;  // a training job's, over the config
};

void add_options(CLI::App& app, LoaderOptions& options);

// The resolved job whose loader is measured; a synthetic set is in `folder`. Throws Error.
v1::JobSpec resolved_spec(const LoaderOptions& options, const std::filesystem::path& folder);

}  // namespace mdgen::bench
