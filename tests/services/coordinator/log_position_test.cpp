// Where StreamLogs starts: `since` and `tail_bytes`.
#include "services/coordinator/log_position.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "core/base/error.h"
#include "services/coordinator/log_cursor.h"
#include "services/coordinator/run_folder.h"
#include "services/coordinator/timestamps.h"
#include "tests/support/temp_dir.h"

namespace mdgen::coordinator {
namespace {

using namespace std::chrono_literals;

Clock::Wall at(std::chrono::seconds seconds) { return Clock::Wall(1'800'000'000s + seconds); }

std::string stamp(std::chrono::seconds seconds) {
  const auto days = std::chrono::floor<std::chrono::days>(at(seconds));
  const std::chrono::year_month_day date(days);
  const std::chrono::hh_mm_ss time(std::chrono::floor<std::chrono::milliseconds>(at(seconds) - days));
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02ld:%02ld:%02ld.%03ldZ", int(date.year()),
                unsigned(date.month()), unsigned(date.day()), time.hours().count(), time.minutes().count(),
                static_cast<long>(time.seconds().count()), static_cast<long>(time.subseconds().count()));
  return text;
}

TEST(TimeOfLine, IsWhatTheLogsBeginWith) {
  EXPECT_EQ(time_of_line(stamp(0s) + " I trainer: hello"), at(0s));
  EXPECT_EQ(time_of_line("2026-01-31T12:00:00.250Z W x"),
            std::chrono::sys_days(std::chrono::year(2026) / 1 / 31) + 12h + 250ms);
  for (const char* other : {"", "Traceback", "2026-13-31T12:00:00.250Z W", "2026-01-31 12:00:00.250Z W",
                            "2026-01-31T12:00:00.250Z"})
    EXPECT_FALSE(time_of_line(other)) << other;
}

struct Logs : ::testing::Test {
  Logs() { std::filesystem::create_directories(folder / "logs"); }
  void append(int attempt, const std::string& text) {
    std::ofstream(log_file(folder.path(), 0, attempt), std::ios::app | std::ios::binary) << text;
  }
  std::string read(const v1::StreamLogsRequest& request, std::size_t piece = LogCursor::kPiece) {
    LogCursor cursor(
        request,
        [&] {
          return LogRange{folder.path(), 1, 99, ended};
        },
        piece);
    std::string text;
    while (auto part = cursor.next()) text += part->text();
    return text;
  }
  static v1::StreamLogsRequest since(std::chrono::seconds seconds) {
    v1::StreamLogsRequest request;
    *request.mutable_since() = to_timestamp(at(seconds));
    return request;
  }
  static v1::StreamLogsRequest tail(std::int64_t bytes) {
    v1::StreamLogsRequest request;
    request.set_tail_bytes(bytes);
    return request;
  }
  testing::TempDir folder;
  bool ended = true;
};

TEST_F(Logs, SinceATimeOverLinesWithoutOneAndSeveralAttempts) {
  append(1, "banner without a time\n" + stamp(10s) + " I a: one\n  detail\n" + stamp(20s) + " I a: two\n");
  append(2, stamp(30s) + " I a: three\n  last detail\n");
  const std::string three = stamp(30s) + " I a: three\n  last detail\n";
  const std::string two = stamp(20s) + " I a: two\n";
  EXPECT_EQ(read(since(10s)), stamp(10s) + " I a: one\n  detail\n" + two + three);
  EXPECT_EQ(read(since(11s)), two + three);
  EXPECT_EQ(read(since(20s)), two + three);
  EXPECT_EQ(read(since(21s)), three);
  EXPECT_EQ(read(since(31s)), "");
  v1::StreamLogsRequest resumed = since(31s);
  resumed.set_offset(1);
  EXPECT_TRUE(read(resumed).starts_with("anner")) << "an offset wins";
}

TEST_F(Logs, SinceIsFoundForEveryLineOfALongLog) {
  std::string text;
  for (int i = 0; i < 2000; ++i)
    text += stamp(std::chrono::seconds(i)) + " I t: " + std::string(static_cast<std::size_t>(i % 200), 'x') +
            (i % 7 == 0 ? "\n  at some line\n\n" : "\n");
  append(1, text);
  for (int i = 0; i < 2000; i += 13)
    EXPECT_TRUE(read(since(std::chrono::seconds(i))).starts_with(stamp(std::chrono::seconds(i)))) << i;
}

TEST_F(Logs, ATailBeginsWithALine) {
  append(1, "first\nsecond\n");
  append(2, "third\nfourth\n");
  EXPECT_EQ(read(tail(7)), "fourth\n");
  EXPECT_EQ(read(tail(8)), "fourth\n");
  EXPECT_EQ(read(tail(13)), "third\nfourth\n");
  EXPECT_EQ(read(tail(19)), "third\nfourth\n");
  EXPECT_EQ(read(tail(20)), "second\nthird\nfourth\n");
  EXPECT_EQ(read(tail(1000)), "first\nsecond\nthird\nfourth\n");
}

TEST_F(Logs, ATailOfOneLongLineCutsNoCharacter) {
  append(1, "a\xC3\xA4\xC3\xA4");
  EXPECT_EQ(read(tail(3)), "\xC3\xA4");
}

TEST_F(Logs, WhatWasWrittenLaterFollows) {
  ended = false;
  append(1, stamp(1s) + " I a: old\n");
  LogCursor cursor(since(5s), [&] { return LogRange{folder.path(), 1, 99, ended}; });
  EXPECT_FALSE(cursor.next());
  append(1, stamp(6s) + " I a: new\n");
  const auto piece = cursor.next();
  ASSERT_TRUE(piece);
  EXPECT_EQ(piece->text(), stamp(6s) + " I a: new\n");
}

TEST_F(Logs, PiecesAreNoLongerThanWanted) {
  append(1, std::string(1000, 'x') + "\xC3\xA4" + std::string(1000, 'y'));
  EXPECT_EQ(read({}, 16), std::string(1000, 'x') + "\xC3\xA4" + std::string(1000, 'y'));
}

TEST_F(Logs, RefusesWhatMakesNoSense) {
  EXPECT_THROW(read(tail(-1)), Error);
  v1::StreamLogsRequest attempt;
  attempt.set_attempt(0);
  EXPECT_THROW(read(attempt), Error);
}

}  // namespace
}  // namespace mdgen::coordinator
