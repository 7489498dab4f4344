#include "core/format/tensorboard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "core/base/error.h"
#include "core/base/files.h"
#include "mdgen/v1/event.pb.h"
#include "tests/support/temp_dir.h"

namespace mdgen::format {
namespace {

class FixedClock : public Clock {
 public:
  Steady steady() const override { return Steady(); }
  Wall wall() const override { return Wall(std::chrono::seconds(1'700'000'000)); }
};

std::vector<v1::Event> read_events(const std::filesystem::path& file) {
  const std::string bytes = read_file(file);
  std::vector<v1::Event> events;
  for (std::size_t at = 0; at < bytes.size();) {
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data() + at, sizeof(length));
    EXPECT_TRUE(events.emplace_back().ParseFromArray(bytes.data() + at + 12, static_cast<int>(length)));
    at += 12 + length + 4;
  }
  return events;
}

// RFC 3720, B.4: test vectors of CRC-32C.
TEST(Crc32c, KnownAnswers) {
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aaU);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43U);
  EXPECT_EQ(crc32c("123456789"), 0xe3069283U);
  EXPECT_EQ(crc32c(""), 0U);
}

TEST(EventWriter, WritesTheVersionAndThePoints) {
  testing::TempDir dir;
  const FixedClock clock;
  EventWriter writer(dir / "new" / "tensorboard", clock);
  writer.scalar("loss", 7, 0.0, clock.wall() + std::chrono::milliseconds(500));
  writer.flush();
  EXPECT_THAT(writer.file().filename().string(), ::testing::StartsWith("events.out.tfevents.1700000000."));
  const std::vector<v1::Event> events = read_events(writer.file());
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].file_version(), "brain.Event:2");
  EXPECT_EQ(events[1].step(), 7);
  EXPECT_EQ(events[1].wall_time(), 1'700'000'000.5);
  EXPECT_EQ(events[1].summary().value(0).tag(), "loss");
  EXPECT_TRUE(events[1].summary().value(0).has_simple_value()) << "a zero must be there";
}

TEST(EventWriter, TwoWritersInAFolder_DoNotMeet) {
  testing::TempDir dir;
  const EventWriter one(dir.path());
  const EventWriter two(dir.path());
  EXPECT_NE(one.file(), two.file());
}

TEST(EventWriter, ALaterFile_ComesAfterThoseThatAreThere) {
  testing::TempDir dir;
  const FixedClock clock;
  const EventWriter one(dir.path(), clock);
  EventWriter two(dir.path(), clock);
  EXPECT_LT(one.file().filename().string(), two.file().filename().string()) << "in the same second";
  EXPECT_THAT(two.file().filename().string(), ::testing::StartsWith("events.out.tfevents.1700000001."));
  two.go_on(12, clock.wall());
  two.flush();
  const std::vector<v1::Event> events = read_events(two.file());
  EXPECT_EQ(events.back().step(), 12);
  EXPECT_EQ(events.back().session_log().status(), v1::SessionLog::START);
}

TEST(EventWriter, AFolderThatCannotBe_IsNamed) {
  testing::TempDir dir;
  write_file_synced(dir / "file", "");
  try {
    const EventWriter writer(dir / "file");
    FAIL() << "wrote below a file";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
    EXPECT_THAT(error.what(), ::testing::HasSubstr((dir / "file").string()));
  }
}

}  // namespace
}  // namespace mdgen::format
