// Slurm's sbatch program.
#pragma once

#include <string>

namespace mdgen::client {

// Gives the script to the sbatch on PATH, on its standard input, and returns the batch job's number. Throws
// Error: kNotFound without sbatch, kFailedPrecondition with what sbatch said.
std::string submit_to_sbatch(const std::string& script);

}  // namespace mdgen::client
