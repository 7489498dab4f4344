// Tables, colours, times, bars and curves.
#include "services/client/look.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/time_util.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "services/client/charts.h"
#include "services/client/table.h"
#include "services/client/times.h"

namespace mdgen::client {
namespace {

using google::protobuf::util::TimeUtil;
using ::testing::HasSubstr;

TEST(Fitted, CountsColumnsAndNotBytes) {
  EXPECT_EQ(width_of("aü█"), 3U);
  EXPECT_EQ(width_of("\x1b[32mgo\x1b[0m"), 2U);
  EXPECT_EQ(fitted("aü█b", 3), "aü█");
  EXPECT_EQ(fitted("\x1b[32mgreen\x1b[0m tail", 3), "\x1b[32mgre\x1b[0m");
  EXPECT_EQ(fitted("\x1b[32mgo\x1b[0m", 2), "\x1b[32mgo\x1b[0m");
  EXPECT_EQ(fitted("abc", 0), "");
}

TEST(Tinted, OnlyWithColours) {
  EXPECT_EQ(tinted("x", Tint::kBad, {}), "x");
  EXPECT_EQ(tinted("x", Tint::kBad, {.colours = true}), "\x1b[31mx\x1b[0m");
  EXPECT_EQ(tinted("", Tint::kBad, {.colours = true}), "");
}

TEST(TableText, AlignsByColumnsAndLeavesEmptyOnesOut) {
  Table table({"A", "EMPTY", "LONG HEAD", "Z"});
  table.add({"ü", "", "1", "x"});
  table.add({"long\ncell", "", "2", ""});
  EXPECT_EQ(table.text({}),
            "A          LONG HEAD  Z\n"
            "ü          1          x\n"
            "long cell  2\n");
  EXPECT_THROW(table.add({"too", "few"}), std::logic_error);
}

TEST(TableText, ColoursDoNotShiftColumns) {
  Table table({"A", "B"});
  table.add({{"x", Tint::kGood}, "y"});
  EXPECT_EQ(table.text({.colours = true}), "\x1b[1mA\x1b[0m  \x1b[1mB\x1b[0m\n\x1b[32mx\x1b[0m  y\n");
}

TEST(ProgressBar, FillsItsWidth) {
  EXPECT_EQ(progress_bar(0, 6, false), "[    ]");
  EXPECT_EQ(progress_bar(0.5, 6, false), "[=>  ]");
  EXPECT_EQ(progress_bar(1, 6, false), "[====]");
  EXPECT_EQ(progress_bar(7, 6, false), "[====]");
  EXPECT_EQ(progress_bar(std::nan(""), 6, false), "[    ]");
  EXPECT_EQ(progress_bar(0.5, 4, true), "[█ ]");
  EXPECT_EQ(progress_bar(0.75, 4, true), "[█▌]");
  for (double part : {0.0, 0.1, 0.33, 0.5, 0.99, 1.0}) EXPECT_EQ(width_of(progress_bar(part, 20, true)), 20U);
  EXPECT_EQ(progress_bar(0.5, 2, false), "");
}

TEST(Sparkline, FromSmallestToLargest) {
  EXPECT_EQ(sparkline(std::vector<double>{0, 1, 2, 3, 4, 5, 6, 7}, 8, true), "▁▂▃▄▅▆▇█");
  EXPECT_EQ(sparkline(std::vector<double>{0, 7}, 8, false), "_#");
  EXPECT_EQ(sparkline(std::vector<double>{3, 3}, 8, false), "==") << "a flat line lies in the middle";
  EXPECT_EQ(sparkline(std::vector<double>{0, 0, 1, 1}, 2, false), "_#") << "means of pieces";
  EXPECT_EQ(sparkline(std::vector<double>{0, std::nan(""), 1}, 8, false), "_!#");
  EXPECT_EQ(sparkline(std::vector<double>{std::nan("")}, 8, true), "!");
  EXPECT_EQ(sparkline({}, 8, true), "");
}

TEST(ParseDuration, UnitsAndTheirSums) {
  EXPECT_EQ(parse_duration("90"), 90);
  EXPECT_EQ(parse_duration("45s"), 45);
  EXPECT_EQ(parse_duration("10m"), 600);
  EXPECT_EQ(parse_duration("1.5h"), 5400);
  EXPECT_EQ(parse_duration("1h30m"), 5400);
  EXPECT_EQ(parse_duration("2d"), 172800);
  for (const char* wrong : {"", "m", "10x", "-5m", "5m-", "1h 3m", "nan", "inf", "1e3"})
    EXPECT_FALSE(parse_duration(wrong)) << wrong;
}

TEST(ParseSince, AgoOrATime) {
  const WallTime now{std::chrono::seconds(1700000000)};
  EXPECT_EQ(parse_since("10m", now)->seconds(), 1700000000 - 600);
  EXPECT_EQ(parse_since("2023-11-14T22:13:20Z", now)->seconds(), 1700000000);
  EXPECT_EQ(parse_since("2023-11-14T23:13:20+01:00", now)->seconds(), 1700000000);
  EXPECT_EQ(parse_since("999999d", now)->seconds(), 0) << "before 1970 is its beginning";
  EXPECT_FALSE(parse_since("yesterday", now));
}

TEST(WhenText, AbsoluteAndRelative) {
  const WallTime now{std::chrono::seconds(1700000185)};
  const auto time = TimeUtil::SecondsToTimestamp(1700000000);
  EXPECT_EQ(when_text(time, now), "2023-11-14T22:13:20Z (3m05s ago)");
  EXPECT_EQ(when_text(time, now - std::chrono::seconds(245)), "2023-11-14T22:13:20Z (in 1m00s)");
  EXPECT_EQ(clock_text(time), "22:13:20Z");
}

}  // namespace
}  // namespace mdgen::client
