// What the agent has ordered, between the thread that reads and the rank that obeys. No gRPC.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "core/train/observer.h"
#include "mdgen/v1/trainer_service.pb.h"
#include "services/trainer/agent.h"

namespace mdgen::trainer {

// Thread-safe. An order is for the assignment that came last: a stop that comes between an assignment and its
// next() holds, one from before it is forgotten unless it was to end the trainer.
class Orders {
 public:
  const train::RunControl& control() const { return control_; }

  // The reader's thread.
  void take(const v1::AgentOrder& order);
  void end();  // nothing more will come

  // The rank. next() as in agent.h; left() says that no generation is under way any more.
  Order next(std::chrono::milliseconds hold);
  void left();
  void set_breaker(std::function<void(const std::string& reason)> breaker);
  // Cancels the calls under way and refuses all others.
  void end_calls();

  // While it lives, an order to abandon (or an injected partition) calls `cancel`. Waits while an injected
  // partition lasts. Throws Error(kAborted) when the generation is abandoned
  // or after end_calls(), kUnavailable after a partition.
  class Call {
   public:
    Call(Orders& orders, std::function<void()> cancel);
    ~Call();
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

   private:
    Orders& orders_;
    std::uint64_t number_ = 0;
  };

 private:
  void take(const v1::Assignment& assignment);
  void take(const v1::StopOrder& order);
  void take(const v1::AbandonOrder& order);
  void take(const v1::Fault& fault);
  void take(const v1::Lease& lease);
  void break_off(const std::string& reason);
  bool wants_end_locked() const { return control_.stop && !control_.stop_yield; }

  train::RunControl control_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Order> waiting_;  // the assignment that next() will give
  std::string abandoned_;         // why; of the generation under way
  std::string waiting_is_abandoned_;
  std::int64_t generation_ = 0;  // of the newest assignment
  bool under_way_ = false;
  bool ended_ = false;
  bool calls_ended_ = false;
  std::chrono::steady_clock::time_point apart_until_{};  // an injected partition
  std::uint64_t calls_ = 0;
  std::map<std::uint64_t, std::function<void()>> cancels_;
  std::mutex breaker_mutex_;  // before mutex_
  std::function<void(const std::string&)> breaker_;
};

}  // namespace mdgen::trainer
