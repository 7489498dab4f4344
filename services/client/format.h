// Text for people. Pure functions.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <vector>

#include "core/config/json.h"
#include "core/config/yaml_text.h"
#include "mdgen/v1/job_service.pb.h"

namespace mdgen::client {

// "SUCCEEDED".
std::string state_name(v1::JobState state);

// "45s", "1m20s", "2h03m", "3d04h".
std::string duration_text(double seconds);

// "step 50/200  epoch 1  loss 0.8123  3412 tokens/s  ETA 1m20s"; what is unknown is left out.
std::string progress_text(const v1::Job& job);

// "09:15:02Z RUNNING  TrainersStarted: 2 workers".
std::string transition_text(const v1::Transition& transition);

// "job <id> SUCCEEDED  steps=200  loss=1.2->0.5  checkpoint=…", "job <id> FAILED  RankFailed: …".
std::string outcome_text(const v1::Job& job);

// Everything about one job, a line a fact.
std::string status_text(const v1::Job& job);

// A table, a row a recovery with its timeline in seconds, below each its cause: until all had left (ABORT),
// the wait for workers, until the group stood (JOIN), all were equal (HEAL), the first step was done (STEP).
std::string recoveries_text(const v1::Job& job);

// Everything that status_text says and what is waited for, which checkpoints there are, what was recovered.
std::string describe_text(const v1::Job& job, const std::vector<std::string>& checkpoints);

// A table, a row a job; "no jobs" when there is none.
std::string list_text(const v1::ListJobsResponse& jobs, std::chrono::system_clock::time_point now);

using config::yaml_text;

// One line: line breaks and other control characters become spaces.
std::string one_line(const std::string& text);

}  // namespace mdgen::client
