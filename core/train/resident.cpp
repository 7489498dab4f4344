#include "core/train/resident.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/config/spec.h"
#include "core/ledger/json.h"
#include "core/objective/objective.h"
#include "core/train/failure.h"
#include "core/train/plan_check.h"
#include "core/train/teaching_ipa.h"

namespace mdgen::train {
namespace {

std::unique_ptr<data::Dataset> validation_set(const v1::Assignment& assignment) {
  const v1::JobSpec& spec = assignment.spec();
  if (spec.loop().no_validate() || assignment.manifest().val().entries_size() == 0) return nullptr;
  return std::make_unique<data::Dataset>(spec, assignment.manifest().val(),
                                         objective::latent_channels(spec.model()));
}

void require_same(const char* what, const std::string& held, const std::string& given) {
  if (held == given) return;
  throw RunFailure(ErrorCode::kFailedPrecondition, "OtherRun",
                   std::string("this trainer holds ") + what + " " + held + ", but is assigned to " + given);
}

// Of every forward pass of this rank, validation's included.
void show_ipa(const v1::LoggingSpec& logging, RunState& state) {
  if (logging.teaching_ipa().empty()) return;
  const auto files = std::make_shared<TeachingIpa>(logging.teaching_ipa(), logging.teaching_ipa_max());
  state.model()->set_ipa_listener([files](const at::Tensor& t, const at::Tensor& output,
                                          const at::Tensor& mask) { files->write(t, output, mask); });
}

}  // namespace

Resident::Resident(v1::Assignment given, at::Device on)
    : first(std::move(given)),
      spec(first.spec()),
      device(on),
      plan(checked_plan(first)),
      total_steps(plan.total_steps()),
      plan_digest(data::plan_digest(plan.inputs())),
      spec_digest(config::spec_digest(spec)),
      train_data(spec, first.manifest().train(), objective::latent_channels(spec.model())),
      val_data(validation_set(first)),
      state(spec, device) {
  show_ipa(spec.logging(), state);
}

void Resident::reset() {
  state = RunState(spec, device);
  show_ipa(spec.logging(), state);
  loop = {};
  chain = {};
  log.clear();
  checkpointed = -1;
  stood = deviates = touched = false;
}

std::int64_t Resident::epoch_samples() const {
  const data::PlanInputs& inputs = plan.inputs();
  return inputs.epoch_samples > 0 ? inputs.epoch_samples : std::int64_t{inputs.items} * inputs.repeat;
}

StepPlace Resident::place_of(const data::StepPlan& step) const {
  return {.applied = step.step + 1,
          .epoch = step.epoch,
          .applied_of_epoch = step.step % plan.steps_per_epoch() + 1,
          .last_of_epoch = step.last_of_epoch};
}

checkpoint::TrainState Resident::train_state() {
  checkpoint::TrainState live = state.live();
  live.summary.spec_digest = spec_digest;
  live.summary.plan_digest = plan_digest;
  live.summary.epochs_done = applied() / plan.steps_per_epoch();
  live.summary.epoch_steps = applied() % plan.steps_per_epoch();
  v1::JobSpec decided = spec;
  if (!loop.precision.empty()) decided.mutable_optim()->set_auto_precision(loop.precision);
  live.spec_json = config::to_json(decided);
  live.loop_json = to_json(loop);
  live.ledger_json =
      ledger::to_json(chain.records()).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return live;
}

v1::Assignment Resident::merged(const v1::Assignment& later) const {
  require_same("job", first.id().job_id(), later.id().job_id());
  require_same("run folder", first.run_folder(), later.run_folder());
  require_same("plan", first.plan().plan_digest(), later.plan().plan_digest());
  v1::Assignment assignment = first;
  *assignment.mutable_id() = later.id();
  *assignment.mutable_plan() = later.plan();
  assignment.set_rank(later.rank());
  assignment.set_world_size(later.world_size());
  assignment.set_attempt(later.attempt());
  assignment.set_threads(later.threads());
  assignment.set_bind_address(later.bind_address());
  assignment.set_require_checkpoint(later.require_checkpoint());
  return assignment;
}

}  // namespace mdgen::train
