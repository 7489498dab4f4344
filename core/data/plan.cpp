#include "core/data/plan.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/base/philox.h"
#include "core/data/draws.h"

namespace mdgen::data {
namespace {

std::uint32_t checked_virtual_samples(const PlanInputs& inputs) {
  if (inputs.items == 0) {
    throw Error(ErrorCode::kInvalidArgument, "the training split has no entries; a plan needs at least one");
  }
  if (inputs.repeat == 0 || inputs.global_batch_size == 0 || inputs.batch_size == 0) {
    throw Error(ErrorCode::kInvalidArgument,
                "train_repeat, global_batch_size and batch_size must be at least 1, not " +
                    std::to_string(inputs.repeat) + ", " + std::to_string(inputs.global_batch_size) + ", " +
                    std::to_string(inputs.batch_size));
  }
  const std::uint64_t samples = static_cast<std::uint64_t>(inputs.items) * inputs.repeat;
  if (samples > std::numeric_limits<std::int32_t>::max()) {
    throw Error(ErrorCode::kInvalidArgument, std::to_string(inputs.items) + " entries x train_repeat " +
                                                 std::to_string(inputs.repeat) +
                                                 " make more than 2147483647 samples an epoch");
  }
  return static_cast<std::uint32_t>(samples);
}

std::uint32_t items(const v1::Manifest& manifest) {
  return manifest.items() > 0 ? manifest.items() : static_cast<std::uint32_t>(manifest.entries_size());
}

std::uint32_t train_repeat(const v1::JobSpec& spec) {
  const bool repeats = spec.data().overfit_peptide().empty();
  return repeats ? static_cast<std::uint32_t>(spec.data().train_repeat()) : 1;
}

// What train_batches keeps of an epoch of `all` samples; 0: all.
std::uint32_t kept_samples(const v1::JobSpec& spec, std::uint64_t all) {
  if (!spec.loop().has_train_batches()) return 0;
  const auto step = static_cast<std::uint64_t>(spec.global_batch_size());
  const std::uint64_t loaded = static_cast<std::uint64_t>(spec.loop().train_batches()) *
                               static_cast<std::uint64_t>(spec.optim().batch_size());
  if (step == 0) return 0;
  const std::uint64_t by_workers = loaded * static_cast<std::uint64_t>(spec.workers().max());
  const std::uint64_t whole = (by_workers + step - 1) / step * step;
  return whole < all ? static_cast<std::uint32_t>(whole) : 0;
}

std::uint32_t epoch_samples(const PlanInputs& inputs) {
  return inputs.epoch_samples > 0 ? inputs.epoch_samples : checked_virtual_samples(inputs);
}

}  // namespace

std::int64_t steps_of_batches(const v1::JobSpec& spec, std::int64_t batches) {
  const std::int64_t all_ranks = std::int64_t{spec.optim().batch_size()} * spec.workers().max();
  const std::int64_t step = std::max(1, spec.global_batch_size());
  return (batches * all_ranks + step - 1) / step;
}

PlanInputs plan_inputs(const v1::JobSpec& spec, const v1::JobManifest& manifest) {
  const std::uint32_t count = items(manifest.train());
  const std::uint32_t repeat = train_repeat(spec);
  return {.seed = spec.seed(),
          .items = count,
          .repeat = repeat,
          .epoch_samples = kept_samples(spec, static_cast<std::uint64_t>(count) * repeat),
          .global_batch_size = static_cast<std::uint32_t>(spec.global_batch_size()),
          .batch_size = static_cast<std::uint32_t>(spec.optim().batch_size()),
          .epochs = spec.loop().validate() ? 0 : spec.loop().epochs(),
          .max_steps = spec.max_steps(),
          .manifest_digest = manifest.train().digest()};
}

std::int64_t validation_samples(const v1::JobSpec& spec, const v1::JobManifest& manifest) {
  const std::int64_t count = items(manifest.val());
  if (!spec.data().overfit_peptide().empty()) return count;
  return count * (spec.data().overfit() ? spec.data().train_repeat() : spec.data().val_repeat());
}

std::string plan_digest(const PlanInputs& inputs) {
  std::string text = "mdgen plan 1\nseed " + std::to_string(inputs.seed) + "\nentries " +
                     std::to_string(inputs.items) + "\nrepeat " + std::to_string(inputs.repeat) +
                     "\nglobal_batch_size " + std::to_string(inputs.global_batch_size) + "\nbatch_size " +
                     std::to_string(inputs.batch_size) + "\nmanifest " + inputs.manifest_digest + "\n";
  if (inputs.epoch_samples > 0) text += "epoch_samples " + std::to_string(inputs.epoch_samples) + "\n";
  return sha256_hex(text);
}

std::vector<std::uint32_t> epoch_order(std::uint64_t seed, std::int64_t epoch, std::uint32_t count) {
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0U);
  const PhiloxKey key = philox_key(seed);
  const std::uint32_t kind = static_cast<std::uint32_t>(DrawKind::kEpochOrder) << 24;
  for (std::uint32_t remaining = count; remaining > 1; --remaining) {
    const PhiloxCounter words = philox4x32({static_cast<std::uint32_t>(epoch), remaining, kind, 0}, key);
    const std::uint64_t chosen = uniform_below(words[0], words[1], remaining);
    std::swap(order[remaining - 1], order[chosen]);
  }
  return order;
}

