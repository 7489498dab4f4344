#include "core/train/optimizer.h"

#include <set>

#include "core/base/error.h"

namespace mdgen::train {
namespace {

constexpr double kBeta1 = 0.9;
constexpr double kBeta2 = 0.999;
constexpr double kEpsilon = 1e-8;
constexpr double kClipEpsilon = 1e-6;

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

Adam::Adam(NamedTensors parameters, Options options) : parameters_(std::move(parameters)), options_(options) {
  for (const auto& [name, parameter] : parameters_) {
    exp_avg_.push_back(at::zeros_like(parameter, at::MemoryFormat::Preserve));
    exp_avg_sq_.push_back(at::zeros_like(parameter, at::MemoryFormat::Preserve));
  }
}

void Adam::step() {
  const torch::NoGradGuard no_grad;
  ++count_;
  std::vector<at::Tensor> parameters, grads, means, squares;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const at::Tensor& parameter = parameters_[i].second;
    if (!parameter.grad().defined()) continue;
    parameters.push_back(parameter);
    grads.push_back(parameter.grad());
    means.push_back(exp_avg_[i]);
    squares.push_back(exp_avg_sq_[i]);
  }
  if (parameters.empty()) return;
  const at::Tensor count = at::full({}, static_cast<double>(count_), parameters[0].options());
  const std::vector<at::Tensor> counts(parameters.size(), count);
  if (options_.decoupled_weight_decay) {
    at::_fused_adamw_(parameters, grads, means, squares, {}, counts, options_.lr, kBeta1, kBeta2,
                      options_.weight_decay, kEpsilon, /*amsgrad=*/false, /*maximize=*/false);
  } else {
    at::_fused_adam_(parameters, grads, means, squares, {}, counts, options_.lr, kBeta1, kBeta2,
                     options_.weight_decay, kEpsilon, /*amsgrad=*/false, /*maximize=*/false);
  }
}

NamedTensors Adam::moments() const {
  NamedTensors result;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    result.emplace_back("exp_avg." + parameters_[i].first, exp_avg_[i]);
    result.emplace_back("exp_avg_sq." + parameters_[i].first, exp_avg_sq_[i]);
  }
  return result;
}

std::map<std::string, at::Tensor> Adam::state() const {
  const NamedTensors named = moments();
  std::map<std::string, at::Tensor> result(named.begin(), named.end());
  result.emplace("step", at::scalar_tensor(count_, at::kLong));
  return result;
}

void Adam::load(const std::map<std::string, at::Tensor>& state) {
  const NamedTensors targets = moments();
  NamedTensors expected = targets;
  expected.emplace_back("step", at::scalar_tensor(0, at::kLong));
  check_names("optimizer state", expected, state);
  copy_all(targets, state);
  count_ = state.at("step").item<std::int64_t>();
}

Ema::Ema(const NamedTensors& weights, double decay) : decay_(decay) {
  for (const auto& [name, tensor] : weights) average_[name] = tensor.detach().clone();
}

void Ema::update(const NamedTensors& weights) {
  const torch::NoGradGuard no_grad;
  for (const auto& [name, tensor] : weights) average_.at(name).lerp_(tensor, 1 - decay_);
}

void Ema::load(const std::map<std::string, at::Tensor>& weights) {
  const NamedTensors targets(average_.begin(), average_.end());
  check_names("average weights", targets, weights);
  copy_all(targets, weights);
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

void load_state_dict(torch::nn::Module& module, const std::map<std::string, at::Tensor>& weights) {
  const NamedTensors targets = state_dict(module);
  check_names("weights", targets, weights);
  copy_all(targets, weights);
}

}  // namespace mdgen::train
