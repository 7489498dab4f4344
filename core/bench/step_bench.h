// Measures the whole training step of one rank: what a trainer does between two steps of a job, without its
// records and checkpoints.
#pragma once

#include <cstdint>
#include <string>

#include "core/bench/step_options.h"
#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::bench {

// Where a step's seconds go: medians, so that they need not add up to the step's own.
struct StepParts {
  double data = 0, forward = 0, backward = 0, all_reduce = 0, optimizer = 0;
};

struct StepResult {
  StepOptions options;
  int threads = 0;
  double seconds = 0;            // a step, median
  double seconds_min = 0;        // a step
  double tokens_per_second = 0;  // real ones: frames x residues without padding
  double flop = 0;               // a step, of what is computed, padding included (model/flops.h)
  double gemm_ceiling = 0;  // floating-point operations a second of plain matrix products, in the same run
  std::int64_t peak_memory_bytes = 0;  // of this process
  StepParts parts{};
  double loss = 0;  // of the last step

  double percent_of_ceiling() const { return gemm_ceiling > 0 ? 100 * flop / seconds / gemm_ceiling : 0; }
};

// `spec` as resolved_spec() gives it, its data set written. Sets the process's numerics. Throws Error.
StepResult measure_step(const StepOptions& options, const v1::JobSpec& spec);

// A table, or one JSON object.
std::string table(const StepResult& result);
std::string json(const StepResult& result);

}  // namespace mdgen::bench
