// A disk that is really full.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/files.h"
#include "core/checkpoint/publisher.h"
#include "tests/support/small_disk.h"

namespace mdgen::checkpoint {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::int64_t kMiB = 1 << 20;
const SystemClock kClock;

class FullDisk : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!disk.there()) GTEST_SKIP() << disk.why_not();
  }
  // `told`: what the writer believes to need.
  void write(std::int64_t step, std::int64_t bytes, std::int64_t told, Policy policy = {.keep_last = 5}) {
    Publisher publisher(checkpoints, policy, kClock);
    Summary summary{step, 0, 0, "spec", "plan"};
    publisher.publish({step, 1}, summary, told, true, [&](const fs::path& folder) {
      const std::string weights(static_cast<std::size_t>(bytes), static_cast<char>('a' + step));
      const std::string_view part = weights;
      const WrittenFile written = write_file_recorded(folder / "model.safetensors", {&part, 1});
      return std::vector<FileRecord>{{"model.safetensors", written.bytes, written.sha256}};
    });
  }
  std::vector<std::int64_t> kept() const {
    std::vector<std::int64_t> result;
    for (const fs::path& folder : list(checkpoints)) result.push_back(verify(folder).summary.step);
    return result;
  }
  std::vector<std::string> hidden() const {
    std::vector<std::string> names = names_in_folder(checkpoints);
    std::erase_if(names, [](const std::string& name) { return !name.starts_with('.'); });
    return names;
  }

  testing::SmallDisk disk{10 * kMiB};
  fs::path checkpoints = disk / "checkpoints";
};

TEST_F(FullDisk, IsSeenBeforeAnythingIsWritten) {
  write(1, 4 * kMiB, 4 * kMiB);
  try {
    write(2, 8 * kMiB, 8 * kMiB);
    FAIL() << "there was no room";
  } catch (const NoSpace& error) {
    EXPECT_THAT(error.what(), HasSubstr("not enough room"));
  }
  EXPECT_THAT(kept(), ElementsAre(1));
  EXPECT_THAT(hidden(), IsEmpty());
}

TEST_F(FullDisk, OlderOnesMakeRoom_TheLastGoodOneStays) {
  for (std::int64_t step = 1; step <= 6; ++step) {
    write(step, 3 * kMiB, 3 * kMiB);
    EXPECT_EQ(kept().front(), step);
  }
  EXPECT_THAT(kept(), ElementsAre(6, 5, 4));
  write(7, 6 * kMiB, 6 * kMiB);
  EXPECT_THAT(kept(), ElementsAre(7, 6)) << "6 was the last good one while 7 was written";
  EXPECT_THROW(write(8, 6 * kMiB, 6 * kMiB), NoSpace);
  EXPECT_THAT(kept(), ElementsAre(7));
}

TEST_F(FullDisk, WhatIsKeptForGoodDoesNotMakeRoom) {
  const Policy policy{.keep_last = 2, .keep_every = 2};
  write(2, 3 * kMiB, 3 * kMiB, policy);
  write(3, 3 * kMiB, 3 * kMiB, policy);
  write(4, 3 * kMiB, 3 * kMiB, policy);
  EXPECT_THROW(write(5, 6 * kMiB, 6 * kMiB, policy), NoSpace);
  EXPECT_THAT(kept(), ElementsAre(4, 2));
}

// As with a quota, which statvfs does not tell.
TEST_F(FullDisk, IsMetInTheMiddle_ThenRoomIsMadeAndItIsTriedAgain) {
  write(1, 3 * kMiB, 0);
  write(2, 3 * kMiB, 0);
  write(3, 6 * kMiB, 0);
  EXPECT_THAT(kept(), ElementsAre(3, 2));
  EXPECT_THROW(write(4, 7 * kMiB, 0), NoSpace);
  EXPECT_THAT(kept(), ElementsAre(3));
  EXPECT_THAT(hidden(), IsEmpty());
}

TEST_F(FullDisk, GoesOnWhenThereIsRoomAgain) {
  write(1, 2 * kMiB, 2 * kMiB);
  write_file_synced(disk / "somebody else's", std::string(7 * kMiB, 'x'));
  EXPECT_THROW(write(2, 2 * kMiB, 2 * kMiB), NoSpace);
  EXPECT_THROW(write(2, 2 * kMiB, 0), NoSpace);
  EXPECT_THAT(kept(), ElementsAre(1));
  fs::remove(disk / "somebody else's");
  write(2, 2 * kMiB, 2 * kMiB);
  EXPECT_THAT(kept(), ElementsAre(2, 1));
}

}  // namespace
}  // namespace mdgen::checkpoint
