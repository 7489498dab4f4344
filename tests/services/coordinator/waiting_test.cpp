// What the engine waits for, how long, and who is to blame then.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/services/coordinator/gang.h"

namespace mdgen::coordinator {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Gang;
using ::testing::HasSubstr;

TEST(Hangs, AStoppedProcessIsKilledAndReplaced) {
  Gang gang(2);
  gang.beat(0, v1::TRAINER_PHASE_REDUCE, 10);
  gang.beat(1, v1::TRAINER_PHASE_COMPUTE, 10, milliseconds(9999));
  gang.pass(milliseconds(100));
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_RUNNING);
  gang.beat(1, v1::TRAINER_PHASE_COMPUTE, 10, milliseconds(10000));
  gang.pass(milliseconds(100));
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_RECOVERING);
  EXPECT_EQ(gang.job(gang.id).reason(), "TrainerSilent");
  EXPECT_EQ(gang.stops(gang[1], true), 1);
  EXPECT_EQ(gang.abandons(gang[0]), 1);
  gang.exit(gang[1], 0, 9);
  gang.left(gang[0], 10);
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_STARTING);
  EXPECT_EQ(gang.recovery().reason(), "TrainerSilent") << "our own kill is not the cause";
}

TEST(Hangs, OnlyWhoHasNotEnteredTheReductionIsKilled) {
  Gang gang(3);
  for (int second = 0; second <= 10; ++second) {
    gang.beat(0, v1::TRAINER_PHASE_REDUCE, 10);
    gang.beat(1, v1::TRAINER_PHASE_COMPUTE, 10);
    gang.beat(2, v1::TRAINER_PHASE_REDUCE, 10);
    gang.pass(seconds(1));
  }
  EXPECT_EQ(gang.job(gang.id).reason(), "Hang");
  EXPECT_THAT(gang.job(gang.id).message(), HasSubstr("rank 1"));
  EXPECT_THAT(gang.job(gang.id).message(), HasSubstr("compute"));
  EXPECT_EQ(gang.stops(gang[1], true), 1);
  EXPECT_EQ(gang.abandons(gang[0]) + gang.abandons(gang[2]), 2);
}

TEST(Hangs, WithAllInsideNobodyIsKilledAndAllMeetAgain) {
  Gang gang(2);
  for (int second = 0; second <= 10; ++second) {
    gang.beat(0, v1::TRAINER_PHASE_REDUCE, 10);
    gang.beat(1, v1::TRAINER_PHASE_REDUCE, 10);
    gang.pass(seconds(1));
  }
  EXPECT_EQ(gang.job(gang.id).reason(), "NetworkHang");
  EXPECT_EQ(gang.abandons(gang[0]) + gang.abandons(gang[1]), 2);
  gang.left(gang[0], 10);
  gang.left(gang[1], 10);
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_STARTING);
  EXPECT_EQ(gang.assignment(gang[1]).attempt(), 1);
}

TEST(Hangs, TheStatusSaysWhatIsWaitedFor) {
  Gang gang(2);
  gang.pass_with_beats(seconds(3));
  const v1::Timeouts& timeouts = gang.job(gang.id).timeouts();
  EXPECT_DOUBLE_EQ(timeouts.worker_lost_seconds(), 5.0);
  EXPECT_DOUBLE_EQ(timeouts.trainer_silent_seconds(), 10.0);
  EXPECT_DOUBLE_EQ(timeouts.abort_seconds(), 10.0);
  EXPECT_DOUBLE_EQ(timeouts.phase_seconds().at("reduce"), 10.0);
  EXPECT_DOUBLE_EQ(timeouts.phase_seconds().at("validate"), 3600.0);
}

}  // namespace
}  // namespace mdgen::coordinator
