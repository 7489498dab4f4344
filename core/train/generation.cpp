#include "core/train/generation.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "core/model/flops.h"
#include "core/train/agreement.h"
#include "core/train/auto_precision.h"
#include "core/train/bad_samples.h"
#include "core/train/failure.h"
#include "core/train/fingerprint.h"
#include "core/train/heal.h"
#include "core/train/inference.h"
#include "core/train/lease.h"
#include "core/train/replica_check.h"
#include "core/train/resume.h"
#include "core/train/schedule.h"
#include "core/train/step_feed.h"
#include "core/train/step_profiler.h"
#include "core/train/step_sync.h"
#include "core/train/test_fault.h"
#include "core/train/validation.h"

namespace mdgen::train {
namespace {

constexpr std::chrono::milliseconds kPoll{20};

Stepper::Votes votes_of(const RunControl& control) {
  if (!control.stop) return {};
  return {.stop = true, .checkpoint = control.stop_checkpoint, .yield = control.stop_yield};
}

void flip_bit(Resident& held) {
  const at::NoGradGuard no_grad;
  held.state.live().model.begin()->second.detach().flatten().view(at::kByte).narrow(0, 0, 1).bitwise_xor_(1);
}

}  // namespace

std::chrono::milliseconds hold_time(const v1::JobSpec& spec) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(1000 * spec.recovery().hold_for_seconds()));
}

Generation::Generation(const v1::Assignment& assignment, comm::Collective& collective, double form_seconds,
                       const Parts& parts)
    : assignment_(assignment),
      spec_(assignment.spec()),
      collective_(collective),
      form_seconds_(form_seconds),
      held_(parts.resident),
      outputs_(parts.outputs),
      faults_(parts.faults),
      observer_(parts.observer),
      control_(parts.control),
      clock_(parts.clock),
      model_(model::model_config(assignment.spec())) {
  faults_.become(assignment.rank(), assignment.attempt());
}

Generation::~Generation() {
  outputs_.leave();
  held_.state.drop_gradients();
}

GenerationEnd Generation::execute() {
  begin();
  if (!spec_.loop().validate()) return train();
  if (!held_.val_data) {
    throw RunFailure(ErrorCode::kInvalidArgument, "NoValidationSet", "loop.validate needs a data.val_split");
  }
  validate_now(held_.state.progress().epoch);
  return end(nullptr);
}

void Generation::begin() {
  phase(v1::TRAINER_PHASE_HEAL);
  if (spec_.determinism() == "strict") {
    require_equal_fingerprints(collective_, held_.device, fingerprint(held_.device));
  }
  Start start = this->start();
  require_planned_start(assignment_, start);
  start.ledger = held_.chain.records();
  choose_precision();
  start.precision = held_.loop.precision;
  const bool trains = !spec_.loop().validate();
  const std::string lacking = agree(collective_, held_.device, [&] {
    outputs_.begin(assignment_, start, held_.total_steps, held_.state, held_.log);
    return std::string(trains && outputs_.lacks(held_.checkpointed) ? "overdue" : "");
  });
  overdue_ = start.source == v1::STATE_SOURCE_MEMORY && held_.checkpointed >= 0 && !lacking.empty();
  if (overdue_) held_.checkpointed = -1;
  held_.chain.begin(assignment_.id().generation(), assignment_.world_size(), held_.plan_digest, start.step,
                    start.checkpoint.string());
  held_.generation = assignment_.id().generation();
  held_.stood = true;
}

// Equal loop states are a rank's own or come with the state, so that all ranks measure together or none does.
void Generation::choose_precision() {
  if (spec_.optim().precision() != "auto") return;
  std::string& chosen = held_.loop.precision;
  if (chosen.empty()) {
    chosen = agree(collective_, held_.device, [&] {
      const std::string& given = spec_.optim().auto_precision();
      return given.empty() ? faster_precision(time_linears(held_.device, clock_)) : given;
    });
  }
  held_.state.set_autocast(precision_of(chosen).autocast);
}

