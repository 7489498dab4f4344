// Following a job to its end, over a coordinator that may be away for a while.
#pragma once

#include <string>

#include "services/client/reconnect.h"
#include "services/client/surroundings.h"

namespace mdgen::client {

// What is told while a job is followed.
class FollowView {
 public:
  virtual ~FollowView() = default;
  virtual void on_transition(const v1::Transition& transition) = 0;
  virtual void on_progress(const v1::Job& job) = 0;  // at each answer
  virtual void on_note(const std::string& text) = 0;
  virtual void on_end(const v1::Job& job) = 0;
};

// Watches the job's stream, or asks every patience.interval where the server has none, until the job's state
// is final, and returns it. Throws Error: kUnavailable when the connection is lost (or not there) for longer
// than patience allows, or the server's refusal.
v1::Job follow(JobApi& api, const std::string& id, FollowView& view, const Patience& patience,
               const Surroundings& world);

}  // namespace mdgen::client
