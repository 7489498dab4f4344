// The number formats of a run, and process-wide settings of LibTorch that make its bits a function of its
// inputs.
#pragma once

#include <torch/torch.h>

#include <optional>
#include <string>

#include "core/data/batch.h"

namespace mdgen::train {

// What is computed in which type; see the table in docs/training.md.
struct Precision {
  at::ScalarType data = at::kFloat;       // batch, frames, noise, losses
  at::ScalarType weights = at::kFloat;    // the model's parameters, as forward and backward see them
  at::ScalarType optimizer = at::kFloat;  // master weights, gradients, moments, moving average, checkpoints
  std::optional<at::ScalarType> autocast{};  // of matrix products in forward
  bool loss_scaling = false;

  bool has_masters() const { return weights != optimizer; }
};

// Of optim.precision: "32-true", "64-true", "16-mixed", "bf16-mixed", "bf16-true" and the short "32", "64",
// "16" (16-mixed), "bf16" (bf16-mixed). "auto" is 32-true until it is decided (auto_precision.h). Throws
// Error(kInvalidArgument) naming any other.
Precision precision_of(const std::string& name);

// `batch` with its real-valued tensors in precision.data: random draws are made in float32 and cast.
data::Batch in_precision(data::Batch batch, const Precision& precision);

// While it lives, what this thread computes on `device` is autocast as `precision` says; without autocast it
// does nothing. Casts of weights are kept until it ends. Not for backward passes.
class Autocast {
 public:
  Autocast(const Precision& precision, at::Device device);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  bool active_;
  at::DeviceType device_;
  bool enabled_before_ = false;
  at::ScalarType type_before_ = at::kFloat;
};

// Fixes the intra-op threads of the calling thread, chooses deterministic kernels, and switches every reduced
// precision off that `precision` does not ask for: no TF32, no bfloat16 inside float32 products, no float16
// accumulation. Throws Error for an unknown precision and for less than one thread.
void configure_numerics(const std::string& precision, int threads);

}  // namespace mdgen::train