Start Generation::start() {
  const Clock::Steady begin = clock_.steady();
  Start start;
  const Healed healed = heal(held_, collective_, faults_);
  if (healed.from_memory) {
    start.step = applied();
    start.source = v1::STATE_SOURCE_MEMORY;
    start.source_rank = healed.source;
    start.healed_ranks = healed.healed;
  } else {
    phase(v1::TRAINER_PHASE_INIT);
    load_checkpoint(start);
  }
  start.notes.insert(start.notes.begin(), healed.notes.begin(), healed.notes.end());
  start.form_seconds = form_seconds_;
  start.heal_seconds = std::chrono::duration<double>(clock_.steady() - begin).count();
  return start;
}

void Generation::load_checkpoint(Start& start) {
  // A rank that was rank 0 may still be writing the newest one.
  outputs_.await_writer(interrupt());
  collective_.barrier();
  if (held_.touched) held_.reset();
  held_.touched = true;
  start = resume(assignment_, held_.plan_digest, held_.state, collective_, held_.device);
  require_equal_digests(collective_, held_.device, "the state after step " + std::to_string(applied()),
                        held_.state.digest());
  held_.checkpointed = start.checkpoint.empty() ? -1 : start.step;
  held_.loop = loop_state_from_json(start.loop_json);
  held_.log = StepLog::from_json(start.loop_json);
  held_.loop.boundary = start.loop_json.empty() ? applied() : std::min(held_.loop.boundary, applied());
  if (auto note = schedule_note(spec_, applied(), held_.loop.total_steps, held_.total_steps)) {
    start.notes.push_back(std::move(*note));
  }
  held_.loop.total_steps = held_.total_steps;
  held_.chain = ledger::Chain(std::move(start.ledger), start.step);
}

GenerationEnd Generation::train() {
  finish_boundary();
  if (overdue_ && held_.checkpointed < applied()) write_checkpoint();
  Stepper stepper(spec_, assignment_.manifest().train(), held_.state, held_.loop, collective_, held_.device,
                  clock_, faults_);
  StepFeed feed(held_.plan, held_.train_data,
                {.rank = collective_.rank(),
                 .world_size = collective_.world_size(),
                 .threads = spec_.data().num_workers(),
                 .first = applied(),
                 .end = held_.total_steps,
                 .device = held_.device,
                 .faults = test_faults()});
  StepProfiler profiler(profile_file(), spec_.logging().profile(), held_.device.is_cuda(), stepper.clock());
  while (applied() < held_.total_steps) {
    profiler.begin_step();
    const StepOutcome outcome = step(stepper, feed);
    profiler.end_step();
    if (outcome.stop && applied() < held_.total_steps) return end(&outcome);
  }
  return end(nullptr);
}

std::filesystem::path Generation::profile_file() const {
  return std::filesystem::path(assignment_.run_folder()) / "profile" /
         ("rank-" + std::to_string(collective_.rank()) + ".generation-" +
          std::to_string(assignment_.id().generation()) + ".json");
}

StepOutcome Generation::step(Stepper& stepper, StepFeed& feed) {
  phase(v1::TRAINER_PHASE_DATA);
  await_permission();
  const Clock::Steady begin = clock_.steady();
  stepper.clock().begin();
  const StepWork work = feed.next();
  if (control_.slow_steps != 0) stepper.clock().enter(StepClock::Part::kForward);
  be_slow();
  const double lr = lr_at(spec_.optim(), work.plan.step, held_.total_steps);
  StepOutcome outcome = stepper.run(
      work, feed, lr, votes_of(control_),
      [this](v1::TrainerPhase now, bool entered_reduce) { phase(now, entered_reduce); }, interrupt());
  commit();
  outcome.report.set_seconds(std::chrono::duration<double>(clock_.steady() - begin).count());
  measure(work, stepper.clock(), outcome.report);
  const StepPlace place = held_.place_of(work.plan);
  held_.chain.step(outcome.report);
  held_.log.add(outcome.report, due_records(place));
  uncommitted_ = true;
  faults_.reach(FaultPoint::kBeforeReport, applied());
  if (faults_.flips(applied())) flip_bit(held_);
  if (!outcome.failure) {
    outcome.failure = count_bad_samples(held_.loop, outcome.report, held_.epoch_samples());
  }
  if (outcome.failure) {
    settle();
    throw *outcome.failure;
  }
  boundary(place);
  return outcome;
}

