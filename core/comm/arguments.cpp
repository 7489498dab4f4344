#include "core/comm/arguments.h"

#include <numeric>

#include "core/base/error.h"

namespace mdgen::comm {
namespace {

[[noreturn]] void refuse(const std::string& text) { throw Error(ErrorCode::kInvalidArgument, text); }

void check_splits(const char* which, const at::Tensor& tensor, const Splits& splits, int world_size) {
  const std::int64_t sum = std::accumulate(splits.begin(), splits.end(), std::int64_t{0});
  if (splits.size() == static_cast<std::size_t>(world_size) && sum == tensor.numel() && tensor.dim() == 1 &&
      tensor.is_contiguous()) {
    return;
  }
  refuse(std::string("all_to_all: the ") + which + " has " + std::to_string(tensor.numel()) +
         " elements in " + std::to_string(tensor.dim()) + " dimensions, its " +
         std::to_string(splits.size()) + " splits are " + std::to_string(sum) + "; needed are " +
         std::to_string(world_size) + " splits of a contiguous row");
}

}  // namespace

void check_all_gather_into(const at::Tensor& output, const at::Tensor& input, int world_size) {
  if (output.numel() == input.numel() * world_size && output.scalar_type() == input.scalar_type() &&
      output.is_contiguous() && input.is_contiguous()) {
    return;
  }
  refuse("all_gather_into: " + std::to_string(input.numel()) + " elements from each of " +
         std::to_string(world_size) + " ranks do not make the output's " + std::to_string(output.numel()) +
         ", or they differ in type or are not contiguous");
}

void check_all_to_all(const at::Tensor& output, const Splits& output_splits, const at::Tensor& input,
                      const Splits& input_splits, int world_size) {
  check_splits("output", output, output_splits, world_size);
  check_splits("input", input, input_splits, world_size);
  if (output.scalar_type() != input.scalar_type()) refuse("all_to_all: output and input differ in type");
}

}  // namespace mdgen::comm
