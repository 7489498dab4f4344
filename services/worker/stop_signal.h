// Requests to stop that wake up whoever polls for them.
#pragma once

#include <atomic>
#include <cstdint>

namespace mdgen::worker {

// request() may be called from any thread and from signal handlers; the object must outlive them.
class StopSignal {
 public:
  StopSignal();  // throws Error when no descriptor is left
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  // `number`: of the signal that it came as; 0: none.
  void request(int number = 0) noexcept;
  std::uint64_t take() const noexcept;  // requests since the last take
  int number() const noexcept { return number_.load(); }
  int fd() const noexcept { return fd_; }  // readable while there are some to take

 private:
  std::atomic<int> number_{0};
  int fd_;
};

}  // namespace mdgen::worker
