// The command line of mdgen-bench checkpoint.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "mdgen/v1/job_spec.pb.h"

namespace CLI {
class App;
}

namespace mdgen::bench {

struct CheckpointOptions {
  std::filesystem::path dir = std::filesystem::temp_directory_path();  // on the disk to be measured
  int rounds = 5;
  int threads = 0;  // of the operations; 0: all cores
  bool json = false;
  std::vector<std::string> flags;  // a training job's
};

void add_options(CLI::App& app, CheckpointOptions& options);

// The job of a full-size model with its moving average (unless the flags say otherwise). Throws Error.
v1::JobSpec resolved_spec(const CheckpointOptions& options);

}  // namespace mdgen::bench
