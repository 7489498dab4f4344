#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "core/base/files.h"
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
    for (const std::int64_t step : {10, 20})
      checkpoint::publish(run / "checkpoints", {step, 1}, {step, 0, 0, "s", "p"}, [](const auto& folder) {
        write_file_synced(folder / "model.safetensors", "weights");
      });
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

TEST_F(Checkpoints, List) {
  EXPECT_EQ(fake.run({"checkpoints", "list", "j1"}), 0);
  EXPECT_THAT(fake.out.str(),
              AllOf(HasSubstr("step-000000020-g0001  step 20\n"), EndsWith("g0001  step 10\n")));
  fake.out.str("");
  EXPECT_EQ(fake.run({"checkpoints", "list", "j1", "-o", "json"}), 0);
  EXPECT_EQ(config::Json::parse(fake.out.str())["checkpoints"][1]["step"], 10);
}

TEST_F(Checkpoints, AFolderThatIsNotThereIsAUsageError) {
  EXPECT_EQ(fake.run({"checkpoints", "verify", "/nowhere/at/all"}), 2);
  EXPECT_THAT(fake.err.str(), HasSubstr("/nowhere/at/all"));
  EXPECT_EQ(fake.run({"checkpoints"}), 2);
}

}  // namespace
}  // namespace mdgen::client
