#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/bench/allreduce_bench.h"

namespace mdgen::bench {

std::string table(const AllReduceResult& result) {
  std::string text = fmt::format(
      "{:.1f} MB of gradients in {} parameters, {} ranks over Gloo on loopback, {} threads each, median of "
      "{}\n\n",
      static_cast<double>(result.bytes) / 1e6, result.parameters, result.options.ranks, result.threads,
      result.options.rounds);
  text += fmt::format("  {:>11}{:>11}{:>11}{:>11}{:>18}{:>12}\n", "bucket, MiB", "seconds", "least", "most",
                      "algorithm, MB/s", "bus, MB/s");
  for (const BucketResult& bucket : result.buckets)
    text += fmt::format("  {:>11g}{:>11.4f}{:>11.4f}{:>11.4f}{:>18.0f}{:>12.0f}\n", bucket.mbytes,
                        bucket.seconds.median, bucket.seconds.least, bucket.seconds.most,
                        result.algorithm_bandwidth(bucket) / 1e6, result.bus_bandwidth(bucket) / 1e6);
  return text;
}

std::string json(const AllReduceResult& result) {
  nlohmann::ordered_json buckets = nlohmann::ordered_json::array();
  for (const BucketResult& bucket : result.buckets)
    buckets.push_back({{"bucket_mbytes", bucket.mbytes},
                       {"seconds", bucket.seconds.median},
                       {"seconds_min", bucket.seconds.least},
                       {"seconds_max", bucket.seconds.most},
                       {"algorithm_bytes_per_second", result.algorithm_bandwidth(bucket)},
                       {"bus_bytes_per_second", result.bus_bandwidth(bucket)}});
  return nlohmann::ordered_json{{"backend", "gloo"},
                                {"ranks", result.options.ranks},
                                {"threads", result.threads},
                                {"rounds", result.options.rounds},
                                {"parameters", result.parameters},
                                {"bytes", result.bytes},
                                {"buckets", buckets}}
      .dump(2);
}

}  // namespace mdgen::bench
