#include "core/train/validation.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <vector>

#include "core/data/draws.h"
#include "core/train/batch_loss.h"
#include "core/train/step_feed.h"

namespace mdgen::train {
namespace {

data::StepPlan whole_set(std::int64_t samples) {
  data::StepPlan plan;
  plan.epoch = data::kValidationEpoch;
  plan.samples.resize(static_cast<std::size_t>(samples));
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

// A micro-batch that this rank has computed.
struct Row {
  std::int64_t number = 0;  // in the validation
  std::int64_t samples = 0;
};

// The samples that are in the batch.
data::MicroBatch good_samples(data::MicroBatch planned, const data::Batch& batch) {
  for (const data::BadSample& bad : batch.bad_samples) std::erase(planned, bad.virtual_sample);
  return planned;
}

// A row for every micro-batch of the validation, zero but for this rank's: adding over ranks fills them all.
class Table {
 public:
  explicit Table(std::int64_t batches) : values_(at::zeros({batches, kColumns}, at::kDouble)) {}

  void put(const Row& row, double loss_sum, BatchMetrics metrics) {
    double* values = values_.data_ptr<double>() + row.number * kColumns;
    values[0] = loss_sum;
    values[1] = static_cast<double>(row.samples);
    std::copy(metrics.values().begin(), metrics.values().end(), values + kOwn);
  }
  void reduce(comm::Collective& collective, at::Device device) {
    at::Tensor shared = values_.to(device);
    collective.all_reduce(shared);
    values_ = shared.cpu();
  }
  ValidationResult result() const {
    ValidationResult result;
    double loss_sum = 0;
    double samples = 0;
    const double* row = values_.data_ptr<double>();
    for (std::int64_t i = 0; i < values_.size(0); ++i, row += kColumns) {
      if (row[1] == 0) continue;  // every sample was bad
      loss_sum += row[0];
      samples += row[1];
      BatchMetrics metrics;
      std::copy(row + kOwn, row + kColumns, metrics.values().begin());
      result.batches.add(metrics);
    }
    result.loss = loss_sum / samples;
    result.samples = static_cast<std::int64_t>(samples);
    return result;
  }

 private:
  static constexpr std::int64_t kOwn = 2;  // sum of the samples' losses, samples
  static constexpr std::int64_t kColumns = kOwn + static_cast<std::int64_t>(kQuantities);
  at::Tensor values_;
};

}  // namespace

std::int64_t validated_samples(const v1::JobSpec& spec, std::int64_t samples) {
  if (!spec.loop().has_val_batches()) return samples;
  const std::int64_t one_rank = std::int64_t{spec.loop().val_batches()} * spec.optim().batch_size();
  return one_rank >= samples ? samples : std::min(samples, one_rank * spec.workers().max());
}

ValidationResult validate(const v1::JobSpec& spec, RunState& state, const data::Dataset& dataset,
                          const v1::Manifest& manifest, std::int64_t samples, comm::Collective& collective,
                          at::Device device, const Clock& clock, const BatchVisitor& visit,
                          const std::function<void()>& interrupt) {
  const torch::NoGradGuard no_grad;
  const EvaluationMode evaluation(state);
  const RunState::AveragedWeights averaged(state);
  BatchLosses losses(state, spec, clock);
  const StepWork work = share_of_step(whole_set(samples), dataset.sizes(),
                                      static_cast<std::uint32_t>(spec.optim().batch_size()),
                                      collective.rank(), collective.world_size());
  data::Prefetcher prefetcher = data::make_prefetcher(dataset, spec.data().num_workers(), device);
  for (const data::MicroBatch& batch : work.mine) prefetcher.push(work.plan.epoch, batch);

  std::vector<Row> rows;
  std::vector<BatchRecord> records;
  std::vector<at::Tensor> sums;
  std::map<std::int64_t, NamedValues> named;
  std::vector<data::BadSample> bad;
  for (std::size_t i = 0; i < work.mine.size(); ++i) {
    if (interrupt) interrupt();
    const data::Batch batch = to_device(prefetcher.get(interrupt), device);
    const data::MicroBatch samples = good_samples(work.mine[i], batch);
    bad.insert(bad.end(), batch.bad_samples.begin(), batch.bad_samples.end());
    if (samples.empty()) continue;
    BatchLoss loss = losses(batch);
    rows.push_back({work.numbers[i], static_cast<std::int64_t>(samples.size())});
    sums.push_back(loss.sum.to(at::kDouble));
    records.push_back(std::move(loss.record));
    if (visit) named[work.numbers[i]] = visit(work.numbers[i], samples, batch);
  }

  Table table(work.micro_batches);
  const std::vector<BatchMetrics> metrics = to_host(records);
  const at::Tensor loss_sums = sums.empty() ? at::empty({0}, at::kDouble) : at::stack(sums).cpu();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    table.put(rows[i], loss_sums[static_cast<std::int64_t>(i)].item<double>(), metrics[i]);
  }
  table.reduce(collective, device);
  ValidationResult result = table.result();
  if (result.samples < samples) result.bad_samples = gather_bad_samples(collective, device, bad, manifest);
  if (result.samples == 0 && !result.bad_samples.empty()) {
    throw RunFailure(
        ErrorCode::kDataLoss, "NoGoodSample",
        "no sample of the validation set can be used; the first: " + result.bad_samples[0].reason());
  }
  if (visit) result.named = gather_values(collective, device, named);
  return result;
}

}  // namespace mdgen::train