RunPlan::RunPlan(PlanInputs inputs) : inputs_(std::move(inputs)) {
  const std::uint32_t all = checked_virtual_samples(inputs_);
  if (inputs_.epoch_samples > all) {
    throw Error(ErrorCode::kInternal, "a plan of " + std::to_string(inputs_.epoch_samples) +
                                          " samples an epoch, but there are " + std::to_string(all));
  }
}

std::int64_t RunPlan::steps_per_epoch() const {
  const std::int64_t samples = epoch_samples(inputs_);
  return (samples + inputs_.global_batch_size - 1) / inputs_.global_batch_size;
}

std::int64_t RunPlan::total_steps() const {
  const std::int64_t by_epochs = inputs_.epochs * steps_per_epoch();
  return inputs_.max_steps > 0 ? std::min(by_epochs, inputs_.max_steps) : by_epochs;
}

StepPlan RunPlan::step(std::int64_t step) {
  if (step < 0 || step >= total_steps()) {
    throw Error(ErrorCode::kInvalidArgument, "step " + std::to_string(step) + " is not in the plan of " +
                                                 std::to_string(total_steps()) + " steps");
  }
  const std::int64_t epoch = step / steps_per_epoch();
  if (epoch != cached_epoch_) {
    order_ = epoch_order(inputs_.seed, epoch, checked_virtual_samples(inputs_));
    order_.resize(epoch_samples(inputs_));
    cached_epoch_ = epoch;
  }
  const std::size_t size = inputs_.global_batch_size;
  const std::size_t begin = static_cast<std::size_t>(step % steps_per_epoch()) * size;
  const std::size_t end = std::min(begin + size, order_.size());
  return {.step = step,
          .epoch = epoch,
          .last_of_epoch = end == order_.size(),
          .samples = {order_.begin() + static_cast<std::ptrdiff_t>(begin),
                      order_.begin() + static_cast<std::ptrdiff_t>(end)}};
}

std::vector<MicroBatch> micro_batches(const std::vector<std::uint32_t>& samples, std::uint32_t batch_size) {
  if (batch_size == 0) throw Error(ErrorCode::kInvalidArgument, "batch_size must be at least 1, not 0");
  std::vector<MicroBatch> batches;
  for (std::size_t begin = 0; begin < samples.size(); begin += batch_size) {
    const std::size_t end = std::min(begin + batch_size, samples.size());
    batches.emplace_back(samples.begin() + static_cast<std::ptrdiff_t>(begin),
                         samples.begin() + static_cast<std::ptrdiff_t>(end));
  }
  return batches;
}

std::vector<std::vector<MicroBatch>> assign(const std::vector<MicroBatch>& batches,
                                            const std::vector<double>& costs, int world_size) {
  if (world_size < 1 || batches.size() != costs.size()) {
    throw Error(ErrorCode::kInternal, "assign: " + std::to_string(batches.size()) + " micro-batches, " +
                                          std::to_string(costs.size()) + " costs, world size " +
                                          std::to_string(world_size));
  }
  std::vector<std::size_t> by_cost(batches.size());
  std::iota(by_cost.begin(), by_cost.end(), std::size_t{0});
  std::stable_sort(by_cost.begin(), by_cost.end(),
                   [&](std::size_t a, std::size_t b) { return costs[a] > costs[b]; });

  std::vector<double> load(static_cast<std::size_t>(world_size), 0.0);
  std::vector<std::vector<std::size_t>> chosen(load.size());
  for (const std::size_t batch : by_cost) {
    const auto lightest = std::min_element(load.begin(), load.end());
    *lightest += costs[batch];
    chosen[static_cast<std::size_t>(lightest - load.begin())].push_back(batch);
  }

  std::vector<std::vector<MicroBatch>> result(load.size());
  for (std::size_t rank = 0; rank < result.size(); ++rank) {
    std::sort(chosen[rank].begin(), chosen[rank].end());
    for (const std::size_t batch : chosen[rank]) result[rank].push_back(batches[batch]);
  }
  return result;
}

}  // namespace mdgen::data
