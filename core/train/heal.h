// How the ranks of a new generation come to one train state: from the memory of the rank that is furthest, or
// from nobody.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/comm/collective.h"
#include "core/train/fault_points.h"
#include "core/train/resident.h"

namespace mdgen::train {

// What a rank brings into a generation; the index in a list of them is the rank.
struct Holding {
  bool resident = false;        // its train state is whole and stood in a generation
  std::int64_t generation = 0;  // the last one that it stood in
  std::int64_t applied = 0;     // steps applied in it
  std::int64_t boundary = 0;    // the last step whose boundary is behind it, see loop_state.h
  std::string digest;           // state_digest; empty unless resident
  std::string spec_digest;
  std::string plan_digest;
  std::string host;

  bool operator==(const Holding&) const = default;
};

struct HealChoice {
  int source = -1;             // -1: nobody, so the newest good checkpoint
  std::vector<int> heals;      // ranks that take the source's tensors over, ascending
  std::vector<int> deviating;  // of the newest states, those that differ from the majority's; all without one

  bool operator==(const HealChoice&) const = default;
};

// A pure function. Only states of the newest generation that anybody stood in count (an older one belongs to
// a chain that may have been rolled back), of these those with the most steps applied. When they differ, the
// larger half is right; without one nobody is. The source is the one of them that is furthest in its
// boundary, of these the lowest rank.
HealChoice choose_source(const std::vector<Holding>& holders);

// Every rank's, by rank. Every rank must call it.
std::vector<Holding> gather_holdings(const Resident& resident, comm::Collective& collective);

struct Healed {
  bool from_memory = false;
  int source = -1;
  int healed = 0;                  // ranks that took tensors over
  std::vector<std::string> notes;  // who deviated
};

// Brings the resident parts of all ranks to the source's: tensors, counters, loop state, ledger, kept steps.
// A receiver keeps its own state until the new one has arrived whole and its digest is the source's. Without
// a source nothing is changed and nobody is resident any more. Every rank must call it. Throws
// RunFailure(SpecMismatch) naming the ranks, on every rank, CollectiveError when a rank has received
// something else than the source holds, and what Collective throws.
Healed heal(Resident& resident, comm::Collective& collective, FaultPoints& faults);

}  // namespace mdgen::train
