// Where a ledger comes from: the coordinator, or a checkpoint's state.json with the run folder's manifest.
#pragma once

#include <string>

#include "core/ledger/writer.h"
#include "mdgen/v1/job_spec.pb.h"
#include "mdgen/v1/manifest.pb.h"
#include "services/client/verbs.h"

namespace mdgen::client {

struct LedgerSource {
  std::string job;  // the id, or the checkpoint's folder
  ledger::Records records;
  // What it is verified against; empty unless they were asked for.
  v1::JobSpec spec;
  v1::JobManifest manifest;
  std::int64_t end_step = 0;  // that the chain must reach
};

// options.job: a job, a run folder, a folder of checkpoints or one of them. Of folders the newest good
// checkpoint counts; the coordinator is not asked. Throws Error: kNotFound when there is none,
// kFailedPrecondition when it cannot be verified.
LedgerSource read_ledger(const Options& options, const Surroundings& world, bool with_inputs);

}  // namespace mdgen::client
