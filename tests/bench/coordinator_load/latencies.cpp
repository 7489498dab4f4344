#include "tests/bench/coordinator_load/latencies.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace mdgen::load {

std::string call_name(Call call) {
  static const std::array<const char*, kCalls> kNames = {"register", "beat", "exchange",   "rendezvous",
                                                         "started",  "step", "checkpoint", "end"};
  return kNames[static_cast<std::size_t>(call)];
}

Quantiles quantiles(std::vector<float> milliseconds) {
  if (milliseconds.empty()) return {};
  std::sort(milliseconds.begin(), milliseconds.end());
  const auto at = [&](double share) {
    const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(milliseconds.size())));
    return static_cast<double>(milliseconds[std::max<std::size_t>(rank, 1) - 1]);
  };
  return {milliseconds.size(), at(0.5), at(0.99), static_cast<double>(milliseconds.back())};
}

void Latencies::add(Call call, std::chrono::nanoseconds latency) {
  const std::lock_guard lock(mutex_);
  samples_[static_cast<std::size_t>(call)].push_back(
      std::chrono::duration<float, std::milli>(latency).count());
}

CallQuantiles Latencies::take() {
  std::array<std::vector<float>, kCalls> samples;
  {
    const std::lock_guard lock(mutex_);
    samples = std::exchange(samples_, {});
  }
  CallQuantiles result;
  for (std::size_t call = 0; call < kCalls; ++call) result[call] = quantiles(std::move(samples[call]));
  return result;
}

}  // namespace mdgen::load
