// What the trainer still has to tell its agent.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

#include "mdgen/v1/trainer_service.pb.h"

namespace mdgen::trainer {

// A queue between the training loop, which must not wait, and the thread that writes to the agent. A beat
// replaces one that still waits; everything else is kept, in order: nothing is lost while the agent stalls,
// and the lease, which the agent renews, bounds how many steps that can be. Thread-safe.
class Outbox {
 public:
  void push(v1::TrainerMessage message);  // never waits; nothing after close()
  void close();                           // no further messages; what is queued still goes out
  // Waits for the next message; nothing once closed and empty.
  std::optional<v1::TrainerMessage> pop();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<v1::TrainerMessage> queue_;
  bool closed_ = false;
};

}  // namespace mdgen::trainer