void Generation::measure(const StepWork& work, const StepClock& clock, v1::StepReport& report) {
  *report.mutable_times() = clock.times();
  report.mutable_times()->set_checkpoint(std::exchange(snapshot_wait_, 0));
  double flops = 0;
  for (const model::BatchShape& shape : work.shapes) flops += model::training_flops(model_, shape);
  report.set_flops(flops);
  if (work.load > 0) computed_.add(clock.before_reduce() / work.load);
  observer_.computed(computed_.mean());
}

void Generation::leave_if_abandoned() const {
  if (control_.abandoned) throw comm::CollectiveError(ErrorCode::kAborted, "the generation is abandoned");
}

std::function<void()> Generation::interrupt() const {
  return [this] { leave_if_abandoned(); };
}

void Generation::await_permission() {
  leave_if_abandoned();
  wait_for_lease(control_.lease_until_ns, clock_,
                 {.hold_for = hold_time(spec_), .sleep = {}, .interrupt = interrupt()});
}

void Generation::be_slow() {
  if (control_.slow_steps == 0) return;
  if (control_.slow_steps > 0) --control_.slow_steps;
  const Clock::Steady end = clock_.steady() + std::chrono::nanoseconds(control_.slow_ns);
  phase(v1::TRAINER_PHASE_COMPUTE);
  for (; clock_.steady() < end; leave_if_abandoned()) std::this_thread::sleep_for(kPoll);
}

LogRecord Generation::record_of(const char* prefix, std::int64_t epoch, const BatchMeans& means) const {
  return {.prefix = prefix,
          .means = means.means(),
          .named = {},
          .epoch = epoch,
          .trainer_step = applied(),
          .iter_step = held_.loop.batches,
          .count = means.batches(),
          .lr = lr_at(spec_.optim(), std::max<std::int64_t>(0, applied() - 1), held_.total_steps)};
}

std::vector<LogRecord> Generation::due_records(const StepPlace& place) {
  std::vector<LogRecord> records;
  if (iter_metrics_due(spec_, place.applied)) {
    records.push_back(record_of("iter", place.epoch, std::exchange(held_.loop.iter, {})));
  }
  if (place.last_of_epoch || place.applied == held_.total_steps) {
    records.push_back(record_of("train", place.epoch, std::exchange(held_.loop.train, {})));
  }
  return records;
}

void Generation::boundary(const StepPlace& place) {
  const std::int64_t every = spec_.recovery().replica_check_every();
  if (every > 0 && place.applied % every == 0) check_replicas(held_, collective_);
  const bool validates = held_.val_data && validation_due(spec_, place);
  if (validates) validate_now(place.epoch);
  held_.loop.boundary = place.applied;
  if (checkpoint_due(spec_, place, validates)) write_checkpoint();
}

// Of the step that the generation begins after, if the one before ended between the step and its boundary.
void Generation::finish_boundary() {
  if (applied() == 0 || held_.loop.boundary >= applied()) return;
  boundary(held_.place_of(held_.plan.step(applied() - 1)));
}

// The step before is known to be applied on all ranks.
void Generation::commit() {
  if (!std::exchange(uncommitted_, false) || !outputs_.is_open()) return;
  const LoggedStep& newest = held_.log.steps().back();
  outputs_.committed(newest.report, newest.records);
}

