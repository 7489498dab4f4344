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
    kTrainerSilent,   // alive, but no word from it
    kCollective,      // a peer is gone: a consequence, never the cause when there is another
  };
  Kind kind = Kind::kTrainerExit;
  int rank = 0;
  std::string reason;   // CamelCase
  std::string message;  // a sentence that names rank, host and what is known
  bool restartable = true;
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
  bool stop_sent = false;
  bool kill_sent = false;
  Clock::Steady last_heard{};
  std::optional<Clock::Steady> missing_since;  // its agent came back without it

  bool over() const { return gone || lost; }
};

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

  Member* member(int rank);
  const Member* member(int rank) const;
  const Member* held_by(const std::string& worker_id) const;

  // The weightiest evidence, the earliest among equals; null without any.
  const Evidence* cause() const;
  bool all_over() const;
  bool any_gone() const;
  // Rank 0 said COMPLETED and every process ended with status 0.
  bool completed() const;
};

// What the end of a trainer proves. Nothing when the end was ordered or expected.
std::optional<Evidence> judge_exit(const Member& member, const v1::ProcessExit& exit);

// What a FAILED report proves; nothing for other outcomes.
std::optional<Evidence> judge_finish(const Member& member, const v1::FinishReport& finish);

Evidence worker_lost(const Member& member, const std::string& how);
Evidence trainer_silent(const Member& member, std::chrono::milliseconds silence);

}  // namespace mdgen::coordinator
