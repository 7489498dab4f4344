// What an agent decides, as a function of what it is told: no sockets, no processes, no clock of its own.
//
// The link to the coordinator is down, connecting or up; it is opened again with growing pauses for as long
// as the agent lives, whatever its trainer does. There is at most one trainer:
//
//   none -> starting (spawned) -> running (said hello, has its assignment) -> exited -> none
//
// A newer assignment kills the old trainer first and starts when that has been reaped. An exit is reported
// once the trainer's stream has ended too, so that its last reports come before it.
//
// Beside that it may examine a data set for the coordinator, for as long as the link holds.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/base/clock.h"
#include "mdgen/v1/trainer_service.pb.h"
#include "mdgen/v1/worker_service.pb.h"

namespace mdgen::worker {

// --- What the core is told ---

enum class LinkLoss {
  kUnreachable,  // no coordinator there, or the connection broke
  kSlotTaken,    // another live agent holds the slot
  kSuperseded,   // the coordinator has given this incarnation up
  kRefused,      // trying again cannot help
};
struct LinkDown {
  LinkLoss loss = LinkLoss::kUnreachable;
  std::string message;
};
struct Ordered {
  v1::CoordinatorMessage message;
};
struct TrainerSaid {
  v1::TrainerMessage message;
};
struct TrainerStreamEnded {};
struct TrainerExited {
  v1::ProcessExit exit;
};
struct SpawnFailed {
  std::string message;
};
struct ExaminerSaid {
  v1::PreflightReport report;
};
struct StopRequested {};
struct Tick {};
using Event = std::variant<Tick, LinkDown, Ordered, TrainerSaid, TrainerStreamEnded, TrainerExited,
                           SpawnFailed, ExaminerSaid, StopRequested>;

// --- What the core wants done, in this order ---

struct OpenLink {
  std::vector<v1::GenerationId> running;
  bool new_incarnation = false;
};
struct AbandonLink {};  // LinkDown follows
struct LinkUp {         // what waits for the coordinator may be sent
  std::string worker_id;
  bool first = false;
};
struct Send {
  v1::AgentMessage message;
};
struct Spawn {
  v1::Assignment assignment;
};
struct Tell {
  v1::AgentOrder order;
};
struct KillTrainer {};
struct Examine {
  v1::PreflightTask task;
};
struct StopExamination {};  // its last report follows
struct Leave {
  int status = 0;
};
using Action = std::variant<OpenLink, AbandonLink, LinkUp, Send, Spawn, Tell, KillTrainer, Examine,
                            StopExamination, Leave>;

// Not thread-safe.
class AgentCore {
 public:
  struct Config {
    std::string coordinator{};  // its address, for messages
    std::chrono::milliseconds beat_interval{1000};
    std::chrono::milliseconds connect_timeout{30000};
    std::chrono::milliseconds give_up_after{0};  // without the coordinator; 0: never
    std::chrono::milliseconds first_pause{100};  // between attempts to connect; doubles
    std::chrono::milliseconds last_pause{2000};
    std::chrono::milliseconds linger{20000};      // of a trainer after its last word
    std::chrono::milliseconds stream_wait{2000};  // for the stream's end after the process's
    std::chrono::milliseconds leave_wait{2000};   // for the trainer's death when the agent leaves
  };

  AgentCore(Config config, Clock::Steady now);

  std::vector<Action> handle(const Event& event, Clock::Steady now);
  // When to be told Tick at the latest.
  Clock::Steady wake_at() const;

 private:
  enum class Link { kDown, kConnecting, kUp };
  struct Trainer {
    v1::Assignment assignment;
    bool greeted = false;
    bool stream_ended = false;
    bool killed = false;
    std::optional<v1::ProcessExit> exit;
    std::optional<Clock::Steady> deadline;    // of its lingering, or of the wait for its stream
    std::vector<v1::AgentOrder> held_orders;  // until it has its assignment
    v1::Beat beat;
  };

  void on(const Tick&);
  void on(const LinkDown& event);
  void on(const Ordered& event);
  void on(const TrainerSaid& event);
  void on(const TrainerStreamEnded&);
  void on(const TrainerExited& event);
  void on(const SpawnFailed& event);
  void on(const ExaminerSaid& event);
  void on(const StopRequested&);

  void welcome(const v1::Welcome& welcome);
  void assign(const v1::Assignment& assignment);
  void stop(const v1::Stop& stop);
  void order_trainer(const v1::GenerationId& id, v1::AgentOrder order);
  void spawn(const v1::Assignment& assignment);
  void examine(const v1::PreflightTask& task);
  void stop_examination(const v1::PreflightStop& stop);
  void abandon_examination();
  void kill_trainer();
  void trainer_gone();
  void begin_leaving(int status, const std::string& reason);
  void report(const v1::Assignment& assignment, v1::TrainerEvent event);

  Config config_;
  Clock::Steady now_;
  std::vector<Action> actions_;

  Link link_ = Link::kDown;
  Clock::Steady next_attempt_;
  std::chrono::milliseconds pause_;
  bool ever_registered_ = false;
  bool new_incarnation_ = false;
  std::optional<Clock::Steady> contact_deadline_;  // by when the link must be up
  std::int64_t epoch_ = 0;
  Clock::Steady next_beat_;

  std::optional<Trainer> trainer_;
  std::optional<v1::Assignment> pending_;
  std::optional<v1::TrainerEvent> last_exit_;

  struct Examination {
    v1::PreflightTask task;
    bool stopped = false;
    bool abandoned = false;  // nobody waits for it any more
  };
  std::optional<Examination> examination_;  // until its last report
  std::optional<v1::PreflightTask> next_examination_;

  std::optional<int> leaving_;
  Clock::Steady leave_deadline_;
};

}  // namespace mdgen::worker
