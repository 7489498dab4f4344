#include "core/train/gemm_ceiling.h"

#include <algorithm>

namespace mdgen::train {
namespace {

constexpr double kLongProduct = 0.005;  // seconds: a larger one would not be faster

double seconds_of_product(const at::Tensor& matrix, const Clock& clock) {
  const Clock::Steady begin = clock.steady();
  at::mm(matrix, matrix).select(0, 0).select(0, 0).item<float>();
  return std::chrono::duration<double>(clock.steady() - begin).count();
}

}  // namespace

at::ScalarType product_type(const Precision& precision) {
  return precision.autocast.value_or(precision.weights);
}

double gemm_ceiling(at::ScalarType type, at::Device device, std::chrono::nanoseconds budget,
                    const Clock& clock) {
  const at::NoGradGuard no_grad;
  const std::int64_t largest = device.is_cpu() ? 1024 : 8192;
  std::int64_t size = device.is_cpu() ? 256 : 2048;
  const auto matrix = [&] {
    return at::linspace(-1, 1, size * size, at::device(device)).view({size, size}).to(type);
  };
  const Clock::Steady end = clock.steady() + budget;
  at::Tensor factors = matrix();
  seconds_of_product(factors, clock);  // the first one makes ready
  double best = 0;
  do {
    const double seconds = seconds_of_product(factors, clock);
    const double edge = static_cast<double>(size);
    if (seconds > 0) best = std::max(best, 2 * edge * edge * edge / seconds);
    if (seconds < kLongProduct && size < largest) {
      size *= 2;
      factors = matrix();
    }
  } while (clock.steady() < end);
  return best;
}

}  // namespace mdgen::train
