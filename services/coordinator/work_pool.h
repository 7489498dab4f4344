// A few threads for work that may wait for a disk, so that the threads that serve sockets never do.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace mdgen::coordinator {

// Thread-safe. Work must not throw.
class WorkPool {
 public:
  using Work = std::function<void()>;

  WorkPool(int threads, std::size_t most_waiting);
  ~WorkPool() { stop(); }
  WorkPool(const WorkPool&) = delete;
  WorkPool& operator=(const WorkPool&) = delete;

  // False when so much waits already, or it has been stopped.
  [[nodiscard]] bool post(Work work);
  // Ends after what has been posted.
  void stop();

 private:
  void run();

  const std::size_t most_waiting_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Work> waiting_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace mdgen::coordinator
