// A request to stop that wakes up whoever polls for it.
#pragma once

#include <atomic>

namespace mdgen::worker {

// request() may be called from any thread and from signal handlers; the object must outlive them.
class StopSignal {
 public:
  StopSignal();  // throws Error when no descriptor is left
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  void request() noexcept;
  bool requested() const noexcept { return requested_.load(); }
  int fd() const noexcept { return fd_; }  // readable once requested

 private:
  std::atomic<bool> requested_{false};
  int fd_;
};

}  // namespace mdgen::worker
