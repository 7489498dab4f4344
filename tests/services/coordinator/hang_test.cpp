#include "services/coordinator/hang.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace mdgen::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto kCompute = v1::TRAINER_PHASE_COMPUTE;
constexpr auto kReduce = v1::TRAINER_PHASE_REDUCE;
constexpr auto kCheckpoint = v1::TRAINER_PHASE_CHECKPOINT;

RankView rank(int number, v1::TrainerPhase phase, double unchanged, double silent = 0.0) {
  return {number, phase, 7, phase == kReduce, Seconds(silent), Seconds(unchanged)};
}

Bounds running() {
  Measured measured;
  measured.step(0.5, 2);
  return bounds(measured, 2, 1.0, true, true);
}

struct Row {
  const char* what;
  std::vector<RankView> ranks;
  const char* reason;  // empty: no hang
  std::vector<int> culprits;
};

TEST(FindHang, Table) {
  const Row table[] = {
      {"nobody", {}, "", {}},
      {"all well", {rank(0, kCompute, 1), rank(1, kReduce, 2)}, "", {}},
      {"one waits, the other computes", {rank(0, kReduce, 60), rank(1, kCompute, 9.9)}, "", {}},
      {"the other computes for too long", {rank(0, kReduce, 60), rank(1, kCompute, 10)}, "Hang", {1}},
      {"two of them", {rank(0, kReduce, 60), rank(1, kCompute, 10), rank(2, kCompute, 11)}, "Hang", {1, 2}},
      {"a checkpoint may take longer", {rank(0, kCheckpoint, 60), rank(1, kReduce, 60)}, "", {}},
      {"all inside", {rank(0, kReduce, 10), rank(1, kReduce, 30)}, "NetworkHang", {}},
      {"one has just come inside", {rank(0, kReduce, 1), rank(1, kReduce, 30)}, "", {}},
      {"none inside, one goes on", {rank(0, kCompute, 30), rank(1, kCompute, 1)}, "", {}},
      {"none inside, none goes on", {rank(0, kCompute, 30), rank(1, kCompute, 10)}, "Hang", {}},
      {"alone", {rank(0, kCompute, 10)}, "Hang", {}},
      {"stopped", {rank(0, kReduce, 3), rank(1, kCompute, 3, 10)}, "TrainerSilent", {1}},
      {"stopped alone", {rank(0, kCompute, 3, 10)}, "TrainerSilent", {0}},
      {"not begun to beat", {rank(0, v1::TRAINER_PHASE_UNSPECIFIED, 3, 100), rank(1, kReduce, 3)}, "", {}},
  };
  for (const Row& row : table) {
    SCOPED_TRACE(row.what);
    const auto hang = find_hang(row.ranks, running());
    EXPECT_EQ(hang ? hang->reason : "", row.reason);
    EXPECT_EQ(hang ? hang->culprits : std::vector<int>{}, row.culprits);
  }
}

TEST(FindHang, NamesPhaseStepAndBound) {
  const auto hang = find_hang(std::vector{rank(0, kReduce, 60), rank(1, kCompute, 12)}, running());
  ASSERT_TRUE(hang);
  EXPECT_EQ(hang->rank, 1);
  EXPECT_THAT(hang->message, HasSubstr("phase compute of step 7 for 12.0 s"));
  EXPECT_THAT(hang->message, HasSubstr("10.0 s allowed"));
}

TEST(Bounds, FollowTheLongestStepAndTheKnob) {
  Measured measured;
  measured.step(20.0, 4);
  measured.step(5.0, 4);
  const Bounds at4 = bounds(measured, 4, 1.0, true, true);
  EXPECT_DOUBLE_EQ(at4.of(kCompute).count(), 80.0);
  EXPECT_DOUBLE_EQ(at4.abort.count(), 60.0);
  EXPECT_DOUBLE_EQ(at4.silent.count(), 10.0);
  EXPECT_DOUBLE_EQ(bounds(measured, 2, 1.0, true, true).of(kReduce).count(), 160.0)
      << "half as many ranks need twice as long";
  EXPECT_DOUBLE_EQ(bounds(measured, 8, 1.0, true, true).of(kReduce).count(), 80.0);
  EXPECT_DOUBLE_EQ(bounds(measured, 4, 3.0, true, true).of(kReduce).count(), 240.0);
  EXPECT_DOUBLE_EQ(bounds(measured, 4, 0.1, true, true).of(kReduce).count(), 80.0)
      << "never less than what steps take";
  EXPECT_DOUBLE_EQ(bounds({}, 4, 0.5, true, true).silent.count(), 5.0);
  EXPECT_DOUBLE_EQ(bounds({}, 4, 0.05, true, true).silent.count(), 3.0) << "beats are a second apart";
}

