// Faults that a test plants in a rank, at a rank and a step, never at a time. Never set otherwise.
//
//   MDGEN_TEST_FAULT=FAULT[,FAULT…]
//   FAULT = KIND[.POINT]@STEP[:RANK[:ATTEMPT]]     steps from 1 as in reports; rank 0 unless given
//
// RANK and ATTEMPT are those of the process in its first assignment, ATTEMPT 1 unless given: a process that
// replaces a failed one is not hit again, nor a survivor that takes over its rank. "always" in its place
// means every attempt and every time; otherwise a fault fires once a process.
//
// Crashes have a point (mid_reduce unless given):
//   kill        SIGKILL to the own process
//   segfault    SIGSEGV
//   stop        SIGSTOP: nothing of the process moves, its beats neither
//   hang        the training loop never goes on; its beats do
//   break       the collective fails, the process does not
// at
//   before_reduce     gradients computed on all micro-batches but the last, nothing sent
//   mid_reduce        the buckets are on their way
//   after_reduce      the step's sums are known, the optimizer has not begun
//   mid_optimizer     between optimizer and moving average
//   before_report     the step is applied, nobody has been told
//   checkpoint_write  a snapshot of STEP was handed to the checkpoint's writer
//   heal_send         the source, before it sends; STEP is the one that the generation goes on with
//   heal_receive      a receiver, before it takes over what it has received
//
//   validate          inside the validation after STEP
//
//   flip_bit        one bit of the train state after the step
//   slow_disk       the checkpoint of STEP, whoever writes it, is not begun while the run folder has a file
//                   `slow_disk`
//
// Mistakes in the data path, so that it is seen whether the ledger finds them; the weights that come out are
// wrong, and each leaves the number of samples alone, which the step itself checks:
//   wrong_sample    another virtual sample in place of the rank's first
//   repeat_sample   another sample of the same step a second time, in place of the rank's first
//   skip_sample     the next step's first sample in place of the rank's first
//   wrong_window    another epoch's draws
//   repeat_step     the samples of the step before once more (every rank)
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/data/plan.h"

namespace mdgen::train {

struct StepWork;

enum class FaultPoint {
  kBeforeReduce,
  kMidReduce,
  kAfterReduce,
  kMidOptimizer,
  kBeforeReport,
  kCheckpointWrite,
  kHealSend,
  kHealReceive,
  kValidate
};

struct TestFault {
  enum class Kind {
    kWrongSample,
    kRepeatSample,
    kSkipSample,
    kWrongWindow,
    kRepeatStep,
    kFlipBit,
    kSlowDisk,
    kKill,
    kSegfault,
    kStop,
    kHang,
    kBreak
  };
  Kind kind = Kind::kWrongSample;
  std::int64_t step = 0;
  int rank = 0;
  int attempt = 1;
  bool always = false;
  FaultPoint point = FaultPoint::kMidReduce;

  bool crashes() const { return kind >= Kind::kKill; }
  bool misreads() const { return kind <= Kind::kRepeatStep; }
  bool operator==(const TestFault&) const = default;
};

// "" is none. Throws Error(kInvalidArgument) for a text that is no list of faults.
std::vector<TestFault> parse_test_faults(const std::string& text);
// What MDGEN_TEST_FAULT says.
std::vector<TestFault> test_faults();
// What slow_disk does before a checkpoint is written; empty without that fault.
std::function<void(std::int64_t step)> slow_disk(const std::filesystem::path& run_folder);
// As it is written in the variable.
std::string to_text(const TestFault& fault);

// Changes what this rank reads for a step, if the fault misreads and is the step's, and returns the epoch
// whose draws it takes. Says so in the log, as an error.
std::int64_t plant(const TestFault& fault, data::RunPlan plan, int rank, StepWork& work);

}  // namespace mdgen::train
