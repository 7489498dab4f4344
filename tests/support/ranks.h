// Ranks as threads of one process: a rendezvous in memory, and a way to run them.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/base/error.h"

namespace mdgen::testing {

// What the coordinator's Exchange RPC does, in memory. Must outlive its users.
class MemoryExchange {
 public:
  explicit MemoryExchange(int world_size) : world_size_(static_cast<std::size_t>(world_size)) {}

  std::function<std::vector<std::string>(const std::string&, const std::string&)> for_rank(int rank) {
    return [this, rank](const std::string& key, const std::string& blob) {
      std::unique_lock lock(mutex_);
      std::map<int, std::string>& posted = rounds_[key];
      posted[rank] = blob;
      changed_.notify_all();
      changed_.wait(lock, [&] { return posted.size() == world_size_ || superseded_; });
      if (superseded_) throw Error(ErrorCode::kAborted, "the generation is superseded");
      std::vector<std::string> blobs;
      for (const auto& [other, value] : posted) blobs.push_back(value);
      return blobs;
    };
  }

  void supersede() {
    const std::lock_guard lock(mutex_);
    superseded_ = true;
    changed_.notify_all();
  }

 private:
  const std::size_t world_size_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool superseded_ = false;
  std::map<std::string, std::map<int, std::string>> rounds_;
};

// Runs `body(rank)` on a thread a rank and returns what each threw (nothing: null).
inline std::vector<std::exception_ptr> run_ranks(int world_size, const std::function<void(int)>& body) {
  std::vector<std::exception_ptr> thrown(static_cast<std::size_t>(world_size));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < world_size; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        body(rank);
      } catch (...) {
        thrown[static_cast<std::size_t>(rank)] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return thrown;
}

// Throws the first rank's error, if any.
inline void run_ranks_or_throw(int world_size, const std::function<void(int)>& body) {
  for (const std::exception_ptr& error : run_ranks(world_size, body)) {
    if (error) std::rethrow_exception(error);
  }
}

// The Error behind an exception; kInternal with a text when it is none.
inline Error error_of(const std::exception_ptr& thrown) {
  if (!thrown) return {ErrorCode::kInternal, "nothing was thrown"};
  try {
    std::rethrow_exception(thrown);
  } catch (const Error& error) {
    return error;
  } catch (const std::exception& error) {
    return {ErrorCode::kInternal, std::string("no mdgen::Error: ") + error.what()};
  }
}

}  // namespace mdgen::testing
