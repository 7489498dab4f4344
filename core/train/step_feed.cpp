#include "core/train/step_feed.h"

#include <algorithm>
#include <utility>

namespace mdgen::train {

StepWork share_of_step(data::StepPlan plan, const data::Dataset& dataset, std::uint32_t batch_size, int rank,
                       int world_size) {
  const std::vector<data::MicroBatch> batches = data::micro_batches(plan.samples, batch_size);
  std::vector<double> costs;
  costs.reserve(batches.size());
  for (const data::MicroBatch& batch : batches) {
    double cost = 0;
    for (const std::uint32_t sample : batch) cost += dataset.cost(sample);
    costs.push_back(cost);
  }
  auto shares = data::assign(batches, costs, world_size);
  return {std::move(plan), std::move(shares.at(static_cast<std::size_t>(rank)))};
}

data::Batch to_device(data::Batch batch, at::Device device) {
  if (device.is_cpu()) return batch;
  for (at::Tensor* tensor : {&batch.trans, &batch.rots, &batch.torsions, &batch.torsion_mask, &batch.seqres,
                             &batch.mask, &batch.flow_time, &batch.noise, &batch.atom37, &batch.atom37_mask,
                             &batch.simplex, &batch.dropout_key, &batch.first_residue}) {
    if (tensor->defined()) *tensor = tensor->to(device);
  }
  return batch;
}

StepFeed::StepFeed(data::RunPlan plan, const data::Dataset& dataset, Options options)
    : plan_(std::move(plan)),
      dataset_(dataset),
      options_(options),
      prefetcher_(dataset, options.threads),
      next_step_(options.first) {}

void StepFeed::plan_one() {
  StepWork work = share_of_step(plan_.step(next_step_), dataset_, plan_.inputs().batch_size, options_.rank,
                                options_.world_size);
  for (const data::MicroBatch& batch : work.mine) prefetcher_.push(work.plan.epoch, batch);
  waiting_ += work.mine.size();
  planned_.push_back(std::move(work));
  ++next_step_;
}

StepWork StepFeed::next() {
  constexpr std::size_t kMaxStepsAhead = 64;
  const auto ahead = static_cast<std::size_t>(2 * std::max(options_.threads, 0));
  if (planned_.empty()) plan_one();
  while (waiting_ < planned_.front().mine.size() + ahead && planned_.size() < kMaxStepsAhead &&
         next_step_ < options_.end) {
    plan_one();
  }
  StepWork work = std::move(planned_.front());
  planned_.pop_front();
  return work;
}

data::Batch StepFeed::batch() {
  --waiting_;
  return prefetcher_.get();
}

}  // namespace mdgen::train
