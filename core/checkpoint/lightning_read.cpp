#include <cstring>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/checkpoint/flags.h"
#include "core/checkpoint/lightning.h"
#include "core/config/spec.h"
#include "core/format/torch_file.h"

namespace mdgen::checkpoint {
namespace fs = std::filesystem;
namespace {

using format::PickleValue;
using Kind = PickleValue::Kind;

constexpr std::string_view kPrefix = "model.";

class Reader {
 public:
  Reader(const fs::path& file, Contents contents) : file_(file), contents_(contents), source_(file) {
    result_.source = file.string();
    result_.is_lightning = true;
  }

  Portable run(const v1::JobSpec* fallback) {
    if (!source_.root().is_dict()) reject("it holds no dict, so it is no checkpoint of Lightning");
    read_spec(fallback);
    read_weights();
    read_ema();
    read_position();
    if (result_.has_spec || fallback != nullptr) read_optimizer(model_layout(layout_spec_));
    return std::move(result_);
  }

 private:
  [[noreturn]] void reject(const std::string& reason) const {
    throw Error(ErrorCode::kDataLoss, file_.string() + ": " + reason);
  }

  const PickleValue* find(std::initializer_list<const char*> keys) const {
    const PickleValue* value = &source_.root();
    for (const char* key : keys)
      if (value != nullptr) value = value->find(key);
    return value;
  }
  std::int64_t integer(std::initializer_list<const char*> keys, std::int64_t otherwise) const {
    const PickleValue* value = find(keys);
    return value != nullptr && value->is(Kind::kInt) ? value->integer : otherwise;
  }

  PortableTensor tensor(const PickleValue& value) {
    PortableTensor tensor{value.tensor->dtype, value.tensor->shape, {}, {}};
    if (contents_ == Contents::kHeaders) return tensor;
    const auto bytes = source_.bytes(*value.tensor);
    tensor.data = *bytes;
    tensor.owner = bytes;
    return tensor;
  }

  void read_spec(const v1::JobSpec* fallback) {
    layout_spec_ = fallback != nullptr ? *fallback : v1::JobSpec();
    const PickleValue* args = find({"hyper_parameters", "args"});
    if (args == nullptr || !args->is_dict()) {
      result_.notes.push_back("it holds no hyper_parameters: its own flags are not known");
      return;
    }
    ImportedFlags flags = from_namespace(*args);
    for (const std::string& flag : flags.unknown) result_.notes.push_back("unknown flag " + flag);
    for (const std::string& flag : flags.wrong) result_.problems.push_back("flag " + flag);
    flags.spec.set_reference_compat(true);
    result_.spec = config::default_spec();
    result_.spec.MergeFrom(flags.spec);
    result_.has_spec = true;
    if (fallback == nullptr) layout_spec_ = result_.spec;
  }

  void read_tensors(const PickleValue& dict, std::string_view prefix, const std::string& what,
                    PortableTensors& tensors) {
    for (std::size_t i = 0; i + 1 < dict.items.size(); i += 2) {
      const std::string name = to_utf8(dict.items[i]->text);
      if (!dict.items[i]->is(Kind::kText) || !dict.items[i + 1]->is(Kind::kTensor)) {
        result_.problems.push_back(what + ": '" + name + "' is no tensor");
      } else if (!name.starts_with(prefix)) {
        result_.problems.push_back(what + ": unknown " + name + " (all names begin with '" +
                                   std::string(prefix) + "')");
      } else {
        tensors.insert_or_assign(name.substr(prefix.size()), tensor(*dict.items[i + 1]));
      }
    }
  }

  void read_weights() {
    const PickleValue* weights = find({"state_dict"});
    if (weights == nullptr || !weights->is_dict())
      reject("it has no state_dict, so it is no checkpoint of Lightning");
    read_tensors(*weights, kPrefix, "state_dict", result_.model);
    const PickleValue* which = find({"mdgen_weights"});
    if (which != nullptr && which->text == weights_name(Weights::kEma)) result_.weights = Weights::kEma;
  }

  void read_ema() {
    const PickleValue* params = find({"ema", "params"});
    if (params == nullptr || !params->is_dict()) return;
    read_tensors(*params, "", "ema.params", result_.ema);
    if (const PickleValue* decay = find({"ema", "decay"}); decay != nullptr && decay->is(Kind::kFloat))
      result_.ema_decay = decay->real;
  }

