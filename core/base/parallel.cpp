#include "core/base/parallel.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace mdgen {
namespace {

constexpr std::chrono::milliseconds kPause{250};  // between two calls of `progress`

class ParallelRun {
 public:
  ParallelRun(std::size_t count, const std::function<void(std::size_t)>& work) : count_(count), work_(work) {}

  ~ParallelRun() {
    stop();
    for (std::thread& thread : threads_) thread.join();
  }
  ParallelRun(const ParallelRun&) = delete;
  ParallelRun& operator=(const ParallelRun&) = delete;

  void start(std::size_t threads) {
    threads_.reserve(threads);
    for (std::size_t i = 0; i < threads; ++i) {
      threads_.emplace_back([this] { loop(); });
      const std::lock_guard lock(mutex_);
      ++started_;
    }
  }
  // True when all threads have ended within a moment.
  bool ended_soon() {
    std::unique_lock lock(mutex_);
    return ended_.wait_for(lock, kPause, [this] { return finished_ == started_; });
  }
  void stop() { stopping_ = true; }
  std::size_t done() const { return done_; }
  void rethrow() {
    const std::lock_guard lock(mutex_);
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void loop() {
    for (std::size_t i = next_++; i < count_ && !stopping_; i = next_++) {
      try {
        work_(i);
        ++done_;
      } catch (...) {
        const std::lock_guard lock(mutex_);
        if (!failure_) failure_ = std::current_exception();
        stopping_ = true;
      }
    }
    const std::lock_guard lock(mutex_);
    ++finished_;
    ended_.notify_all();
  }

  std::size_t count_;
  const std::function<void(std::size_t)>& work_;
  std::atomic<std::size_t> next_{0}, done_{0};
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::condition_variable ended_;
  std::size_t started_ = 0, finished_ = 0;
  std::exception_ptr failure_;
  std::vector<std::thread> threads_;
};

}  // namespace

bool parallel_for(std::size_t count, int threads, const std::function<void(std::size_t)>& work,
                  const ParallelProgress& progress) {
  ParallelRun run(count, work);
  run.start(std::min(count, static_cast<std::size_t>(std::max(threads, 1))));
  bool go_on = true;
  while (!run.ended_soon()) {
    if (go_on && progress && !progress(run.done(), count)) {
      go_on = false;
      run.stop();
    }
  }
  run.rethrow();
  if (go_on && progress) progress(count, count);
  return go_on;
}

}  // namespace mdgen
