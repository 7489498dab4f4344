// Calls a function once a second in a thread of its own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

namespace mdgen::access {

class Refresher {
 public:
  // `refresh` must not throw.
  explicit Refresher(std::function<void()> refresh,
                     std::chrono::milliseconds interval = std::chrono::seconds(1))
      : refresh_(std::move(refresh)), interval_(interval), thread_([this] { run(); }) {}
  ~Refresher() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  Refresher(const Refresher&) = delete;
  Refresher& operator=(const Refresher&) = delete;

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, interval_, [this] { return stopping_; })) {
      lock.unlock();
      refresh_();
      lock.lock();
    }
  }

  const std::function<void()> refresh_;
  const std::chrono::milliseconds interval_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace mdgen::access
