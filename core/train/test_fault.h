// Mistakes that a test plants in a rank's data path, so that it is seen whether the ledger finds them. Never
// set otherwise: the weights that come out are wrong.
//
//   MDGEN_TEST_FAULT=KIND@STEP[:RANK]     steps from 1 as in reports; rank 0 unless given
//
//   wrong_sample    another virtual sample in place of the rank's first
//   repeat_sample   another sample of the same step a second time, in place of the rank's first
//   skip_sample     the next step's first sample in place of the rank's first
//   wrong_window    another epoch's draws
//   repeat_step     the samples of the step before once more (every rank)
//
// Each leaves the number of samples alone, which the step itself checks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/data/plan.h"

namespace mdgen::train {

struct StepWork;

struct TestFault {
  enum class Kind { kWrongSample, kRepeatSample, kSkipSample, kWrongWindow, kRepeatStep };
  Kind kind = Kind::kWrongSample;
  std::int64_t step = 0;
  int rank = 0;

  bool operator==(const TestFault&) const = default;
};

// "" is none. Throws Error(kInvalidArgument) for a text that is no fault.
std::optional<TestFault> parse_test_fault(const std::string& text);
// What MDGEN_TEST_FAULT says.
std::optional<TestFault> test_fault();

// Changes what this rank reads for a step, if it is the fault's, and returns the epoch whose draws it takes.
// Says so in the log, as an error.
std::int64_t plant(const TestFault& fault, data::RunPlan plan, int rank, StepWork& work);

}  // namespace mdgen::train
