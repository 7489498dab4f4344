#include "core/format/npy_writer.h"

#include <gtest/gtest.h>

#include <optional>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/format/npy.h"
#include "tests/support/temp_dir.h"

namespace mdgen::format {
namespace {

constexpr std::array<std::int64_t, 2> kShape = {2, 3};
const std::vector<std::byte> kRow(6, std::byte{1});

TEST(NpyWriter, NobodySeesTheFileBeforeItIsPublished) {
  testing::TempDir dir;
  NpyWriter writer(dir / "a.npy", "<f2", kShape);
  writer.append(kRow);
  EXPECT_THROW(writer.finish(), Error);
  writer.append(kRow);
  EXPECT_THROW(writer.append(kRow), Error);
  writer.finish();
  EXPECT_FALSE(std::filesystem::exists(dir / "a.npy"));
  writer.publish();
  EXPECT_EQ(NpyArray(dir / "a.npy").header().shape, std::vector<std::int64_t>({2, 3}));
  EXPECT_FALSE(std::filesystem::exists(dir / "a.npy.partial"));
}

TEST(NpyWriter, TellsTheDigestOfTheWholeFile) {
  testing::TempDir dir;
  NpyWriter writer(dir / "a.npy", "<f2", kShape);
  writer.append(kRow);
  writer.append(kRow);
  writer.finish();
  writer.publish();
  EXPECT_EQ(writer.sha256(), sha256_file(dir / "a.npy"));
}

TEST(NpyWriter, WhatIsNotPublishedDisappears) {
  testing::TempDir dir;
  {
    NpyWriter writer(dir / "a.npy", "<f2", kShape);
    writer.append(kRow);
    NpyWriter moved = std::move(writer);
    EXPECT_TRUE(std::filesystem::exists(dir / "a.npy.partial"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST(NpyWriter, OverwritesWhatAKilledProcessLeft) {
  testing::TempDir dir;
  replace_file(dir / "a.npy.partial", std::string(1000, 'x'));
  NpyWriter writer(dir / "a.npy", "<f2", kShape);
  writer.append(kRow);
  writer.append(kRow);
  writer.finish();
  writer.publish();
  EXPECT_EQ(NpyArray(dir / "a.npy").header().item_size, 2U);
}

TEST(NpyWriter, TwoWritersOfOneFileAreRefused) {
  testing::TempDir dir;
  NpyWriter first(dir / "a.npy", "<f2", kShape);
  EXPECT_THROW(NpyWriter(dir / "a.npy", "<f2", kShape), Error);
  EXPECT_TRUE(std::filesystem::exists(dir / "a.npy.partial"));
}

}  // namespace
}  // namespace mdgen::format
