// How a job got over a failure or a change of its workers: the timeline detect -> abort -> wait ->
// rendezvous -> heal -> first step, kept in Job.recoveries. Pure: times are given.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/clock.h"
#include "mdgen/v1/job.pb.h"
#include "mdgen/v1/run.pb.h"

namespace mdgen::coordinator {

inline constexpr int kKeptRecoveries = 32;

// One that is under way: how far it is. Its record is the last of the job's.
struct RecoveryClock {
  Clock::Steady detected{};
  double detect_seconds = 0;             // that the fault had been there before
  std::optional<Clock::Steady> left;     // every member is out
  std::optional<Clock::Steady> opened;   // the next generation
  std::optional<Clock::Steady> started;  // it has a group and equal states
};

struct RootCause {
  std::string reason;
  std::string message;
  int rank = -1;  // -1: no rank failed
  std::string host;
};

void begin_recovery(v1::Job& job, RecoveryClock& clock, std::int64_t generation, const RootCause& cause,
                    Clock::Steady now, Clock::Wall wall);
// A weightier cause of the recovery from `generation`. False when there is no such record.
bool correct_cause(v1::Job& job, std::int64_t generation, const RootCause& cause);
void all_out(v1::Job& job, RecoveryClock& clock, Clock::Steady now);
void next_opened(v1::Job& job, RecoveryClock& clock, Clock::Steady now, int workers);
void next_started(v1::Job& job, RecoveryClock& clock, Clock::Steady now, const v1::StartReport& report,
                  std::int64_t lost_steps);
void first_step_done(v1::Job& job, RecoveryClock& clock, Clock::Steady now);

// "memory of rank 2", a checkpoint's folder, or "initial weights".
std::string source_text(const v1::StartReport& report);

}  // namespace mdgen::coordinator
