#include "core/train/replica_check.h"

#include <vector>

#include "core/base/text.h"
#include "core/train/heal.h"

namespace mdgen::train {

void check_replicas(Resident& resident, comm::Collective& collective) {
  const std::vector<Holding> all = gather_holdings(resident, collective);
  const HealChoice choice = choose_source(all);
  if (choice.deviating.empty()) return;
  std::vector<std::string> names;
  for (const int rank : choice.deviating) {
    const Holding& holding = all[static_cast<std::size_t>(rank)];
    names.push_back(std::to_string(rank) + " (" + holding.host + ", " + holding.digest + ")");
    if (rank == collective.rank()) resident.deviates = true;
  }
  throw ReplicaDiverged(ErrorCode::kUnavailable,
                        "the train state after step " + std::to_string(resident.applied()) +
                            (choice.source < 0 ? " differs between ranks, and no majority has the same: rank "
                                               : " is another on a minority of the ranks: rank ") +
                            join(names, ", "));
}

}  // namespace mdgen::train
