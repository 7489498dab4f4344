// Jobs as text for people. Pure functions.
#pragma once

#include <string>
#include <vector>

#include "core/config/json.h"
#include "core/config/yaml_text.h"
#include "mdgen/v1/job_service.pb.h"
#include "services/client/look.h"
#include "services/client/times.h"

namespace mdgen::client {

// "SUCCEEDED".
std::string state_name(v1::JobState state);

// "RankFailed: rank 1 …"; what is empty is left out.
std::string reason_text(const std::string& reason, const std::string& message);

// "50/200", "50" while the number of steps is not known.
std::string steps_text(const v1::Job& job);

// Between 0 and 1: the job's own figure, or its steps over all; 0 while neither is known.
double fraction_done(const v1::Job& job);

// "step 50/200  epoch 1  loss 0.8123  3412 tokens/s  ETA 1m20s"; what is unknown is left out.
std::string progress_text(const v1::Job& job);

// For one line of `look.columns`: state, bar, percent, progress_text, as much as fits.
std::string bar_text(const v1::Job& job, const Look& look);

// "09:15:02Z RUNNING  TrainersStarted: 2 workers".
std::string transition_text(const v1::Transition& transition, const Look& look);

// "job <id> SUCCEEDED  steps=200  loss=1.2->0.5  checkpoint=…", "job <id> FAILED  RankFailed: …".
std::string outcome_text(const v1::Job& job, const Look& look);

// Everything about one job, a line a fact.
std::string status_text(const v1::Job& job, WallTime now, const Look& look);

// "COMPUTE"; "-" when there is none.
std::string phase_name(v1::TrainerPhase phase);

// A table, a row a rank of the current generation; empty without ranks.
std::string ranks_text(const v1::Job& job, const Look& look);

// A table, a row a recovery with its timeline in seconds, below each its cause: until all had left (ABORT),
// the wait for workers, until the group stood (JOIN), all were equal (HEAL), the first step was done (STEP).
std::string recoveries_text(const v1::Job& job);

// Everything that status_text says and what is waited for, which checkpoints there are, the ranks, what was
// recovered.
std::string describe_text(const v1::Job& job, const std::vector<std::string>& checkpoints, WallTime now,
                          const Look& look);

// "gpu=h200,team=md".
std::string labels_text(const google::protobuf::Map<std::string, std::string>& labels);

// A table, a row a job; "no jobs" when there is none.
std::string list_text(const v1::ListJobsResponse& jobs, WallTime now, const Look& look);

using config::yaml_text;

// One line: line breaks and other control characters become spaces.
std::string one_line(const std::string& text);

}  // namespace mdgen::client
