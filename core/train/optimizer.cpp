#include "core/train/optimizer.h"

#include <set>

#include "core/base/error.h"

namespace mdgen::train {
namespace {

constexpr double kBeta1 = 0.9;
constexpr double kBeta2 = 0.999;
constexpr double kEpsilon = 1e-8;
constexpr double kClipEpsilon = 1e-6;
constexpr const char* kMean = "exp_avg.";
constexpr const char* kSquare = "exp_avg_sq.";
constexpr const char* kCount = "step.";

std::vector<at::Tensor> gradients(const NamedTensors& parameters) {
  std::vector<at::Tensor> result;
  for (const auto& [name, parameter] : parameters) {
    if (parameter.grad().defined()) result.push_back(parameter.grad());
  }
  return result;
}

std::string shape_text(const at::Tensor& tensor) {
  std::string text = "(";
  for (const std::int64_t size : tensor.sizes()) text += std::to_string(size) + ", ";
  if (text.size() > 1) text.resize(text.size() - 2);
  return text + ")";
}

// Every name of `expected` must be in `given` with its shape, and no other name.
void check_names(const std::string& what, const NamedTensors& expected,
                 const std::map<std::string, at::Tensor>& given) {
  std::string problems;
  std::set<std::string> known;
  for (const auto& [name, tensor] : expected) {
    known.insert(name);
    const auto found = given.find(name);
    if (found == given.end()) {
      problems += "; missing " + name;
    } else if (found->second.sizes() != tensor.sizes()) {
      problems += "; " + name + " has shape " + shape_text(found->second) + ", not " + shape_text(tensor);
    }
  }
  for (const auto& [name, tensor] : given) {
    if (!known.contains(name)) problems += "; unknown " + name;
  }
  if (!problems.empty()) throw Error(ErrorCode::kInvalidArgument, what + " do not fit" + problems);
}

void copy_all(const NamedTensors& targets, const std::map<std::string, at::Tensor>& sources) {
  const torch::NoGradGuard no_grad;
  for (const auto& [name, target] : targets) at::Tensor(target).copy_(sources.at(name));
}

}  // namespace

at::Tensor gradient_norm(const NamedTensors& parameters) {
  const torch::NoGradGuard no_grad;
  const std::vector<at::Tensor> all = gradients(parameters);
  if (all.empty()) return at::zeros({});
  return at::linalg_vector_norm(at::stack(at::_foreach_norm(all)));
}

void clip_gradients(const NamedTensors& parameters, const at::Tensor& norm, double max_norm) {
  if (max_norm <= 0) return;
  const torch::NoGradGuard no_grad;
  const std::vector<at::Tensor> all = gradients(parameters);
  if (all.empty()) return;
  at::_foreach_mul_(all, at::clamp_max(max_norm / (norm + kClipEpsilon), 1.0));
}

Adam::Adam(NamedTensors parameters, Options options)
    : parameters_(std::move(parameters)), options_(options), slots_(parameters_.size()) {}

Adam::Slot& Adam::slot_of(std::size_t index) {
  Slot& slot = slots_[index];
  if (!slot.exp_avg.defined()) {
    slot.exp_avg = at::zeros_like(parameters_[index].second, at::MemoryFormat::Preserve);
    slot.exp_avg_sq = at::zeros_like(slot.exp_avg);
  }
  return slot;
}

void Adam::step() {
  const torch::NoGradGuard no_grad;
  ++count_;
  std::vector<at::Tensor> parameters, grads, means, squares, counts;
  std::map<std::int64_t, at::Tensor> count_tensors;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const at::Tensor& parameter = parameters_[i].second;
    if (!parameter.grad().defined()) continue;
    Slot& slot = slot_of(i);
    at::Tensor& count = count_tensors[++slot.count];
    if (!count.defined()) {
      count = at::full({}, static_cast<double>(slot.count), parameter.options().dtype(at::kFloat));
    }
    parameters.push_back(parameter);
    grads.push_back(parameter.grad());
    means.push_back(slot.exp_avg);
    squares.push_back(slot.exp_avg_sq);
    counts.push_back(count);
  }
  if (parameters.empty()) return;
  if (options_.decoupled_weight_decay) {
    at::_fused_adamw_(parameters, grads, means, squares, {}, counts, options_.lr, kBeta1, kBeta2,
                      options_.weight_decay, kEpsilon, /*amsgrad=*/false, /*maximize=*/false);
  } else {
    at::_fused_adam_(parameters, grads, means, squares, {}, counts, options_.lr, kBeta1, kBeta2,
                     options_.weight_decay, kEpsilon, /*amsgrad=*/false, /*maximize=*/false);
  }
}

