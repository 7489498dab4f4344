// Where a generation starts.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/checkpoint/pin.h"
#include "core/checkpoint/store.h"
#include "core/comm/collective.h"
#include "core/ledger/writer.h"
#include "core/train/run_state.h"
#include "mdgen/v1/run.pb.h"

namespace mdgen::train {

struct ResumeInputs {
  std::string resume;               // spec.resume: auto, require, fresh
  bool require_checkpoint = false;  // assignment.require_checkpoint
  std::int64_t generation = 1;
  std::string run_folder;  // for texts
  std::string spec_digest;
  std::string plan_digest;
};

// Whether to start from the checkpoint that was found: a pure function.
//   CheckpointRequired   none was found, though one must be there
//   RunFolderUsed        resume: fresh, and one was found before the job's first generation
//   CheckpointMismatch   spec or plan digest is another
// The thrown RunFailure names what differs as far as digests tell; see explain_mismatch for the fields.
bool start_from_checkpoint(const ResumeInputs& inputs, const std::optional<checkpoint::Found>& found);

// Which fields differ between a checkpoint's resolved spec (JSON) and the current one, one a line.
std::string explain_mismatch(const std::string& checkpoint_spec_json, const v1::JobSpec& current);

struct Start {
  std::int64_t step = 0;
  std::filesystem::path checkpoint;  // empty: from initial weights, or from memory
  v1::StateSource source = v1::STATE_SOURCE_INITIAL;
  int source_rank = 0;                     // of STATE_SOURCE_MEMORY
  int healed_ranks = 0;                    // that took its state over
  double form_seconds = 0;                 // from the assignment to the group
  double heal_seconds = 0;                 // from the group to equal states
  std::string precision;                   // what optim.precision: auto came to; otherwise empty
  std::vector<std::string> notes;          // bad checkpoints that were passed over
  std::string loop_json;                   // the checkpoint's, see loop_state.h
  ledger::Records ledger;                  // the checkpoint's, of the steps before
  std::shared_ptr<checkpoint::Pin> pin{};  // rank 0's: as long as it lives nobody removes the checkpoint
};

// Rank 0 looks into <run folder>/checkpoints and decides; all ranks then load the same folder into `state`. A
// run without one begins with checkpoint.ckpt, if that is given (initial_checkpoint.h): `checkpoint` stays
// empty then, since it is none of this run's. Throws on every rank alike. Every rank must call it.
Start resume(const v1::Assignment& assignment, const std::string& plan_digest, RunState& state,
             comm::Collective& collective, at::Device device);

// Throws RunFailure(StartMismatch) when the shard plan names another first step.
void require_planned_start(const v1::Assignment& assignment, const Start& start);

}  // namespace mdgen::train
