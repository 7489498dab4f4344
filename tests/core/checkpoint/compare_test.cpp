#include "core/checkpoint/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "core/checkpoint/lightning.h"
#include "portable_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace mdgen::checkpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

PortableTensor floats(std::vector<float> values) {
  const auto held = std::make_shared<std::vector<float>>(std::move(values));
  return {"F32", {static_cast<std::int64_t>(held->size())}, std::as_bytes(std::span(*held)), held};
}
PortableTensor words(const std::string& dtype, std::vector<std::uint16_t> values) {
  const auto held = std::make_shared<std::vector<std::uint16_t>>(std::move(values));
  return {dtype, {static_cast<std::int64_t>(held->size())}, std::as_bytes(std::span(*held)), held};
}

Comparison compared(PortableTensor a, PortableTensor b) {
  Portable first;
  Portable second;
  first.model["x"] = std::move(a);
  second.model["x"] = std::move(b);
  return compare(first, second);
}

TEST(Compare, ACheckpointEqualsItself) {
  const Portable one = testing::portable_of(testing::small_spec());
  const Comparison found = compare(one, one);
  EXPECT_TRUE(found.equal());
  EXPECT_EQ(found.tensors,
            static_cast<std::int64_t>(one.model.size() + one.ema.size() + one.optimizer.size()));
}

TEST(Compare, TellsHowFarValuesLieApart) {
  const Comparison found = compared(floats({1, 2, -4, 0}), floats({1, 2.5F, -5, 0}));
  ASSERT_EQ(found.differences.size(), 1U);
  EXPECT_EQ(found.differences[0].differing, 2);
  EXPECT_EQ(found.differences[0].elements, 4);
  EXPECT_DOUBLE_EQ(found.differences[0].max_absolute, 1);
  EXPECT_DOUBLE_EQ(found.differences[0].max_relative, 0.2);
}

TEST(Compare, NotANumberEqualsItselfAlone) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(compared(floats({nan}), floats({-nan})).equal());
  EXPECT_EQ(compared(floats({nan}), floats({1})).differences[0].max_absolute,
            std::numeric_limits<double>::infinity());
}

TEST(Compare, SmallTypes) {
  EXPECT_DOUBLE_EQ(compared(words("BF16", {0x3F80}), words("BF16", {0x4000})).differences[0].max_absolute, 1);
  EXPECT_DOUBLE_EQ(compared(words("F16", {0x3C00}), words("F16", {0x4000})).differences[0].max_absolute, 1);
  EXPECT_DOUBLE_EQ(compared(words("I16", {7}), words("I16", {4})).differences[0].max_absolute, 3);
}

TEST(Compare, OtherKindsAndMissingOnes) {
  EXPECT_EQ(compared(floats({1, 2}), floats({1})).differences[0].problem, "F32 (2), F32 (1)");
  Portable first;
  Portable second;
  first.optimizer["step"] = testing::count(1);
  second.ema["x"] = floats({1});
  const Comparison found = compare(first, second);
  ASSERT_EQ(found.differences.size(), 2U);
  EXPECT_EQ(found.differences[0].set + " " + found.differences[0].problem,
            "moving average only in the second");
  EXPECT_EQ(found.differences[1].set + " " + found.differences[1].problem, "optimizer only in the first");
}

TEST(Compare, FieldsOfTheSpec) {
  Portable first = testing::portable_of(testing::small_spec());
  Portable second = first;
  second.spec.mutable_optim()->set_lr(0.5);
  first.spec.mutable_optim()->set_lr(0.25);
  EXPECT_THAT(compare(first, second).spec, ElementsAre("optim.lr: 0.25, 0.5"));
  EXPECT_THAT(compare(first, second).differences, IsEmpty());
}

TEST(Compare, OursWithTheLightningFileMadeOfIt) {
  testing::TempDir folder;
  const Portable ours = testing::portable_of(testing::small_spec());
  write_lightning(ours, folder / "a.ckpt", Weights::kRaw);
  const Comparison found = compare(ours, read_portable(folder / "a.ckpt", Contents::kAll));
  EXPECT_THAT(found.differences, IsEmpty());
}

}  // namespace
}  // namespace mdgen::checkpoint
