// One rank's training run in one generation, from the first batch to the last checkpoint. A trainer that
// lives over several is a Session (session.h).
//
// It knows nothing of processes and RPC: what it tells others goes through RunObserver, what others
// tell it (stop, lease) comes through RunControl.
#pragma once

#include "core/base/clock.h"
#include "core/comm/collective.h"
#include "core/train/observer.h"
#include "mdgen/v1/run.pb.h"

namespace mdgen::train {

// Runs the assignment to its end. Writes metrics.jsonl, TensorBoard events and checkpoints (rank 0) in the
// run folder. Returns COMPLETED or STOPPED; throws Error otherwise (RunFailure where the reason matters).
// Every rank of the generation calls it with its own assignment; sets the calling thread's LibTorch threads.
v1::FinishReport run(const v1::Assignment& assignment, comm::Collective& collective, at::Device device,
                     RunObserver& observer, const RunControl& control, const Clock& clock);

}  // namespace mdgen::train
