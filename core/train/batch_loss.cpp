#include "core/train/batch_loss.h"

#include <array>
#include <chrono>
#include <limits>

#include "core/objective/objective.h"

namespace mdgen::train {
namespace {

// The order of BatchRecord::values.
constexpr std::array<Quantity, 6> kComputed = {Quantity::kLoss,
                                               Quantity::kTime,
                                               Quantity::kLossContinuous,
                                               Quantity::kLossDiscrete,
                                               Quantity::kCategoryPredDesign,
                                               Quantity::kCategoryPredCond};

double seconds(Clock::Steady from, Clock::Steady to) {
  return std::chrono::duration<double>(to - from).count();
}

at::Tensor mean_or_nan(const at::Tensor& values, const at::TensorOptions& options) {
  if (!values.defined()) return at::full({}, std::numeric_limits<double>::quiet_NaN(), options);
  return values.detach().mean().to(options);
}

// Whether the most probable type is the true one: (B, T, L) float, or undefined without logits.
at::Tensor recovered(const transport::Losses& losses, const data::Batch& batch) {
  if (!losses.logits.defined()) return {};
  return losses.logits.detach().argmax(-1).eq(batch.seqres.unsqueeze(1)).to(at::kFloat);
}

at::Tensor computed(const transport::Losses& losses, const data::Batch& batch) {
  const torch::NoGradGuard no_grad;
  const at::TensorOptions options = at::dtype(at::kDouble).device(losses.per_sample.device());
  const at::Tensor hits = recovered(losses, batch);
  const at::Tensor continuous = losses.discrete.defined() ? losses.continuous : at::Tensor();
  const at::Tensor designed = hits.defined() ? hits.slice(2, 1, -1) : hits;
  const at::Tensor given = hits.defined() ? at::stack({hits.select(2, 0), hits.select(2, -1)}, 2) : hits;
  return at::stack({mean_or_nan(losses.per_sample, options), mean_or_nan(losses.t, options),
                    mean_or_nan(continuous, options), mean_or_nan(losses.discrete, options),
                    mean_or_nan(designed, options), mean_or_nan(given, options)});
}

}  // namespace

std::vector<BatchMetrics> to_host(const std::vector<BatchRecord>& records) {
  if (records.empty()) return {};
  std::vector<at::Tensor> rows;
  rows.reserve(records.size());
  for (const BatchRecord& record : records) rows.push_back(record.values);
  const at::Tensor table = at::stack(rows).cpu();
  std::vector<BatchMetrics> batches;
  batches.reserve(records.size());
  for (std::size_t row = 0; row < records.size(); ++row) {
    BatchMetrics& batch = batches.emplace_back(records[row].times);
    for (std::size_t i = 0; i < kComputed.size(); ++i) {
      batch[kComputed[i]] =
          table[static_cast<std::int64_t>(row)][static_cast<std::int64_t>(i)].item<double>();
    }
  }
  return batches;
}

BatchLosses::BatchLosses(RunState& state, const v1::JobSpec& spec, const Clock& clock)
    : state_(state), spec_(spec), clock_(clock), transport_(spec.transport()), logged_(clock.steady()) {}

BatchLoss BatchLosses::operator()(const data::Batch& batch) {
  const Clock::Steady start = clock_.steady();
  const objective::Prepared prepared = objective::prepare(batch, spec_);
  const Clock::Steady ready = clock_.steady();
  const at::Tensor t = transport_.flow_time(batch.flow_time);
  const transport::Losses losses =
      objective::training_losses(state_.model(), transport_, prepared, t, batch.noise);
  BatchLoss result;
  result.sum = losses.per_sample.sum();
  const Clock::Steady done = clock_.steady();
  result.record.values = computed(losses, batch);
  result.record.times[Quantity::kModelDur] = seconds(ready, done);
  result.record.times[Quantity::kGeneralStepDur] = seconds(start, done);
  result.record.times[Quantity::kDur] = seconds(logged_, done);
  logged_ = done;
  return result;
}

}  // namespace mdgen::train
