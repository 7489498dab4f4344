#include "core/train/numerics.h"

#include <ATen/autocast_mode.h>

#include "core/base/error.h"

namespace mdgen::train {

Precision precision_of(const std::string& name) {
  if (name == "32-true" || name == "32" || name == "auto") return {};
  if (name == "64-true" || name == "64") {
    return {.data = at::kDouble, .weights = at::kDouble, .optimizer = at::kDouble};
  }
  if (name == "bf16-mixed" || name == "bf16") return {.autocast = at::kBFloat16};
  if (name == "16-mixed" || name == "16") return {.autocast = at::kHalf, .loss_scaling = true};
  if (name == "bf16-true") return {.weights = at::kBFloat16};
  throw Error(
      ErrorCode::kInvalidArgument,
      "optim.precision '" + name + "' is none of 32-true, 64-true, bf16-mixed, 16-mixed, bf16-true, auto");
}

data::Batch in_precision(data::Batch batch, const Precision& precision) {
  for (at::Tensor* tensor :
       {&batch.trans, &batch.rots, &batch.torsions, &batch.torsion_mask, &batch.mask, &batch.flow_time,
        &batch.noise, &batch.atom37, &batch.atom37_mask, &batch.simplex}) {
    if (tensor->defined()) *tensor = tensor->to(precision.data);
  }
  return batch;
}

Autocast::Autocast(const Precision& precision, at::Device device)
    : active_(precision.autocast.has_value()), device_(device.type()) {
  if (!active_) return;
  enabled_before_ = at::autocast::is_autocast_enabled(device_);
  type_before_ = at::autocast::get_autocast_dtype(device_);
  at::autocast::set_autocast_enabled(device_, true);
  at::autocast::set_autocast_dtype(device_, *precision.autocast);
  at::autocast::increment_nesting();
}

Autocast::~Autocast() {
  if (!active_) return;
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(device_, enabled_before_);
  at::autocast::set_autocast_dtype(device_, type_before_);
}

void configure_numerics(const std::string& precision, int threads) {
  precision_of(precision);
  if (threads < 1) {
    throw Error(ErrorCode::kInvalidArgument,
                "the assignment gives " + std::to_string(threads) + " threads; at least 1 is needed");
  }
  at::set_num_threads(threads);
  at::globalContext().setFloat32MatmulPrecision("highest");
  at::globalContext().setAllowFP16ReductionCuBLAS(false);
  at::globalContext().setAllowBF16ReductionCuBLAS(false);
  at::globalContext().setAllowTF32CuDNN(false);
  at::globalContext().setDeterministicCuDNN(true);
  at::globalContext().setDeterministicMkldnn(true);
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/true);
  at::globalContext().setDeterministicFillUninitializedMemory(false);
}

}  // namespace mdgen::train
