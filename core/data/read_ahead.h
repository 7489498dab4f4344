// Work done ahead by threads and handed out in order. No LibTorch.
#pragma once

#include <algorithm>
#include <chrono>
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
  using Preparation = std::function<void()>;  // must not throw

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

  // `prepare` runs on a thread some time before the job, while others are being done; with 0 threads, never.
  void push(Job job, Preparation prepare = {}) {
    auto task = std::make_shared<Task>();
    task->job = std::move(job);
    task->prepare = std::move(prepare);
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    work_.notify_one();
  }

  // Throws what the job threw; Error(kInternal) when nothing was pushed. While it waits for a thread it asks
  // `interrupt` again and again, which may throw: then nothing is taken.
  Result get(const std::function<void()>& interrupt = {}) {
    std::unique_lock lock(mutex_);
    if (tasks_.empty()) throw Error(ErrorCode::kInternal, "ReadAhead::get() without a push()");
    const std::shared_ptr<Task> task = tasks_.front();
    if (threads_.empty()) {
      do_task(*task);
    } else {
      const auto done = [&] { return task->done; };
      if (!interrupt) finished_.wait(lock, done);
      while (!finished_.wait_for(lock, kSlice, done)) {
        lock.unlock();
        interrupt();
        lock.lock();
      }
      --started_;
    }
    tasks_.pop_front();
    if (prepared_ > 0) --prepared_;
    work_.notify_one();
    if (task->error) std::rethrow_exception(task->error);
    return std::move(*task->result);
  }

  // Whether get() would return at once; with 0 threads, never.
  bool ready() const {
    const std::lock_guard lock(mutex_);
    return !tasks_.empty() && tasks_.front()->done;
  }

  // Forgets what was pushed and not yet got.
  void clear() {
    const std::lock_guard lock(mutex_);
    tasks_.clear();
    started_ = 0;
    prepared_ = 0;
  }

 private:
  static constexpr std::chrono::milliseconds kSlice{20};  // between two questions to `interrupt`

  struct Task {
    Job job;
    Preparation prepare;
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

  // The tasks that will be started next and are not prepared: as many as are held at most.
  std::vector<std::shared_ptr<Task>> to_prepare() {
    std::vector<std::shared_ptr<Task>> coming;
    const std::size_t end = std::min(tasks_.size(), started_ + ahead_);
    for (prepared_ = std::max(prepared_, started_); prepared_ < end; ++prepared_)
      coming.push_back(tasks_[prepared_]);
    return coming;
  }

  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      work_.wait(lock, [&] { return stop_ || (started_ < tasks_.size() && started_ < ahead_); });
      if (stop_) return;
      const std::shared_ptr<Task> task = tasks_[started_++];
      const std::vector<std::shared_ptr<Task>> coming = to_prepare();
      lock.unlock();
      for (const std::shared_ptr<Task>& later : coming)
        if (later->prepare) later->prepare();
      do_task(*task);
      lock.lock();
      task->done = true;
      finished_.notify_all();
    }
  }

  const std::size_t ahead_;
  mutable std::mutex mutex_;
  std::condition_variable work_;      // a task may be started, or stop_
  std::condition_variable finished_;  // a task is done, or a thread has started
  std::deque<std::shared_ptr<Task>> tasks_;
  std::size_t started_ = 0;   // the first so many of tasks_ are being done or done
  std::size_t prepared_ = 0;  // the first so many are started, prepared or being prepared
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace mdgen::data
