// One rank: device, collective, training run, last word. No LibTorch in this header.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/train/observer.h"
#include "mdgen/v1/run.pb.h"

namespace mdgen::trainer {

// Posts this rank's blob under a key and returns every rank's (comm::Exchange).
using Exchange = std::function<std::vector<std::string>(const std::string& key, const std::string& blob)>;

// Runs the assignment and returns how it ended; every exception becomes a report with OUTCOME_FAILED.
v1::FinishReport run_rank(const v1::Assignment& assignment, train::RunObserver& observer,
                          const train::RunControl& control, const Exchange& exchange);

}  // namespace mdgen::trainer
