// checkpoint.ckpt: where a run begins that has no checkpoint of its own. Like the reference's --ckpt it takes
// over weights, moving average, optimizer, epoch and step count, from a Lightning file or from one of our
// checkpoints.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "core/checkpoint/portable.h"
#include "core/checkpoint/train_state.h"
#include "core/train/run_state.h"

namespace mdgen::train {

// The step that the run's own plan goes on with. A checkpoint of the same plan: its own step. Else that of
// the first epoch that is not done; of an epoch in progress, as many steps in as were done, if the epoch has
// as many. A pure function.
std::int64_t first_step(const checkpoint::Portable& portable, const std::string& plan_digest,
                        std::int64_t steps_per_epoch);

// Tensors by value. Throws Error naming a tensor that was not read whole.
checkpoint::TrainState train_state_of(const checkpoint::Portable& portable);

// What rank 0 checks before anybody loads: the resolved path of the file or folder. Throws RunFailure
// "CheckpointMismatch" listing everything that does not fit.
std::filesystem::path check_initial_checkpoint(const v1::JobSpec& spec);

struct InitialStart {
  std::int64_t step = 0;
  std::string note;  // what was taken over, for the status
};

// Loads into `state`; the run then goes on with `step` of its plan, which has `total_steps`.
InitialStart load_initial_checkpoint(const std::filesystem::path& path, const v1::JobSpec& spec,
                                     const std::string& plan_digest, std::int64_t steps_per_epoch,
                                     std::int64_t total_steps, RunState& state);

}  // namespace mdgen::train
