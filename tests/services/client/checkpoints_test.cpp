#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "core/base/files.h"
#include "core/checkpoint/pin.h"
#include "core/checkpoint/store.h"
#include "core/config/json.h"
#include "fake_world.h"
#include "tests/support/temp_dir.h"

namespace mdgen::client {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;

struct Checkpoints : ::testing::Test {
  testing::TempDir run;
  FakeWorld fake;

  Checkpoints() {
    for (const std::int64_t step : {10, 20}) {
      checkpoint::Summary summary{step, 0, 0, "s", "p"};
      if (step == 10) summary.val_loss = 0.125;
      checkpoint::publish(run / "checkpoints", {step, 1}, summary, [](const auto& folder) {
        write_file_synced(folder / "model.safetensors", "weights");
      });
    }
    fake.api.on_get = [this](const std::string& id) {
      v1::Job job;
      job.set_id(id);
      job.set_run_folder(run.path().string());
      return job;
    };
  }
  void damage() {
    std::ofstream(run / "checkpoints" / "step-000000010-g0001" / "model.safetensors") << "weightz";
  }
};

TEST_F(Checkpoints, AllGoodOfAJob) {
  EXPECT_EQ(fake.run({"checkpoints", "verify", "j1"}), 0);
  EXPECT_THAT(fake.out.str(), AllOf(HasSubstr("step-000000020-g0001  good  step 20, 1 files, 7 bytes\n"),
                                    EndsWith("checkpoints: 2 good, 0 bad\n")));
}

TEST_F(Checkpoints, AFolderNeedsNoCoordinator) {
  fake.api.on_get = [](const std::string&) -> v1::Job { throw Error(ErrorCode::kUnavailable, "not asked"); };
  for (const auto& folder : {run.path(), run / "checkpoints"}) {
    EXPECT_EQ(fake.run({"checkpoints", "verify", folder.string()}), 0);
    EXPECT_THAT(fake.out.str(), EndsWith("checkpoints: 2 good, 0 bad\n"));
  }
  EXPECT_EQ(fake.run({"checkpoints", "verify", (run / "checkpoints" / "step-000000020-g0001").string()}), 0);
  EXPECT_THAT(fake.out.str(), EndsWith("checkpoints: 1 good, 0 bad\n"));
}

TEST_F(Checkpoints, ABadOneIsNamedAndFails) {
  damage();
  EXPECT_EQ(fake.run({"checkpoints", "verify", run.path().string()}), 1);
  EXPECT_THAT(fake.out.str(),
              AllOf(HasSubstr("step-000000010-g0001  BAD"), HasSubstr("model.safetensors has SHA-256"),
                    EndsWith("checkpoints: 1 good, 1 bad\n")));
}

TEST_F(Checkpoints, AsJson) {
  damage();
  EXPECT_EQ(fake.run({"checkpoints", "verify", run.path().string(), "-o", "json"}), 1);
  const config::Json json = config::Json::parse(fake.out.str());
  EXPECT_EQ(json.at("good"), 1);
  EXPECT_EQ(json.at("bad"), 1);
  EXPECT_THAT(json.at("checkpoints").at(1).at("problem"), HasSubstr("model.safetensors"));
}

TEST_F(Checkpoints, NothingToVerifyIsNoSuccess) {
  testing::TempDir empty;
  EXPECT_EQ(fake.run({"checkpoints", "verify", empty.path().string()}), 1);
  EXPECT_EQ(fake.out.str(), "checkpoints: 0 good, 0 bad\n");
  std::filesystem::remove_all(run.path());
  EXPECT_EQ(fake.run({"checkpoints", "verify", "j1"}), 1);
  EXPECT_THAT(fake.err.str(), HasSubstr(run.path().string() + " is not on this machine"));
}

TEST_F(Checkpoints, Ls) {
  EXPECT_EQ(fake.run({"checkpoints", "ls", "j1"}), 0);
  EXPECT_THAT(fake.out.str(),
              ::testing::MatchesRegex("NAME +STEP +GEN +AGE +MB +VAL_LOSS +STATE\n"
                                      "step-000000020-g0001 +20 +1 +[0-9]+s +0.0 +- +complete\n"
                                      "step-000000010-g0001 +10 +1 +[0-9]+s +0.0 +0.125 +complete\n"));
  fake.out.str("");
  EXPECT_EQ(fake.run({"checkpoints", "list", "j1", "-o", "json"}), 0);
  const config::Json json = config::Json::parse(fake.out.str())["checkpoints"][1];
  EXPECT_EQ(json["step"], 10);
  EXPECT_EQ(json["val_loss"], 0.125);
  EXPECT_EQ(json["bytes"], 7);
}

TEST_F(Checkpoints, LsTellsWhatIsBadOrBeingRead) {
  std::filesystem::remove(run / "checkpoints" / "step-000000010-g0001" / "model.safetensors");
  const checkpoint::Pin pin(run / "checkpoints" / "step-000000020-g0001");
  EXPECT_EQ(fake.run({"checkpoints", "ls", run.path().string()}), 0);
  EXPECT_THAT(fake.out.str(), AllOf(HasSubstr("complete, being read\n"), HasSubstr("BAD: "),
                                    HasSubstr("model.safetensors is missing")));
}

TEST_F(Checkpoints, RmRefusesTheLastGoodOne) {
  EXPECT_EQ(fake.run({"checkpoints", "rm", "j1", "20"}), 1);
  EXPECT_THAT(fake.err.str(), HasSubstr("step-000000020-g0001 is the last good one"));
  EXPECT_EQ(fake.run({"checkpoints", "rm", "j1", "step-000000010-g0001"}), 0);
  EXPECT_THAT(fake.out.str(), HasSubstr("removed "));
  EXPECT_EQ(checkpoint::list(run / "checkpoints").size(), 1U);
  EXPECT_EQ(fake.run({"checkpoints", "rm", (run / "checkpoints" / "step-000000020-g0001").string()}), 1);
  EXPECT_EQ(fake.run({"checkpoints", "rm", "j1", "20", "--force"}), 0);
  EXPECT_TRUE(checkpoint::list(run / "checkpoints").empty());
}

TEST_F(Checkpoints, RmOfADamagedNewerOneIsAllowed_TheGoodOneIsTheLast) {
  std::ofstream(run / "checkpoints" / "step-000000020-g0001" / "model.safetensors") << "weightz";
  EXPECT_EQ(fake.run({"checkpoints", "rm", "j1", "10"}), 1);
  EXPECT_EQ(fake.run({"checkpoints", "rm", "j1", "20"}), 0);
}

TEST_F(Checkpoints, RmLeavesWhatSomebodyReads) {
  const checkpoint::Pin pin(run / "checkpoints" / "step-000000010-g0001");
  EXPECT_EQ(fake.run({"checkpoints", "rm", "j1", "10"}), 1);
  EXPECT_EQ(checkpoint::list(run / "checkpoints").size(), 2U);
  EXPECT_EQ(fake.run({"checkpoints", "rm", "j1"}), 2);
  EXPECT_EQ(fake.run({"checkpoints", "rm", "j1", "99"}), 2);
}

TEST_F(Checkpoints, AFolderThatIsNotThereIsAUsageError) {
  EXPECT_EQ(fake.run({"checkpoints", "verify", "/nowhere/at/all"}), 2);
  EXPECT_THAT(fake.err.str(), HasSubstr("/nowhere/at/all"));
  EXPECT_EQ(fake.run({"checkpoints"}), 2);
}

}  // namespace
}  // namespace mdgen::client
