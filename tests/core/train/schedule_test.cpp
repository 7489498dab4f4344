#include "core/train/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mdgen::train {
namespace {

using ::testing::DoubleNear;
using ::testing::Optional;

v1::JobSpec spec_with(std::int64_t every_steps, int ckpt_freq, int val_epoch_freq, bool no_validate) {
  v1::JobSpec spec;
  spec.mutable_checkpoint()->set_every_steps(every_steps);
  spec.mutable_checkpoint()->set_ckpt_freq(ckpt_freq);
  spec.mutable_loop()->set_val_epoch_freq(val_epoch_freq);
  spec.mutable_loop()->set_no_validate(no_validate);
  spec.mutable_logging()->set_print_freq(10);
  return spec;
}

TEST(CheckpointDue, EverySteps_CountsAppliedSteps) {
  const v1::JobSpec spec = spec_with(5, 100, 1, false);
  EXPECT_FALSE(checkpoint_due(spec, 4, 0, false));
  EXPECT_TRUE(checkpoint_due(spec, 5, 0, false));
  EXPECT_FALSE(checkpoint_due(spec, 6, 0, true));
}

TEST(CheckpointDue, EpochEnd_FollowsFrequency) {
  const v1::JobSpec spec = spec_with(0, 2, 1, false);
  EXPECT_FALSE(checkpoint_due(spec, 7, 0, true));
  EXPECT_TRUE(checkpoint_due(spec, 14, 1, true));
  EXPECT_FALSE(checkpoint_due(spec, 13, 1, false));
}

TEST(ValidationDue, EpochEnd_FollowsFrequencyAndSwitch) {
  EXPECT_FALSE(validation_due(spec_with(0, 1, 3, false), 1, true));
  EXPECT_TRUE(validation_due(spec_with(0, 1, 3, false), 2, true));
  EXPECT_FALSE(validation_due(spec_with(0, 1, 3, false), 2, false));
  EXPECT_FALSE(validation_due(spec_with(0, 1, 3, true), 2, true));
}

TEST(PrintDue, FirstLastAndEveryTenth) {
  const v1::JobSpec spec = spec_with(0, 1, 1, false);
  EXPECT_TRUE(print_due(spec, 1, 25));
  EXPECT_FALSE(print_due(spec, 9, 25));
  EXPECT_TRUE(print_due(spec, 20, 25));
  EXPECT_TRUE(print_due(spec, 25, 25));
}

TEST(RateMeter, NothingAdded_KnowsNothing) {
  const RateMeter meter;
  EXPECT_EQ(meter.step_seconds(), std::nullopt);
  EXPECT_EQ(meter.tokens_per_second(), std::nullopt);
  EXPECT_EQ(meter.eta_seconds(10), std::nullopt);
}

TEST(RateMeter, EqualSteps_GivesTheirRate) {
  RateMeter meter;
  for (int i = 0; i < 7; ++i) meter.add(0.5, 100);
  EXPECT_THAT(meter.step_seconds(), Optional(DoubleNear(0.5, 1e-12)));
  EXPECT_THAT(meter.tokens_per_second(), Optional(DoubleNear(200, 1e-9)));
  EXPECT_THAT(meter.eta_seconds(10), Optional(DoubleNear(5, 1e-11)));
}

TEST(RateMeter, SlowFirstStep_IsForgotten) {
  RateMeter meter(0.5);
  meter.add(100, 10);
  for (int i = 0; i < 20; ++i) meter.add(1, 10);
  EXPECT_THAT(meter.step_seconds(), Optional(DoubleNear(1, 1e-3)));
}

TEST(RateMeter, TwoSteps_WeightsTheNewerMore) {
  RateMeter meter(0.5);
  meter.add(2, 8);
  meter.add(1, 8);
  EXPECT_THAT(meter.step_seconds(), Optional(DoubleNear((0.5 * 2 + 1) / 1.5, 1e-12)));
  EXPECT_THAT(meter.tokens_per_second(), Optional(DoubleNear(12.0 / 2.0, 1e-12)));
}

TEST(FormatDuration, ShowsDaysOnlyWhenThereAreSome) {
  EXPECT_EQ(format_duration(std::nullopt), "?");
  EXPECT_EQ(format_duration(0.4), "0:00:00");
  EXPECT_EQ(format_duration(3723), "1:02:03");
  EXPECT_EQ(format_duration(2 * 86400 + 3723), "2d 01:02:03");
}

}  // namespace
}  // namespace mdgen::train
