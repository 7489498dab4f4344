// The coordinator is restarted while a job recovers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/services/coordinator/gang.h"

namespace mdgen::coordinator {
namespace {

using std::chrono::seconds;
using testing::Gang;
using testing::World;

TEST(Restarted, WhileItsMembersLeave_TheySayItAgain) {
  Gang gang(3);
  gang.exit(gang[2], 0, 11);
  gang.left(gang[0], 10);
  const v1::GenerationId old = gang.event(gang[0]).id();
  gang.restart();
  ASSERT_EQ(gang.state(gang.id), v1::JOB_STATE_RECOVERING);
  for (const char* incarnation : {"i0", "i1"}) {
    v1::Register again = World::identity(incarnation);
    *again.add_running() = old;
    gang.agent(again);
  }
  EXPECT_EQ(gang.abandons(gang[0]) + gang.abandons(gang[1]), 2);
  gang.agent("i2");
  for (int rank : {0, 1}) {
    v1::TrainerEvent left;
    *left.mutable_id() = old;
    left.set_rank(rank);
    left.mutable_left()->set_applied(10);
    left.mutable_left()->set_resident(true);
    left.mutable_left()->set_reason("Abandoned");
    gang.say(gang[static_cast<std::size_t>(rank)], left);
  }
  gang.pass_with_beats(seconds(4));
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_STARTING);
  EXPECT_EQ(gang.assignment(gang[0]).world_size(), 3);
  EXPECT_EQ(gang.assignment(gang[0]).attempt(), 1);
  EXPECT_EQ(gang.assignment(gang[2]).attempt(), 2);
}

TEST(Restarted, WhileItHeldBelowMin_NothingIsCountedTwice) {
  Gang gang(2, 2);
  gang.lose(gang[1]);
  gang.left(gang[0], 10);
  const v1::GenerationId old = gang.event(gang[0]).id();
  const int failures = gang.engine->job(gang.id).streak.failures;
  ASSERT_TRUE(gang.engine->job(gang.id).generation->concluded);
  gang.restart();
  v1::Register again = World::identity("i0");
  *again.add_running() = old;
  gang.agent(again);
  v1::TrainerEvent left;
  *left.mutable_id() = old;
  left.mutable_left()->set_applied(10);
  left.mutable_left()->set_resident(true);
  gang.say(gang[0], left);
  gang.pass_with_beats(gang.options.reconnect_grace + seconds(1));
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_RECOVERING);
  EXPECT_EQ(gang.engine->job(gang.id).streak.failures, failures);
  gang.agent("i5");
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_STARTING);
  EXPECT_EQ(gang.assignment(gang[0]).attempt(), 1);
}

}  // namespace
}  // namespace mdgen::coordinator