  // As Lightning's fit loop takes it up: an epoch whose batches are all done is not begun anew.
  void read_position() {
    constexpr const char* kFit = "fit_loop";
    const std::int64_t epoch = integer({"epoch"}, 0);
    result_.optimizer_steps = integer({"global_step"}, 0);
    if (find({"loops", kFit, "epoch_progress", "current"}) == nullptr) {
      result_.epochs_done = epoch + 1;
      return;
    }
    const std::int64_t processed = integer({"loops", kFit, "epoch_progress", "current", "processed"}, epoch);
    const std::int64_t started = integer({"loops", kFit, "epoch_progress", "current", "started"}, processed);
    const PickleValue* last = find({"loops", kFit, "epoch_loop.batch_progress", "is_last_batch"});
    const bool all_batches = last != nullptr && last->integer != 0;
    result_.epochs_done = started > processed && all_batches ? started : processed;
    if (started > processed && !all_batches) {
      result_.epoch_steps = integer({"loops", kFit, "epoch_loop.automatic_optimization.optim_progress",
                                     "optimizer", "step", "current", "completed"},
                                    0);
    }
  }

  const PickleValue* optimizer_state() const {
    const PickleValue* states = find({"optimizer_states"});
    if (states == nullptr || !states->is(Kind::kList) || states->items.empty()) return nullptr;
    return states->items.front()->is_dict() ? states->items.front() : nullptr;
  }

  void read_optimizer(const ModelLayout& layout) {
    const PickleValue* state = optimizer_state();
    if (state == nullptr) return;
    const PickleValue* groups = state->find("param_groups");
    const PickleValue* slots = state->find("state");
    const PickleValue* numbers =
        groups != nullptr && groups->items.size() == 1 ? groups->items[0]->find("params") : nullptr;
    if (numbers == nullptr || slots == nullptr || !slots->is_dict()) {
      result_.problems.push_back("optimizer_states: not the state of one group of parameters");
      return;
    }
    const std::vector<std::string> names = parameter_names(layout);
    if (numbers->items.size() != names.size()) {
      result_.problems.push_back("optimizer_states: " + std::to_string(numbers->items.size()) +
                                 " parameters, the model has " + std::to_string(names.size()));
      return;
    }
    add_scalar("step", result_.optimizer_steps);
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (const PickleValue* slot = slots->find(numbers->items[i]->integer)) read_slot(names[i], *slot);
    }
    read_scaler();
  }

  void read_slot(const std::string& name, const PickleValue& slot) {
    for (const char* moment : {"exp_avg", "exp_avg_sq"}) {
      const PickleValue* value = slot.find(moment);
      if (value == nullptr || !value->is(Kind::kTensor)) {
        result_.problems.push_back("optimizer_states: " + name + " has no " + moment +
                                   "; only Adam's state is read");
        continue;
      }
      result_.optimizer.insert_or_assign(std::string(moment) + "." + name, tensor(*value));
    }
    const std::int64_t count = step_count(slot.find("step"));
    if (count != result_.optimizer_steps && contents_ == Contents::kAll) add_scalar("step." + name, count);
  }

  // A number, or a scalar float tensor as PyTorch keeps it since 1.12.
  std::int64_t step_count(const PickleValue* step) {
    if (step != nullptr && step->is(Kind::kInt)) return step->integer;
    if (step == nullptr || !step->is(Kind::kTensor) || step->tensor->dtype != "F32" ||
        !step->tensor->shape.empty()) {
      result_.problems.push_back("optimizer_states: a step count is no number");
      return 0;
    }
    if (contents_ == Contents::kHeaders) return 0;
    float count = 0;
    std::memcpy(&count, source_.bytes(*step->tensor)->data(), sizeof(count));
    return static_cast<std::int64_t>(count);
  }

  // Of 16-mixed.
  void read_scaler() {
    const PickleValue* scale = find({"MixedPrecisionPlugin", "scale"});
    if (scale == nullptr || !scale->is(Kind::kFloat)) return;
    add("scaler.scale", "F32", static_cast<float>(scale->real));
    add("scaler.growth_tracker", "I64", integer({"MixedPrecisionPlugin", "_growth_tracker"}, 0));
  }

  template <typename T>
  void add(const std::string& name, const char* dtype, T value) {
    auto bytes = std::make_shared<std::vector<std::byte>>(sizeof(value));
    std::memcpy(bytes->data(), &value, sizeof(value));
    result_.optimizer.insert_or_assign(name, PortableTensor{dtype, {}, *bytes, bytes});
  }
  void add_scalar(const std::string& name, std::int64_t value) { add(name, "I64", value); }

  fs::path file_;
  Contents contents_;
  format::TorchFile source_;
  v1::JobSpec layout_spec_;
  Portable result_;
};

}  // namespace

Portable read_lightning(const fs::path& file, Contents contents, const v1::JobSpec* fallback) {
  return Reader(file, contents).run(fallback);
}

}  // namespace mdgen::checkpoint
