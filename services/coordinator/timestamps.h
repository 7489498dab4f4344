// Wall-clock times in the schema's form.
#pragma once

#include <google/protobuf/timestamp.pb.h>

#include <chrono>

#include "core/base/clock.h"

namespace mdgen::coordinator {

inline google::protobuf::Timestamp to_timestamp(Clock::Wall time) {
  const auto total = std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
  google::protobuf::Timestamp stamp;
  stamp.set_seconds(total / 1'000'000'000);
  stamp.set_nanos(static_cast<std::int32_t>(total % 1'000'000'000));
  return stamp;
}

inline Clock::Wall to_wall(const google::protobuf::Timestamp& stamp) {
  const auto since = std::chrono::seconds(stamp.seconds()) + std::chrono::nanoseconds(stamp.nanos());
  return Clock::Wall(std::chrono::duration_cast<Clock::Wall::duration>(since));
}

}  // namespace mdgen::coordinator
