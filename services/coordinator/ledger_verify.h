// Proves from the ledger that the plan's samples were used exactly once. A pure function.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mdgen/v1/job_spec.pb.h"
#include "mdgen/v1/manifest.pb.h"
#include "services/coordinator/ledger.h"

namespace mdgen::coordinator {

struct LedgerVerdict {
  std::int64_t first_step = 0;  // the effective chain covers first_step+1 … last_step
  std::int64_t last_step = 0;
  std::int64_t samples = 0;  // of that chain, as planned
  std::int64_t repeats = 0;  // steps recorded twice without a rollback between
  std::int64_t gaps = 0;     // steps that are missing
  std::int64_t rollbacks = 0;
  std::int64_t skipped = 0;           // steps whose gradient was not finite
  std::vector<std::string> problems;  // each names steps and generation

  bool ok() const { return problems.empty(); }
  // "ledger: steps=N samples=N repeats=0 gaps=0 rollbacks=N OK" (or BROKEN).
  std::string summary() const;
};

// `end_step`: the step that the chain must reach (of a job that has not ended: its last committed step).
// Every range is compared with the hashes of the samples that the plan gives its steps.
LedgerVerdict verify_ledger(const std::vector<LedgerRecord>& records, const v1::JobSpec& spec,
                            const v1::JobManifest& manifest, std::int64_t end_step);

}  // namespace mdgen::coordinator
