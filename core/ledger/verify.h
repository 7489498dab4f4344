// Proves from the ledger that the plan's samples were used exactly once. A pure function. No LibTorch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/ledger/writer.h"
#include "mdgen/v1/job_spec.pb.h"
#include "mdgen/v1/manifest.pb.h"

namespace mdgen::ledger {

struct Verdict {
  std::int64_t first_step = 0;  // the effective chain covers first_step+1 … last_step
  std::int64_t last_step = 0;
  std::int64_t samples = 0;  // that the chain used
  // Steps that are recorded twice without a rollback between, and steps that are missing; and, where a wrong
  // hash sum could be explained, samples that were used once too often and samples that were not used.
  std::int64_t repeats = 0;
  std::int64_t gaps = 0;
  std::int64_t rollbacks = 0;
  std::int64_t lost_steps = 0;     // by them
  std::int64_t generations = 0;    // that committed steps
  std::int64_t skipped_steps = 0;  // of the chain: the weights did not move
  std::int64_t bad_samples = 0;    // of the chain: left out
  // Each names generation and steps, what was expected and what was found.
  std::vector<std::string> problems;

  bool ok() const { return problems.empty(); }
  // "generations=N skipped_steps=N bad_samples=N lost_steps=N".
  std::string details() const;
  // "ledger: steps=N samples=N repeats=0 gaps=0 rollbacks=N OK" (or BROKEN).
  std::string summary() const;
};

// `records` by sequence. `end_step`: the step that the chain must reach (of a job that has not ended: its
// last committed step). Every range, also those that a rollback gave up, is compared with the hashes of the
// samples that the plan gives its steps, without those that the ledger says were bad. `threads`: 0 takes the
// machine's.
Verdict verify(const Records& records, const v1::JobSpec& spec, const v1::JobManifest& manifest,
               std::int64_t end_step, int threads = 0);

}  // namespace mdgen::ledger
