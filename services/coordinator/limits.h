// How much one client may ask for.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "core/base/clock.h"
#include "core/base/error.h"

namespace mdgen::coordinator {

struct Limits {
  double changes_per_second = 100.0;      // calls that change something, of one client
  double changes_at_once = 1000.0;        // how many of them may come without a pause
  int streams_per_client = 100;           // open at the same time
  int streams = 1000;                     // of all clients together
  std::size_t request_bytes = 4U << 20U;  // of one request of a client; agents are allowed more
};

// A client asks for too much. gRPC: RESOURCE_EXHAUSTED; HTTP: 429 with Retry-After.
class TooMany : public Error {
 public:
  explicit TooMany(const std::string& message, double retry_after_seconds = 1.0)
      : Error(ErrorCode::kUnavailable, message), retry_after_seconds_(retry_after_seconds) {}
  double retry_after_seconds() const { return retry_after_seconds_; }

 private:
  double retry_after_seconds_;
};

// A token bucket a client. Thread-safe; holds a bounded number of clients.
class RateLimit {
 public:
  RateLimit(double per_second, double at_once, const Clock& clock);

  // Takes one of the client's tokens. Throws TooMany when there is none.
  void take(const std::string& client);
  std::size_t clients() const;

 private:
  struct Bucket {
    double tokens = 0;
    Clock::Steady filled_at{};
  };
  void fill(Bucket& bucket, Clock::Steady now) const;
  void forget_full_ones(Clock::Steady now);

  const double per_second_;
  const double at_once_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::map<std::string, Bucket> buckets_;
};

// The streams that are open. Thread-safe.
class StreamSlots {
 public:
  StreamSlots(int per_client, int in_all) : per_client_(per_client), in_all_(in_all) {}

  // Given back by its end. It must not outlive the slots.
  using Slot = std::shared_ptr<void>;
  // Throws TooMany.
  Slot take(const std::string& client);
  int open() const;

 private:
  void give_back(const std::string& client);

  const int per_client_;
  const int in_all_;
  mutable std::mutex mutex_;
  std::map<std::string, int> by_client_;
  int open_ = 0;
};

}  // namespace mdgen::coordinator
