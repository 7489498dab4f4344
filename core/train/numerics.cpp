#include "core/train/numerics.h"

#include <torch/torch.h>

#include "core/base/error.h"

namespace mdgen::train {

void configure_numerics(const std::string& precision, int threads) {
  if (precision != "32-true" && precision != "32") {
    throw Error(ErrorCode::kUnimplemented,
                "optim.precision '" + precision + "' does not work yet; '32-true' does");
  }
  if (threads < 1) {
    throw Error(ErrorCode::kInvalidArgument,
                "the assignment gives " + std::to_string(threads) + " threads; at least 1 is needed");
  }
  at::set_num_threads(threads);
  at::globalContext().setFloat32MatmulPrecision("highest");
  at::globalContext().setAllowTF32CuDNN(false);
  at::globalContext().setDeterministicCuDNN(true);
  at::globalContext().setDeterministicMkldnn(true);
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/true);
  at::globalContext().setDeterministicFillUninitializedMemory(false);
}

}  // namespace mdgen::train
