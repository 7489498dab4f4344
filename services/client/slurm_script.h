// The batch script that runs a job under Slurm: a pure function of the spec.
#pragma once

#include <string>
#include <vector>

#include "core/config/spec.h"

namespace mdgen::client {

struct SlurmOptions {
  std::string launcher = "mdgen-launch";  // the program
  std::string device = "cpu";             // "cpu" or "cuda": each worker a GPU of its own
  // NAME=VALUE or NAME, without dashes, as sbatch knows them: "partition=gpu", "exclusive". They come last,
  // so they win.
  std::vector<std::string> directives;
};

// One Slurm task a worker, workers.max in all; the spec itself is in the script. A pre-empted job and one
// that runs out of time write a checkpoint, are requeued and go on from it. Throws Error(kInvalidArgument)
// for a device or a directive that it cannot take.
std::string slurm_script(const config::JobSpec& resolved, const SlurmOptions& options);

}  // namespace mdgen::client
