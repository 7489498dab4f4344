// What a rank asks of its agent, and is told by it. No gRPC, no LibTorch.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/train/observer.h"
#include "mdgen/v1/run.pb.h"

namespace mdgen::trainer {

// What comes to a trainer that has no generation; neither of both: nothing came in the time that it holds its
// memory, or `gone`.
struct Order {
  std::optional<v1::Assignment> assignment;
  std::chrono::steady_clock::time_point received{};  // the assignment
  std::optional<v1::StopOrder> stop;                 // without yield
  bool gone = false;                                 // the agent
};

// The functions may be called from any thread.
class Agent {
 public:
  virtual ~Agent() = default;
  virtual train::RunObserver& observer() = 0;
  // Its stop and abandoned flags are of the assignment that next() gave last.
  virtual const train::RunControl& control() const = 0;
  // Posts this rank's blob under a key and returns every rank's (comm::Exchange). Throws Error(kAborted) when
  // the generation is superseded or abandoned and Error(kUnavailable) when agent or coordinator cannot be
  // reached.
  virtual std::vector<std::string> exchange(const v1::Assignment& assignment, const std::string& key,
                                            const std::string& blob) = 0;
  // Ends the exchanges under way, and all later ones at once, with kAborted or kUnavailable: the rank ends.
  virtual void end_exchanges() = 0;
  // What breaks the generation's work when it is to be abandoned: called on another thread, at once if that
  // was ordered already. An empty one takes it back and waits for a call that is under way.
  virtual void set_breaker(std::function<void(const std::string& reason)> breaker) = 0;
  virtual void left(const v1::LeftReport& report) = 0;
  // Waits for the next assignment, or for a stop, for at most `hold`.
  virtual Order next(std::chrono::milliseconds hold) = 0;
};

// A breaker for a scope.
class Breaker {
 public:
  Breaker(Agent& agent, std::function<void(const std::string&)> action) : agent_(agent) {
    agent_.set_breaker(std::move(action));
  }
  ~Breaker() { agent_.set_breaker({}); }
  Breaker(const Breaker&) = delete;
  Breaker& operator=(const Breaker&) = delete;

 private:
  Agent& agent_;
};

}  // namespace mdgen::trainer
