#include "services/budget/budget.h"

#include <gtest/gtest.h>

namespace mdgen {
namespace {

v1::StepTimes times_of(double data, double backward, double checkpoint) {
  v1::StepTimes times;
  times.set_data(data);
  times.set_backward(backward);
  times.set_checkpoint(checkpoint);
  return times;
}

TEST(SharesText, ArePartsOfTheSum_WithoutThoseOfNoSeconds) {
  EXPECT_EQ(shares_text(times_of(1, 2, 1)), "data 25%, backward 50%, checkpoint 25%");
  EXPECT_EQ(shares_text({}), "");
}

TEST(SharesText, NamesEveryPart) {
  v1::StepTimes times = times_of(10, 40, 5);
  times.set_forward(30);
  times.set_reduce(8);
  times.set_optimizer(7);
  EXPECT_EQ(shares_text(times),
            "data 10%, forward 30%, backward 40%, reduce 8%, optimizer 7%, checkpoint 5%");
}

TEST(BudgetText, SaysTheTimeItsPartsAndTheCeiling) {
  v1::Job job;
  EXPECT_EQ(budget_text(job), "");
  *job.mutable_spent() = times_of(20.75, 62.25, 0);
  EXPECT_EQ(budget_text(job), "1m23s in steps: data 25%, backward 75%");
  job.set_ceiling_ratio(0.371);
  EXPECT_EQ(budget_text(job),
            "1m23s in steps: data 25%, backward 75%; at the end 37.1% of what matrix products reach here");
}

TEST(BudgetText, LongAndShortTimesAreReadable) {
  v1::Job job;
  *job.mutable_spent() = times_of(0, 0.0421, 0);
  EXPECT_EQ(budget_text(job), "0.0421 s in steps: backward 100%");
  *job.mutable_spent() = times_of(0, 7260, 0);
  EXPECT_EQ(budget_text(job), "2h01m in steps: backward 100%");
}

}  // namespace
}  // namespace mdgen
