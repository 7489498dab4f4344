#include "core/base/utc.h"

#include <gtest/gtest.h>

namespace mdgen {
namespace {

using std::chrono::milliseconds;
using std::chrono::system_clock;

// 1798722896 s: `date -u -d @1798722896` says Thu Dec 31 13:14:56 UTC 2026.
const system_clock::time_point kMoment{milliseconds(1798722896007)};

TEST(UtcTextTest, IsCutToSeconds) {
  EXPECT_EQ(utc_text(kMoment), "2026-12-31T13:14:56Z");
  EXPECT_EQ(utc_text(kMoment + milliseconds(992)), "2026-12-31T13:14:56Z");
}

TEST(UtcTextTest, Milliseconds_HaveThreeDigits) {
  EXPECT_EQ(utc_text_with_milliseconds(kMoment), "2026-12-31T13:14:56.007Z");
}

TEST(UtcTextTest, BeforeTheEpoch_SecondsAndMillisecondsBelongTogether) {
  EXPECT_EQ(utc_text_with_milliseconds(system_clock::time_point(milliseconds(-1))),
            "1969-12-31T23:59:59.999Z");
}

}  // namespace
}  // namespace mdgen
