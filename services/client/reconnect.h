// Going on over a coordinator that is away for a while.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "services/client/surroundings.h"

namespace mdgen::client {

struct Patience {
  std::chrono::milliseconds interval{1000};        // between two looks
  std::chrono::milliseconds reconnect_for{60000};  // without any answer, then the connection counts as lost
};

class Reconnector {
 public:
  using Note = std::function<void(const std::string&)>;

  // `note` is told when the connection goes and when it is back.
  Reconnector(const Surroundings& world, const Patience& patience, Note note);

  // Repeats `attempt` with growing pauses while it throws kUnavailable, for at most patience.reconnect_for
  // since the first failure after an answer (a silent stream is none); then throws kUnavailable. Other errors
  // pass.
  void run(const std::function<void()>& attempt);

  // An answer has come, perhaps one of several of an attempt; the end of an attempt says so by itself.
  void alive();

 private:
  void wait_after(const std::string& failure);

  const Surroundings& world_;
  Patience patience_;
  Note note_;
  std::optional<Clock::Steady> away_since_;
  std::chrono::milliseconds pause_;
};

}  // namespace mdgen::client
