#include "core/train/loop.h"

#include <spdlog/spdlog.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "core/checkpoint/train_state.h"
#include "core/config/spec.h"
#include "core/data/dataset.h"
#include "core/data/plan.h"
#include "core/objective/objective.h"
#include "core/train/agreement.h"
#include "core/train/failure.h"
#include "core/train/lease.h"
#include "core/train/numerics.h"
#include "core/train/recorder.h"
#include "core/train/resume.h"
#include "core/train/run_state.h"
#include "core/train/schedule.h"
#include "core/train/step.h"
#include "core/train/validation.h"

namespace mdgen::train {
namespace {

namespace fs = std::filesystem;

data::RunPlan checked_plan(const v1::Assignment& assignment) {
  data::RunPlan plan(data::plan_inputs(assignment.spec(), assignment.manifest()));
  const std::string ours = data::plan_digest(plan.inputs());
  if (ours != assignment.plan().plan_digest()) {
    throw RunFailure(ErrorCode::kFailedPrecondition, "PlanMismatch",
                     "the plan's digest is " + ours + " here, but the assignment says " +
                         assignment.plan().plan_digest() + ": coordinator and trainer differ in version");
  }
  const std::int64_t end = assignment.plan().end_step();
  if (end != plan.total_steps()) {
    throw RunFailure(ErrorCode::kFailedPrecondition, "PlanMismatch",
                     "the plan has " + std::to_string(plan.total_steps()) +
                         " steps here, but the assignment ends at step " + std::to_string(end));
  }
  return plan;
}

// Trouble with the run folder has a reason of its own: it is not to be mistaken for a lost peer's.
template <typename Write>
void write_or_fail(const char* reason, const Write& write) {
  try {
    write();
  } catch (const std::exception& error) {
    throw RunFailure(ErrorCode::kUnavailable, reason, message_without_backtrace(error));
  }
}

constexpr const char* kCheckpointFailed = "CheckpointFailed";
constexpr const char* kMetricsFailed = "MetricsFailed";

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
    Stepper stepper(spec_, assignment_.manifest().train(), state_, collective_, device_);
    StepFeed feed(plan_, train_data_,
                  {.rank = collective_.rank(),
                   .world_size = collective_.world_size(),
                   .threads = spec_.data().num_workers(),
                   .first = applied(),
                   .end = total_steps_});
    bool stop = false;
    bool stop_checkpoint = false;
    while (applied() < total_steps_ && !stop) {
      const StepOutcome outcome = step(stepper, feed);
      stop = outcome.stop;
      stop_checkpoint = outcome.stop && outcome.checkpoint;
    }
    return end(stop && applied() < total_steps_, stop_checkpoint);
  }

 private:
  bool leads() const { return collective_.rank() == 0; }
  std::int64_t applied() const { return state_.progress().steps; }
  void phase(v1::TrainerPhase phase, bool entered_reduce = false) {
    observer_.phase(phase, applied(), entered_reduce);
  }

  void begin();
  void start_recording(const Start& start);
  StepOutcome step(Stepper& stepper, StepFeed& feed);
  void boundary(const data::StepPlan& plan);
  void commit();
  void settle();
  void validate_now(std::int64_t epoch);
  void write_checkpoint();
  v1::FinishReport end(bool stopped, bool stop_checkpoint);

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
  std::optional<v1::StepReport> uncommitted_;
  std::int64_t checkpointed_ = -1;                        // the step of the last checkpoint
  std::unique_ptr<Recorder> recorder_;                    // rank 0
  std::unique_ptr<checkpoint::BackgroundWriter> writer_;  // rank 0
};

void Run::begin() {
  phase(v1::TRAINER_PHASE_INIT);
  if (!spec_.loop().no_validate() && assignment_.manifest().val().entries_size() > 0) {
    val_data_ = std::make_unique<data::Dataset>(spec_, assignment_.manifest().val(),
                                                objective::latent_channels(spec_.model()));
  }
  const Start start = resume(assignment_, plan_digest_, state_, collective_, device_);
  require_equal_digests(collective_, device_, "the state after step " + std::to_string(applied()),
                        state_.digest());
  if (!start.checkpoint.empty()) checkpointed_ = start.step;
  agree(collective_, device_, [&] {
    start_recording(start);
    return std::string();
  });
}

