// The trainer's reports on their way to the coordinator, in order, across lost connections.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "mdgen/v1/worker_service.pb.h"

namespace mdgen::worker {

// Bounded: when full, the oldest step report goes first (the run folder's metrics.jsonl has it too), and only
// when there is none the oldest message.
//
// A connection that breaks does not say what had arrived. So the last few messages that were written are kept
// and sent again on the next connection; the coordinator drops what it has. The exception is a start report
// that others have followed: it would set the job's step back.
//
// Not thread-safe.
class Outbox {
 public:
  explicit Outbox(std::size_t capacity = 4096, std::size_t replay = 64)
      : capacity_(capacity), replay_(replay) {}

  void push(v1::AgentMessage message);
  bool empty() const { return waiting_.empty(); }
  const v1::AgentMessage& front() const { return waiting_.front(); }
  void pop();     // front() was written
  void rewind();  // the connection broke
  std::uint64_t dropped() const { return dropped_; }

 private:
  std::size_t capacity_, replay_;
  std::deque<v1::AgentMessage> waiting_, written_;
  std::uint64_t dropped_ = 0;
};

}  // namespace mdgen::worker
