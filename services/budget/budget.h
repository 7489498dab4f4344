// Where a run's time went, as text for people. Pure functions.
#pragma once

#include <string>

#include "mdgen/v1/job.pb.h"
#include "mdgen/v1/run.pb.h"

namespace mdgen {

// "data 2%, forward 33%, backward 58%, reduce 1%, optimizer 6%": parts of their sum, those of no seconds left
// out. Empty when there are none.
std::string shares_text(const v1::StepTimes& times);

// "37.1% of what matrix products reach here": the last steps' operations over the same devices' ceiling.
// Empty while it is not known.
std::string ceiling_text(const v1::Job& job);

// "1m23s in steps: data 2%, …; at the end 37.1% of what matrix products reach here": of the whole run.
// Empty before its first step.
std::string budget_text(const v1::Job& job);

}  // namespace mdgen
