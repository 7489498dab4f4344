#include "core/train/validation.h"

#include <numeric>

#include "core/data/draws.h"
#include "core/train/step.h"
#include "core/train/step_feed.h"

namespace mdgen::train {
namespace {

data::StepPlan whole_set(std::int64_t entries, std::int64_t repeat) {
  data::StepPlan plan;
  plan.epoch = data::kValidationEpoch;
  plan.samples.resize(static_cast<std::size_t>(entries * repeat));
  std::iota(plan.samples.begin(), plan.samples.end(), 0U);
  return plan;
}

// The model in evaluation mode for a scope.
class EvaluationMode {
 public:
  explicit EvaluationMode(RunState& state) : state_(state) { state_.model()->eval(); }
  ~EvaluationMode() { state_.model()->train(); }
  EvaluationMode(const EvaluationMode&) = delete;
  EvaluationMode& operator=(const EvaluationMode&) = delete;

 private:
  RunState& state_;
};

}  // namespace

ValidationLoss validate(const v1::JobSpec& spec, RunState& state, const data::Dataset& dataset,
                        std::int64_t entries, comm::Collective& collective, at::Device device) {
  const torch::NoGradGuard no_grad;
  const EvaluationMode evaluation(state);
  const RunState::AveragedWeights averaged(state);
  const transport::Transport transport(spec.transport());
  const StepWork work = share_of_step(whole_set(entries, spec.data().val_repeat()), dataset,
                                      static_cast<std::uint32_t>(spec.optim().batch_size()),
                                      collective.rank(), collective.world_size());
  data::Prefetcher prefetcher(dataset, spec.data().num_workers());
  for (const data::MicroBatch& batch : work.mine) prefetcher.push(work.plan.epoch, batch);

  at::Tensor sums = at::zeros({2}, at::dtype(at::kDouble).device(device));
  for (std::size_t i = 0; i < work.mine.size(); ++i) {
    const data::Batch batch = to_device(prefetcher.get(), device);
    sums[0] += summed_loss(state, transport, spec, batch).to(at::kDouble);
    sums[1] += batch.flow_time.size(0);
  }
  collective.all_reduce(sums);
  const at::Tensor total = sums.cpu();
  const auto samples = static_cast<std::int64_t>(total[1].item<double>());
  return {total[0].item<double>() / static_cast<double>(samples), samples};
}

}  // namespace mdgen::train
