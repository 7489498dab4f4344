// Latencies of one phase, kept whole: quantiles are exact.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <mutex>
#include <string>
#include <vector>

namespace mdgen::load {

// Each is the time from the send to the arrival of the coordinator's answer, as an agent sees it.
enum class Call {
  kRegister,    // from the opening of the connection to `welcome`
  kBeat,        // acknowledged
  kExchange,    // the wait for the other ranks included
  kRendezvous,  // from the post of the last rank
  kStarted,     // reports, acknowledged after they were stored where they are stored at once
  kStep,
  kCheckpoint,
  kEnd,  // finished and exited
};
inline constexpr std::size_t kCalls = 8;
std::string call_name(Call call);

struct Quantiles {
  std::size_t count = 0;
  double p50 = 0.0, p99 = 0.0, max = 0.0;  // milliseconds
};

// By the nearest-rank method: the smallest sample that a share q of all do not exceed.
Quantiles quantiles(std::vector<float> milliseconds);

using CallQuantiles = std::array<Quantiles, kCalls>;

// Thread-safe.
class Latencies {
 public:
  void add(Call call, std::chrono::nanoseconds latency);
  // What was added since the last take().
  CallQuantiles take();

 private:
  std::mutex mutex_;
  std::array<std::vector<float>, kCalls> samples_;
};

}  // namespace mdgen::load
