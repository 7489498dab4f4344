// Work done ahead by threads and handed out in order. No LibTorch.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "core/base/error.h"

namespace mdgen::data {

// push() jobs, get() their results in the same order. At most threads + 1 results are held or being made;
// push() never waits. With 0 threads a job runs in get(), on the caller's thread. For one caller; the jobs
// run concurrently with each other and with it.
template <typename Result>
class ReadAhead {
 public:
  using Job = std::function<Result()>;

  // `on_start` runs first on each thread; the constructor returns when it has run on all of them.
  explicit ReadAhead(
      int threads, const std::function<void()>& on_start = [] {})
      : ahead_(static_cast<std::size_t>(threads) + 1) {
    int running = 0;
    for (int i = 0; i < threads; ++i) {
      threads_.emplace_back([this, &on_start, &running] {
        on_start();
        {
          const std::lock_guard lock(mutex_);
          ++running;
          finished_.notify_all();
        }
        run();
      });
    }
    std::unique_lock lock(mutex_);
    finished_.wait(lock, [&] { return running == threads; });
  }

  // Waits for the jobs that are being done and drops the others.
  ~ReadAhead() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    work_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  void push(Job job) {
    auto task = std::make_shared<Task>();
    task->job = std::move(job);
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    work_.notify_one();
  }

  // Throws what the job threw; Error(kInternal) when nothing was pushed.
  Result get() {
    std::unique_lock lock(mutex_);
    if (tasks_.empty()) throw Error(ErrorCode::kInternal, "ReadAhead::get() without a push()");
    const std::shared_ptr<Task> task = tasks_.front();
    if (threads_.empty()) {
      do_task(*task);
    } else {
      finished_.wait(lock, [&] { return task->done; });
      --started_;
    }
    tasks_.pop_front();
    work_.notify_one();
    if (task->error) std::rethrow_exception(task->error);
    return std::move(*task->result);
  }

  // Forgets what was pushed and not yet got.
  void clear() {
    const std::lock_guard lock(mutex_);
    tasks_.clear();
    started_ = 0;
  }

 private:
  struct Task {
    Job job;
    bool done = false;
    std::optional<Result> result;
    std::exception_ptr error;
  };

  static void do_task(Task& task) noexcept {
    try {
      task.result = task.job();
    } catch (...) {
      task.error = std::current_exception();
    }
  }

  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      work_.wait(lock, [&] { return stop_ || (started_ < tasks_.size() && started_ < ahead_); });
      if (stop_) return;
      const std::shared_ptr<Task> task = tasks_[started_++];
      lock.unlock();
      do_task(*task);
      lock.lock();
      task->done = true;
      finished_.notify_all();
    }
  }

  const std::size_t ahead_;
  std::mutex mutex_;
  std::condition_variable work_;      // a task may be started, or stop_
  std::condition_variable finished_;  // a task is done, or a thread has started
  std::deque<std::shared_ptr<Task>> tasks_;
  std::size_t started_ = 0;  // the first so many of tasks_ are being done or done
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace mdgen::data
