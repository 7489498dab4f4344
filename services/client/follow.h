// Following a job to its end, over a coordinator that may be away for a while.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "services/client/surroundings.h"

namespace mdgen::client {

// What is told while a job is followed.
class FollowView {
 public:
  virtual ~FollowView() = default;
  virtual void on_transition(const v1::Transition& transition) = 0;
  virtual void on_progress(const v1::Job& job) = 0;  // once a poll
  virtual void on_note(const std::string& text) = 0;
  virtual void on_end(const v1::Job& job) = 0;
};

struct Patience {
  std::chrono::milliseconds interval{1000};        // between two looks at a job
  std::chrono::milliseconds reconnect_for{60000};  // without any answer, then the connection counts as lost
};

// Repeats `attempt` with growing pauses while it throws kUnavailable, for at most patience.reconnect_for
// since the last contact; then throws kUnavailable. `contact` is the time of the last answer; who gets one
// while `attempt` runs moves it. `note` is told when the connection goes.
void with_reconnect(const Surroundings& world, const Patience& patience, Clock::Steady& contact,
                    const std::function<void()>& attempt,
                    const std::function<void(const std::string&)>& note);

// Asks until the job's state is final and returns it. Throws Error: kUnavailable when the connection is lost
// for longer than patience allows, or the server's refusal. The first answer is not waited for.
v1::Job follow(JobApi& api, const std::string& id, FollowView& view, const Patience& patience,
               const Surroundings& world);

}  // namespace mdgen::client
