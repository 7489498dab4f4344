#include "core/train/auto_precision.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>

namespace mdgen::train {
namespace {

constexpr std::int64_t kRows = 2048;
constexpr std::int64_t kIn = 384;
constexpr std::int64_t kOut = 1536;
constexpr int kRounds = 5;
constexpr double kWorthIt = 0.9;

struct Linear {
  at::Tensor x, weight, gradient;  // float32: (rows, in), (out, in), (rows, out)
};

Linear linear_on(at::Device device) {
  const auto matrix = [&](std::int64_t rows, std::int64_t columns) {
    return at::linspace(-1, 1, rows * columns, at::device(device)).view({rows, columns});
  };
  return {matrix(kRows, kIn), matrix(kOut, kIn), matrix(kRows, kOut)};
}

// Forward and backward as under autocast: x and the gradient come in `type` from their neighbours, the weight
// is cast and its gradient goes back to float32.
double seconds_in(at::ScalarType type, const Linear& layer, const Clock& clock) {
  const at::Tensor x = layer.x.to(type);
  const at::Tensor gradient = layer.gradient.to(type);
  const Clock::Steady begin = clock.steady();
  const at::Tensor weight = layer.weight.to(type);
  at::mm(x, weight.t());
  at::mm(gradient, weight);
  at::mm(gradient.t(), x).to(at::kFloat).select(0, 0).select(0, 0).item<float>();
  return std::chrono::duration<double>(clock.steady() - begin).count();
}

}  // namespace

std::string faster_precision(const LinearSeconds& seconds) {
  return seconds.bfloat16 < kWorthIt * seconds.float32 ? "bf16-mixed" : "32-true";
}

LinearSeconds time_linears(at::Device device, const Clock& clock) {
  const at::NoGradGuard no_grad;
  const Linear layer = linear_on(device);
  LinearSeconds best{seconds_in(at::kFloat, layer, clock), seconds_in(at::kBFloat16, layer, clock)};
  for (int round = 1; round < kRounds; ++round) {
    best.float32 = std::min(best.float32, seconds_in(at::kFloat, layer, clock));
    best.bfloat16 = std::min(best.bfloat16, seconds_in(at::kBFloat16, layer, clock));
  }
  spdlog::info("precision auto: a linear layer takes {:.2f} ms in float32 and {:.2f} ms in bfloat16: {}",
               1e3 * best.float32, 1e3 * best.bfloat16, faster_precision(best));
  return best;
}

}  // namespace mdgen::train
