#include <bit>
#include <cstring>
#include <deque>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/checkpoint/flags.h"
#include "core/checkpoint/lightning.h"
#include "core/format/safetensors.h"
#include "core/format/torch_file.h"

namespace mdgen::checkpoint {
namespace {

using format::PickleTree;
using format::PickleValue;
using Kind = PickleValue::Kind;

constexpr const char* kLightningVersion = "2.0.4";  // the reference's: it says how `loops` is laid out

class Writer {
 public:
  explicit Writer(const Portable& portable) : portable_(portable), layout_(model_layout(portable.spec)) {}

  void run(const std::filesystem::path& file, Weights weights) {
    PickleValue& root = tree_.dict();
    const bool is_whole = weights == Weights::kRaw && !portable_.optimizer.empty();
    tree_.put(root, "epoch", tree_.integer(std::max<std::int64_t>(0, epochs_begun() - 1)));
    tree_.put(root, "global_step", tree_.integer(portable_.optimizer_steps));
    tree_.put(root, "pytorch-lightning_version", tree_.text(kLightningVersion));
    tree_.put(
        root, "state_dict",
        tensors(weights == Weights::kEma ? portable_.ema : portable_.model, "model.", Kind::kOrderedDict));
    if (is_whole) {
      tree_.put(root, "loops", loops());
      tree_.put(root, "callbacks", tree_.dict());
      tree_.put(root, "optimizer_states", tree_.sequence(Kind::kList, {&optimizer()}));
      tree_.put(root, "lr_schedulers", tree_.make(Kind::kList));
      if (portable_.optimizer.contains("scaler.scale")) tree_.put(root, "MixedPrecisionPlugin", scaler());
    }
    tree_.put(root, "hparams_name", tree_.text("kwargs"));
    PickleValue& parameters = tree_.dict();
    tree_.put(parameters, "args", to_namespace(tree_, portable_.spec));
    tree_.put(root, "hyper_parameters", parameters);
    if (!portable_.ema.empty()) tree_.put(root, "ema", ema());
    tree_.put(root, "mdgen_weights", tree_.text(weights_name(weights)));
    format::write_torch_file(file, root, storages_);
  }

 private:
  bool in_epoch() const { return portable_.epoch_steps > 0; }
  std::int64_t epochs_begun() const { return portable_.epochs_done + (in_epoch() ? 1 : 0); }

  PickleValue& tensor(const PortableTensor& source) {
    format::PickledTensor view{std::to_string(storages_.size()), source.dtype, 1, 0, source.shape, {}};
    view.strides.resize(view.shape.size());
    for (std::size_t i = view.shape.size(); i-- > 0;) {
      view.strides[i] = view.storage_items;
      view.storage_items *= view.shape[i];
    }
    storages_.push_back({view.storage, source.data});
    return tree_.tensor(std::move(view));
  }

  // In the layout's order; a parameter's further names hold the same values.
  PickleValue& tensors(const PortableTensors& from, const std::string& prefix, Kind kind) {
    PickleValue& dict = tree_.dict(kind);
    for (const LayoutTensor& wanted : layout_) {
      auto found = from.find(wanted.name);
      if (found == from.end() && wanted.role == LayoutTensor::Role::kTied) found = from.find(wanted.tied_to);
      if (found != from.end()) tree_.put(dict, prefix + wanted.name, tensor(found->second));
    }
    return dict;
  }

  PickleValue& ema() {
    PickleValue& ema = tree_.dict(Kind::kOrderedDict);
    tree_.put(ema, "params", tensors(portable_.ema, "", Kind::kDict));
    tree_.put(ema, "decay", tree_.real(portable_.ema_decay.value_or(portable_.spec.optim().ema_decay())));
    return ema;
  }

  PickleValue& count_tensor(std::int64_t count) {
    std::vector<std::byte>& bytes = owned_.emplace_back(sizeof(float));
    const auto value = static_cast<float>(count);
    std::memcpy(bytes.data(), &value, sizeof(value));
    return tensor({"F32", {}, bytes, {}});
  }

  std::int64_t stored_count(const std::string& name, std::int64_t otherwise) const {
    const auto found = portable_.optimizer.find(name);
    if (found == portable_.optimizer.end()) return otherwise;
    std::int64_t count = 0;
    std::memcpy(&count, found->second.data.data(), sizeof(count));
    return count;
  }

