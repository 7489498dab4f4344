#include "core/prep/console.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <sstream>

namespace mdgen::prep {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;

class HandClock final : public Clock {
 public:
  Steady steady() const override { return now; }
  Wall wall() const override { return {}; }
  Steady now{};
};

class ConsoleTest : public ::testing::Test {
 protected:
  ConsoleTest() : before_(spdlog::default_logger()) {
    auto logger =
        std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(lines_));
    logger->set_pattern("%v");
    spdlog::set_default_logger(logger);
  }
  ~ConsoleTest() override { spdlog::set_default_logger(before_); }

  std::shared_ptr<spdlog::logger> before_;
  std::ostringstream lines_;
  HandClock clock_;
};

TEST_F(ConsoleTest, WithoutATerminalALineEveryHalfMinute) {
  Console console(Progress(2, 100, clock_.now), false, clock_);
  for (int second = 1; second <= 90; ++second) {
    clock_.now += seconds(1);
    console.update([](Progress& progress) { progress.did(1); });
  }
  EXPECT_EQ(lines_.str(),
            "0 of 2 entries, 30 %, 1 min 10 s left\n"
            "0 of 2 entries, 60 %, 40 s left\n"
            "0 of 2 entries, 90 %, 10 s left\n");
}

TEST_F(ConsoleTest, OnATerminalTheLineMakesWayForTheLog) {
  ::testing::internal::CaptureStderr();
  {
    Console console(Progress(2, 100, clock_.now), true, clock_);
    clock_.now += seconds(1);
    console.update([](Progress& progress) { progress.did(50); });
    console.warn("something");
  }
  const std::string line = "\r\x1b[K0 of 2 entries, 50 %, 1 s left";
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), line + "\r\x1b[K" + line + "\r\x1b[K");
  EXPECT_THAT(lines_.str(), HasSubstr("something"));
}

}  // namespace
}  // namespace mdgen::prep
