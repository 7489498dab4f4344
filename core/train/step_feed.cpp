#include "core/train/step_feed.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/data/assignment.h"
#include "core/data/shard_ranges.h"

namespace mdgen::train {

namespace {

model::BatchShape shape_of(const data::MicroBatch& batch, const data::SampleSizes& sizes) {
  std::int32_t residues = 0;
  for (const std::uint32_t sample : batch) residues = std::max(residues, sizes.of(sample));
  return {static_cast<std::int64_t>(batch.size()), sizes.frames, residues};
}

}  // namespace

StepWork share_of_step(data::StepPlan plan, const data::SampleSizes& sizes, std::uint32_t batch_size,
                       int rank, int world_size, data::Sharing sharing) {
  std::vector<data::MicroBatch> batches = data::micro_batches(plan.samples, sizes, batch_size);
  std::vector<double> costs;
  costs.reserve(batches.size());
  StepWork work;
  for (const data::MicroBatch& batch : batches) {
    costs.push_back(data::micro_batch_cost(sizes, batch));
    work.shapes.push_back(shape_of(batch, sizes));
  }
  work.plan = std::move(plan);
  work.micro_batches = static_cast<std::int64_t>(batches.size());
  const auto own = static_cast<std::size_t>(rank);
  if (sharing == data::Sharing::kNeighbours) {
    work.bounds = data::shard_ranges(costs, world_size);
    work.numbers.resize(static_cast<std::size_t>(work.bounds.at(own + 1) - work.bounds.at(own)));
    std::iota(work.numbers.begin(), work.numbers.end(), work.bounds[own]);
  } else {
    const auto shares = data::assign(costs, world_size);
    work.numbers.assign(shares.at(own).begin(), shares.at(own).end());
  }
  double own_cost = 0;
  for (const std::int64_t number : work.numbers) {
    own_cost += costs[static_cast<std::size_t>(number)];
    work.mine.push_back(std::move(batches[static_cast<std::size_t>(number)]));
  }
  const double whole = std::accumulate(costs.begin(), costs.end(), 0.0);
  work.load = whole > 0 ? own_cost * world_size / whole : 0;
  return work;
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
      options_(std::move(options)),
      prefetcher_(data::make_prefetcher(dataset, options_.threads, options_.device)),
      next_step_(options_.first) {}

void StepFeed::plan_one() {
  StepWork work = share_of_step(plan_.step(next_step_), plan_.inputs().sizes, plan_.inputs().batch_size,
                                options_.rank, options_.world_size, plan_.inputs().sharing);
  std::int64_t epoch = work.plan.epoch;
  for (const TestFault& fault : options_.faults) {
    if (!fault.misreads()) continue;
    const std::int64_t planted = plant(fault, plan_, options_.rank, work);
    if (planted != work.plan.epoch) epoch = planted;
  }
  for (const data::MicroBatch& batch : work.mine) prefetcher_.push(epoch, batch);
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

data::Batch StepFeed::batch(const std::function<void()>& interrupt) {
  --waiting_;
  const auto begin = std::chrono::steady_clock::now();
  data::Batch batch = prefetcher_.get(interrupt);
  (begun_ ? waited_.others : waited_.first) += std::chrono::steady_clock::now() - begin;
  begun_ = true;
  return batch;
}

}  // namespace mdgen::train
