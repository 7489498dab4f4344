#include "core/data/plan.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/base/digest.h"
#include "core/base/error.h"

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
          .order = spec.data().order() == "bucketed" ? Order::kBucketed : Order::kShuffled,
          .sizes = sample_sizes(spec, manifest.train()),
          .epochs = spec.loop().validate() ? 0 : spec.loop().epochs(),
          .max_steps = spec.max_steps(),
          .manifest_digest = manifest.train().digest(),
          .sharing = spec.determinism() == "strict" ? Sharing::kNeighbours : Sharing::kBalanced};
}

std::int64_t validation_samples(const v1::JobSpec& spec, const v1::JobManifest& manifest) {
  const std::int64_t count = items(manifest.val());
  if (!spec.data().overfit_peptide().empty()) return count;
  return count * (spec.data().overfit() ? spec.data().train_repeat() : spec.data().val_repeat());
}

std::string plan_digest(const PlanInputs& inputs) {
  std::string sizes;
  for (const std::int32_t residues : inputs.sizes.residues) sizes += std::to_string(residues) + ",";
  std::string text = "mdgen plan 2\nseed " + std::to_string(inputs.seed) + "\nentries " +
                     std::to_string(inputs.items) + "\nrepeat " + std::to_string(inputs.repeat) +
                     "\nglobal_batch_size " + std::to_string(inputs.global_batch_size) + "\nbatch_size " +
                     std::to_string(inputs.batch_size) + "\norder " +
                     (inputs.order == Order::kBucketed ? "bucketed" : "shuffled") + "\nresidues " +
                     sha256_hex(sizes) + "\nmanifest " + inputs.manifest_digest + "\n";
  if (inputs.epoch_samples > 0) text += "epoch_samples " + std::to_string(inputs.epoch_samples) + "\n";
  return sha256_hex(text);
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
    const std::uint32_t count = checked_virtual_samples(inputs_);
    order_ = inputs_.order == Order::kBucketed
                 ? bucketed_order(inputs_.seed, epoch, count, inputs_.sizes, inputs_.global_batch_size)
                 : epoch_order(inputs_.seed, epoch, count);
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

}  // namespace mdgen::data
