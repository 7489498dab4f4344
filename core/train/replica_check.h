// Finds a rank whose train state has silently become another one.
#pragma once

#include <string>

#include "core/comm/collective.h"
#include "core/train/resident.h"

namespace mdgen::train {

// The ranks' states after a step differ: the generation is over, and the majority heals the rest in the next.
class ReplicaDiverged : public comm::CollectiveError {
 public:
  using CollectiveError::CollectiveError;
};

// Compares the digests of the ranks' states. When they differ it marks this rank's state as deviating unless
// more than half of the ranks have the same one, and throws ReplicaDiverged on every rank, naming ranks and
// hosts of those that deviate. Every rank must call it, with the same steps applied.
void check_replicas(Resident& resident, comm::Collective& collective);

}  // namespace mdgen::train
