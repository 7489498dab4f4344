// A worker that joins a job which got on without it, and cannot do its work.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/services/coordinator/gang.h"

namespace mdgen::coordinator {
namespace {

using std::chrono::seconds;
using testing::Gang;
using ::testing::HasSubstr;
using testing::World;

// Two ranks at step 10; a third has joined them in generation 2.
struct Joined : Gang {
  Joined() : Gang(2, 1, 3) {
    workers.push_back(agent("i2"));
    pass_with_beats(seconds(61));
    left_agreed(workers[0], 10);
    left_agreed(workers[1], 10);
  }
  void go_on() {
    started(workers[0], 10);
    steps(workers[0], 11, 12);
  }
};

TEST(Joiners, AnOwnErrorOfOneExcludesItsWorker) {
  Joined gang;
  ASSERT_EQ(gang.assignment(gang[2]).id().generation(), 2);
  gang.finish(gang[2], v1::OUTCOME_FAILED, "NotFound", "/data/train: no such folder");
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_RECOVERING);
  gang.left(gang[0], 10);
  gang.left(gang[1], 10);
  gang.exit(gang[2], 1);
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_STARTING);
  EXPECT_EQ(gang.assignment(gang[0]).world_size(), 2);
  EXPECT_EQ(gang.assignment(gang[0]).attempt(), 1);
  EXPECT_EQ(gang.assignment(gang[2]).id().generation(), 2) << "it is not used any more";
  EXPECT_EQ(gang.engine->job(gang.id).streak.failures, 0);
  ASSERT_EQ(gang.job(gang.id).warnings_size(), 1);
  EXPECT_THAT(gang.job(gang.id).warnings(0), HasSubstr("worker " + gang[2] + " on node1 is not used"));
  EXPECT_THAT(gang.job(gang.id).warnings(0), HasSubstr("no such folder"));
  gang.go_on();
  const int orders = gang.stops(gang[0], false);
  gang.pass_with_beats(seconds(200));
  EXPECT_EQ(gang.stops(gang[0], false), orders) << "nobody stops for a worker that would not help";
  const std::string other = gang.queued(World::spec("other", 1, 1));
  EXPECT_EQ(gang.assignment(gang[2]).id().job_id(), other) << "others may use it";
}

TEST(Joiners, OtherHardwareUnderStrictDeterminismIsLeftOut) {
  Joined gang;
  for (const std::string& worker : gang.workers)
    gang.finish(worker, v1::OUTCOME_FAILED, "MixedHardware", "avx512 on ranks 0, 1; avx2 on rank 2");
  for (const std::string& worker : gang.workers) gang.exit(worker, 1);
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_STARTING);
  EXPECT_EQ(gang.assignment(gang[0]).world_size(), 2);
  EXPECT_EQ(gang.assignment(gang[0]).id().generation(), 3);
  EXPECT_EQ(gang.assignment(gang[1]).id().generation(), 3);
  EXPECT_EQ(gang.assignment(gang[2]).id().generation(), 2);
}

TEST(Joiners, DoNotSayAnythingOfWhoGotOnBefore) {
  Joined gang;
  gang.finish(gang[1], v1::OUTCOME_FAILED, "DataLoss", "a.npy is truncated");
  gang.left(gang[0], 10);
  gang.left(gang[2], 10);
  gang.exit(gang[1], 1);
  ASSERT_NE(gang.order(gang[0]), nullptr);
  EXPECT_TRUE(gang.order(gang[0])->checkpoint());
  gang.exit(gang[0], 0);
  gang.exit(gang[2], 0);
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_FAILED);
}

TEST(Joiners, WithNobodyWhoGotOnTheJobFails) {
  World world;
  const std::string a = world.agent("i0");
  const std::string b = world.agent("i1");
  const std::string id = world.queued(World::spec("run", 1, 2));
  world.finish(a, v1::OUTCOME_FAILED, "MixedHardware", "avx512 on rank 0; avx2 on rank 1");
  world.finish(b, v1::OUTCOME_FAILED, "MixedHardware", "avx512 on rank 0; avx2 on rank 1");
  world.exit(a, 1);
  world.exit(b, 1);
  EXPECT_EQ(world.state(id), v1::JOB_STATE_FAILED);
}

TEST(Joiners, ARefusedWorkerIsLeftForOthers) {
  Want picky{.job_id = "picky", .min = 1, .max = 2};
  picky.refused = {"w1"};
  Want other{.job_id = "other", .min = 1, .max = 1};
  const auto given = schedule({picky, other}, Pool{{"w1", "w2"}, 2});
  EXPECT_EQ(given.at("picky"), std::vector<std::string>{"w2"});
  EXPECT_EQ(given.at("other"), std::vector<std::string>{"w1"});
  EXPECT_TRUE(schedule({picky}, Pool{{"w1"}, 2}).empty());
}

}  // namespace
}  // namespace mdgen::coordinator
