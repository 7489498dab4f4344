// One simulated rank: the real agent's decisions (AgentCore) over the real link to the coordinator, with a
// simulated trainer in the place of the process.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "services/worker/agent_core.h"
#include "services/worker/coordinator_link.h"
#include "tests/bench/coordinator_load/latencies.h"
#include "tests/bench/coordinator_load/simulated_trainer.h"

namespace mdgen::load {

// Counted over all agents.
struct Counters {
  std::atomic<std::int64_t> registered{0}, training{0};  // now
  std::atomic<std::int64_t> links_lost{0};               // streams that ended without our doing
  std::atomic<std::int64_t> failed_exchanges{0};         // other than superseded
  std::atomic<std::int64_t> beats_sent{0}, beats_answered{0};
  std::atomic<std::int64_t> assignments{0}, assignment_bytes{0};
};

// When the last rank has posted to each rendezvous. Used by one thread.
class PostTimes {
 public:
  void posted(const std::string& key, Clock::Steady at) { last_[key] = at; }
  Clock::Steady last(const std::string& key) const { return last_.at(key); }

 private:
  std::map<std::string, Clock::Steady> last_;
};

struct Told {  // by the link
  worker::Event event;
  Clock::Steady at;
};
struct Exchanged {
  std::uint64_t trainer = 0;
  std::string key;
  Clock::Steady posted, at;
  bool good = false, superseded = false;
};
struct Crash {};  // the trainer, if this is the rank
using Letter = std::variant<Told, Exchanged, Crash>;

// Used by one thread, but for the handlers that it gives to its link: those call `post`.
class SimulatedAgent {
 public:
  struct Shared {
    const LoadOptions& options;
    std::string target;
    Latencies& latencies;
    Counters& counters;
    PostTimes post_times{};
    Checkpoints checkpoints{};
  };
  using PostLetter = std::function<void(Letter)>;

  SimulatedAgent(int number, Shared& shared, PostLetter post, Clock::Steady now);

  void read(const Letter& letter, Clock::Steady now);
  void tick(Clock::Steady now);
  void leave(Clock::Steady now);
  void abandon() { link_.abandon(); }  // before its destruction, so that all ends come together
  Clock::Steady wake_at() const;
  bool left() const { return left_; }
  const SimulatedTrainer* trainer() const { return trainer_ ? &*trainer_ : nullptr; }

 private:
  struct Sent {
    Call call;
    Clock::Steady at;
  };

  worker::CoordinatorLink::Handlers handlers();
  void tell(worker::Event event);
  void settle();
  void act(std::vector<Act> acts);
  void carry_out(worker::OpenLink& open);
  void carry_out(worker::AbandonLink&) { link_.abandon(); }
  void carry_out(worker::CutLink&) { link_.cut(); }
  void carry_out(worker::LinkUp&);
  void carry_out(worker::Send& send);
  void carry_out(worker::Spawn& spawn);
  void carry_out(worker::Tell& tell);
  void carry_out(worker::KillTrainer&);
  void carry_out(worker::SignalTrainer&) {}  // nobody injects faults here
  void carry_out(worker::CorruptCheckpoint&) {}
  void carry_out(worker::Examine& examine);  // refused: the load's data sets are examined by the coordinator
  void carry_out(worker::StopExamination&) {}
  void carry_out(worker::Leave&) { left_ = true; }
  void post(const v1::ExchangeRequest& request);
  void end(const v1::ProcessExit& exit);
  void taken(std::uint64_t number, Clock::Steady at);
  void observe_training();

  Shared& shared_;
  PostLetter post_;
  v1::Register registration_;
  worker::AgentCore core_;
  Clock::Steady now_;
  Clock::Steady opened_{};
  std::deque<worker::Event> events_;
  std::map<std::uint64_t, Sent> unanswered_;
  std::uint64_t last_number_ = 0;
  std::optional<SimulatedTrainer> trainer_;
  std::uint64_t trainer_number_ = 0;
  bool registered_ = false, training_ = false, leaving_ = false, left_ = false;
  worker::CoordinatorLink link_;  // last: its handlers end before the rest does
};

}  // namespace mdgen::load
