// A generation's group forms, which an order to abandon ends at once.
#pragma once

#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

#include "core/comm/collective.h"
#include "services/trainer/agent.h"

namespace mdgen::trainer {

// Not thread-safe. Its destructor ends the agent's exchanges and waits for nothing else: what was left behind
// ends by itself, at most after the forming timeout, without the agent.
class Forming {
 public:
  explicit Forming(Agent& agent) : agent_(agent) {}
  ~Forming();
  Forming(const Forming&) = delete;
  Forming& operator=(const Forming&) = delete;

  // make_collective, with the agent's exchange. Throws CollectiveError(kAborted) when the generation is
  // abandoned meanwhile, whatever the group waits for; the library's own connecting, which cannot be
  // interrupted, then ends on a thread of its own. Throws CollectiveError(kUnavailable or kAborted) as well
  // for what make_collective throws with these codes.
  std::unique_ptr<comm::Collective> operator()(const v1::Assignment& assignment,
                                               const comm::CollectiveOptions& options);

  // Threads of abandoned groups that have not ended yet.
  std::size_t left_behind();

 private:
  struct Attempt;
  struct Left {
    std::shared_ptr<Attempt> attempt;
    std::thread thread;
  };

  Agent& agent_;
  std::vector<Left> left_;
};

}  // namespace mdgen::trainer
