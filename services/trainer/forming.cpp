#include "services/trainer/forming.h"

#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <utility>

#include "core/base/error.h"

namespace mdgen::trainer {

// Shared with the thread, which may be left behind.
struct Forming::Attempt {
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  std::optional<std::string> abandoned;
  std::unique_ptr<comm::Collective> group;
  std::exception_ptr failure;
  bool over = false;  // the agent must not be asked any more
  int calls = 0;      // to the agent, under way

  bool given_up() {
    const std::lock_guard lock(mutex);
    return abandoned || over;
  }
  void begin_call() {
    const std::lock_guard lock(mutex);
    if (over) throw Error(ErrorCode::kAborted, "the rank ends");
    ++calls;
  }
  void end_call() {
    const std::lock_guard lock(mutex);
    --calls;
    changed.notify_all();
  }

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

namespace {

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
  if (left_behind() == 0) return;
  for (const Left& left : left_) {
    const std::lock_guard lock(left.attempt->mutex);
    left.attempt->over = true;
  }
  agent_.end_exchanges();
  for (Left& left : left_) {
    std::unique_lock lock(left.attempt->mutex);
    left.attempt->changed.wait(lock, [&] { return left.attempt->calls == 0; });
    left.thread.detach();
  }
}

std::size_t Forming::left_behind() {
  std::erase_if(left_, [](Left& left) {
    {
      const std::lock_guard lock(left.attempt->mutex);
      if (!left.attempt->done) return false;
    }
    left.thread.join();
    return true;
  });
  return left_.size();
}

std::unique_ptr<comm::Collective> Forming::operator()(const v1::Assignment& assignment,
                                                      const comm::CollectiveOptions& options) {
  left_behind();
  const auto attempt = std::make_shared<Attempt>();
  const comm::Exchange exchange = [this, attempt, assignment](const std::string& key,
                                                              const std::string& blob) {
    struct Call {
      explicit Call(Attempt& of) : attempt(of) { attempt.begin_call(); }
      ~Call() { attempt.end_call(); }
      Attempt& attempt;
    };
    const Call call(*attempt);
    return agent_.exchange(assignment, key, blob);
  };
  comm::CollectiveOptions own = options;
  own.cancelled = [attempt] { return attempt->given_up(); };
  const Breaker breaker(agent_, [attempt](const std::string& reason) {
    const std::lock_guard lock(attempt->mutex);
    attempt->abandoned = reason;
    attempt->changed.notify_all();
  });
  std::thread thread([attempt, own, exchange] { attempt->run(own, exchange); });
  std::unique_lock lock(attempt->mutex);
  attempt->changed.wait(lock, [&] { return attempt->done || attempt->abandoned; });
  if (!attempt->done) {
    left_.push_back({attempt, std::move(thread)});
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
