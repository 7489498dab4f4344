#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "core/format/npy.h"

namespace mdgen::format {
namespace {

TEST(Half, EveryHalfSurvivesTheRoundTrip) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = half_to_float(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(half_to_float(float_to_half(value)))) << bits;
    } else {
      ASSERT_EQ(float_to_half(value), half) << bits;
    }
  }
}

TEST(Half, KnownValues) {
  EXPECT_EQ(half_to_float(0x3c00), 1.0F);
  EXPECT_EQ(half_to_float(0xc000), -2.0F);
  EXPECT_EQ(half_to_float(0x7bff), 65504.0F);
  EXPECT_EQ(half_to_float(0x0001), 0x1p-24F);
  EXPECT_EQ(half_to_float(0xfc00), -std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::signbit(half_to_float(0x8000)));
}

// Between two neighbouring halves: below the middle goes down, above goes up, the middle goes to the even
// one.
TEST(Half, RoundsToNearestEven) {
  for (std::uint16_t half = 0; half < 0x7bff; ++half) {
    const float low = half_to_float(half);
    const float middle = (low + half_to_float(half + 1)) / 2;
    ASSERT_EQ(float_to_half(middle), half % 2 == 0 ? half : half + 1) << half;
    ASSERT_EQ(float_to_half(std::nextafter(middle, 0.0F)), half);
    ASSERT_EQ(float_to_half(std::nextafter(middle, 1e9F)), half + 1);
  }
}

TEST(Half, OverflowsToInfinity) {
  EXPECT_EQ(float_to_half(65519.99F), 0x7bff);
  EXPECT_EQ(float_to_half(65520.0F), 0x7c00);
  EXPECT_EQ(float_to_half(-1e30F), 0xfc00);
  EXPECT_EQ(float_to_half(0x1p-26F), 0);
}

// Bit patterns of every exponent, infinities and NaN among them, in a number that is no multiple of eight.
TEST(Half, ManyAtOnceAreTheSameBits) {
  std::vector<float> values;
  for (std::uint64_t bits = 0; bits < 0x100000000; bits += 9973)
    values.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
  values.resize(values.size() / 8 * 8 + 5, 1.5F);
  std::vector<std::uint16_t> halves(values.size());
  floats_to_halves(values, halves);
  for (std::size_t i = 0; i < values.size(); ++i) ASSERT_EQ(halves[i], float_to_half(values[i])) << values[i];
}

}  // namespace
}  // namespace mdgen::format
