// Measures the reduction of a step's gradients over Gloo, without a backward pass to hide it behind.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/bench/allreduce_options.h"
#include "core/bench/statistics.h"
#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::bench {

struct BucketResult {
  double mbytes = 0;  // MiB, at most
  Spread seconds;     // from the first send to the last rank's end
};

struct AllReduceResult {
  AllReduceOptions options;
  int threads = 0;  // of a rank
  std::int64_t parameters = 0;
  std::int64_t bytes = 0;  // of the gradients of one rank
  std::vector<BucketResult> buckets{};

  // Bytes a second: the gradients' over the time; and what each rank has to send and receive at least for
  // that, which does not depend on the number of ranks.
  double algorithm_bandwidth(const BucketResult& bucket) const {
    return static_cast<double>(bytes) / bucket.seconds.median;
  }
  double bus_bandwidth(const BucketResult& bucket) const {
    return algorithm_bandwidth(bucket) * 2 * (options.ranks - 1) / options.ranks;
  }
};

// Forks: call it before anything of LibTorch has computed. Throws Error; kDataLoss when a sum is wrong.
AllReduceResult measure_allreduce(const AllReduceOptions& options, const v1::JobSpec& spec);

// A table, or one JSON object.
std::string table(const AllReduceResult& result);
std::string json(const AllReduceResult& result);

}  // namespace mdgen::bench
