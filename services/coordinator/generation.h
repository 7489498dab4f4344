// One gang of trainers: who its members are, what became of each, and why it ended. Value types; no clock.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "mdgen/v1/run.pb.h"
#include "mdgen/v1/worker_service.pb.h"

namespace mdgen::coordinator {

// Why a generation cannot go on. The kinds stand in the order of their weight as root cause.
struct Evidence {
  enum class Kind {
    kTrainerExit,     // a process died of itself
    kTrainerFailure,  // a trainer reported an error of its own
    kWorkerLost,      // no beat, or the stream ended
    kHang,            // a process that does not go on, or a network that does not
    kCollective,      // a peer is gone: a consequence, never the cause when there is another
  };
  Kind kind = Kind::kTrainerExit;
  int rank = 0;
  std::string reason;   // CamelCase
  std::string message;  // a sentence that names rank, host and what is known
  bool restartable = true;
  bool named = true;    // `rank` is the culprit; otherwise it only said so
  bool joiner = false;  // of a worker that joined a job which got on without it, and is left out from now on
};

struct Member {
  int rank = 0;
  int attempt = 0;
  std::string worker_id;
  std::string incarnation;
  std::string host;
  std::string device;

  bool connected = true;  // false after a restart of the coordinator, until its agent is back
  bool started = false;
  bool gone = false;  // its end is confirmed
  bool lost = false;  // its agent is lost: nothing is known of it
  std::int32_t exit_code = 0;
  std::int32_t signal = 0;
  std::optional<v1::FinishReport> finish;
  std::optional<v1::LeftReport> left;  // it has left the generation
  bool draining = false;               // its agent will leave
  bool injected = false;               // a fault was injected: its end says nothing of the data
  bool culprit = false;                // it hangs: to be killed, not asked
  bool stop_sent = false;
  bool writes = false;  // it was told to write what it holds, after it had left
  std::optional<Clock::Steady> abandon_sent;
  bool kill_sent = false;
  Clock::Steady asked_at{};  // when the last of these orders was given
  Clock::Steady last_heard{};
  std::optional<Clock::Steady> missing_since;  // its agent came back without it

  // What it last said of itself, and since when it says so.
  v1::TrainerPhase phase = v1::TRAINER_PHASE_UNSPECIFIED;
  std::int64_t step = 0;
  bool entered_reduce = false;
  double compute_seconds = 0;  // a step before it waits for others; 0: not known
  std::chrono::milliseconds silent{0};
  Clock::Steady changed_at{};
  Clock::Steady phase_since{};

  bool over() const { return gone || lost; }
  // It lives, holds what it has in memory, and may be a member of the next generation.
  bool waits() const { return left && !over() && !kill_sent; }
  bool usable() const { return waits() && !draining && !stop_sent; }
  // It can apply no further step of this generation.
  bool out() const { return left || over(); }
};

// Why all members leave a generation together, without a failure.
enum class Departure { kGrow, kShrink, kDrain, kPause, kPreempt };

struct Generation {
  std::int64_t number = 0;
  bool open = true;  // false: superseded, its members count no more
  std::vector<Member> members;
  Clock::Steady lease_granted{};
  std::int64_t plan_first_step = -1;
  std::int64_t last_step = 0;              // the highest step that rank 0 reported in it
  std::vector<Evidence> evidence;          // each weightier than those before
  std::optional<Clock::Steady> failed_at;  // when the first evidence came
  std::optional<Clock::Steady> killed_at;  // when the rest was killed
  std::optional<Departure> departure;      // ordered, or begun by an agent that drains
  std::optional<Clock::Steady> leave_by;   // of a pre-emption: then it is killed
  bool broken_up = false;                  // after a failure, its members were told to leave
  // Every member is out and none can apply another step: the next generation may open.
  bool concluded = false;
  std::optional<Clock::Steady> concluded_at;
  Clock::Steady opened_at{};
  bool stepped = false;  // a step of it was reported

  Member* member(int rank);
  const Member* member(int rank) const;
  const Member* held_by(const std::string& worker_id) const;

  // The weightiest evidence, the earliest among equals; null without any.
  const Evidence* cause() const;
  bool all_over() const;
  bool all_out() const;
  bool any_waits() const;
  // Somebody's end or leaving is confirmed: a collective needs everyone, so nobody goes on.
  bool any_left() const;
  int usable() const;  // members that may be in the next generation
  // Every member left at one boundary by their own vote, or ended; and with a checkpoint of it.
  bool agreed() const;
  bool checkpointed() const;
  // Rank 0 said COMPLETED and every process ended with status 0.
  bool completed() const;
};

// What the end of a trainer proves. Nothing when the end was ordered or expected.
std::optional<Evidence> judge_exit(const Member& member, const v1::ProcessExit& exit);

// What a FAILED report proves; nothing for other outcomes.
std::optional<Evidence> judge_finish(const Member& member, const v1::FinishReport& finish);

// What a trainer's leaving proves; nothing when it was agreed or ordered.
std::optional<Evidence> judge_left(const Member& member, const v1::LeftReport& left);

Evidence worker_lost(const Member& member, const std::string& how);
Evidence trainer_silent(const Member& member, std::chrono::milliseconds silence);

// "rank 3 (worker w-1a2b, node7)"
std::string who(const Member& member);

}  // namespace mdgen::coordinator
