#include <bit>

#include "core/base/error.h"
#include "core/format/npy.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define MDGEN_HAS_F16C 1
#endif

namespace mdgen::format {

float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000U) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1fU;
  const std::uint32_t mantissa = half & 0x3ffU;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
  }
  const std::uint32_t biased = exponent == 0x1f ? 0xffU : exponent + (127 - 15);
  return std::bit_cast<float>(sign | biased << 23 | mantissa << 13);
}

std::uint16_t float_to_half(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000U);
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  if (magnitude > 0x7f800000U) return sign | 0x7e00U | static_cast<std::uint16_t>(magnitude >> 13 & 0x3ffU);
  if (magnitude >= 0x477ff000U) return sign | 0x7c00U;  // 65520 and above
  if (magnitude < 0x38800000U) {  // below 2^-14: the sum's last bits are the subnormal half
    const float sum = std::bit_cast<float>(magnitude) + 0.5F;
    return sign | static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(sum) - 0x3f000000U);
  }
  const std::uint32_t odd = magnitude >> 13 & 1U;
  return sign | static_cast<std::uint16_t>((magnitude - 0x38000000U + 0xfffU + odd) >> 13);
}

#ifdef MDGEN_HAS_F16C
namespace {

// Whole groups of eight; returns how many values that were.
__attribute__((target("avx,f16c"))) std::size_t convert_by_eight(std::span<const float> values,
                                                                 std::span<std::uint16_t> halves) {
  constexpr std::size_t kLanes = 8;
  std::size_t done = 0;
  for (; done + kLanes <= values.size(); done += kLanes) {
    const __m128i eight = _mm256_cvtps_ph(_mm256_loadu_ps(&values[done]), _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(&halves[done]), eight);
  }
  return done;
}

}  // namespace
#endif

void floats_to_halves(std::span<const float> values, std::span<std::uint16_t> halves) {
  if (values.size() != halves.size())
    throw Error(ErrorCode::kInternal, "as many halves as floats are expected");
  std::size_t done = 0;
#ifdef MDGEN_HAS_F16C
  static const bool kByEight = __builtin_cpu_supports("avx") && __builtin_cpu_supports("f16c");
  if (kByEight) done = convert_by_eight(values, halves);
#endif
  for (; done < values.size(); ++done) halves[done] = float_to_half(values[done]);
}

}  // namespace mdgen::format
