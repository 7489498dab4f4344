// Groups that do not form, under an agent that answers no rendezvous.
#include "services/trainer/forming.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <cstdlib>
#include <future>
#include <mutex>
#include <thread>

#include "core/base/error.h"

namespace mdgen::trainer {
namespace {

class SilentAgent : public Agent {
 public:
  train::RunObserver& observer() override { std::abort(); }
  const train::RunControl& control() const override { return control_; }
  std::vector<std::string> exchange(const v1::Assignment&, const std::string&, const std::string&) override {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return ended_; });
    --waiting_;
    throw Error(ErrorCode::kAborted, "the rendezvous is over");
  }
  void end_exchanges() override {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  }
  void set_breaker(std::function<void(const std::string&)> breaker) override {
    const std::lock_guard lock(mutex_);
    breaker_ = std::move(breaker);
  }
  void left(const v1::LeftReport&) override {}
  Order next(std::chrono::milliseconds) override { return {}; }

  void abandon_once_it_waits() {
    std::function<void(const std::string&)> breaker;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return waiting_ > 0; });
      breaker = breaker_;
    }
    breaker("a rank died");
  }

 private:
  train::RunControl control_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int waiting_ = 0;
  bool ended_ = false;
  std::function<void(const std::string&)> breaker_;
};

ErrorCode form(Forming& forming) {
  v1::Assignment assignment;
  assignment.set_world_size(2);
  try {
    forming(assignment, {.rank = 0, .world_size = 2, .forming_timeout = std::chrono::minutes(10)});
  } catch (const comm::CollectiveError& error) {
    return error.code();
  }
  return ErrorCode::kInternal;
}

TEST(Forming, Abandoned_IsLeftBehindAndDoesNotHoldUpTheEnd) {
  SilentAgent agent;
  {
    Forming forming(agent);
    auto formed = std::async(std::launch::async, [&] { return form(forming); });
    agent.abandon_once_it_waits();
    EXPECT_EQ(formed.get(), ErrorCode::kAborted);
    EXPECT_EQ(forming.left_behind(), 1U);
  }  // the agent never answers: only the end of all exchanges lets this end
}

TEST(Forming, LeftBehind_IsForgottenOnceItHasEnded) {
  SilentAgent agent;
  Forming forming(agent);
  auto formed = std::async(std::launch::async, [&] { return form(forming); });
  agent.abandon_once_it_waits();
  EXPECT_EQ(formed.get(), ErrorCode::kAborted);
  agent.end_exchanges();
  while (forming.left_behind() > 0) std::this_thread::yield();
  EXPECT_EQ(form(forming), ErrorCode::kAborted);
}

}  // namespace
}  // namespace mdgen::trainer
