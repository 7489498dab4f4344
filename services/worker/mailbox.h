// Events from other threads to the agent's loop.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "services/worker/agent_core.h"
#include "services/worker/stop_signal.h"

namespace mdgen::worker {

// Thread-safe.
class Mailbox {
 public:
  struct Letter {
    std::uint64_t trainer = 0;  // which trainer it is about; 0: none
    Event event;
  };

  Mailbox();  // throws Error when no descriptor is left
  ~Mailbox();
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  void post(Letter letter);
  std::vector<Letter> take();
  int fd() const { return fd_; }  // readable while there are letters

 private:
  std::mutex mutex_;
  std::vector<Letter> letters_;
  int fd_;
};

}  // namespace mdgen::worker