// Makes the last step known to be applied on all ranks.
void Generation::settle() {
  if (!uncommitted_) return;
  phase(v1::TRAINER_PHASE_REDUCE, true);
  reduce_tally(collective_, held_.device, applied(), {});
  commit();
}

void Generation::validate_now(std::int64_t epoch) {
  settle();
  phase(v1::TRAINER_PHASE_VALIDATE);
  const std::int64_t samples =
      validated_samples(spec_, data::validation_samples(spec_, assignment_.manifest()));
  BatchVisitor visit;
  if (inference_due(spec_, epoch)) {
    visit = sample_first_batches(spec_, assignment_.run_folder(), epoch, held_.state.model(), interrupt());
  }
  const auto look = [this] {
    faults_.reach(FaultPoint::kValidate, applied());
    leave_if_abandoned();
  };
  const ValidationResult result = validate(spec_, held_.state, *held_.val_data, assignment_.manifest().val(),
                                           samples, collective_, held_.device, clock_, visit, look);
  held_.loop.batches += result.batches.batches();
  LoggedValidation logged{.report = {}, .record = record_of("val", epoch, result.batches)};
  for (auto& [name, value] : logged.record.means) {
    if (name == quantity_name(Quantity::kLoss)) value = result.loss;
  }
  logged.record.named = result.named;
  logged.report.set_step(applied());
  logged.report.set_epoch(static_cast<std::int32_t>(epoch));
  logged.report.set_val_loss(result.loss);
  logged.report.set_samples(result.samples);
  *logged.report.mutable_bad_samples() = result.bad_samples;
  held_.log.add(logged);
  if (outputs_.is_open()) outputs_.validated(logged.report, logged.record);
}

void Generation::write_checkpoint() {
  if (held_.checkpointed == applied()) return;
  settle();
  phase(v1::TRAINER_PHASE_CHECKPOINT);
  held_.checkpointed = applied();
  const Clock::Steady begin = clock_.steady();
  if (reports()) outputs_.checkpoint(held_.train_state(), interrupt());
  snapshot_wait_ += std::chrono::duration<double>(clock_.steady() - begin).count();
  faults_.reach(FaultPoint::kCheckpointWrite, applied());
}

GenerationEnd Generation::end(const StepOutcome* stopped) {
  if (stopped != nullptr && stopped->yield) return yield(stopped->checkpoint);
  settle();
  const bool trained = !spec_.loop().validate();
  if (trained && (stopped == nullptr || stopped->checkpoint)) write_checkpoint();
  phase(v1::TRAINER_PHASE_CHECKPOINT);
  GenerationEnd end{.completed = stopped == nullptr, .yielded = false, .checkpointed = false, .problem = {}};
  try {
    agree(collective_, held_.device, [&] {
      outputs_.finish(std::chrono::duration<double>(spec_.recovery().hold_for_seconds()), interrupt());
      return std::string();
    });
  } catch (const RunFailure& failure) {
    // The weights of a finished run are nowhere else: they stay in memory, for another try.
    if (!end.completed) throw;
    end.completed = false;
    end.problem = failure.what();
  }
  return end;
}

// All ranks have agreed on it: what fails from here on does not change that.
GenerationEnd Generation::yield(bool checkpoint) {
  settle();
  GenerationEnd end{.completed = false, .yielded = true, .checkpointed = false, .problem = {}};
  if (!checkpoint) return end;
  phase(v1::TRAINER_PHASE_CHECKPOINT);
  try {
    agree(collective_, held_.device, [&] {
      if (held_.checkpointed != applied()) outputs_.checkpoint(held_.train_state(), interrupt());
      outputs_.flush(interrupt());
      return std::string();
    });
    held_.checkpointed = applied();
    end.checkpointed = true;
  } catch (const RunFailure& failure) {
    end.problem = failure.what();
  } catch (const comm::CollectiveError& error) {
    end.problem = error.what();
  }
  return end;
}

}  // namespace mdgen::train
