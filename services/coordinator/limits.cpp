#include "services/coordinator/limits.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <iterator>

namespace mdgen::coordinator {
namespace {

constexpr std::size_t kMostClients = 4096;

}  // namespace

RateLimit::RateLimit(double per_second, double at_once, const Clock& clock)
    : per_second_(per_second), at_once_(at_once), clock_(clock) {}

void RateLimit::fill(Bucket& bucket, Clock::Steady now) const {
  const double passed = std::chrono::duration<double>(now - bucket.filled_at).count();
  bucket.tokens = std::min(at_once_, bucket.tokens + passed * per_second_);
  bucket.filled_at = now;
}

void RateLimit::forget_full_ones(Clock::Steady now) {
  for (auto entry = buckets_.begin(); entry != buckets_.end();) {
    fill(entry->second, now);
    entry = entry->second.tokens >= at_once_ ? buckets_.erase(entry) : std::next(entry);
  }
}

void RateLimit::take(const std::string& client) {
  const std::lock_guard lock(mutex_);
  const Clock::Steady now = clock_.steady();
  if (buckets_.size() >= kMostClients && !buckets_.contains(client)) forget_full_ones(now);
  if (buckets_.size() >= kMostClients && !buckets_.contains(client))
    throw TooMany("too many clients change something at the same time; try again later");
  Bucket& bucket = buckets_.try_emplace(client, Bucket{at_once_, now}).first->second;
  fill(bucket, now);
  if (bucket.tokens < 1.0) {
    const double wait = (1.0 - bucket.tokens) / per_second_;
    throw TooMany(fmt::format("{} changes more than {:g} times a second; try again in {:.2f} s", client,
                              per_second_, wait),
                  wait);
  }
  bucket.tokens -= 1.0;
}

std::size_t RateLimit::clients() const {
  const std::lock_guard lock(mutex_);
  return buckets_.size();
}

StreamSlots::Slot StreamSlots::take(const std::string& client) {
  const std::lock_guard lock(mutex_);
  if (open_ >= in_all_) throw TooMany(fmt::format("{} streams are open, and no more are served", open_));
  int& open = by_client_[client];
  if (open >= per_client_)
    throw TooMany(fmt::format("{} has {} streams open, and no client may have more", client, open));
  ++open;
  ++open_;
  return {this, [this, client](void*) { give_back(client); }};
}

void StreamSlots::give_back(const std::string& client) {
  const std::lock_guard lock(mutex_);
  --open_;
  const auto entry = by_client_.find(client);
  if (--entry->second == 0) by_client_.erase(entry);
}

int StreamSlots::open() const {
  const std::lock_guard lock(mutex_);
  return open_;
}

}  // namespace mdgen::coordinator
