#include "services/trainer/forming.h"

#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <utility>

#include "core/base/error.h"

namespace mdgen::trainer {
namespace {

// Shared with the thread, which may be left behind.
struct Attempt {
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  std::optional<std::string> abandoned;
  std::unique_ptr<comm::Collective> group;
  std::exception_ptr failure;

  void run(const comm::CollectiveOptions& options, const comm::Exchange& exchange) {
    std::unique_ptr<comm::Collective> formed;
    std::exception_ptr failed;
    try {
      formed = comm::make_collective(options, exchange);
    } catch (...) {
      failed = std::current_exception();
    }
    const std::lock_guard lock(mutex);
    done = true;
    failure = failed;
    if (!abandoned) group = std::move(formed);
    changed.notify_all();
  }
};

[[noreturn]] void rethrow_as_the_groups(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kAborted || error.code() == ErrorCode::kUnavailable) {
      throw comm::CollectiveError(error.code(), error.what());
    }
    throw;
  }
}

}  // namespace

Forming::~Forming() {
  for (std::thread& thread : threads_) thread.join();
}

std::unique_ptr<comm::Collective> Forming::operator()(const v1::Assignment& assignment,
                                                      const comm::CollectiveOptions& options) {
  const auto attempt = std::make_shared<Attempt>();
  const comm::Exchange exchange = [this, assignment](const std::string& key, const std::string& blob) {
    return agent_.exchange(assignment, key, blob);
  };
  const Breaker breaker(agent_, [attempt](const std::string& reason) {
    const std::lock_guard lock(attempt->mutex);
    attempt->abandoned = reason;
    attempt->changed.notify_all();
  });
  std::thread thread([attempt, options, exchange] { attempt->run(options, exchange); });
  std::unique_lock lock(attempt->mutex);
  attempt->changed.wait(lock, [&] { return attempt->done || attempt->abandoned; });
  if (!attempt->done) {
    threads_.push_back(std::move(thread));
    throw comm::CollectiveError(ErrorCode::kAborted, "forming the group: " + *attempt->abandoned);
  }
  lock.unlock();
  thread.join();
  if (attempt->failure) rethrow_as_the_groups(attempt->failure);
  if (!attempt->group) {
    throw comm::CollectiveError(ErrorCode::kAborted, "forming the group: " + *attempt->abandoned);
  }
  return std::move(attempt->group);
}

}  // namespace mdgen::trainer