std::map<std::string, at::Tensor> Adam::state() const {
  std::map<std::string, at::Tensor> result;
  result.emplace("step", at::scalar_tensor(count_, at::kLong));
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const auto& [name, parameter] = parameters_[i];
    const Slot& slot = slots_[i];
    if (slot.count == 0) continue;
    result.emplace(kMean + name, slot.exp_avg);
    result.emplace(kSquare + name, slot.exp_avg_sq);
    if (slot.count != count_) result.emplace(kCount + name, at::scalar_tensor(slot.count, at::kLong));
  }
  return result;
}

void Adam::load(const std::map<std::string, at::Tensor>& state) {
  // A parameter of which nothing is said has no state yet; what is said must be whole.
  NamedTensors expected = {{"step", at::scalar_tensor(0, at::kLong)}};
  for (const auto& [name, parameter] : parameters_) {
    if (!state.contains(kMean + name) && !state.contains(kSquare + name) && !state.contains(kCount + name)) {
      continue;
    }
    expected.emplace_back(kMean + name, parameter);
    expected.emplace_back(kSquare + name, parameter);
    if (state.contains(kCount + name)) expected.emplace_back(kCount + name, expected[0].second);
  }
  check_names("optimizer state", expected, state);

  const torch::NoGradGuard no_grad;
  count_ = state.at("step").item<std::int64_t>();
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const std::string& name = parameters_[i].first;
    if (!state.contains(kMean + name)) {
      slots_[i] = {};
      continue;
    }
    Slot& slot = slot_of(i);
    slot.exp_avg.copy_(state.at(kMean + name));
    slot.exp_avg_sq.copy_(state.at(kSquare + name));
    const auto own = state.find(kCount + name);
    slot.count = own == state.end() ? count_ : own->second.item<std::int64_t>();
  }
}

Ema::Ema(const NamedTensors& weights, double decay) : decay_(decay) {
  for (const auto& [name, tensor] : weights) average_[name] = tensor.detach().clone();
}

void Ema::update(const NamedTensors& weights) {
  const torch::NoGradGuard no_grad;
  for (const auto& [name, tensor] : weights) average_.at(name).lerp_(tensor, 1 - decay_);
}

void Ema::load(const std::map<std::string, at::Tensor>& weights) {
  load_tensors("average weights", {average_.begin(), average_.end()}, weights);
}

NamedTensors state_dict(const torch::nn::Module& module) {
  NamedTensors result;
  for (const auto& item : module.named_parameters()) result.emplace_back(item.key(), item.value());
  for (const auto& item : module.named_buffers()) result.emplace_back(item.key(), item.value());
  return result;
}

NamedTensors trainable(const torch::nn::Module& module) {
  NamedTensors result;
  std::set<const at::TensorImpl*> seen;
  for (const auto& item : module.named_parameters()) {
    if (!item.value().requires_grad() || !seen.insert(item.value().unsafeGetTensorImpl()).second) continue;
    result.emplace_back(item.key(), item.value());
  }
  return result;
}

void load_tensors(const std::string& what, const NamedTensors& targets,
                  const std::map<std::string, at::Tensor>& sources) {
  check_names(what, targets, sources);
  copy_all(targets, sources);
}

void load_state_dict(torch::nn::Module& module, const std::map<std::string, at::Tensor>& weights) {
  load_tensors("weights", state_dict(module), weights);
}

}  // namespace mdgen::train
