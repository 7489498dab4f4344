#include "core/train/loop.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/config/spec.h"
#include "core/data/dataset.h"
#include "core/data/plan.h"
#include "core/ledger/json.h"
#include "core/ledger/writer.h"
#include "core/objective/objective.h"
#include "core/train/agreement.h"
#include "core/train/bad_samples.h"
#include "core/train/failure.h"
#include "core/train/fingerprint.h"
#include "core/train/inference.h"
#include "core/train/lease.h"
#include "core/train/log_record.h"
#include "core/train/loop_state.h"
#include "core/train/numerics.h"
#include "core/train/outputs.h"
#include "core/train/plan_check.h"
#include "core/train/resume.h"
#include "core/train/run_state.h"
#include "core/train/schedule.h"
#include "core/train/step.h"
#include "core/train/teaching_ipa.h"
#include "core/train/test_fault.h"
#include "core/train/validation.h"

namespace mdgen::train {
namespace {

// Of the last checkpoint: nothing else holds the weights.
constexpr std::chrono::minutes kPatience{30};

// A step that the other ranks may not have applied yet, and the records that follow it.
struct Uncommitted {
  v1::StepReport report;
  std::vector<LogRecord> records;
};

std::string to_text(const ledger::Records& records) {
  return ledger::to_json(records).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

class Run {
 public:
  Run(const v1::Assignment& assignment, comm::Collective& collective, at::Device device,
      RunObserver& observer, const RunControl& control, const Clock& clock)
      : assignment_(assignment),
        spec_(assignment.spec()),
        collective_(collective),
        device_(device),
        observer_(observer),
        control_(control),
        clock_(clock),
        plan_(checked_plan(assignment)),
        total_steps_(plan_.total_steps()),
        plan_digest_(data::plan_digest(plan_.inputs())),
        spec_digest_(config::spec_digest(spec_)),
        train_data_(spec_, assignment.manifest().train(), objective::latent_channels(spec_.model())),
        state_(spec_, device) {}

  v1::FinishReport execute() {
    begin();
    if (!spec_.loop().validate()) return train();
    require_validation_set();
    validate_now(state_.progress().epoch);
    return end(false, false);
  }

 private:
  std::int64_t applied() const { return state_.progress().steps; }
  std::int64_t epoch_samples() const {
    const data::PlanInputs& inputs = plan_.inputs();
    return inputs.epoch_samples > 0 ? inputs.epoch_samples : std::int64_t{inputs.items} * inputs.repeat;
  }
  void phase(v1::TrainerPhase phase, bool entered_reduce = false) {
    observer_.phase(phase, applied(), entered_reduce);
  }

  void begin();
  void show_ipa();
  void require_validation_set() const;
  v1::FinishReport train();
  StepOutcome step(Stepper& stepper, StepFeed& feed);
  void boundary(const StepPlace& place);
  void commit();
  void settle();
  void validate_now(std::int64_t epoch);
  void write_checkpoint();
  v1::FinishReport end(bool stopped, bool stop_checkpoint);

  StepPlace place_of(const data::StepPlan& plan) const;
  LogRecord record_of(const char* prefix, std::int64_t epoch, const BatchMeans& means) const;
  std::vector<LogRecord> due_records(const StepPlace& place);

  const v1::Assignment& assignment_;
  const v1::JobSpec& spec_;
  comm::Collective& collective_;
  at::Device device_;
  RunObserver& observer_;
  const RunControl& control_;
  const Clock& clock_;
  data::RunPlan plan_;
  std::int64_t total_steps_;
  std::string plan_digest_;
  std::string spec_digest_;
  data::Dataset train_data_;
  std::unique_ptr<data::Dataset> val_data_;
  RunState state_;
  LoopState loop_;
  std::optional<Uncommitted> uncommitted_;
  ledger::Chain ledger_;              // rank 0: of the committed steps
  std::int64_t checkpointed_ = -1;    // the step of the last checkpoint
  std::unique_ptr<Outputs> outputs_;  // rank 0
};

void Run::begin() {
  phase(v1::TRAINER_PHASE_INIT);
  if (spec_.determinism() == "strict") {
    require_equal_fingerprints(collective_, device_, fingerprint(device_));
  }
  if (!spec_.loop().no_validate() && assignment_.manifest().val().entries_size() > 0) {
    val_data_ = std::make_unique<data::Dataset>(spec_, assignment_.manifest().val(),
                                                objective::latent_channels(spec_.model()));
  }
  Start start = resume(assignment_, plan_digest_, state_, collective_, device_);
  require_equal_digests(collective_, device_, "the state after step " + std::to_string(applied()),
                        state_.digest());
  if (!start.checkpoint.empty()) checkpointed_ = start.step;
  loop_ = loop_state_from_json(start.loop_json);
  if (auto note = schedule_note(spec_, applied(), loop_.total_steps, total_steps_)) {
    start.notes.push_back(std::move(*note));
  }
  loop_.total_steps = total_steps_;
  agree(collective_, device_, [&] {
    outputs_ = std::make_unique<Outputs>(assignment_, start, total_steps_, state_, observer_, clock_);
    return std::string();
  });
  ledger_ = ledger::Chain(std::move(start.ledger), start.step);
  ledger_.begin(assignment_.id().generation(), assignment_.world_size(), plan_digest_, start.step,
                start.checkpoint.string());
  show_ipa();
}

void Run::require_validation_set() const {
  if (val_data_) return;
  throw RunFailure(ErrorCode::kInvalidArgument, "NoValidationSet", "loop.validate needs a data.val_split");
}

// From here on every forward pass of this rank, validation's included.
void Run::show_ipa() {
  const v1::LoggingSpec& logging = spec_.logging();
  if (logging.teaching_ipa().empty()) return;
  const auto files = std::make_shared<TeachingIpa>(logging.teaching_ipa(), logging.teaching_ipa_max());
  state_.model()->set_ipa_listener([files](const at::Tensor& t, const at::Tensor& output,
                                           const at::Tensor& mask) { files->write(t, output, mask); });
}

v1::FinishReport Run::train() {
  Stepper stepper(spec_, assignment_.manifest().train(), state_, loop_, collective_, device_, clock_);
  StepFeed feed(plan_, train_data_,
                {.rank = collective_.rank(),
                 .world_size = collective_.world_size(),
                 .threads = spec_.data().num_workers(),
                 .first = applied(),
                 .end = total_steps_,
                 .device = device_,
                 .fault = test_fault()});
  bool stop = false;
  bool stop_checkpoint = false;
  while (applied() < total_steps_ && !stop) {
    const StepOutcome outcome = step(stepper, feed);
    stop = outcome.stop;
    stop_checkpoint = outcome.stop && outcome.checkpoint;
  }
  return end(stop && applied() < total_steps_, stop_checkpoint);
}

StepOutcome Run::step(Stepper& stepper, StepFeed& feed) {
  phase(v1::TRAINER_PHASE_DATA);
  wait_for_lease(control_.lease_until_ns, clock_);
  const Clock::Steady begin = clock_.steady();
  const StepWork work = feed.next();
  const bool stop = control_.stop.load();
  const double lr = lr_at(spec_.optim(), work.plan.step, total_steps_);
  StepOutcome outcome =
      stepper.run(work, feed, lr, {.stop = stop, .checkpoint = stop && control_.stop_checkpoint.load()},
                  [this](v1::TrainerPhase now, bool entered_reduce) { phase(now, entered_reduce); });
  commit();
  outcome.report.set_seconds(std::chrono::duration<double>(clock_.steady() - begin).count());
  const StepPlace place = place_of(work.plan);
  uncommitted_ = {outcome.report, due_records(place)};
  if (!outcome.failure) outcome.failure = count_bad_samples(loop_, outcome.report, epoch_samples());
  if (outcome.failure) {
    settle();
    throw *outcome.failure;
  }
  boundary(place);
  return outcome;
}

StepPlace Run::place_of(const data::StepPlan& plan) const {
  return {.applied = plan.step + 1,
          .epoch = plan.epoch,
          .applied_of_epoch = plan.step % plan_.steps_per_epoch() + 1,
          .last_of_epoch = plan.last_of_epoch};
}

LogRecord Run::record_of(const char* prefix, std::int64_t epoch, const BatchMeans& means) const {
  return {.prefix = prefix,
          .means = means.means(),
          .named = {},
          .epoch = epoch,
          .trainer_step = applied(),
          .iter_step = loop_.batches,
          .count = means.batches(),
          .lr = lr_at(spec_.optim(), std::max<std::int64_t>(0, applied() - 1), total_steps_)};
}

std::vector<LogRecord> Run::due_records(const StepPlace& place) {
  std::vector<LogRecord> records;
  if (iter_metrics_due(spec_, place.applied)) {
    records.push_back(record_of("iter", place.epoch, std::exchange(loop_.iter, {})));
  }
  if (place.last_of_epoch || place.applied == total_steps_) {
    records.push_back(record_of("train", place.epoch, std::exchange(loop_.train, {})));
  }
  return records;
}

void Run::boundary(const StepPlace& place) {
  const bool validates = val_data_ && validation_due(spec_, place);
  if (validates) validate_now(place.epoch);
  if (checkpoint_due(spec_, place, validates)) write_checkpoint();
}

// The step before is known to be applied on all ranks.
void Run::commit() {
  if (outputs_ && uncommitted_) {
    outputs_->committed(uncommitted_->report, uncommitted_->records);
    ledger_.step(uncommitted_->report);
  }
  uncommitted_.reset();
}

// Makes the last step known to be applied on all ranks.
void Run::settle() {
  if (!uncommitted_) return;
  phase(v1::TRAINER_PHASE_REDUCE, true);
  reduce_tally(collective_, device_, applied(), {});
  commit();
}

void Run::validate_now(std::int64_t epoch) {
  settle();
  phase(v1::TRAINER_PHASE_VALIDATE);
  const std::int64_t samples =
      validated_samples(spec_, data::validation_samples(spec_, assignment_.manifest()));
  BatchVisitor visit;
  if (inference_due(spec_, epoch)) {
    visit = sample_first_batches(spec_, assignment_.run_folder(), epoch, state_.model());
  }
  const ValidationResult result = validate(spec_, state_, *val_data_, assignment_.manifest().val(), samples,
                                           collective_, device_, clock_, visit);
  loop_.batches += result.batches.batches();
  if (!outputs_) return;
  LogRecord record = record_of("val", epoch, result.batches);
  for (auto& [name, value] : record.means) {
    if (name == quantity_name(Quantity::kLoss)) value = result.loss;
  }
  record.named = result.named;
  v1::ValidationReport report;
  report.set_step(applied());
  report.set_epoch(static_cast<std::int32_t>(epoch));
  report.set_val_loss(result.loss);
  report.set_samples(result.samples);
  *report.mutable_bad_samples() = result.bad_samples;
  outputs_->validated(report, record);
}

void Run::write_checkpoint() {
  if (checkpointed_ == applied()) return;
  settle();
  phase(v1::TRAINER_PHASE_CHECKPOINT);
  checkpointed_ = applied();
  if (!outputs_) return;
  checkpoint::TrainState live = state_.live();
  live.summary.spec_digest = spec_digest_;
  live.summary.plan_digest = plan_digest_;
  live.summary.epochs_done = applied() / plan_.steps_per_epoch();
  live.summary.epoch_steps = applied() % plan_.steps_per_epoch();
  live.spec_json = config::to_json(spec_);
  live.loop_json = to_json(loop_);
  live.ledger_json = to_text(ledger_.records());
  outputs_->checkpoint(live);
}

v1::FinishReport Run::end(bool stopped, bool stop_checkpoint) {
  settle();
  const bool trained = !spec_.loop().validate();
  if (trained && (!stopped || stop_checkpoint)) write_checkpoint();
  phase(v1::TRAINER_PHASE_CHECKPOINT);
  agree(collective_, device_, [&] {
    outputs_->finish(kPatience);
    return std::string();
  });
  v1::FinishReport report;
  report.set_outcome(stopped ? v1::OUTCOME_STOPPED : v1::OUTCOME_COMPLETED);
  report.set_steps_applied(applied());
  return report;
}

}  // namespace

v1::FinishReport run(const v1::Assignment& assignment, comm::Collective& collective, at::Device device,
                     RunObserver& observer, const RunControl& control, const Clock& clock) {
  configure_numerics(assignment.spec().optim().precision(), assignment.threads());
  return Run(assignment, collective, device, observer, control, clock).execute();
}

}  // namespace mdgen::train
