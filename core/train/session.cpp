#include "core/train/session.h"

#include <spdlog/spdlog.h>

#include <utility>
#include <vector>

#include "core/checkpoint/store.h"
#include "core/train/failure.h"
#include "core/train/numerics.h"
#include "core/train/replica_check.h"
#include "core/train/test_fault.h"

namespace mdgen::train {
namespace {

v1::Assignment prepared(v1::Assignment first) {
  configure_numerics(first.spec().optim().precision(), first.threads());
  return first;
}

v1::FinishReport finished(bool completed, std::int64_t applied) {
  v1::FinishReport report;
  report.set_outcome(completed ? v1::OUTCOME_COMPLETED : v1::OUTCOME_STOPPED);
  report.set_steps_applied(applied);
  return report;
}

std::string reason_of(const comm::CollectiveError& error, const RunControl& control) {
  if (control.abandoned) return "Abandoned";
  if (dynamic_cast<const ReplicaDiverged*>(&error) != nullptr) return "ReplicaDiverged";
  return error.code() == ErrorCode::kAborted ? "CollectiveAborted" : "CollectiveFailed";
}

}  // namespace

Session::Session(v1::Assignment first, at::Device device, RunObserver& observer, const RunControl& control,
                 const Clock& clock)
    : observer_(observer),
      control_(control),
      clock_(clock),
      resident_(prepared(std::move(first)), device),
      outputs_(resident_.spec, resident_.first.run_folder(), observer, clock),
      faults_(test_faults()) {}

Session::~Session() = default;

GenerationEnd Session::execute(const v1::Assignment& assignment, comm::Collective& collective,
                               double form_seconds) {
  const v1::Assignment whole = resident_.merged(assignment);
  configure_numerics(resident_.spec.optim().precision(), whole.threads());
  Generation generation(whole, collective, form_seconds,
                        {resident_, outputs_, faults_, observer_, control_, clock_});
  return generation.execute();
}

SessionEnd Session::run(const v1::Assignment& assignment, comm::Collective& collective, double form_seconds) {
  SessionEnd end;
  try {
    const GenerationEnd generation = execute(assignment, collective, form_seconds);
    if (!generation.yielded && generation.problem.empty()) {
      end.finished = finished(generation.completed, applied());
      return end;
    }
    end.left = left(generation.problem.empty() ? "" : "CheckpointFailed", generation.problem);
    end.left.set_agreed(generation.yielded);
    end.left.set_checkpointed(generation.checkpointed);
  } catch (const comm::CollectiveError& error) {
    end.left = left(reason_of(error, control_), error.what());
  }
  return end;
}

v1::FinishReport Session::run_alone(const v1::Assignment& assignment, comm::Collective& collective) {
  const GenerationEnd generation = execute(assignment, collective, 0);
  if (!generation.problem.empty()) {
    throw RunFailure(ErrorCode::kUnavailable, "CheckpointFailed", generation.problem);
  }
  return finished(generation.completed, applied());
}

v1::LeftReport Session::left(const std::string& reason, const std::string& message) const {
  v1::LeftReport report;
  report.set_applied(applied());
  report.set_resident(resident_.is_resident());
  report.set_reason(reason);
  report.set_message(message);
  return report;
}

std::chrono::milliseconds Session::hold_time() const { return train::hold_time(resident_.spec); }

bool Session::has_checkpoint() const {
  std::vector<std::string> notes;
  const auto found =
      checkpoint::newest_good(std::filesystem::path(resident_.first.run_folder()) / "checkpoints", notes);
  return found && found->manifest.summary.step >= applied();
}

bool Session::save() {
  if (!resident_.is_resident()) return false;
  if (has_checkpoint()) return true;
  spdlog::info("writing a checkpoint of step {}, which is held in memory", applied());
  checkpoint::TrainState state = resident_.train_state();
  state.loop_json = resident_.log.added_to_json(state.loop_json);
  try {
    outputs_.save(resident_.generation, state);
  } catch (const RunFailure&) {
    if (!has_checkpoint()) throw;  // else another trainer that holds the same was faster
  }
  resident_.checkpointed = applied();
  return true;
}

}  // namespace mdgen::train
