#include "core/data/coordinate_check.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "core/format/npy.h"

namespace mdgen::data {
namespace {

constexpr std::size_t kResidues = 37;
constexpr std::size_t kValues = 14 * 3;

class CoordinateCheckTest : public ::testing::TestWithParam<bool> {
 protected:
  CoordinateCheckTest() : values_(kResidues * kValues) {
    for (std::size_t i = 0; i < values_.size(); ++i) values_[i] = static_cast<float>(i % 61) - 30.5F;
  }
  float& at(std::size_t residue, std::size_t atom, std::size_t axis) {
    return values_[residue * kValues + atom * 3 + axis];
  }
  void set(std::size_t residue, std::size_t atom, float x, float y, float z) {
    at(residue, atom, 0) = x;
    at(residue, atom, 1) = y;
    at(residue, atom, 2) = z;
  }
  std::optional<RowFault> fault() const {
    if (!GetParam()) return row_fault(std::as_bytes(std::span(values_)), sizeof(float));
    std::vector<std::uint16_t> halves;
    for (const float value : values_) halves.push_back(format::float_to_half(value));
    return row_fault(std::as_bytes(std::span(halves)), sizeof(std::uint16_t));
  }
  void expect(std::int64_t residue, CoordinateFault kind) const {
    const auto found = fault();
    ASSERT_TRUE(found);
    EXPECT_EQ(found->residue, residue);
    EXPECT_EQ(found->fault, kind);
  }
  std::vector<float> values_;
};
INSTANTIATE_TEST_SUITE_P(Half, CoordinateCheckTest, ::testing::Bool());

TEST_P(CoordinateCheckTest, GoodRow_HasNone) {
  EXPECT_FALSE(fault());
  for (std::size_t atom = 3; atom < 14; ++atom) set(5, atom, 0, 0, 0);  // side chains may be absent
  at(6, 1, 0) = at(6, 1, 2) = 0;                                        // on an axis
  at(7, 0, 1) = GetParam() ? 65504.0F : std::numeric_limits<float>::max();
  at(7, 0, 2) = GetParam() ? 0x1.0p-24F : std::numeric_limits<float>::denorm_min();
  EXPECT_FALSE(fault());
}

TEST_P(CoordinateCheckTest, AnyValueThatIsNotFinite) {
  const float inf = std::numeric_limits<float>::infinity();
  for (const float bad : {inf, -inf, std::nanf("")}) {
    for (std::size_t i = 0; i < values_.size(); ++i) {
      const float good = values_[i];
      values_[i] = bad;
      expect(static_cast<std::int64_t>(i / kValues), CoordinateFault::kNotFinite);
      values_[i] = good;
    }
  }
}

TEST_P(CoordinateCheckTest, AbsentBackbone_OfEitherSign) {
  for (const float zero : {0.0F, -0.0F}) {
    for (const std::size_t atom : {0U, 1U, 2U}) {
      const std::vector<float> good = values_;
      set(20, atom, zero, 0, zero);
      expect(20, CoordinateFault::kNoBackbone);
      values_ = good;
    }
  }
}

TEST_P(CoordinateCheckTest, AtomAtTheOrigin_IsThere) {
  set(9, 0, 0, 0, 0);
  set(9, 1, 1.4F, 0.2F, 0);
  EXPECT_FALSE(fault());
  set(9, 1, 3.5F, 0, 0);  // too far for a bond
  expect(9, CoordinateFault::kNoBackbone);
}

TEST_P(CoordinateCheckTest, FirstOfSeveral) {
  set(30, 1, 0, 0, 0);
  at(31, 0, 0) = std::nanf("");
  expect(30, CoordinateFault::kNoBackbone);
  at(12, 13, 2) = std::nanf("");
  expect(12, CoordinateFault::kNotFinite);
}

}  // namespace
}  // namespace mdgen::data
