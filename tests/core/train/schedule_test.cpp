#include "core/train/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "core/data/plan.h"

namespace mdgen::train {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
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

StepPlace middle_of(std::int64_t epoch, std::int64_t applied) {
  return {.applied = applied, .epoch = epoch, .applied_of_epoch = 1, .last_of_epoch = false};
}
StepPlace end_of(std::int64_t epoch, std::int64_t applied) {
  return {.applied = applied, .epoch = epoch, .applied_of_epoch = 7, .last_of_epoch = true};
}

TEST(CheckpointDue, EverySteps_CountsAppliedSteps) {
  const v1::JobSpec spec = spec_with(5, 100, 1, false);
  EXPECT_FALSE(checkpoint_due(spec, middle_of(0, 4), false));
  EXPECT_TRUE(checkpoint_due(spec, middle_of(0, 5), false));
  EXPECT_FALSE(checkpoint_due(spec, end_of(0, 6), false));
}

TEST(CheckpointDue, EpochEnd_FollowsFrequency) {
  const v1::JobSpec spec = spec_with(0, 2, 1, false);
  EXPECT_FALSE(checkpoint_due(spec, end_of(0, 7), true));
  EXPECT_TRUE(checkpoint_due(spec, end_of(1, 14), false));
  EXPECT_FALSE(checkpoint_due(spec, middle_of(1, 13), false));
}

TEST(CheckpointDue, ValFreq_IsAfterEachValidationOfAnEpochThatHasThem) {
  v1::JobSpec spec = spec_with(0, 2, 1, false);
  spec.mutable_loop()->set_val_freq(3);
  EXPECT_TRUE(checkpoint_due(spec, middle_of(1, 10), true));
  EXPECT_FALSE(checkpoint_due(spec, middle_of(0, 3), true));
  EXPECT_FALSE(checkpoint_due(spec, end_of(1, 14), false)) << "the epoch's end alone does not count";
}

TEST(CheckpointDue, ValEpochFreq_IsAfterValidations) {
  const v1::JobSpec spec = spec_with(0, 1, 2, false);
  EXPECT_FALSE(checkpoint_due(spec, end_of(0, 7), false));
  EXPECT_TRUE(checkpoint_due(spec, end_of(1, 14), true));
}

TEST(CheckpointDue, NoValidation_IsAtTheEpochsEnd) {
  v1::JobSpec spec = spec_with(0, 1, 2, true);
  spec.mutable_loop()->set_val_freq(3);
  EXPECT_TRUE(checkpoint_due(spec, end_of(0, 7), false));
}

TEST(ValidationDue, EpochEnd_FollowsFrequencyAndSwitch) {
  EXPECT_FALSE(validation_due(spec_with(0, 1, 3, false), end_of(1, 14)));
  EXPECT_TRUE(validation_due(spec_with(0, 1, 3, false), end_of(2, 21)));
  EXPECT_FALSE(validation_due(spec_with(0, 1, 3, false), middle_of(2, 20)));
  EXPECT_FALSE(validation_due(spec_with(0, 1, 3, true), end_of(2, 21)));
}

// 2 workers x batches of 2, 12 samples a step: 3 loader batches of a worker make a step.
v1::JobSpec spec_with_val_freq(int val_freq, int val_epoch_freq = 1) {
  v1::JobSpec spec = spec_with(0, 1, val_epoch_freq, false);
  spec.mutable_workers()->set_max(2);
  spec.mutable_optim()->set_batch_size(2);
  spec.set_global_batch_size(12);
  spec.mutable_loop()->set_val_freq(val_freq);
  return spec;
}

TEST(StepsOfBatches, AreRoundedUp) {
  const v1::JobSpec spec = spec_with_val_freq(1);
  EXPECT_EQ(data::steps_of_batches(spec, 1), 1);
  EXPECT_EQ(data::steps_of_batches(spec, 3), 1);
  EXPECT_EQ(data::steps_of_batches(spec, 4), 2);
  EXPECT_EQ(data::steps_of_batches(spec, 9), 3);
}

TEST(ValidationDue, ValFreq_CountsFromTheEpochsBeginning) {
  const v1::JobSpec spec = spec_with_val_freq(6);  // every 2 steps; an epoch has 5
  std::vector<std::int64_t> due;
  for (std::int64_t step = 0; step < 10; ++step) {
    const StepPlace place{step + 1, step / 5, step % 5 + 1, step % 5 == 4};
    if (validation_due(spec, place)) due.push_back(step + 1);
  }
  EXPECT_THAT(due, ElementsAre(2, 4, 7, 9)) << "and not at the ends of epochs, as in Lightning";
}

TEST(ValidationDue, ValFreq_WithinEveryNthEpochOnly) {
  const v1::JobSpec spec = spec_with_val_freq(6, 2);
  EXPECT_FALSE(validation_due(spec, {2, 0, 2, false}));
  EXPECT_TRUE(validation_due(spec, {7, 1, 2, false}));
}

TEST(PrintDue, FirstLastAndEveryTenth) {
  const v1::JobSpec spec = spec_with(0, 1, 1, false);
  EXPECT_TRUE(print_due(spec, 1, 25));
  EXPECT_FALSE(print_due(spec, 9, 25));
  EXPECT_TRUE(print_due(spec, 20, 25));
  EXPECT_TRUE(print_due(spec, 25, 25));
}

TEST(IterMetricsDue, EveryPrintFreqOptimizerSteps) {
  const v1::JobSpec spec = spec_with(0, 1, 1, false);
  EXPECT_FALSE(iter_metrics_due(spec, 1));
  EXPECT_TRUE(iter_metrics_due(spec, 10));
  EXPECT_TRUE(iter_metrics_due(spec, 20));
}

v1::OptimSpec lr_spec(const std::string& schedule, std::int64_t warmup, double end) {
  v1::OptimSpec spec;
  spec.set_lr(0.003);
  spec.set_lr_schedule(schedule);
  spec.set_warmup_steps(warmup);
  spec.set_lr_end_factor(end);
  return spec;
}

std::vector<double> rates(const v1::OptimSpec& spec, std::int64_t total) {
  std::vector<double> values;
  for (std::int64_t step = 0; step < total; ++step) values.push_back(lr_at(spec, step, total));
  return values;
}

MATCHER_P(NearRates, expected, "") {
  if (arg.size() != expected.size()) return false;
  for (std::size_t i = 0; i < arg.size(); ++i) {
    if (std::abs(arg[i] - expected[i]) > 1e-15) return false;
  }
  return true;
}

TEST(LearningRate, Constant_IsTheSpecsOwnNumber) {
  for (const double rate : rates(lr_spec("constant", 0, 0.5), 20)) EXPECT_EQ(rate, 0.003);
  EXPECT_EQ(lr_at(lr_spec("constant", 4, 0), 4, 20), 0.003);
}

// The numbers are PyTorch's: lr_oracle.py beside this file.
TEST(LearningRate, WarmupAndDecay_IsPyTorchs) {
  EXPECT_THAT(rates(lr_spec("cosine", 3, 0.1), 10),
              NearRates(std::vector<double>{0.001, 0.002, 0.003, 0.003, 0.0028191342951089924,
                                            0.0023250000000000002, 0.00165, 0.0009750000000000004,
                                            0.0004808657048910078, 0.00030000000000000003}));
  EXPECT_THAT(rates(lr_spec("linear", 3, 0.1), 10),
              NearRates(std::vector<double>{0.001, 0.002, 0.003, 0.003, 0.00255, 0.0021,
                                            0.0016499999999999998, 0.0012, 0.0007499999999999999, 0.0003}));
}

TEST(LearningRate, DecayAlone_IsPyTorchs) {
  EXPECT_THAT(rates(lr_spec("cosine", 0, 0.0), 6),
              NearRates(std::vector<double>{0.003, 0.002713525491562421, 0.001963525491562421,
                                            0.0010364745084375786, 0.00028647450843757887, 0.0}));
  EXPECT_THAT(rates(lr_spec("linear", 0, 0.25), 6),
              NearRates(std::vector<double>{0.003, 0.00255, 0.0021, 0.0016499999999999998, 0.0012,
                                            0.0007499999999999999}));
}

TEST(LearningRate, DegenerateLengths_StayFinite) {
  EXPECT_EQ(lr_at(lr_spec("cosine", 0, 0.1), 0, 1), 0.003);
  EXPECT_EQ(lr_at(lr_spec("linear", 3, 0.1), 3, 4), 0.003);
  EXPECT_EQ(lr_at(lr_spec("linear", 10, 0.1), 3, 4), 0.003 * 0.4);
}

TEST(ScheduleNote, ProlongedRun_NamesBothRates) {
  v1::JobSpec spec;
  *spec.mutable_optim() = lr_spec("linear", 0, 0);
  EXPECT_EQ(schedule_note(spec, 5, 11, 11), std::nullopt);
  EXPECT_EQ(schedule_note(spec, 5, 0, 11), std::nullopt);
  EXPECT_THAT(schedule_note(spec, 5, 11, 21),
              Optional(HasSubstr(
                  "now ends at step 21, not 11: step 6 has lr 0.00225 where it would have had 0.0015")));
  spec.mutable_optim()->set_lr_schedule("constant");
  EXPECT_EQ(schedule_note(spec, 5, 11, 21), std::nullopt);
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
