#include "core/model/initialization.h"

#include <array>
#include <cmath>
#include <numbers>
#include <optional>
#include <string>

#include "core/base/digest.h"
#include "core/base/philox.h"
#include "core/model/hyena.h"

namespace mdgen::model {
namespace {

constexpr double kSoftplusInverseOfOne = 0.541324854612918;
constexpr double kTimestepDeviation = 0.02;
constexpr std::uint32_t kInitKind = 5;

using Values = std::array<float, 4>;

double open_uniform(std::uint32_t word) { return (word + 0.5) * 0x1.0p-32; }

Values uniform_values(const PhiloxCounter& words, double bound) {
  Values values;
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(bound * (2 * open_uniform(words[i]) - 1));
  }
  return values;
}

Values normal_values(const PhiloxCounter& words, double deviation) {
  Values values;
  for (std::size_t i = 0; i < values.size(); i += 2) {
    const double radius = deviation * std::sqrt(-2 * std::log(open_uniform(words[i])));
    const double angle = 2 * std::numbers::pi * open_uniform(words[i + 1]);
    values[i] = static_cast<float>(radius * std::cos(angle));
    values[i + 1] = static_cast<float>(radius * std::sin(angle));
  }
  return values;
}

bool is_zero_weight(std::string_view name) {
  return name.ends_with("ipa.linear_out.weight") || name.starts_with("emb_to_latent.") ||
         (name.starts_with("layers.") && name.ends_with("adaLN_modulation.1.weight"));
}

// What the reference's pass over linear layers does not reach, as PyTorch and Hyena begin it.
std::optional<Initialization> hyena_initialization(std::string_view name) {
  if (name.find(".short_filter.") != std::string_view::npos) {
    return Initialization{Distribution::kUniform, 1 / std::sqrt(static_cast<double>(kShortFilterTaps))};
  }
  if (name.ends_with(".filter_fn.bias")) return Initialization{Distribution::kNormal, 1};
  if (name.ends_with(".freq")) return Initialization{Distribution::kConstant, 1};
  if (name.ends_with(".pos_emb.z")) return Initialization{Distribution::kFilterPositions, 0};
  return std::nullopt;
}

double xavier_variance(at::IntArrayRef shape) {
  // As PyTorch counts fans: dimensions after the second are a receptive field.
  std::int64_t field = 1;
  for (std::size_t i = 2; i < shape.size(); ++i) field *= shape[i];
  return 2.0 / static_cast<double>((shape[0] + shape[1]) * field);
}

}  // namespace

Initialization initialization_of(std::string_view name, at::IntArrayRef shape) {
  if (const auto hyena = hyena_initialization(name)) return *hyena;
  if (name.ends_with(".head_weights")) return {Distribution::kConstant, kSoftplusInverseOfOne};
  if (name.ends_with("_norm.weight")) return {Distribution::kConstant, 1};
  if (name.ends_with(".bias") || is_zero_weight(name)) return {Distribution::kConstant, 0};
  if (name.ends_with(".bias_k") || name.ends_with(".bias_v")) {
    return {Distribution::kNormal, std::sqrt(xavier_variance(shape))};
  }
  if (name == "mask_to_emb.weight" || name == "aatype_to_emb.weight") return {Distribution::kNormal, 1};
  if (name.starts_with("t_embedder.")) return {Distribution::kNormal, kTimestepDeviation};
  return {Distribution::kUniform, std::sqrt(3 * xavier_variance(shape))};
}

void initialize(at::Tensor tensor, const Initialization& how, std::uint64_t seed, std::string_view name) {
  const torch::NoGradGuard no_grad;
  if (how.distribution == Distribution::kConstant) {
    tensor.fill_(how.parameter);
    return;
  }
  if (how.distribution == Distribution::kFilterPositions) {
    tensor.copy_(filter_positions(tensor.size(1)));
    return;
  }
  const std::uint64_t stream = std::stoull(sha256_hex(name).substr(0, 16), nullptr, 16);
  const at::Tensor values = at::empty(tensor.sizes(), at::kFloat);
  float* out = values.data_ptr<float>();
  const auto count = static_cast<std::uint64_t>(values.numel());
  for (std::uint64_t first = 0; first < count; first += 4) {
    const std::uint64_t block = first / 4;
    const PhiloxCounter words = philox4x32(
        {static_cast<std::uint32_t>(stream), static_cast<std::uint32_t>(stream >> 32),
         kInitKind << 24 | static_cast<std::uint32_t>(block >> 32), static_cast<std::uint32_t>(block)},
        philox_key(seed));
    const Values four = how.distribution == Distribution::kUniform ? uniform_values(words, how.parameter)
                                                                   : normal_values(words, how.parameter);
    for (std::uint64_t i = 0; i < 4 && first + i < count; ++i) out[first + i] = four[i];
  }
  tensor.copy_(values);
}

}  // namespace mdgen::model
