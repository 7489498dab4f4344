#include "core/train/step.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "core/base/text.h"
#include "core/comm/gradient_reducer.h"
#include "core/comm/tree_reducer.h"
#include "core/train/bad_samples.h"
#include "core/train/optimizer.h"

namespace mdgen::train {

namespace {

using Part = StepClock::Part;

// "3 (4ake_A), 17 (1ake_A)", cut after 16.
std::string sample_names(const std::vector<std::uint32_t>& samples, const v1::Manifest& train) {
  constexpr std::size_t kShown = 16;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < std::min(samples.size(), kShown); ++i) {
    const int entry = static_cast<int>(samples[i] % static_cast<std::uint32_t>(train.entries_size()));
    names.push_back(std::to_string(samples[i]) + " (" + train.entries(entry).name() + ")");
  }
  if (samples.size() > kShown) names.push_back(std::to_string(samples.size() - kShown) + " more");
  return join(names, ", ");
}

void name_samples(const std::vector<std::uint32_t>& samples, const v1::Manifest& train,
                  v1::StepReport& report) {
  for (const std::uint32_t sample : samples) {
    const int entry = static_cast<int>(sample % static_cast<std::uint32_t>(train.entries_size()));
    v1::SkippedSample& named = *report.add_skipped_samples();
    named.set_virtual_sample(sample);
    named.set_entry(train.entries(entry).name());
  }
}

void require_whole_step(const data::StepPlan& plan, std::int64_t used, std::int64_t bad) {
  const auto planned = static_cast<std::int64_t>(plan.samples.size());
  if (used + bad == planned) return;
  throw RunFailure(ErrorCode::kInternal, "SamplesMissing",
                   "step " + std::to_string(plan.step + 1) + " used " + std::to_string(used) +
                       " samples on all ranks" + (bad > 0 ? " and left out " + std::to_string(bad) : "") +
                       ", but its plan has " + std::to_string(planned));
}

std::unique_ptr<comm::GradientSum> gradient_sum(const v1::JobSpec& spec, const RunState& state,
                                                comm::Collective& collective) {
  if (spec.determinism() == "strict") {
    return std::make_unique<comm::TreeReducer>(state.parameter_list(), collective);
  }
  return std::make_unique<comm::GradientReducer>(state.parameter_list(), collective);
}

}  // namespace

Stepper::Stepper(const v1::JobSpec& spec, const v1::Manifest& train, RunState& state, LoopState& loop,
                 comm::Collective& collective, at::Device device, const Clock& clock, FaultPoints& faults)
    : spec_(spec),
      train_(train),
      state_(state),
      loop_(loop),
      collective_(collective),
      device_(device),
      losses_(state, spec, clock),
      step_clock_(clock),
      faults_(faults),
      gradients_(gradient_sum(spec, state, collective)) {
  state_.model()->train();
}

void Stepper::check_gradients() {
  for (const std::string& name : gradient_check_.news(state_.parameters())) {
    if (collective_.rank() == 0) spdlog::warn("Param {} has no grad", name);
  }
}

StepTally Stepper::accumulate(const StepWork& work, StepFeed& feed, const std::function<void()>& interrupt) {
  StepTally tally;
  bad_.clear();
  const LossScaler* scaler = state_.scaler();
  const double share =
      (scaler != nullptr ? scaler->scale() : 1.0) / static_cast<double>(work.plan.samples.size());
  std::vector<Computed> computed;
  if (work.mine.empty()) faults_.reach(FaultPoint::kBeforeReduce, work.plan.step + 1);
  for (std::size_t i = 0; i < work.mine.size(); ++i) {
    if (interrupt) interrupt();
    step_clock_.enter(Part::kData);
    const data::Batch batch = to_device(feed.batch(interrupt), device_);
    bad_.insert(bad_.end(), batch.bad_samples.begin(), batch.bad_samples.end());
    gradients_->before_backward(i + 1 == work.mine.size());
    if (batch.sample_hashes.empty()) {
      gradients_->after_backward();
      continue;
    }
    step_clock_.enter(Part::kForward);
    BatchLoss loss = losses_(batch);
    if (i + 1 == work.mine.size()) faults_.reach(FaultPoint::kBeforeReduce, work.plan.step + 1);
    step_clock_.enter(Part::kBackward);
    (loss.sum * share).backward();
    gradients_->after_backward();
    computed.push_back({work.numbers[i], loss.sum.detach().to(at::kDouble), std::move(loss.record)});
    tally.samples += batch.flow_time.size(0);
    tally.tokens += batch.tokens;
    for (const std::uint64_t hash : batch.sample_hashes) tally.hash_sum += hash;
  }
  tally.bad = static_cast<std::int64_t>(bad_.size());
  tally_batches(work, computed, tally);
  return tally;
}

