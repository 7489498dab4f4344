// The command line of mdgen-bench allreduce.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "mdgen/v1/job_spec.pb.h"

namespace CLI {
class App;
}

namespace mdgen::bench {

struct AllReduceOptions {
  int ranks = 2;
  double mbytes = 0;                                     // MiB of gradients; 0: those of the model
  std::vector<double> bucket_mbytes = {1, 8, 25, 1024};  // MiB
  int rounds = 5;                                        // measured, after one that is not
  int threads = 0;                                       // of each rank; 0: cores / ranks
  bool json = false;
  std::vector<std::string> flags;  // a training job's
};

void add_options(CLI::App& app, AllReduceOptions& options);

// The job of a full-size model unless the flags say otherwise. Throws Error.
v1::JobSpec resolved_spec(const AllReduceOptions& options);

}  // namespace mdgen::bench
