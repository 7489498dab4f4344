// Checks of what is given to a Collective, the same for all backends.
#pragma once

#include "core/comm/collective.h"

namespace mdgen::comm {

// Throws Error(kInvalidArgument) naming what does not fit.
void check_all_gather_into(const at::Tensor& output, const at::Tensor& input, int world_size);
void check_all_to_all(const at::Tensor& output, const Splits& output_splits, const at::Tensor& input,
                      const Splits& input_splits, int world_size);

// Backends that know no booleans move their bytes.
inline at::Tensor as_bytes_if_bool(const at::Tensor& tensor) {
  return tensor.scalar_type() == at::kBool ? tensor.view(at::kByte) : tensor;
}

// An operation that has nothing to do.
class Nothing : public Pending {
 public:
  void wait() override {}
};

}  // namespace mdgen::comm
