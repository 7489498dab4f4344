// Adam and AdamW (PyTorch's defaults: betas 0.9, 0.999, eps 1e-8, AdamW weight decay 0.01 on every tensor),
// gradient clipping and the exponential moving average, on named tensors. Not thread-safe.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace mdgen::train {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

// 2-norm over all tensors' gradients, as torch.nn.utils.clip_grad_norm_ computes it.
at::Tensor gradient_norm(const NamedTensors& parameters);
// Scales all gradients by min(1, max_norm / (norm + 1e-6)); max_norm 0: nothing.
void clip_gradients(const NamedTensors& parameters, const at::Tensor& norm, double max_norm);

// As torch.optim.Adam treats them, a parameter without gradient is left alone (no weight decay either), and
// each parameter has moments from its first gradient on and a step count of its own for the bias correction.
class Adam {
 public:
  struct Options {
    double lr = 1e-4;
    bool decoupled_weight_decay = false;  // AdamW
    double weight_decay = 0.0;
  };
  Adam(NamedTensors parameters, Options options);

  void step();
  void set_lr(double lr) { options_.lr = lr; }
  std::int64_t count() const { return count_; }  // steps taken

  // "step" (int64 scalar: steps taken) and, for each parameter that has had a gradient, "exp_avg.<name>",
  // "exp_avg_sq.<name>" and, where its count is another than "step", "step.<name>". Loading throws Error
  // listing all missing, unknown or misshapen tensors, and then changes nothing.
  std::map<std::string, at::Tensor> state() const;
  void load(const std::map<std::string, at::Tensor>& state);

 private:
  struct Slot {
    std::int64_t count = 0;
    at::Tensor exp_avg, exp_avg_sq;  // undefined until the first gradient
  };
  Slot& slot_of(std::size_t index);

  NamedTensors parameters_;
  Options options_;
  std::vector<Slot> slots_;  // by parameter
  std::int64_t count_ = 0;
};

// Starts at the given weights; covers parameters and buffers; update() once per optimizer step, after it.
class Ema {
 public:
  Ema(const NamedTensors& weights, double decay);
  void update(const NamedTensors& weights);
  const std::map<std::string, at::Tensor>& weights() const { return average_; }
  void load(const std::map<std::string, at::Tensor>& weights);

 private:
  double decay_;
  std::map<std::string, at::Tensor> average_;
};

// Parameters and buffers of a module under their state_dict names; one that lies under several names comes
// under each.
NamedTensors state_dict(const torch::nn::Module& module);
// The parameters that are learned, each once, under the first of its names.
NamedTensors trainable(const torch::nn::Module& module);
// Copies `sources` into the targets of the same names, casting. Throws Error listing every missing, unknown
// and misshapen name of `what` at once, and then changes nothing.
void load_tensors(const std::string& what, const NamedTensors& targets,
                  const std::map<std::string, at::Tensor>& sources);
// The same for a module's parameters and buffers.
void load_state_dict(torch::nn::Module& module, const std::map<std::string, at::Tensor>& weights);

}  // namespace mdgen::train