// One copy from the device.
void Stepper::tally_batches(const StepWork& work, const std::vector<Computed>& computed,
                            StepTally& tally) const {
  const bool strict = !work.bounds.empty();
  if (strict) tally.shard_count = work.micro_batches;
  if (computed.empty()) return;
  std::vector<at::Tensor> sums;
  std::vector<BatchRecord> records;
  for (const Computed& batch : computed) {
    sums.push_back(batch.loss_sum);
    records.push_back(batch.record);
  }
  const at::Tensor loss_sums = at::stack(sums).cpu();
  const std::vector<BatchMetrics> metrics = to_host(records);
  for (std::size_t i = 0; i < computed.size(); ++i) {
    const double loss_sum = loss_sums.const_data_ptr<double>()[i];
    BatchMeans batch;
    batch.add(metrics[i]);
    if (strict) {
      tally.shards.push_back({computed[i].number, loss_sum, batch});
    } else {
      tally.loss_sum += loss_sum;
      tally.batches.add(metrics[i]);
    }
  }
}

// A collective of its own, which all ranks enter because all have seen the same count.
void Stepper::name_bad_samples(v1::StepReport& report) {
  *report.mutable_bad_samples() = gather_bad_samples(collective_, device_, bad_, train_);
  if (collective_.rank() != 0) return;
  for (const v1::NamedSample& sample : report.bad_samples())
    spdlog::warn("left out: virtual sample {} ({}): {}", sample.virtual_sample(), sample.entry(),
                 sample.reason());
}

// The gradient's norm, after the reduced sum of gradients was made the mean over the samples that were used.
double Stepper::scale_to_used(const StepTally& all, at::Tensor& norm) {
  if (all.bad > 0 && all.samples > 0) {
    const double scale = static_cast<double>(all.samples + all.bad) / static_cast<double>(all.samples);
    gradients_->flat().mul_(scale);
    norm = norm * scale;
  }
  return norm.item<double>();
}

