#include "observation.h"

#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <regex>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/data/dataset.h"
#include "core/data/draws.h"
#include "core/data/manifest.h"
#include "core/objective/objective.h"
#include "core/sample/sampler.h"
#include "core/train/run_state.h"
#include "core/train/step_feed.h"
#include "tests/support/train_run.h"

namespace mdgen::flags {
namespace {

namespace fs = std::filesystem;

constexpr int kStepsLookedAt = 2;

std::string text_of(const at::Tensor& tensor) {
  if (!tensor.defined()) return "undefined";
  const at::Tensor values = tensor.detach().cpu().contiguous();
  Sha256 digest;
  digest.update({static_cast<const char*>(values.data_ptr()), values.nbytes()});
  std::ostringstream out;
  out << values.scalar_type() << values.sizes() << digest.hex().substr(0, 16);
  return out.str();
}

std::string text_of(const std::map<std::string, at::Tensor>& tensors) {
  std::string text;
  for (const auto& [name, tensor] : tensors) text += name + " " + text_of(tensor) + "\n";
  return text;
}

template <typename Values>
std::string list(const Values& values) {
  std::ostringstream out;
  out.precision(17);
  for (const auto& value : values) out << value << ' ';
  return out.str();
}

void observe_batch(const data::Batch& batch, Observation& seen) {
  for (const auto& [name, tensor] :
       std::initializer_list<std::pair<const char*, at::Tensor>>{{"frames", batch.trans},
                                                                 {"frames", batch.rots},
                                                                 {"torsions", batch.torsions},
                                                                 {"torsion mask", batch.torsion_mask},
                                                                 {"sequence", batch.seqres},
                                                                 {"residue mask", batch.mask},
                                                                 {"flow time draw", batch.flow_time},
                                                                 {"noise", batch.noise},
                                                                 {"atoms", batch.atom37},
                                                                 {"atoms", batch.atom37_mask},
                                                                 {"simplex", batch.simplex},
                                                                 {"dropout key", batch.dropout_key},
                                                                 {"crop start", batch.first_residue}}) {
    if (tensor.defined()) seen[name] += text_of(tensor) + "\n";
  }
  seen["names"] += list(batch.names) + "\n";
}

void observe_prepared(const objective::Prepared& prepared, Observation& seen) {
  const model::Conditioning& given = prepared.conditioning;
  for (const auto& [name, tensor] :
       std::initializer_list<std::pair<const char*, at::Tensor>>{{"latents", prepared.latents},
                                                                 {"loss mask", prepared.loss_mask},
                                                                 {"attention mask", given.mask},
                                                                 {"given latents", given.x_cond},
                                                                 {"given latents", given.x_cond_mask},
                                                                 {"given residue types", given.aatype},
                                                                 {"first frame", given.start_frames.trans},
                                                                 {"first frame", given.start_frames.rots},
                                                                 {"last frame", given.end_frames.trans},
                                                                 {"last frame", given.end_frames.rots}}) {
    if (tensor.defined()) seen[name] += text_of(tensor) + "\n";
  }
}

void observe_inputs(const v1::JobSpec& spec, const v1::JobManifest& manifest, Observation& seen) {
  data::RunPlan plan(data::plan_inputs(spec, manifest));
  seen["steps"] = std::to_string(plan.total_steps());
  const data::Dataset dataset(spec, manifest.train(), objective::latent_channels(spec.model()));
  for (std::int64_t step = 0; step < plan.total_steps(); ++step) {
    const data::StepPlan planned = plan.step(step);
    seen["plan"] += std::to_string(planned.epoch) + ": " + list(planned.samples) + "\n";
    const auto batches = data::micro_batches(planned.samples, plan.inputs().sizes,
                                             static_cast<std::uint32_t>(spec.optim().batch_size()));
    for (const data::MicroBatch& micro : batches) {
      seen["micro-batches"] += std::to_string(micro.size()) + " ";
      if (step >= kStepsLookedAt) continue;
      const data::Batch batch = dataset.load(planned.epoch, micro);
      observe_batch(batch, seen);
      observe_prepared(objective::prepare(batch, spec), seen);
    }
  }
}

void observe_model(const v1::JobSpec& spec, Observation& seen) {
  const train::RunState state(spec, at::kCPU);
  const checkpoint::TrainState live = state.live();
  for (const auto& [name, tensor] : live.model) {
    std::ostringstream sizes;
    sizes << name << " " << tensor.sizes() << "\n";
    seen["parameters"] += sizes.str();
  }
  seen["initial weights"] = text_of(live.model);
}

// Numbers, times and folders differ from run to run; what is said does not.
std::string shape_of(const std::string& line) {
  static const std::regex path("[^ ]*/[^ ]*");
  static const std::regex number("[-+]?[0-9][0-9.:e+-]*|\\?");
  return std::regex_replace(std::regex_replace(line, path, "PATH"), number, "#");
}

class LineSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  std::string text() const { return text_; }

 protected:
  void sink_it_(const spdlog::details::log_msg& line) override {
    text_ += shape_of(std::string(line.payload.data(), line.payload.size())) + "\n";
  }
  void flush_() override {}

