#include "core/sample/program/array_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/format/npy.h"
#include "tests/support/temp_dir.h"

namespace mdgen::sample {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kFrames = 7;
constexpr std::int64_t kFrame = 2 * 14 * 3;

std::vector<float> values() {
  std::vector<float> all(kFrames * kFrame);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = 1 + static_cast<float>(i);
  return all;
}

void write(const std::filesystem::path& file, std::vector<std::int64_t> shape,
           const std::vector<float>& all) {
  format::write_npy(file, "<f4", shape, std::as_bytes(std::span(all)));
}

std::string error_of(const std::filesystem::path& file, std::int32_t residues) {
  try {
    ArrayFile(file, residues).read(0, 1);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(ArrayFile, ReadsFramesAndStrides) {
  testing::TempDir dir;
  write(dir / "a.npy", {kFrames, 2, 14, 3}, values());
  const ArrayFile array(dir / "a.npy", 2);
  EXPECT_EQ(array.frames(), kFrames);
  const std::vector<float> all = values();
  EXPECT_EQ(array.read(2, 3), std::vector<float>(all.begin() + 2 * kFrame, all.begin() + 5 * kFrame));
  const std::vector<float> every_third = array.read(0, 3, 3);
  ASSERT_EQ(every_third.size(), 3U * kFrame);
  EXPECT_EQ(every_third[kFrame], all[3 * kFrame]);
  EXPECT_EQ(every_third.back(), all.back());
}

TEST(ArrayFile, WhatIsWrongIsNamed) {
  testing::TempDir dir;
  EXPECT_THAT(error_of(dir / "no.npy", 2), HasSubstr("no.npy: no such file"));
  write(dir / "a.npy", {kFrames, 2, 14, 3}, values());
  EXPECT_THAT(error_of(dir / "a.npy", 3), HasSubstr("a.npy: 2 residues, the split's sequence has 3"));
  write(dir / "flat.npy", {kFrames, 2, 42}, values());
  EXPECT_THAT(error_of(dir / "flat.npy", 2), HasSubstr("[frames, residues, 14, 3]"));
  std::vector<float> broken = values();
  broken[kFrame + 1] = std::numeric_limits<float>::infinity();
  write(dir / "inf.npy", {kFrames, 2, 14, 3}, broken);
  EXPECT_THROW(ArrayFile(dir / "inf.npy", 2).read(1, 1), Error);
  EXPECT_NO_THROW(ArrayFile(dir / "inf.npy", 2).read(0, 1));
}

}  // namespace
}  // namespace mdgen::sample
