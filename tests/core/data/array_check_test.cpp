#include "core/data/array_check.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <vector>

#include "core/format/npy.h"
#include "tests/support/temp_dir.h"

namespace mdgen::data {
namespace {

constexpr std::int64_t kMiB = 1 << 20;

class ContentProbe : public ::testing::Test {
 protected:
  std::uint64_t probe_of(std::int64_t bytes, std::vector<std::int64_t> touched = {}) {
    std::vector<std::byte> data(static_cast<std::size_t>(bytes));
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i * 7 / 3);
    for (const std::int64_t at : touched) data[static_cast<std::size_t>(at)] ^= std::byte{1};
    const std::vector<std::int64_t> shape = {bytes};
    format::write_npy(folder_ / "a.npy", "|u1", shape, data);
    return content_probe(format::NpyFile(folder_ / "a.npy"));
  }
  testing::TempDir folder_;
};

TEST_F(ContentProbe, SmallFile_IsProbedInFull) {
  std::set<std::uint64_t> probes = {probe_of(60'000)};
  for (const std::int64_t at : {0, 1, 4096, 30'001, 59'999}) probes.insert(probe_of(60'000, {at}));
  EXPECT_EQ(probes.size(), 6U);
  EXPECT_EQ(probe_of(60'000), *probes.find(probe_of(60'000)));
}

TEST_F(ContentProbe, LargeFile_IsProbedAtItsBeginningItsEndAndBetween) {
  const std::uint64_t whole = probe_of(3 * kMiB);
  for (const std::int64_t at : {std::int64_t{0}, kMiB, 2 * kMiB, 3 * kMiB - 1})
    EXPECT_NE(probe_of(3 * kMiB, {at}), whole) << at;
  EXPECT_EQ(probe_of(3 * kMiB, {kMiB / 2}), whole)
      << "between the pieces: what `mdgenctl verify-data` is for";
}

TEST_F(ContentProbe, FileThatEndsAtTheLimit) {
  for (const std::int64_t bytes : {65'407, 65'408, 65'409, 66'000}) EXPECT_NE(probe_of(bytes), 0U);
}

TEST(SameMtime, WholeSecondsStandForAllTheirFractions) {
  EXPECT_TRUE(same_mtime(5'123'456'789, 5'123'456'789));
  EXPECT_TRUE(same_mtime(5'123'456'789, 5'000'000'000));
  EXPECT_TRUE(same_mtime(5'000'000'000, 5'123'456'789));
  EXPECT_FALSE(same_mtime(5'123'456'789, 5'123'456'788));
  EXPECT_FALSE(same_mtime(5'000'000'000, 6'000'000'000));
  EXPECT_FALSE(same_mtime(5'999'999'999, 6'000'000'000));
}

}  // namespace
}  // namespace mdgen::data
