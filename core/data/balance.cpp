#include "core/data/balance.h"

#include <algorithm>
#include <numeric>

#include "core/data/assignment.h"
#include "core/data/shard_ranges.h"

namespace mdgen::data {
namespace {

std::vector<MicroBatch> cut_step(const StepPlan& step, const PlanInputs& inputs, Cut cut) {
  if (cut == Cut::kByLength) return micro_batches(step.samples, inputs.sizes, inputs.batch_size);
  return micro_batches(step.samples, SampleSizes{}, inputs.batch_size);
}

std::vector<double> loads_of(const std::vector<double>& costs, int ranks, Sharing sharing) {
  std::vector<double> loads;
  if (sharing == Sharing::kNeighbours) {
    const std::vector<std::int64_t> bounds = shard_ranges(costs, ranks);
    for (std::size_t rank = 0; rank + 1 < bounds.size(); ++rank) {
      loads.push_back(std::accumulate(costs.begin() + bounds[rank], costs.begin() + bounds[rank + 1], 0.0));
    }
    return loads;
  }
  for (const auto& share : assign(costs, ranks)) {
    double& load = loads.emplace_back(0);
    for (const std::size_t number : share) load += costs[number];
  }
  return loads;
}

void add_step(const std::vector<MicroBatch>& batches, const PlanInputs& inputs, int ranks, Balance& sum) {
  std::vector<double> costs;
  for (const MicroBatch& batch : batches) {
    std::int32_t longest = 0;
    for (const std::uint32_t sample : batch) longest = std::max(longest, inputs.sizes.of(sample));
    costs.push_back(micro_batch_cost(inputs.sizes, batch));
    sum.work += costs.back();
    sum.residues += static_cast<double>(batch.size()) * longest;
  }
  double most = 0;
  double all = 0;
  for (const double load : loads_of(costs, ranks, inputs.sharing)) {
    most = std::max(most, load);
    all += load;
  }
  ++sum.steps;
  sum.micro_batches += static_cast<std::int64_t>(batches.size());
  sum.time += most;
  sum.mean += all / ranks;
  sum.worst = std::max(sum.worst, most / (all / ranks));
}

}  // namespace

Balance balance(const PlanInputs& inputs, int ranks, std::int64_t epochs, Cut cut) {
  PlanInputs some = inputs;
  some.epochs = epochs;
  some.max_steps = 0;
  RunPlan plan(some);
  Balance sum;
  for (std::int64_t step = 0; step < plan.total_steps(); ++step) {
    add_step(cut_step(plan.step(step), some, cut), some, ranks, sum);
  }
  return sum;
}

}  // namespace mdgen::data
