// What a rank reads for each step, ahead of time.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include "core/data/dataset.h"
#include "core/data/plan.h"
#include "core/data/prefetcher.h"
#include "core/model/flops.h"
#include "core/train/test_fault.h"

namespace mdgen::train {

// One step as a rank sees it.
struct StepWork {
  data::StepPlan plan;                 // the whole step
  std::vector<data::MicroBatch> mine;  // this rank's micro-batches, in order; may be empty
  std::vector<std::int64_t> numbers;   // of each of them: its place among the step's, from 0
  std::int64_t micro_batches = 0;      // the whole step's
  // With Sharing::kNeighbours: rank r has the micro-batches bounds[r] … bounds[r + 1] - 1; otherwise empty.
  std::vector<std::int64_t> bounds{};
  std::vector<model::BatchShape> shapes{};  // the whole step's
  double load = 0;  // this rank's work over an even share of the step's; 0: it has none
};

// This rank's share of a step: a pure function. The micro-batches do not depend on the ranks.
StepWork share_of_step(data::StepPlan plan, const data::SampleSizes& sizes, std::uint32_t batch_size,
                       int rank, int world_size, data::Sharing sharing = data::Sharing::kBalanced);

// A batch's tensors on another device.
data::Batch to_device(data::Batch batch, at::Device device);

// Hands out steps [first, end) in order and keeps the readers busy with the next ones. What it hands out
// depends neither on the number of reader threads nor on their pace. Not thread-safe.
class StepFeed {
 public:
  struct Options {
    int rank = 0;
    int world_size = 1;
    int threads = 0;  // readers; 0: reads on the caller's thread
    std::int64_t first = 0;
    std::int64_t end = 0;
    at::Device device = at::kCPU;     // where batches are wanted
    std::vector<TestFault> faults{};  // planted by a test
  };
  // `dataset` must outlive the feed.
  StepFeed(data::RunPlan plan, const data::Dataset& dataset, Options options);

  // The next step; there must be one. Then batch() must be called once for each of its micro-batches.
  StepWork next();
  data::Batch batch(const std::function<void()>& interrupt = {});  // see Prefetcher::get

  // How long batch() has waited.
  struct Waited {
    std::chrono::nanoseconds first{};  // for the first batch, which nothing goes before
    std::chrono::nanoseconds others{};
  };
  const Waited& waited() const { return waited_; }

 private:
  void plan_one();

  data::RunPlan plan_;
  Options options_;
  data::Prefetcher prefetcher_;
  std::deque<StepWork> planned_;
  std::int64_t next_step_;
  std::size_t waiting_ = 0;  // micro-batches pushed and not fetched
  bool begun_ = false;       // batch() was called
  Waited waited_;
};

}  // namespace mdgen::train