 private:
  std::string text_;
};

class LogLines {
 public:
  LogLines() : before_(spdlog::default_logger()), sink_(std::make_shared<LineSink>()) {
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("observed", sink_));
  }
  ~LogLines() { spdlog::set_default_logger(before_); }
  LogLines(const LogLines&) = delete;
  LogLines& operator=(const LogLines&) = delete;

  std::string text() const { return sink_->text(); }

 private:
  std::shared_ptr<spdlog::logger> before_;
  std::shared_ptr<LineSink> sink_;
};

void observe_steps(const testing::RunResult& result, Observation& seen) {
  std::vector<double> losses;
  std::vector<double> norms;
  std::vector<double> rates;
  for (const v1::StepReport& report : result.observer.steps) {
    losses.push_back(report.loss());
    norms.push_back(report.grad_norm());
    rates.push_back(report.lr());
  }
  if (!losses.empty()) {
    seen["first loss"] = list(std::vector{losses.front()});
    seen["first gradient"] = list(std::vector{norms.front()});
    losses.erase(losses.begin());
    norms.erase(norms.begin());
  }
  seen["later losses"] = list(losses) + list(norms);
  seen["learning rates"] = list(rates);
  for (const v1::ValidationReport& report : result.observer.validations) {
    seen["validations"] += std::to_string(report.step()) + ":" + std::to_string(report.samples()) + " ";
    seen["validation losses"] += list(std::vector{report.val_loss()});
  }
  for (const v1::CheckpointReport& report : result.observer.checkpoints)
    seen["checkpoints written"] += std::to_string(report.step()) + " ";
}

// Two samples of the weights that the run ended with; a sequence starts in the middle of the simplex.
void observe_sampling(const v1::JobSpec& spec, const v1::JobManifest& manifest,
                      const checkpoint::TrainState& last, Observation& seen) {
  train::RunState state(spec, at::kCPU);
  state.restore(last);
  state.model()->eval();
  const data::Dataset dataset(spec, manifest.train(), objective::latent_channels(spec.model()));
  data::Batch batch = dataset.load(data::kValidationEpoch, {0, 1});
  if (batch.simplex.defined()) batch.simplex.fill_(1.0 / static_cast<double>(batch.simplex.size(-1)));
  try {
    const sample::Sampled sampled = sample::sample(state.model(), spec, batch);
    seen["sampled latents"] = text_of(sampled.latents);
    seen["sampled atoms"] = text_of(sampled.atom14);
    seen["sampled sequence"] = text_of(sampled.aatype);
    seen["evaluations"] = std::to_string(sampled.evaluations);
  } catch (const Error& error) {
    seen["sampled latents"] = shape_of(error.what());
  }
}

void observe_folder(const v1::JobSpec& spec, const v1::JobManifest& manifest, Observation& seen) {
  const fs::path folder = fs::path(spec.work_dir()) / spec.name();
  static const std::regex temporary("^.*/work[0-9]+");
  seen["run folder"] = std::regex_replace(folder.string(), temporary, "");
  std::multiset<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = fs::relative(entry.path(), folder).string();
    if (!entry.is_regular_file() || name.starts_with("checkpoints/") || name.starts_with("ipa/")) continue;
    files.insert(shape_of(entry.path().filename().string()));
  }
  seen["files"] = list(files);
  std::set<std::string> metrics;
  for (const nlohmann::json& line : testing::lines_of(spec)) {
    for (const auto& [key, value] : line.items()) metrics.insert(key);
  }
  seen["metrics"] = list(metrics);

  const fs::path ipa = spec.logging().teaching_ipa();
  const bool shows_ipa = !ipa.empty() && fs::exists(ipa);
  seen["IPA files"] =
      std::to_string(shows_ipa ? std::distance(fs::directory_iterator(ipa), fs::directory_iterator()) : 0);

  const auto checkpoints = checkpoint::list(folder / "checkpoints");
  for (const fs::path& kept : checkpoints) seen["checkpoints kept"] += kept.filename().string() + " ";
  if (checkpoints.empty()) return;
  const checkpoint::TrainState last = checkpoint::read_files(checkpoints.front());
  seen["weights"] = text_of(last.model);
  seen["averaged weights"] = text_of(last.ema);
  seen["optimizer state"] = text_of(last.optimizer);
  observe_sampling(spec, manifest, last, seen);
}

}  // namespace

Observation observe(const v1::JobSpec& resolved, const std::vector<std::string>& warnings) {
  Observation seen;
  seen["warnings"] = list(warnings);
  const v1::JobManifest manifest = data::build_manifest(resolved).manifest;
  observe_inputs(resolved, manifest, seen);
  observe_model(resolved, seen);
  {
    const LogLines log;
    const testing::RunResult result = testing::run_training(resolved);
    seen["log"] = log.text();
    observe_steps(result, seen);
  }
  observe_folder(resolved, manifest, seen);
  return seen;
}

std::set<std::string> differences(const Observation& a, const Observation& b) {
  std::set<std::string> names;
  for (const auto& [name, value] : a) {
    const auto other = b.find(name);
    if (other == b.end() || other->second != value) names.insert(name);
  }
  for (const auto& [name, value] : b) {
    if (!a.contains(name)) names.insert(name);
  }
  return names;
}

}  // namespace mdgen::flags
