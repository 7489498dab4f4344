// Measures the loader in three parts: reading on the host, features, and both behind a step.
#pragma once

#include <cstdint>
#include <string>

#include "core/bench/loader_options.h"
#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::bench {

struct PartTime {
  double mean_ms = 0;    // a sample
  double median_ms = 0;  // of the micro-batches, for one of their samples
};

struct LoaderResult {
  std::string shape;         // "250 frames x 256 residues", of the first sample
  std::int64_t samples = 0;  // measured in each part
  double bytes = 0;          // of coordinates read, a sample
  PartTime host;             // RawReader::read(), one thread, warm cache
  PartTime features;         // Dataset::features() without the noise, one thread
  PartTime noise;            // one thread
  std::string noise_kernel;  // normal_kernel_name()
  int workers = 0;           // data.num_workers
  std::string step;          // none, sleep, train
  double seconds = 0;        // of all steps
  double first_wait_ms = 0;  // for the first batch, which nothing goes before
  double waited_ms = 0;      // for the other batches, all together
  double batches = 0;        // those others

  double rate() const { return seconds > 0 ? static_cast<double>(samples) / seconds : 0; }
  double step_ms() const { return seconds * 1e3 / static_cast<double>(samples); }  // a sample
  double wait_share() const { return seconds > 0 ? waited_ms / (seconds * 1e3) : 0; }
};

LoaderResult measure_loader(const LoaderOptions& options, const v1::JobSpec& spec);

// A table, or one JSON object.
std::string table(const LoaderResult& result);
std::string json(const LoaderResult& result);

}  // namespace mdgen::bench
