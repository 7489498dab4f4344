#include "core/train/run_state.h"

#include <map>

#include "core/train/failure.h"
#include "core/train/state_image.h"

namespace mdgen::train {
namespace {

constexpr const char* kScale = "scaler.scale";
constexpr const char* kGrowthTracker = "scaler.growth_tracker";

std::map<std::string, at::Tensor> by_name(const NamedTensors& tensors) {
  std::map<std::string, at::Tensor> named;
  for (const auto& [name, tensor] : tensors) named[name] = tensor.detach();
  return named;
}

void copy_weights(torch::nn::Module& module, const std::map<std::string, at::Tensor>& weights) {
  const torch::NoGradGuard no_grad;
  for (auto& [name, tensor] : state_dict(module)) tensor.detach().copy_(weights.at(name));
}

}  // namespace

RunState::RunState(const v1::JobSpec& resolved, at::Device device)
    : precision_(precision_of(resolved.optim().precision())), model_(model::model_config(resolved)) {
  model_->initialize(resolved.seed());
  model_->to(device);
  if (precision_.optimizer == at::kDouble) model_->to(at::kDouble);
  parameters_ = masters_ = trainable(*model_);
  if (precision_.has_masters()) {
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      masters_[i].second = parameters_[i].second.detach().clone().set_requires_grad(true);
      parameters_[i].second.set_data(masters_[i].second.detach().to(precision_.weights));
    }
  }
  const v1::OptimSpec& optim = resolved.optim();
  adam_.emplace(masters_, Adam::Options{.lr = optim.lr(),
                                        .decoupled_weight_decay = optim.adamw(),
                                        .weight_decay = optim.adamw() ? 0.01 : 0.0});
  if (optim.ema()) ema_.emplace(weights(), optim.ema_decay());
  if (precision_.loss_scaling) scaler_.emplace();
}

NamedTensors RunState::weights() const {
  NamedTensors result = state_dict(*model_);
  if (!precision_.has_masters()) return result;
  std::map<const at::TensorImpl*, at::Tensor> master_of;  // a parameter may lie under several names
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    master_of[parameters_[i].second.unsafeGetTensorImpl()] = masters_[i].second;
  }
  for (auto& [name, tensor] : result) {
    if (const auto found = master_of.find(tensor.unsafeGetTensorImpl()); found != master_of.end()) {
      tensor = found->second;
    }
  }
  return result;
}

void RunState::masters_to_model() {
  if (!precision_.has_masters()) return;
  const torch::NoGradGuard no_grad;
  for (std::size_t i = 0; i < parameters_.size(); ++i) parameters_[i].second.copy_(masters_[i].second);
}

std::vector<at::Tensor> RunState::parameter_list() const {
  std::vector<at::Tensor> tensors;
  tensors.reserve(parameters_.size());
  for (const auto& [name, tensor] : parameters_) tensors.push_back(tensor);
  return tensors;
}

std::int64_t RunState::parameter_count() const {
  std::int64_t count = 0;
  for (const auto& [name, tensor] : parameters_) count += tensor.numel();
  return count;
}

void RunState::apply_gradients(const std::function<void()>& between) {
  for (std::size_t i = 0; precision_.has_masters() && i < parameters_.size(); ++i) {
    masters_[i].second.mutable_grad() = parameters_[i].second.grad();
  }
  adam_->step();
  if (between) between();
  masters_to_model();
  if (ema_) ema_->update(weights());
}

void RunState::drop_gradients() {
  for (NamedTensors* tensors : {&parameters_, &masters_}) {
    for (auto& [name, tensor] : *tensors) tensor.mutable_grad().reset();
  }
}

checkpoint::TrainState RunState::live() const {
  checkpoint::TrainState state;
  state.model = by_name(weights());
  if (ema_) state.ema = ema_->weights();
  state.optimizer = adam_->state();
  if (scaler_) {
    state.optimizer.emplace(kScale, at::scalar_tensor(scaler_->scale(), at::kFloat));
    state.optimizer.emplace(kGrowthTracker, at::scalar_tensor(scaler_->growth_tracker(), at::kLong));
  }
  state.summary.step = progress_.steps;
  state.summary.epoch = progress_.epoch;
  state.summary.samples = progress_.samples;
  return state;
}

void RunState::restore(const checkpoint::TrainState& saved) {
  if (ema_ && saved.ema.empty()) {
    throw RunFailure(ErrorCode::kFailedPrecondition, "CheckpointMismatch",
                     "the checkpoint holds no moving average (ema.safetensors), but optim.ema is on");
  }
  Change change(*this);
  load_tensors("weights", weights(), saved.model);
  masters_to_model();
  std::map<std::string, at::Tensor> optimizer = saved.optimizer;
  const auto scale = optimizer.extract(kScale);
  const auto tracker = optimizer.extract(kGrowthTracker);
  if (scaler_ && scale && tracker) {
    scaler_->restore(scale.mapped().item<float>(), tracker.mapped().item<std::int64_t>());
  }
  if (!optimizer.empty()) adam_->load(optimizer);
  if (ema_) ema_->load(saved.ema);
  progress_ = {saved.summary.step, saved.summary.epoch, saved.summary.samples};
  change.complete();
}

std::string RunState::digest() const { return state_digest(live()); }

RunState::AveragedWeights::AveragedWeights(RunState& state) : state_(state) {
  if (!state_.ema_) return;
  for (const auto& [name, tensor] : state_dict(*state_.model_)) own_[name] = tensor.detach().clone();
  copy_weights(*state_.model_, state_.ema_->weights());
}

RunState::AveragedWeights::~AveragedWeights() {
  if (!own_.empty()) copy_weights(*state_.model_, own_);
}

}  // namespace mdgen::train
