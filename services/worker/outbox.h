// The trainer's reports on their way to the coordinator, in order, across lost connections.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "mdgen/v1/worker_service.pb.h"

namespace mdgen::worker {

// A connection that breaks does not say what had arrived, and a coordinator that dies forgets what it had not
// stored. So what was written is kept until the coordinator says that it is stored, and sent again on the
// next connection; the coordinator drops what it has. The exception is a start report that others have
// followed: it would set the job's step back.
//
// Bounded, without losing a step: when too much waits, because the coordinator is away, the oldest reports of
// steps that follow each other are put together into one, with the sums that the ledger needs (the run
// folder's metrics.jsonl has each). Reports that may have arrived, that were skipped or had bad samples stay
// as they are. Only when nothing can be put together is the oldest of the others dropped.
//
// What is not a trainer's (an examination's reports, the agent's own leaving) is bound to the connection:
// neither kept nor sent again.
//
// Not thread-safe.
class Outbox {
 public:
  static constexpr std::int64_t kMostTogether = 1000;  // steps in one report

  explicit Outbox(std::size_t capacity = 4096, std::size_t replay = 16384)
      : capacity_(capacity), replay_(replay) {}

  void push(v1::AgentMessage message);
  bool empty() const { return waiting_.empty(); }
  const v1::AgentMessage& front();  // to write it: from now on it may have arrived
  void pop();                       // it was written
  void rewind();                    // the connection broke
  // Everything up to the report of this step has arrived and is on disk.
  void stored(const v1::Stored& stored);
  std::uint64_t dropped() const { return dropped_; }

 private:
  struct Waiting {
    v1::AgentMessage message;
    bool sent = false;  // or on its way
  };

  bool put_together();

  std::size_t capacity_, replay_;
  std::deque<Waiting> waiting_;
  std::deque<v1::AgentMessage> written_;
  std::uint64_t dropped_ = 0;
};

}  // namespace mdgen::worker
