#include "core/checkpoint/portable.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <set>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/checkpoint/lightning.h"
#include "core/checkpoint/pin.h"
#include "core/checkpoint/state_file.h"
#include "core/checkpoint/store.h"
#include "core/config/schema.h"
#include "core/config/spec.h"
#include "core/format/safetensors.h"

namespace mdgen::checkpoint {
namespace fs = std::filesystem;
namespace {

// What decides which function the weights are the weights of, beside their shapes.
constexpr std::array kMode = {"model.sim_condition",
                              "model.tps_condition",
                              "model.inpainting",
                              "model.dynamic_mpnn",
                              "model.mpnn",
                              "model.cond_interval",
                              "model.design",
                              "model.design_key_frames",
                              "model.no_aa_emb",
                              "model.no_torsion",
                              "model.no_design_torsion",
                              "model.no_offsets",
                              "model.no_frames",
                              "model.num_layers",
                              "model.embed_dim",
                              "model.mha_heads",
                              "model.ipa_heads",
                              "model.ipa_head_dim",
                              "model.ipa_qk",
                              "model.ipa_v",
                              "model.time_multiplier",
                              "model.prepend_ipa",
                              "model.interleave_ipa",
                              "model.abs_pos_emb",
                              "model.abs_time_emb",
                              "model.no_rope",
                              "model.hyena",
                              "transport.path_type",
                              "transport.prediction"};

bool is_checkpoint(const fs::path& folder) { return fs::exists(folder / kStateFile); }

fs::path newest_below(const fs::path& folder, Pin& pin) {
  const fs::path all = fs::is_directory(folder / "checkpoints") ? folder / "checkpoints" : folder;
  std::vector<std::string> notes;
  const std::optional<Found> found = newest_good(all, notes, &pin);
  if (found) return found->folder;
  throw Error(ErrorCode::kNotFound, all.string() + " holds no good checkpoint" +
                                        (notes.empty() ? std::string() : ": " + join(notes, "; ")));
}

PortableTensors read_tensors(const fs::path& file) {
  const auto source = std::make_shared<const format::SafetensorsFile>(file);
  PortableTensors tensors;
  for (const auto& [name, info] : source->tensors())
    tensors.emplace(name, PortableTensor{info.dtype, info.shape, source->bytes(name), source});
  return tensors;
}

std::int64_t scalar(const PortableTensors& tensors, const std::string& name) {
  const auto found = tensors.find(name);
  std::int64_t value = 0;
  if (found != tensors.end() && found->second.data.size() == sizeof(value))
    std::memcpy(&value, found->second.data.data(), sizeof(value));
  return value;
}

Portable read_own(const fs::path& path) {
  const auto pin = std::make_shared<Pin>();
  const bool is_one = is_checkpoint(path);
  if (is_one) *pin = Pin(path);
  const fs::path folder = is_one ? path : newest_below(path, *pin);
  if (is_one) verify(folder);
  StateFile state = read_state_file(folder);
  Portable result;
  result.pin = pin;
  result.source = folder.string();
  result.spec = config::default_spec();
  result.spec.MergeFrom(config::from_json(state.spec_json));
  result.has_spec = state.spec_json != "{}";
  result.weights = state.weights == weights_name(Weights::kEma) ? Weights::kEma : Weights::kRaw;
  result.model = read_tensors(folder / kModelFile);
  if (fs::exists(folder / kEmaFile)) {
    result.ema = read_tensors(folder / kEmaFile);
    result.ema_decay = result.spec.optim().ema_decay();
  }
  if (fs::exists(folder / kOptimizerFile)) result.optimizer = read_tensors(folder / kOptimizerFile);
  result.optimizer_steps = scalar(result.optimizer, "step");
  result.epochs_done = state.summary.epochs_done;
  result.epoch_steps = state.summary.epoch_steps;
  result.step = state.summary.step;
  result.plan_digest = state.summary.plan_digest;
  return result;
}

std::string text_of(const v1::JobSpec& spec, const config::Field& field) {
  const auto value = config::get_value(spec, field);
  return value ? config::value_text(*value) : "unset";
}

void compare_modes(const Portable& portable, const v1::JobSpec& resolved,
                   std::vector<std::string>& problems) {
  for (const char* key : kMode) {
    const config::Field* field = config::Schema::get().by_key(key);
    if (field == nullptr) throw Error(ErrorCode::kInternal, std::string("the schema has no field ") + key);
    const std::string theirs = text_of(portable.spec, *field);
    const std::string ours = text_of(resolved, *field);
    if (theirs != ours)
      problems.push_back(std::string(key) + ": the checkpoint has " + theirs + ", the job " + ours);
  }
  const bool differs_by_compat = resolved.model().hyena() || resolved.model().no_rope();
  if (differs_by_compat && portable.spec.reference_compat() != resolved.reference_compat()) {
    problems.push_back(std::string("reference_compat: the weights are those of the model under ") +
                       (portable.spec.reference_compat() ? "true" : "false") +
                       "; with hyena or no_rope the other one is another model");
  }
}

void compare_optimizer(const Portable& portable, const ModelLayout& layout,
                       std::vector<std::string>& problems) {
  ModelLayout expected;
  for (const LayoutTensor& tensor : layout) {
    if (tensor.role != LayoutTensor::Role::kParameter) continue;
    for (const char* moment : {"exp_avg.", "exp_avg_sq."}) {
      // A parameter that never had a gradient has no moments.
      if (portable.optimizer.contains(moment + tensor.name))
        expected.push_back({moment + tensor.name, tensor.shape});
    }
  }
  PortableTensors moments;
  for (const auto& [name, tensor] : portable.optimizer)
    if (name.starts_with("exp_avg")) moments.emplace(name, tensor);
  compare_with_layout("optimizer state", expected, moments, problems);
}

void compare_tensors(const Portable& portable, const ModelLayout& layout,
                     std::vector<std::string>& problems) {
  compare_with_layout("weights", layout, portable.model, problems);
  if (!portable.ema.empty()) compare_with_layout("moving average", layout, portable.ema, problems);
  if (!portable.optimizer.empty()) compare_optimizer(portable, layout, problems);
}

}  // namespace

const char* weights_name(Weights weights) { return weights == Weights::kEma ? "ema" : "raw"; }

void compare_with_layout(const std::string& what, const ModelLayout& layout, const PortableTensors& tensors,
                         std::vector<std::string>& problems) {
  const auto shape_text = [](const std::vector<std::int64_t>& shape) {
    std::vector<std::string> sizes;
    for (const std::int64_t size : shape) sizes.push_back(std::to_string(size));
    return "(" + join(sizes, ", ") + ")";
  };
  std::set<std::string> known;
  for (const LayoutTensor& wanted : layout) {
    known.insert(wanted.name);
    const auto found = tensors.find(wanted.name);
    if (found == tensors.end()) {
      if (wanted.role != LayoutTensor::Role::kTied) problems.push_back(what + ": missing " + wanted.name);
    } else if (found->second.shape != wanted.shape) {
      problems.push_back(what + ": " + wanted.name + " has shape " + shape_text(found->second.shape) +
                         ", not " + shape_text(wanted.shape));
    }
  }
  for (const auto& [name, tensor] : tensors)
    if (!known.contains(name)) problems.push_back(what + ": unknown " + name);
}

Portable read_portable(const fs::path& path, Contents contents, const v1::JobSpec* fallback) {
  if (!fs::exists(path))
    throw Error(ErrorCode::kNotFound, path.string() + ": there is no such file or folder");
  if (!fs::is_directory(path)) return read_lightning(path, contents, fallback);
  return read_own(path);
}

std::vector<std::string> own_misfits(const Portable& portable) {
  std::vector<std::string> problems = portable.problems;
  compare_tensors(portable, model_layout(portable.spec), problems);
  return problems;
}

std::vector<std::string> misfits(const Portable& portable, const v1::JobSpec& resolved) {
  std::vector<std::string> problems = portable.problems;
  if (portable.has_spec) compare_modes(portable, resolved, problems);
  compare_tensors(portable, model_layout(resolved), problems);
  if (resolved.loop().validate()) return problems;
  if (resolved.optim().ema() && portable.ema.empty()) {
    problems.push_back("optim.ema is on, but the checkpoint holds no moving average");
  }
  if (portable.optimizer.empty()) {
    problems.push_back(
        "it holds no optimizer state" +
        std::string(portable.weights == Weights::kEma ? " (it was exported with --weights ema)" : "") +
        ": training cannot go on from it");
  }
  if (portable.epochs_done >= resolved.loop().epochs()) {
    problems.push_back("it has " + std::to_string(portable.epochs_done) +
                       " epochs behind it, loop.epochs is " + std::to_string(resolved.loop().epochs()) +
                       ": nothing is left to do");
  }
  return problems;
}

void check_start(const v1::JobSpec& resolved) {
  const std::string& path = resolved.checkpoint().ckpt();
  if (path.empty()) return;
  const bool has_own = !list(fs::path(resolved.work_dir()) / resolved.name() / "checkpoints").empty();
  if (has_own && !resolved.loop().validate()) return;
  std::vector<std::string> problems;
  try {
    problems = misfits(read_portable(path, Contents::kHeaders, &resolved), resolved);
  } catch (const Error& error) {
    problems.push_back(error.what());
  }
  if (problems.empty()) return;
  throw Error(ErrorCode::kInvalidArgument,
              "checkpoint.ckpt = " + path + " cannot be started from: " + join(problems, "; "));
}

fs::path write_folder(const Portable& portable, const fs::path& folder) {
  const auto write = [&](const fs::path& file, const PortableTensors& tensors) {
    if (tensors.empty()) return;
    std::vector<format::TensorBytes> bytes;
    for (const auto& [name, tensor] : tensors)
      bytes.push_back({name, tensor.dtype, tensor.shape, tensor.data});
    format::write_safetensors(file, bytes,
                              {{"format", "pt"}, {"step", std::to_string(portable.optimizer_steps)}});
  };
  StateFile state;
  state.summary = {.step = portable.optimizer_steps,
                   .epoch = std::max<std::int64_t>(0, portable.epochs_done - 1),
                   .epochs_done = portable.epochs_done,
                   .epoch_steps = portable.epoch_steps};
  state.spec_json = config::to_json(portable.spec);
  state.weights = weights_name(portable.weights);
  return publish(folder, {.step = state.summary.step, .generation = 0}, state.summary,
                 [&](const fs::path& into) {
                   write(into / kModelFile, portable.model);
                   write(into / kEmaFile, portable.ema);
                   write(into / kOptimizerFile, portable.optimizer);
                   write_state_file(into, state);
                 });
}

}  // namespace mdgen::checkpoint
