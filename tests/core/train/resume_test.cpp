#include "core/train/resume.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/config/spec.h"
#include "core/train/failure.h"

namespace mdgen::train {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const ResumeInputs kInputs{.resume = "auto",
                           .require_checkpoint = false,
                           .generation = 1,
                           .run_folder = "/runs/a",
                           .spec_digest = "spec",
                           .plan_digest = "plan"};

checkpoint::Found found_with(const std::string& spec_digest, const std::string& plan_digest) {
  checkpoint::Found found;
  found.folder = "/runs/a/checkpoints/step-000000006-g0001";
  found.manifest.summary.spec_digest = spec_digest;
  found.manifest.summary.plan_digest = plan_digest;
  return found;
}

RunFailure failure_of(const ResumeInputs& inputs, const std::optional<checkpoint::Found>& found) {
  try {
    start_from_checkpoint(inputs, found);
  } catch (const RunFailure& failure) {
    return failure;
  }
  return {ErrorCode::kInternal, "Nothing", "nothing was thrown"};
}

TEST(StartFromCheckpoint, Auto_TakesOneIfThereIsOne) {
  EXPECT_FALSE(start_from_checkpoint(kInputs, std::nullopt));
  EXPECT_TRUE(start_from_checkpoint(kInputs, found_with("spec", "plan")));
}

TEST(StartFromCheckpoint, RequireWithoutOne_Fails) {
  ResumeInputs inputs = kInputs;
  inputs.resume = "require";
  const RunFailure failure = failure_of(inputs, std::nullopt);
  EXPECT_EQ(failure.reason(), "CheckpointRequired");
  EXPECT_EQ(failure.code(), ErrorCode::kFailedPrecondition);
  EXPECT_THAT(failure.what(), HasSubstr("/runs/a/checkpoints"));
}

TEST(StartFromCheckpoint, AssignmentRequiresOne_FailsWhateverTheSpecSays) {
  for (const char* resume : {"auto", "fresh", "require"}) {
    ResumeInputs inputs = kInputs;
    inputs.resume = resume;
    inputs.require_checkpoint = true;
    EXPECT_EQ(failure_of(inputs, std::nullopt).reason(), "CheckpointRequired") << resume;
  }
}

TEST(StartFromCheckpoint, FreshOnUsedFolder_FailsInTheFirstGenerationOnly) {
  ResumeInputs inputs = kInputs;
  inputs.resume = "fresh";
  EXPECT_EQ(failure_of(inputs, found_with("spec", "plan")).reason(), "RunFolderUsed");
  EXPECT_FALSE(start_from_checkpoint(inputs, std::nullopt));
  inputs.generation = 2;
  EXPECT_TRUE(start_from_checkpoint(inputs, found_with("spec", "plan")));
}

TEST(StartFromCheckpoint, OtherSpecOrPlan_NamesBothDigests) {
  const RunFailure spec = failure_of(kInputs, found_with("other", "plan"));
  EXPECT_EQ(spec.reason(), "CheckpointMismatch");
  EXPECT_THAT(spec.what(), HasSubstr("spec digest: checkpoint other, now spec"));
  EXPECT_THAT(spec.what(), Not(HasSubstr("plan digest")));
  const RunFailure plan = failure_of(kInputs, found_with("spec", "other"));
  EXPECT_THAT(plan.what(), HasSubstr("plan digest (data, seed, batch sizes): checkpoint other, now plan"));
}

TEST(ExplainMismatch, NamesTheFieldsThatMatter) {
  v1::JobSpec saved;
  saved.mutable_optim()->set_lr(0.001);
  saved.set_max_steps(10);
  v1::JobSpec current = saved;
  current.mutable_optim()->set_lr(0.002);
  current.set_max_steps(20);
  const std::string text = explain_mismatch(config::to_json(saved), current);
  EXPECT_THAT(text, HasSubstr("optim.lr: 0.001 -> 0.002"));
  EXPECT_THAT(text, Not(HasSubstr("max_steps")));
}

TEST(ExplainMismatch, SpecOfAnotherVersion_IsSaid) {
  EXPECT_THAT(explain_mismatch(R"({"field_of_the_future": 1})", config::default_spec()),
              HasSubstr("field_of_the_future"));
}

TEST(ExplainMismatch, EqualSpecs_PointToTheData) {
  v1::JobSpec spec;
  spec.set_name("a");
  EXPECT_THAT(explain_mismatch(config::to_json(spec), spec), HasSubstr("the data set has changed"));
}

}  // namespace
}  // namespace mdgen::train