TEST(Bounds, AreGenerousUntilMeasured) {
  Measured measured;
  measured.step(1.0, 1);
  EXPECT_DOUBLE_EQ(bounds(measured, 1, 1.0, false, true).of(kCompute).count(), 600.0);
  EXPECT_DOUBLE_EQ(bounds(measured, 1, 1.0, true, true).of(v1::TRAINER_PHASE_VALIDATE).count(), 3600.0);
  EXPECT_DOUBLE_EQ(bounds(measured, 1, 1.0, true, true).of(kCheckpoint).count(), 1800.0);
  measured.first_step(2.0);
  measured.phase(v1::TRAINER_PHASE_VALIDATE, 30.0);
  measured.phase(kCheckpoint, 1.0);
  EXPECT_DOUBLE_EQ(bounds(measured, 1, 1.0, false, true).of(kCompute).count(), 60.0);
  EXPECT_DOUBLE_EQ(bounds(measured, 1, 1.0, true, true).of(v1::TRAINER_PHASE_VALIDATE).count(), 120.0);
  EXPECT_DOUBLE_EQ(bounds(measured, 1, 1.0, true, false).of(v1::TRAINER_PHASE_VALIDATE).count(), 3600.0)
      << "some validations sample as well";
  EXPECT_DOUBLE_EQ(bounds(measured, 1, 1.0, true, true).of(kCheckpoint).count(), 10.0);
}

TEST(Measured, ForgetsWhatIsLongAgo) {
  Measured measured;
  measured.step(100.0, 1);
  for (std::size_t i = 0; i < Measured::kSteps; ++i) measured.step(1.0, 1);
  EXPECT_DOUBLE_EQ(measured.longest_step(1), 1.0);
}

TEST(Bounds, WithoutAMeasuredStepAnAbortHasTheTimeOfAFirstStep) {
  EXPECT_DOUBLE_EQ(bounds({}, 2, 1.0, false, true).abort.count(), 600.0);
  EXPECT_DOUBLE_EQ(bounds({}, 2, 0.1, false, true).abort.count(), 60.0);
}

TEST(MeasuredBefore, GivesTheSameBoundsAgain) {
  for (const double scale : {0.3, 1.0, 2.0}) {
    Measured measured;
    const Bounds unmeasured = bounds(measured, 2, scale, false, true);
    const auto again = [&](const Bounds& shown, bool stepped) {
      const v1::Timeouts stored = to_timeouts(shown, Seconds(5), Seconds(600));
      return bounds(measured_before(stored, 2, scale), 2, scale, stepped, true);
    };
    EXPECT_DOUBLE_EQ(again(unmeasured, false).abort.count(), unmeasured.abort.count());
    EXPECT_DOUBLE_EQ(again(unmeasured, false).of(kCheckpoint).count(), unmeasured.of(kCheckpoint).count());
    measured.step(20.0, 2);
    measured.first_step(40.0);
    measured.phase(kCheckpoint, 50.0);
    const Bounds known = bounds(measured, 2, scale, true, true);
    const Bounds same = again(known, true);
    EXPECT_DOUBLE_EQ(same.abort.count(), known.abort.count());
    for (const v1::TrainerPhase phase :
         {kCompute, kCheckpoint, v1::TRAINER_PHASE_INIT, v1::TRAINER_PHASE_VALIDATE})
      EXPECT_DOUBLE_EQ(same.of(phase).count(), known.of(phase).count()) << phase_name(phase);
  }
}

}  // namespace
}  // namespace mdgen::coordinator
