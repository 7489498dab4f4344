#include "core/train/resume.h"

#include <google/protobuf/util/message_differencer.h>

#include <nlohmann/json.hpp>

#include "core/config/spec.h"
#include "core/data/plan.h"
#include "core/ledger/json.h"
#include "core/train/agreement.h"
#include "core/train/failure.h"
#include "core/train/initial_checkpoint.h"
#include "mdgen/v1/options.pb.h"

namespace mdgen::train {
namespace {

using nlohmann::json;

// Leaves out what a resume may change.
class ChangeableFields : public google::protobuf::util::MessageDifferencer::IgnoreCriteria {
 public:
  bool IsIgnored(const google::protobuf::Message&, const google::protobuf::Message&,
                 const google::protobuf::FieldDescriptor* field,
                 const std::vector<google::protobuf::util::MessageDifferencer::SpecificField>&) override {
    return field->options().GetExtension(v1::rules).resume_may_change();
  }
};

std::string differing(const std::string& what, const std::string& saved, const std::string& current) {
  return "\n  " + what + ": checkpoint " + saved + ", now " + current;
}

json choose(const v1::Assignment& assignment, const std::string& plan_digest, checkpoint::Pin& pin) {
  const std::filesystem::path run_folder = assignment.run_folder();
  const ResumeInputs inputs{.resume = assignment.spec().resume(),
                            .require_checkpoint = assignment.require_checkpoint(),
                            .generation = assignment.id().generation(),
                            .run_folder = assignment.run_folder(),
                            .spec_digest = config::spec_digest(assignment.spec()),
                            .plan_digest = plan_digest};
  std::vector<std::string> notes;
  const auto found = checkpoint::newest_good(run_folder / "checkpoints", notes, &pin);
  std::string folder;
  const bool named = !assignment.spec().checkpoint().ckpt().empty();
  const bool validates_named = named && assignment.spec().loop().validate();  // whatever the run has
  try {
    if (!validates_named && start_from_checkpoint(inputs, found)) folder = found->folder.string();
  } catch (const RunFailure& failure) {
    if (failure.reason() != "CheckpointMismatch") throw;
    const checkpoint::TrainState saved = checkpoint::read_files(found->folder);
    throw RunFailure(failure.code(), failure.reason(),
                     failure.what() + explain_mismatch(saved.spec_json, assignment.spec()));
  }
  std::string initial;
  if (folder.empty() && named) {
    initial = check_initial_checkpoint(assignment.spec()).string();
  }
  return {{"folder", folder}, {"notes", notes}, {"initial", initial}};
}

}  // namespace

bool start_from_checkpoint(const ResumeInputs& inputs, const std::optional<checkpoint::Found>& found) {
  if (!found) {
    if (inputs.resume != "require" && !inputs.require_checkpoint) return false;
    throw RunFailure(ErrorCode::kFailedPrecondition, "CheckpointRequired",
                     inputs.run_folder + "/checkpoints holds no good checkpoint, but " +
                         (inputs.require_checkpoint ? "this run has written one" : "resume is 'require'"));
  }
  if (inputs.resume == "fresh" && inputs.generation <= 1 && !inputs.require_checkpoint) {
    throw RunFailure(ErrorCode::kFailedPrecondition, "RunFolderUsed",
                     "resume is 'fresh', but " + found->folder.string() +
                         " is there: take another name, or resume 'auto'");
  }
  const checkpoint::Summary& saved = found->manifest.summary;
  std::string differences;
  if (saved.spec_digest != inputs.spec_digest) {
    differences += differing("spec digest", saved.spec_digest, inputs.spec_digest);
  }
  if (saved.plan_digest != inputs.plan_digest) {
    differences += differing("plan digest (data, seed, batch sizes)", saved.plan_digest, inputs.plan_digest);
  }
  if (differences.empty()) return true;
  throw RunFailure(ErrorCode::kFailedPrecondition, "CheckpointMismatch",
                   found->folder.string() + " belongs to another run:" + differences);
}

std::string explain_mismatch(const std::string& checkpoint_spec_json, const v1::JobSpec& current) {
  std::string report;
  google::protobuf::util::MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&report);
  differencer.set_report_ignores(false);
  differencer.AddIgnoreCriteria(new ChangeableFields);  // taken over by the differencer
  v1::JobSpec saved;
  try {
    saved = config::from_json(checkpoint_spec_json);
  } catch (const Error& error) {  // another version's
    return std::string("\n  its spec cannot be compared: ") + error.what();
  }
  const bool equal = differencer.Compare(saved, current);
  return equal ? "\n  the specs are equal: the data set has changed" : "\n" + report;
}

Start resume(const v1::Assignment& assignment, const std::string& plan_digest, RunState& state,
             comm::Collective& collective, at::Device device) {
  const auto pin = std::make_shared<checkpoint::Pin>();
  const json choice = json::parse(agree(collective, device, [&] {
    return choose(assignment, plan_digest, *pin).dump(-1, ' ', false, json::error_handler_t::replace);
  }));
  Start start;
  start.pin = pin;
  start.checkpoint = choice["folder"].get<std::string>();
  start.notes = choice["notes"].get<std::vector<std::string>>();
  if (!start.checkpoint.empty()) {
    const checkpoint::TrainState saved = checkpoint::read_files(start.checkpoint);
    state.restore(saved);
    start.loop_json = saved.loop_json;
    start.ledger = ledger::from_json(saved.ledger_json);
    start.step = state.progress().steps;
    start.source = v1::STATE_SOURCE_CHECKPOINT;
  }
  if (const auto initial = choice["initial"].get<std::string>(); !initial.empty()) {
    const data::RunPlan plan(data::plan_inputs(assignment.spec(), assignment.manifest()));
    InitialStart begun = load_initial_checkpoint(initial, assignment.spec(), plan_digest,
                                                 plan.steps_per_epoch(), plan.total_steps(), state);
    start.step = begun.step;
    start.notes.push_back(std::move(begun.note));
  }
  return start;
}

void require_planned_start(const v1::Assignment& assignment, const Start& start) {
  const std::int64_t planned = assignment.plan().first_step();
  if (planned < 0 || planned == start.step) return;
  const std::string ours =
      start.source == v1::STATE_SOURCE_MEMORY ? "the ranks hold step " + std::to_string(start.step)
      : start.checkpoint.empty()              ? "the run folder's state is empty"
                                 : "the run folder's newest good checkpoint is " + start.checkpoint.string();
  throw RunFailure(ErrorCode::kFailedPrecondition, "StartMismatch",
                   "the shard plan starts at step " + std::to_string(planned) + ", but " + ours);
}

}  // namespace mdgen::train