void Run::start_recording(const Start& start) {
  const fs::path folder = assignment_.run_folder();
  fs::create_directories(folder / "checkpoints");
  write_or_fail(kMetricsFailed, [&] {
    recorder_ = std::make_unique<Recorder>(assignment_, start.step, total_steps_, observer_, clock_);
  });
  writer_ = std::make_unique<checkpoint::BackgroundWriter>(
      checkpoint::BackgroundWriter::Options{.checkpoints = folder / "checkpoints",
                                            .generation = assignment_.id().generation(),
                                            .keep_last = spec_.checkpoint().keep_last()},
      [this](const fs::path& written, std::int64_t step) {
        v1::CheckpointReport report;
        report.set_step(step);
        report.set_folder(written.string());
        report.set_verified(true);
        observer_.checkpoint(report);
      });
  v1::StartReport report;
  report.set_first_step(start.step);
  report.set_checkpoint(start.checkpoint.string());
  for (const std::string& note : start.notes) report.add_notes(note);
  if (recorder_->dropped_lines() > 0) {
    report.add_notes("metrics.jsonl: " + std::to_string(recorder_->dropped_lines()) + " lines after step " +
                     std::to_string(start.step) + " dropped");
  }
  report.set_parameters(state_.parameter_count());
  for (const std::string& note : report.notes()) spdlog::warn("{}", note);
  spdlog::info("{} parameters; {}", state_.parameter_count(),
               start.checkpoint.empty() ? "starting from initial weights"
                                        : "going on from " + start.checkpoint.string());
  observer_.started(report);
}

StepOutcome Run::step(Stepper& stepper, StepFeed& feed) {
  phase(v1::TRAINER_PHASE_DATA);
  wait_for_lease(control_.lease_until_ns, clock_);
  const Clock::Steady begin = clock_.steady();
  const StepWork work = feed.next();
  const bool stop = control_.stop.load();
  StepOutcome outcome =
      stepper.run(work, feed, {.stop = stop, .checkpoint = stop && control_.stop_checkpoint.load()},
                  [this](v1::TrainerPhase now, bool entered_reduce) { phase(now, entered_reduce); });
  commit();
  outcome.report.set_seconds(std::chrono::duration<double>(clock_.steady() - begin).count());
  uncommitted_ = outcome.report;
  if (outcome.failure) {
    settle();
    throw *outcome.failure;
  }
  boundary(work.plan);
  return outcome;
}

void Run::boundary(const data::StepPlan& plan) {
  if (val_data_ && validation_due(spec_, plan.epoch, plan.last_of_epoch)) validate_now(plan.epoch);
  if (checkpoint_due(spec_, applied(), plan.epoch, plan.last_of_epoch)) write_checkpoint();
}

// The step before is known to be applied on all ranks.
void Run::commit() {
  if (recorder_ && uncommitted_) {
    write_or_fail(kMetricsFailed, [&] { recorder_->committed(*uncommitted_); });
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
  const ValidationLoss result =
      validate(spec_, state_, *val_data_, assignment_.manifest().val().entries_size(), collective_, device_);
  if (!recorder_) return;
  v1::ValidationReport report;
  report.set_step(applied());
  report.set_epoch(static_cast<std::int32_t>(epoch));
  report.set_val_loss(result.loss);
  report.set_samples(result.samples);
  write_or_fail(kMetricsFailed, [&] { recorder_->validated(report); });
}

void Run::write_checkpoint() {
  if (checkpointed_ == applied()) return;
  settle();
  phase(v1::TRAINER_PHASE_CHECKPOINT);
  checkpointed_ = applied();
  if (!writer_) return;
  checkpoint::TrainState live = state_.live();
  live.summary.spec_digest = spec_digest_;
  live.summary.plan_digest = plan_digest_;
  live.spec_json = config::to_json(spec_);
  write_or_fail(kCheckpointFailed, [&] { writer_->write(live); });
}

v1::FinishReport Run::end(bool stopped, bool stop_checkpoint) {
  settle();
  if (!stopped || stop_checkpoint) write_checkpoint();
  phase(v1::TRAINER_PHASE_CHECKPOINT);
  agree(collective_, device_, [&] {
    write_or_fail(kCheckpointFailed, [&] { writer_->flush(); });
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
