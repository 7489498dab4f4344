#include "core/data/device_noise.h"

#include <array>
#include <cstdint>
#include <numbers>

#include "core/base/philox.h"
#include "core/data/draws.h"

namespace mdgen::data {
namespace {

constexpr std::int64_t kLow = 0xFFFFFFFF;

using Words = std::array<at::Tensor, 4>;  // 32 bits each, in int64; broadcast against each other

// philox4x32 of base/philox.h. A product's upper half survives the signed overflow of int64.
Words encrypt(PhiloxKey key, Words w) {
  for (int round = 0; round < 10; ++round) {
    const at::Tensor product0 = w[0] * std::int64_t{0xD2511F53};
    const at::Tensor product1 = w[2] * std::int64_t{0xCD9E8D57};
    const auto high = [](const at::Tensor& product) { return at::bitwise_right_shift(product, 32) & kLow; };
    w = {high(product1) ^ w[1] ^ std::int64_t{key[0]}, product1 & kLow,
         high(product0) ^ w[3] ^ std::int64_t{key[1]}, product0 & kLow};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return w;
}

// As normal_kernel.h: the cosine's and the sine's normal.
std::array<at::Tensor, 2> box_muller(const at::Tensor& radius_words, const at::Tensor& angle_words) {
  const at::Tensor u = radius_words.to(at::kFloat).mul_(0x1.0p-32).add_(0x1.0p-33);
  const at::Tensor radius = u.log_().mul_(-2).sqrt_();
  const at::Tensor angle = at::bitwise_right_shift(angle_words, 8)
                               .to(at::kFloat)
                               .mul_(0x1.0p-24)
                               .mul_(2.0F * std::numbers::pi_v<float>);
  return {angle.cos().mul_(radius), angle.sin().mul_(radius)};
}

}  // namespace

at::Tensor device_noise(std::uint64_t seed, const at::Tensor& epochs, const at::Tensor& samples,
                        const at::Tensor& first_residues, std::int64_t frames, std::int64_t residues,
                        std::int64_t channels) {
  const auto options = first_residues.options();
  const auto range = [&](std::int64_t count) { return at::arange(count, options); };
  const auto of_sample = [](const at::Tensor& values) { return values.view({-1, 1, 1, 1}); };
  const std::int64_t groups = (channels + 3) / 4;
  const at::Tensor residue = of_sample(first_residues) + range(residues).view({-1, 1});
  const Words words = encrypt(
      philox_key(seed), {of_sample(epochs), of_sample(samples),
                         (range(frames) + (std::int64_t{static_cast<std::uint32_t>(DrawKind::kNoise)} << 24))
                             .view({1, -1, 1, 1}),
                         at::bitwise_left_shift(residue, 12) + range(groups)});
  const auto [a, b] = box_muller(words[0], words[1]);
  const auto [c, d] = box_muller(words[2], words[3]);
  return at::stack({a, b, c, d}, -1).flatten(-2).narrow(-1, 0, channels).contiguous();
}

}  // namespace mdgen::data
