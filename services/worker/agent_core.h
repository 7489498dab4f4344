// What an agent decides, as a function of what it is told: no sockets, no processes, no clock of its own.
//
// The link to the coordinator is down, connecting or up; it is opened again with growing pauses for as long
// as the agent lives, whatever its trainer does. There is at most one trainer:
//
//   none -> starting (spawned) -> running (said hello, has its assignment) -> exited -> none
//                                     |    ^
//                                     v    | the assignment of a later generation
//                                    waiting (has left its generation, holds its memory)
//
// A newer assignment of the same job is handed over to a trainer that waits; one that runs is first told to
// abandon its generation, and when it dies in place of leaving another is spawned. An assignment of another
// job kills the old trainer and starts when that has been reaped. An exit is reported once the trainer's
// stream has ended too, so that its last reports come before it.
//
// Told to stop, the agent drains: its trainer is asked for a checkpoint and to yield, at a boundary that all
// ranks of the generation agree on, and the agent leaves when that is done, at its deadline, or when it is
// told again. It needs no coordinator for that.
//
// Beside that it may examine a data set for the coordinator, for as long as the link holds.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "services/worker/agent_events.h"
#include "services/worker/beat_times.h"

namespace mdgen::worker {

// Not thread-safe.
class AgentCore {
 public:
  struct Config {
    std::string coordinator{};  // its address, for messages
    std::string version{};      // of this program and its trainers; empty: any
    std::chrono::milliseconds beat_interval{1000};
    std::chrono::milliseconds connect_timeout{30000};
    std::chrono::milliseconds give_up_after{0};  // without the coordinator; 0: never
    std::chrono::milliseconds first_pause{100};  // between attempts to connect; doubles
    std::chrono::milliseconds last_pause{2000};
    std::chrono::milliseconds linger{20000};         // of a trainer after its last word
    std::chrono::milliseconds stream_wait{2000};     // for the stream's end after the process's
    std::chrono::milliseconds leave_wait{2000};      // for the trainer's death when the agent leaves
    std::chrono::milliseconds drain_timeout{60000};  // for the trainer to checkpoint and leave
    // An agent that was itself stopped for so long does not hold its trainer's silence against it.
    std::chrono::milliseconds own_pause{2000};
    std::function<std::chrono::nanoseconds()> boot_time = worker::boot_time;
  };

  AgentCore(Config config, Clock::Steady now);

  std::vector<Action> handle(const Event& event, Clock::Steady now);
  // When to be told Tick at the latest.
  Clock::Steady wake_at() const;

 private:
  enum class Link { kDown, kConnecting, kUp };
  struct Trainer {
    v1::Assignment assignment;  // of the generation that it is in, or has left
    bool greeted = false;
    bool stream_ended = false;
    bool killed = false;
    std::optional<v1::LeftReport> left;  // it waits for the next assignment
    std::optional<v1::ProcessExit> exit;
    std::optional<Clock::Steady> deadline;     // of its lingering, or of the wait for its stream
    std::optional<Clock::Steady> continue_at;  // a stopped process
    std::vector<v1::AgentOrder> held_orders;   // until it has its assignment
    v1::Beat beat;
    Clock::Steady heard_at;

    bool dying() const { return exit.has_value() || killed; }
  };
  struct Pending {
    v1::Assignment assignment;
    bool abandoned = false;  // never to be started; its end is to be reported
  };

  void on(const Tick&);
  void on(const LinkDown& event);
  void on(const Ordered& event);
  void on(const TrainerSaid& event);
  void on(const TrainerStreamEnded&);
  void on(const TrainerExited& event);
  void on(const SpawnFailed& event);
  void on(const ExaminerSaid& event);
  void on(const StopRequested& event);

  void welcome(const v1::Welcome& welcome);
  void open_link();
  void beat();
  void start(const v1::Assignment& assignment, std::int64_t beat);
  void renew(const v1::LeaseRenewal& renewal, std::int64_t beat);
  void assign(const v1::Assignment& assignment);
  void replace_trainer(const v1::Assignment& assignment);
  void abandon(const v1::AbandonOrder& order);
  void stop(const v1::Stop& stop);
  void kill_generation(const v1::GenerationId& id);
  void inject(const v1::InjectOrder& order);
  void order_trainer(const v1::GenerationId& id, v1::AgentOrder order);
  void tell_abandon(const std::string& reason);
  void spawn(const v1::Assignment& assignment);
  void greet(const v1::TrainerHello& hello);
  void hand_over(const v1::Assignment& assignment);
  void tell_assignment();
  void trainer_left(const v1::LeftReport& report);
  void settle_pending();
  void kill_trainer();
  void trainer_gone();
  void drain(const std::string& reason);
  void drain_trainer();
  void send_draining();
  void begin_leaving(int status, const std::string& reason);
  void report(const v1::Assignment& assignment, v1::TrainerEvent event);
  void report_left(const v1::LeftReport& left);
  void report_never_started(const v1::Assignment& assignment);
  void report_exit_again(const v1::GenerationId& id);
  void examine(const v1::PreflightTask& task);
  void stop_examination(const v1::PreflightStop& stop);
  void abandon_examination();

  Config config_;
  Clock::Steady now_;
  std::vector<Action> actions_;

  Link link_ = Link::kDown;
  Clock::Steady next_attempt_;
  std::optional<Clock::Steady> cut_until_;
  std::chrono::milliseconds pause_;
  bool ever_registered_ = false;
  bool new_incarnation_ = false;
  std::optional<Clock::Steady> contact_deadline_;  // by when the link must be up
  std::int64_t epoch_ = 0;
  Clock::Steady next_beat_;
  BeatTimes beats_;
  std::chrono::nanoseconds lease_end_{};  // of the newest assignment, until the trainer is told

  std::optional<Trainer> trainer_;
  std::optional<Pending> pending_;
  std::optional<v1::TrainerEvent> last_exit_;

  struct Examination {
    v1::PreflightTask task;
    bool stopped = false;
    bool abandoned = false;  // nobody waits for it any more
  };
  std::optional<Examination> examination_;  // until its last report
  std::optional<v1::PreflightTask> next_examination_;

  struct Drain {
    std::string reason;
    Clock::Steady deadline;
  };
  std::optional<Drain> draining_;
  std::optional<int> leaving_;
  Clock::Steady leave_deadline_;
};

}  // namespace mdgen::worker
