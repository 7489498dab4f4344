#include "core/train/batch_loss.h"

#include <array>
#include <chrono>
#include <limits>

#include "core/objective/metrics.h"
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

// In kComputed's order, NaN for what there is not.
at::Tensor computed(const transport::Losses& losses, const data::Batch& batch) {
  const objective::BatchMeans means = objective::batch_means(losses, batch.seqres, batch.mask);
  const at::TensorOptions options = at::dtype(at::kDouble).device(losses.per_sample.device());
  std::vector<at::Tensor> values;
  for (const at::Tensor* mean :
       {&means.loss, &means.time, &means.loss_continuous, &means.loss_discrete,
        &means.category_pred_design_aa_recovery, &means.category_pred_cond_aa_recovery}) {
    values.push_back(mean->defined() ? mean->to(options)
                                     : at::full({}, std::numeric_limits<double>::quiet_NaN(), options));
  }
  return at::stack(values);
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

BatchLoss BatchLosses::operator()(const data::Batch& given) {
  const Clock::Steady start = clock_.steady();
  const data::Batch batch = in_precision(given, state_.precision());
  const objective::Prepared prepared = objective::prepare(batch, spec_);
  const Clock::Steady ready = clock_.steady();
  const Autocast autocast(state_.precision(), batch.mask.device());
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
