// Places where a test makes a rank fail, by MDGEN_TEST_FAULT (test_fault.h has its form). Never set
// otherwise.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/train/test_fault.h"

namespace mdgen::train {

// Fires each fault once, unless it says always. Not thread-safe.
class FaultPoints {
 public:
  FaultPoints() = default;
  explicit FaultPoints(std::vector<TestFault> faults) : faults_(std::move(faults)) {}

  // Which rank and attempt this process has begun as; later calls change nothing.
  void become(int rank, int attempt);
  // Where `step` is the one in work (from 1), and at heal_… the one that the generation goes on with. kill,
  // segfault and stop are signals to the own process, hang never returns, break throws CollectiveError.
  void reach(FaultPoint point, std::int64_t step);
  // Whether a bit is to be flipped after this step.
  bool flips(std::int64_t step);

 private:
  bool take(std::size_t index, std::int64_t step);

  std::vector<TestFault> faults_;
  std::vector<bool> fired_;
  int rank_ = -1;
  int attempt_ = 0;
};

}  // namespace mdgen::train
