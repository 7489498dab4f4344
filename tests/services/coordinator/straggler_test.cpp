#include "services/coordinator/straggler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/services/coordinator/gang.h"

namespace mdgen::coordinator {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using testing::Gang;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::vector<int> looks(StragglerWatch& watch, std::vector<double> times, int count) {
  std::vector<int> found;
  for (int i = 0; i < count; ++i)
    for (const int rank : watch.look(times)) found.push_back(rank);
  return found;
}

TEST(StragglerWatch, NamesTheSlowRank_AfterSeveralLooks) {
  StragglerWatch watch;
  const std::vector<double> times = {1.0, 1.1, 1.4, 0.9};
  EXPECT_THAT(looks(watch, times, StragglerWatch::kLooks - 1), IsEmpty());
  EXPECT_FALSE(watch.of(2).straggler);
  EXPECT_THAT(watch.look(times), ElementsAre(2));
  EXPECT_TRUE(watch.of(2).straggler);
  EXPECT_DOUBLE_EQ(watch.of(2).ratio, 1.4) << "over the lower median";
  EXPECT_FALSE(watch.of(1).straggler);
  EXPECT_THAT(looks(watch, times, 20), IsEmpty()) << "told once";
}

TEST(StragglerWatch, OneSlowLookIsNone) {
  StragglerWatch watch;
  for (int i = 0; i < 10; ++i) {
    EXPECT_THAT(looks(watch, {1.0, 1.0, 3.0}, StragglerWatch::kLooks - 1), IsEmpty());
    EXPECT_THAT(watch.look(std::vector{1.0, 1.0, 1.0}), IsEmpty());
  }
}

TEST(StragglerWatch, StaysOneUntilItIsWellForSeveralLooks) {
  StragglerWatch watch;
  looks(watch, {1.0, 1.5}, StragglerWatch::kLooks);
  looks(watch, {1.0, 1.2}, 50);
  EXPECT_TRUE(watch.of(1).straggler) << "between the two bounds nothing changes";
  looks(watch, {1.0, 1.05}, StragglerWatch::kLooks - 1);
  EXPECT_TRUE(watch.of(1).straggler);
  looks(watch, {1.0, 1.05}, 1);
  EXPECT_FALSE(watch.of(1).straggler);
  EXPECT_THAT(looks(watch, {1.0, 1.5}, StragglerWatch::kLooks), ElementsAre(1)) << "told again";
}

TEST(StragglerWatch, OfTwoTheSlowerIsComparedWithTheOther) {
  StragglerWatch watch;
  watch.look(std::vector{0.2, 0.3});
  EXPECT_DOUBLE_EQ(watch.of(0).ratio, 1.0);
  EXPECT_DOUBLE_EQ(watch.of(1).ratio, 1.5);
}

TEST(StragglerWatch, WhoIsNotKnown_IsNotCompared) {
  StragglerWatch watch;
  EXPECT_THAT(looks(watch, {0.0, 5.0}, 50), IsEmpty()) << "nobody to compare with";
  EXPECT_EQ(watch.of(1).ratio, 0.0);
  EXPECT_THAT(looks(watch, {0.0, 5.0, 1.0}, StragglerWatch::kLooks), ElementsAre(1));
  EXPECT_EQ(watch.of(0).ratio, 0.0);
  EXPECT_EQ(watch.of(7).ratio, 0.0);
}

void beat(Gang& gang, std::size_t rank, double compute_seconds) {
  v1::Beat beat;
  beat.set_phase(v1::TRAINER_PHASE_COMPUTE);
  beat.set_compute_seconds(compute_seconds);
  gang.engine->beat(gang.now(), gang[rank], beat);
}

TEST(Stragglers, AreNamedWithHostAndWorker) {
  Gang gang(3);
  for (int i = 0; i < StragglerWatch::kLooks; ++i) {
    for (const std::size_t rank : {0, 1, 2}) beat(gang, rank, rank == 1 ? 0.9 : 0.3);
    gang.step(gang[0], 11 + i);
    gang.pass(seconds(1));
  }
  ASSERT_THAT(gang.warnings, SizeIs(1));
  EXPECT_THAT(gang.warnings[0], HasSubstr("rank 1 (worker " + gang[1] + ", node1)"));
  EXPECT_THAT(gang.warnings[0], HasSubstr("3.00 times the median"));
  EXPECT_EQ(gang.job(gang.id).warnings(0), gang.warnings[0]);
  EXPECT_TRUE(gang.engine->job(gang.id).run.stragglers.of(1).straggler);
}

TEST(Stragglers, WithoutNewStepsNothingIsNew) {
  Gang gang(2);
  beat(gang, 0, 0.3);
  beat(gang, 1, 0.9);
  for (int i = 0; i < 3 * StragglerWatch::kLooks; ++i) {
    beat(gang, 0, 0.3);
    beat(gang, 1, 0.9);
    gang.pass(seconds(1));
  }
  EXPECT_THAT(gang.warnings, IsEmpty()) << "a validation, say";
}

}  // namespace
}  // namespace mdgen::coordinator
