// mdgenctl submit --launcher slurm. tests/launcher/test_slurm.py hands such scripts to a real Slurm.
#include "services/client/slurm_script.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "fake_world.h"

namespace mdgen::client {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const std::vector<std::string> kSpec = {
    "--set", "data.train_split=t.csv", "--set", "data.val_split=v.csv", "--set", "data.data_dir=d",
    "--set", "name=adk-run",           "--set", "workers.max=8",        "--set", "workers.min=8",
    "--set", "work_dir=Ann's runs",    "--set", "threads_per_worker=6", "--set", "data.num_workers=2"};

std::vector<std::string> submit_words(std::vector<std::string> more) {
  more.insert(more.begin(), {"submit", "--launcher", "slurm"});
  more.insert(more.end(), kSpec.begin(), kSpec.end());
  return more;
}

TEST(SlurmScript, Print_IsTheGoldenScript) {
  FakeWorld fake;
  ASSERT_EQ(fake.run(submit_words(
                {"--print", "--device", "cuda", "--slurm", "partition=gpu", "--slurm", "time=12:00:00"})),
            kExitOk)
      << fake.err.str();
  FakeWorld dry;
  std::vector<std::string> words = kSpec;
  words.insert(words.begin(), {"submit", "--dry-run"});
  ASSERT_EQ(dry.run(words), kExitOk) << dry.err.str();
  std::string script = fake.out.str();
  const auto spec = script.find(dry.out.str());
  ASSERT_NE(spec, std::string::npos) << "the whole spec, as it is submitted, stands in the script";
  script.replace(spec, dry.out.str().size(), "(the spec)\n");
  EXPECT_EQ(script, read_file(MDGEN_SOURCE_DIR "/tests/services/client/slurm_script.golden"));
  EXPECT_THAT(fake.batch_scripts, IsEmpty());
  EXPECT_EQ(fake.connected.address, "") << "there is no coordinator yet";
}

TEST(SlurmScript, Submit_HandsTheSameScriptOverAndTellsTheNumber) {
  FakeWorld print, fake;
  fake.terminal = {80, 24};
  ASSERT_EQ(print.run(submit_words({"--print"})), kExitOk);
  ASSERT_EQ(fake.run(submit_words({})), kExitOk);
  EXPECT_THAT(fake.batch_scripts, ::testing::ElementsAre(print.out.str()));
  EXPECT_EQ(fake.out.str(), "17\n");
  EXPECT_THAT(fake.err.str(), HasSubstr("squeue -j 17"));
  EXPECT_THAT(print.out.str(), Not(HasSubstr("gpus-per-task")));
}

TEST(SlurmScript, Json_HasTheNumber) {
  FakeWorld fake;
  ASSERT_EQ(fake.run(submit_words({"-o", "json"})), kExitOk);
  EXPECT_EQ(fake.out.str(), "{\"slurm_job_id\":\"17\"}\n");
}

TEST(SlurmScript, WhatCannotWork_IsUsage) {
  for (const std::vector<std::string>& words :
       {submit_words({"--device", "cuda:1"}), submit_words({"--slurm", "--partition=x"}),
        submit_words({"--slurm", "a=b\n#SBATCH --uid=0"}), submit_words({"--follow"}),
        std::vector<std::string>{"submit", "--launcher", "lsf"},
        std::vector<std::string>{"submit", "--print"}}) {
    FakeWorld fake;
    EXPECT_EQ(fake.run(words), kExitUsage) << fake.out.str();
    EXPECT_THAT(fake.batch_scripts, IsEmpty());
    EXPECT_THAT(fake.err.str(), Not(IsEmpty()));
  }
}

TEST(SlurmScript, RefusalOfSbatch_Is1) {
  FakeWorld fake;
  fake.world.submit_batch = [](const std::string&) -> std::string {
    throw Error(ErrorCode::kFailedPrecondition, "sbatch refused the job: invalid partition");
  };
  EXPECT_EQ(fake.run(submit_words({})), kExitFailed);
  EXPECT_THAT(fake.err.str(), HasSubstr("invalid partition"));
}

}  // namespace
}  // namespace mdgen::client