  // A parameter that never had a gradient has no state there either.
  PickleValue& optimizer() {
    PickleValue& slots = tree_.dict();
    const std::vector<std::string> names = parameter_names(layout_);
    std::vector<PickleValue*> numbers;
    for (std::size_t i = 0; i < names.size(); ++i) {
      numbers.push_back(&tree_.integer(static_cast<std::int64_t>(i)));
      const auto mean = portable_.optimizer.find("exp_avg." + names[i]);
      const auto square = portable_.optimizer.find("exp_avg_sq." + names[i]);
      if (mean == portable_.optimizer.end() || square == portable_.optimizer.end()) continue;
      PickleValue& slot = tree_.dict();
      tree_.put(slot, "step", count_tensor(stored_count("step." + names[i], portable_.optimizer_steps)));
      tree_.put(slot, "exp_avg", tensor(mean->second));
      tree_.put(slot, "exp_avg_sq", tensor(square->second));
      tree_.put(slots, static_cast<std::int64_t>(i), slot);
    }
    PickleValue& state = tree_.dict();
    tree_.put(state, "state", slots);
    tree_.put(state, "param_groups", tree_.sequence(Kind::kList, {&group(std::move(numbers))}));
    return state;
  }

  PickleValue& group(std::vector<PickleValue*> numbers) {
    const v1::OptimSpec& optim = portable_.spec.optim();
    PickleValue& group = tree_.dict();
    tree_.put(group, "lr", tree_.real(optim.lr()));
    tree_.put(group, "betas", tree_.sequence(Kind::kTuple, {&tree_.real(0.9), &tree_.real(0.999)}));
    tree_.put(group, "eps", tree_.real(1e-8));
    tree_.put(group, "weight_decay", optim.adamw() ? tree_.real(0.01) : tree_.integer(0));
    for (const char* off : {"amsgrad", "maximize", "capturable", "differentiable"})
      tree_.put(group, off, tree_.boolean(false));
    for (const char* unset : {"foreach", "fused"}) tree_.put(group, unset, tree_.none());
    tree_.put(group, "decoupled_weight_decay", tree_.boolean(optim.adamw()));
    tree_.put(group, "params", tree_.sequence(Kind::kList, std::move(numbers)));
    return group;
  }

  PickleValue& scaler() {
    const PortableTensor& stored = portable_.optimizer.at("scaler.scale");
    float scale = 0;
    std::memcpy(&scale, stored.data.data(), sizeof(scale));
    PickleValue& scaler = tree_.dict();
    tree_.put(scaler, "scale", tree_.real(scale));
    tree_.put(scaler, "growth_factor", tree_.real(2));
    tree_.put(scaler, "backoff_factor", tree_.real(0.5));
    tree_.put(scaler, "growth_interval", tree_.integer(2000));
    tree_.put(scaler, "_growth_tracker", tree_.integer(stored_count("scaler.growth_tracker", 0)));
    return scaler;
  }

  // Lightning's counters: {total, current}, each with the same number under the given names.
  PickleValue& progress(std::initializer_list<const char*> names, std::int64_t total, std::int64_t current) {
    const auto counters = [&](std::int64_t number) -> PickleValue& {
      PickleValue& dict = tree_.dict();
      for (const char* name : names) tree_.put(dict, name, tree_.integer(number));
      return dict;
    };
    PickleValue& dict = tree_.dict();
    tree_.put(dict, "total", counters(total));
    tree_.put(dict, "current", counters(current));
    return dict;
  }

  PickleValue& batches(std::int64_t total, std::int64_t current, bool is_last) {
    PickleValue& dict = progress({"ready", "completed", "started", "processed"}, total, current);
    tree_.put(dict, "is_last_batch", tree_.boolean(is_last));
    return dict;
  }

  // After an epoch's end all its counters but `completed` have moved on, as where Lightning's ModelCheckpoint
  // writes.
  PickleValue& epochs() {
    const auto counters = [&]() -> PickleValue& {
      PickleValue& dict = tree_.dict();
      const std::int64_t begun = epochs_begun();
      tree_.put(dict, "ready", tree_.integer(begun));
      tree_.put(dict, "completed", tree_.integer(std::max<std::int64_t>(0, begun - 1)));
      tree_.put(dict, "started", tree_.integer(begun));
      tree_.put(dict, "processed", tree_.integer(portable_.epochs_done));
      return dict;
    };
    PickleValue& dict = tree_.dict();
    tree_.put(dict, "total", counters());
    tree_.put(dict, "current", counters());
    return dict;
  }