StepOutcome Stepper::run(const StepWork& work, StepFeed& feed, double lr, Votes votes, const Phase& phase,
                         const std::function<void()>& interrupt) {
  phase(v1::TRAINER_PHASE_COMPUTE, false);
  gradients_->start_step(work.bounds);
  StepTally mine = accumulate(work, feed, interrupt);

  step_clock_.enter(Part::kReduce);
  phase(v1::TRAINER_PHASE_REDUCE, true);
  faults_.reach(FaultPoint::kMidReduce, work.plan.step + 1);
  gradients_->finish_step();
  if (spec_.optim().check_grad()) check_gradients();
  LossScaler* scaler = state_.scaler();
  if (scaler != nullptr) gradients_->flat().mul_(1.0 / scaler->scale());
  at::Tensor norm = gradient_norm(state_.parameters());
  mine.nonfinite = std::isfinite(norm.item<double>()) ? 0 : 1;
  mine.stop_votes = votes.stop ? 1 : 0;
  mine.checkpoint_votes = votes.checkpoint ? 1 : 0;
  mine.end_votes = votes.stop && !votes.yield ? 1 : 0;
  const StepTally all = reduce_tally(collective_, device_, work.plan.step, mine);
  step_clock_.enter(Part::kOptimizer);
  phase(v1::TRAINER_PHASE_COMPUTE, false);
  faults_.reach(FaultPoint::kAfterReduce, work.plan.step + 1);

  require_whole_step(work.plan, all.samples, all.bad);
  StepOutcome outcome;
  if (all.bad > 0) name_bad_samples(outcome.report);
  const double grad_norm = scale_to_used(all, norm);
  outcome.report.set_loss_scale(scaler != nullptr ? scaler->scale() : 0);
  const StepVerdict verdict = apply(work, all, lr, norm);
  const bool skipped = verdict == StepVerdict::kNotFinite;

  if (verdict != StepVerdict::kScaleTooLarge) outcome.failure = count_skip(work, all, skipped);
  outcome.report.set_step(state_.progress().steps);
  outcome.report.set_epoch(static_cast<std::int32_t>(work.plan.epoch));
  outcome.report.set_loss(all.loss_sum / static_cast<double>(all.samples));
  outcome.report.set_grad_norm(grad_norm);
  outcome.report.set_lr(lr);
  outcome.report.set_samples(static_cast<std::int32_t>(all.samples));
  outcome.report.set_tokens(all.tokens);
  outcome.report.set_sample_hash_sum(all.hash_sum);
  outcome.report.set_skipped(skipped);
  if (skipped) name_samples(work.plan.samples, train_, outcome.report);
  outcome.report.set_overflowed(verdict == StepVerdict::kScaleTooLarge);
  outcome.stop = all.stop_votes > 0;
  outcome.checkpoint = all.checkpoint_votes > 0;
  outcome.yield = outcome.stop && all.end_votes == 0;
  step_clock_.end();
  return outcome;
}

// All that a step changes of what the rank holds.
StepVerdict Stepper::apply(const StepWork& work, const StepTally& all, double lr, const at::Tensor& norm) {
  RunState::Change change(state_);
  LossScaler* scaler = state_.scaler();
  const bool is_empty = all.samples == 0;
  const StepVerdict verdict = is_empty ? StepVerdict::kNotFinite
                                       : judge_step(all.nonfinite == 0, std::isfinite(all.loss_sum), scaler);
  if (scaler != nullptr && !is_empty) scaler->update(all.nonfinite > 0);
  if (verdict == StepVerdict::kApply) {
    clip_gradients(state_.parameters(), norm, spec_.optim().grad_clip());
    state_.set_lr(lr);
    state_.apply_gradients([&] { faults_.reach(FaultPoint::kMidOptimizer, work.plan.step + 1); });
  }
  const std::int64_t samples = state_.progress().samples + all.samples + all.bad;
  state_.progress() = {work.plan.step + 1, work.plan.epoch, samples};
  loop_.batches += all.batches.batches();
  loop_.iter.add(all.batches);
  loop_.train.add(all.batches);
  change.complete();
  return verdict;
}

std::optional<RunFailure> Stepper::count_skip(const StepWork& work, const StepTally& all, bool skipped) {
  loop_.skipped_in_a_row = skipped ? loop_.skipped_in_a_row + 1 : 0;
  if (!skipped) return std::nullopt;
  const std::string what = all.samples == 0              ? "no sample can be used"
                           : std::isfinite(all.loss_sum) ? "the gradient is not finite"
                                                         : "the loss is not finite";
  const std::string where = "step " + std::to_string(work.plan.step + 1) + ", epoch " +
                            std::to_string(work.plan.epoch) + ", virtual samples " +
                            sample_names(work.plan.samples, train_);
  spdlog::warn("{}, the step is skipped: {}", what, where);
  if (loop_.skipped_in_a_row < spec_.optim().max_skipped_steps()) return std::nullopt;
  if (all.samples == 0) {
    return RunFailure(ErrorCode::kDataLoss, "NoGoodSample",
                      std::to_string(loop_.skipped_in_a_row) + " steps in a row were skipped " +
                          "(optim.max_skipped_steps); the last had no sample that can be used: " + where);
  }
  return RunFailure(ErrorCode::kDataLoss, "NonFiniteGradient",
                    "loss or gradient was not finite in " + std::to_string(loop_.skipped_in_a_row) +
                        " steps in a row (optim.max_skipped_steps); the last: " + where);
}

}  // namespace mdgen::train
