#include "services/worker/beat_times.h"

#include <time.h>

namespace mdgen::worker {

void BeatTimes::registering(Time now) {
  registered_ = now;
  beats_.clear();
}

std::int64_t BeatTimes::sent(Time now) {
  constexpr std::size_t kMost = 8192;  // more than a lease has, at one a second
  if (beats_.size() == kMost) beats_.pop_front();
  beats_.emplace_back(++last_, now);
  return last_;
}

BeatTimes::Time BeatTimes::end_of(std::chrono::milliseconds lease, std::int64_t beat) {
  if (beat == 0) return registered_ + lease;
  while (!beats_.empty() && beats_.front().first < beat) beats_.pop_front();
  if (beats_.empty() || beats_.front().first != beat) return Time(-1);
  return beats_.front().second + lease;
}

std::chrono::nanoseconds boot_time() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

}  // namespace mdgen::worker