  PickleValue& optimizer_progress() {
    const std::int64_t total = portable_.optimizer_steps;
    const std::int64_t current = in_epoch() ? portable_.epoch_steps : 0;
    PickleValue& optimizer = tree_.dict();
    tree_.put(optimizer, "step", progress({"ready", "completed"}, total, current));
    tree_.put(optimizer, "zero_grad", progress({"ready", "completed", "started"}, total, current));
    PickleValue& dict = tree_.dict();
    tree_.put(dict, "optimizer", optimizer);
    return dict;
  }

  PickleValue& fit_loop() {
    const std::int64_t accumulate = std::max(1, portable_.spec.optim().accumulate_grad());
    const std::int64_t batches_done = in_epoch() ? portable_.epoch_steps * accumulate : 0;
    PickleValue& val = tree_.dict();
    PickleValue& loop = tree_.dict();
    PickleValue& stepped = tree_.dict();
    tree_.put(stepped, "_batches_that_stepped", tree_.integer(portable_.optimizer_steps));
    tree_.put(loop, "state_dict", tree_.dict());
    tree_.put(loop, "epoch_loop.state_dict", stepped);
    tree_.put(loop, "epoch_loop.batch_progress",
              batches(portable_.optimizer_steps * accumulate, batches_done, !in_epoch()));
    tree_.put(loop, "epoch_loop.scheduler_progress", progress({"ready", "completed"}, 0, 0));
    tree_.put(loop, "epoch_loop.automatic_optimization.state_dict", tree_.dict());
    tree_.put(loop, "epoch_loop.automatic_optimization.optim_progress", optimizer_progress());
    tree_.put(loop, "epoch_loop.manual_optimization.state_dict", tree_.dict());
    tree_.put(loop, "epoch_loop.manual_optimization.optim_step_progress",
              progress({"ready", "completed"}, 0, 0));
    tree_.put(loop, "epoch_loop.val_loop.state_dict", val);
    tree_.put(loop, "epoch_loop.val_loop.batch_progress", batches(0, 0, false));
    tree_.put(loop, "epoch_progress", epochs());
    return loop;
  }

  PickleValue& idle_loop() {
    PickleValue& loop = tree_.dict();
    tree_.put(loop, "state_dict", tree_.dict());
    tree_.put(loop, "batch_progress", batches(0, 0, false));
    return loop;
  }

  PickleValue& loops() {
    PickleValue& loops = tree_.dict();
    tree_.put(loops, "fit_loop", fit_loop());
    for (const char* name : {"validate_loop", "test_loop"}) tree_.put(loops, name, idle_loop());
    PickleValue& predict = tree_.dict();
    tree_.put(predict, "state_dict", tree_.dict());
    tree_.put(predict, "batch_progress", progress({"ready", "completed", "started", "processed"}, 0, 0));
    tree_.put(loops, "predict_loop", predict);
    return loops;
  }

  const Portable& portable_;
  ModelLayout layout_;
  PickleTree tree_;
  std::vector<format::TorchStorage> storages_;
  std::deque<std::vector<std::byte>> owned_;
};

}  // namespace

void write_lightning(const Portable& portable, const std::filesystem::path& file, Weights weights) {
  if (!portable.has_spec) {
    throw Error(ErrorCode::kInvalidArgument, portable.source + " does not say what it was trained with");
  }
  if (weights == Weights::kEma && portable.ema.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                portable.source + " holds no moving average: it was trained without optim.ema");
  }
  if (weights == Weights::kRaw && portable.weights == Weights::kEma) {
    throw Error(ErrorCode::kInvalidArgument, portable.source + " holds the moving average's weights alone");
  }
  const std::vector<std::string> problems = own_misfits(portable);
  if (!problems.empty()) {
    throw Error(ErrorCode::kDataLoss,
                portable.source + " does not fit its own spec: " + join(problems, "; "));
  }
  Writer(portable).run(file, weights);
}

}  // namespace mdgen::checkpoint
