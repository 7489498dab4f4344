#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/files.h"
#include "core/checkpoint/store.h"
#include "core/config/json.h"
#include "core/config/spec.h"
#include "core/ledger/json.h"
#include "fake_world.h"
#include "tests/core/ledger/small_run.h"
#include "tests/support/temp_dir.h"

namespace mdgen::client {
namespace {

using ledger::testing::SmallRun;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

struct LedgerVerbs : ::testing::Test {
  LedgerVerbs() {
    run.steps(1, 4);
    run.begin(2, 2, "TrainerKilled");
    run.steps(3, 6);
    run.collect();
    fake.api.on_ledger = [this](const v1::StreamLedgerRequest& request) {
      v1::StreamLedgerResponse whole;
      whole.mutable_job()->set_id("j1");
      whole.set_end_step(end_step);
      *whole.mutable_records() = {run.records.begin(), run.records.end()};
      if (!request.with_inputs()) return whole;
      *whole.mutable_job()->mutable_spec() = run.spec;
      *whole.mutable_manifest() = run.manifest;
      return whole;
    };
  }
  // A run folder with one checkpoint at step 6.
  void write_checkpoint(const std::string& ledger_json) {
    replace_file(folder / "manifest.json",
                 config::message_to_json(run.manifest, config::Unset::kLeaveOut).dump());
    checkpoint::publish(folder / "checkpoints", {6, 2}, {6, 1, 24, "s", "p"}, [&](const auto& into) {
      write_file_synced(into / "state.json",
                        R"({"step":6,"epoch":1,"samples":24,"spec_digest":"s","plan_digest":"p","spec":)" +
                            config::to_json(run.spec) + ledger_json + "}");
    });
  }

  testing::TempDir folder;
  SmallRun run;
  std::int64_t end_step = 6;
  FakeWorld fake;
};

TEST_F(LedgerVerbs, AWholeLedgerIsOk) {
  EXPECT_EQ(fake.run({"ledger", "verify", "j1"}), 0) << fake.err.str();
  EXPECT_EQ(fake.out.str(),
            "generations=2 skipped_steps=0 bad_samples=0 lost_steps=2\n"
            "ledger: steps=6 samples=24 repeats=0 gaps=0 rollbacks=1 OK\n");
}

TEST_F(LedgerVerbs, ABrokenOneNamesItsProblemsAndFails) {
  run.records.back().set_hash_sum(5);
  end_step = 8;
  EXPECT_EQ(fake.run({"ledger", "verify", "j1"}), 1);
  EXPECT_THAT(fake.out.str(),
              AllOf(HasSubstr("generation 2: steps 3 to 6: other samples or draws"),
                    HasSubstr("steps 7 to 8: missing at the end"), EndsWith("gaps=2 rollbacks=1 BROKEN\n")));
  fake.out.str("");
  EXPECT_EQ(fake.run({"ledger", "verify", "j1", "-o", "json"}), 1);
  const auto json = config::Json::parse(fake.out.str());
  EXPECT_EQ(json.at("ok"), false);
  EXPECT_EQ(json.at("gaps"), 2);
  EXPECT_EQ(json.at("lost_steps"), 2);
  EXPECT_EQ(json.at("problems").size(), 2U);
}

TEST_F(LedgerVerbs, ShowPrintsTheRecords) {
  EXPECT_EQ(fake.run({"ledger", "show", "j1"}), 0);
  EXPECT_THAT(fake.out.str(), AllOf(HasSubstr("KIND"), HasSubstr("1-4"), HasSubstr("4->2"),
                                    HasSubstr("TrainerKilled"), HasSubstr("3-6")));
  fake.out.str("");
  EXPECT_EQ(fake.run({"ledger", "show", "j1", "--since", "5"}), 0);
  EXPECT_THAT(fake.out.str(), AllOf(HasSubstr("3-6"), Not(HasSubstr("1-4")), Not(HasSubstr("start"))));
  fake.out.str("");
  EXPECT_EQ(fake.run({"ledger", "show", "j1", "--limit", "2", "-o", "json"}), 0);
  const auto json = config::Json::parse(fake.out.str());
  EXPECT_EQ(json.at("job"), "j1");
  EXPECT_EQ(json.at("end_step"), 6);
  ASSERT_EQ(json.at("records").size(), 2U);
  EXPECT_EQ(json.at("records")[0].at("kind"), "rollback");
  EXPECT_EQ(json.at("records")[1].at("hash_sum"), run.records.back().hash_sum());
}

TEST_F(LedgerVerbs, ACheckpointHasItsOwnAndNeedsNoCoordinator) {
  fake.api.on_ledger = [](const v1::StreamLedgerRequest&) -> v1::StreamLedgerResponse { throw lost(); };
  ledger::Chain chain;
  chain.begin(1, 2, run.planned().digest(), 0, "");
  for (int step = 1; step <= 6; ++step) chain.step(run.report(step));
  write_checkpoint(",\"ledger\":" + ledger::to_json(chain.records()).dump());
  const auto checkpoint = folder / "checkpoints" / "step-000000006-g0002";
  for (const auto& named : {folder.path(), folder / "checkpoints", checkpoint}) {
    EXPECT_EQ(fake.run({"ledger", "verify", named.string()}), 0) << fake.err.str();
    EXPECT_THAT(fake.out.str(), EndsWith("ledger: steps=6 samples=24 repeats=0 gaps=0 rollbacks=0 OK\n"));
  }
  EXPECT_EQ(fake.run({"ledger", "show", checkpoint.string()}), 0);
  std::filesystem::remove(folder / "manifest.json");
  EXPECT_EQ(fake.run({"ledger", "verify", checkpoint.string()}), 1);
  EXPECT_THAT(fake.err.str(), HasSubstr("manifest.json, the data set's manifest, is not there"));
}

TEST_F(LedgerVerbs, SaysWhyACheckpointHasNone) {
  EXPECT_EQ(fake.run({"ledger", "verify", folder.path().string()}), 1);
  EXPECT_THAT(fake.err.str(), HasSubstr("no good checkpoint"));
  write_checkpoint("");
  EXPECT_EQ(fake.run({"ledger", "verify", folder.path().string()}), 1);
  EXPECT_THAT(fake.err.str(), HasSubstr("kept no ledger"));
}

TEST_F(LedgerVerbs, ExitCodes) {
  EXPECT_EQ(fake.run({"ledger", "verify"}), 2);
  EXPECT_EQ(fake.run({"ledger"}), 2);
  EXPECT_EQ(fake.run({"ledger", "show", "j1", "--limit", "0"}), 2);
  EXPECT_EQ(fake.run({"ledger", "verify", "no/such/folder"}), 2);
  run.manifest.mutable_train()->clear_entries();
  EXPECT_EQ(fake.run({"ledger", "verify", "j1"}), 1);
  EXPECT_THAT(fake.err.str(), HasSubstr("has not been examined"));
  fake.api.on_ledger = [](const v1::StreamLedgerRequest&) -> v1::StreamLedgerResponse { throw lost(); };
  EXPECT_EQ(fake.run({"ledger", "verify", "j1"}), 4);
  fake.api.on_ledger = [](const v1::StreamLedgerRequest&) -> v1::StreamLedgerResponse {
    throw Error(ErrorCode::kNotFound, "there is no job j1");
  };
  EXPECT_EQ(fake.run({"ledger", "show", "j1"}), 1);
}

}  // namespace
}  // namespace mdgen::client
