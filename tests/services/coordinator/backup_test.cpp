#include "services/coordinator/backup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <string>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/format/zip.h"
#include "services/coordinator/restored.h"
#include "services/coordinator/server.h"
#include "services/coordinator/store.h"
#include "tests/support/temp_dir.h"

namespace mdgen::coordinator {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

const std::chrono::system_clock::time_point kMadeAt{1'700'000'000s};

JobRecord record(const std::string& id, v1::JobState state) {
  JobRecord record;
  record.job.set_id(id);
  record.job.set_state(state);
  record.job.set_workers(2);
  record.last_generation = 4;
  record.manifest.set_digest("manifest of " + id);
  record.manifest_unsaved = true;
  Generation& generation = record.generation.emplace();
  generation.number = 4;
  generation.open = state == v1::JOB_STATE_RUNNING;
  generation.members.emplace_back().worker_id = "w0";
  record.generation_unsaved = true;
  record.ledger.begin(4, 1, "plan", 0, "");
  v1::StepReport step;
  step.set_step(1);
  step.set_samples(3);
  step.set_sample_hash_sum(77);
  record.ledger.step(step);
  return record;
}

class BackupTest : public ::testing::Test {
 protected:
  BackupTest() {
    Store store(state_);
    const JobRecord running = record("aaa", v1::JOB_STATE_RUNNING);
    const JobRecord done = record("bbb", v1::JOB_STATE_SUCCEEDED);
    const JobRecord paused = record("ccc", v1::JOB_STATE_PAUSED);
    store.save({&running, &done, &paused});
  }

  BackupFacts back_up(bool with_secrets = false) {
    return coordinator::back_up(state_, file_, with_secrets, kMadeAt);
  }
  BackupFacts restore() { return coordinator::restore(file_, fresh_, kMadeAt + 1h); }
  std::string refused(const std::function<void()>& work, ErrorCode code) {
    try {
      work();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      return error.what();
    }
    ADD_FAILURE() << "nothing was refused";
    return "";
  }
  static std::string names(const std::filesystem::path& folder) {
    auto all = names_in_folder(folder);
    std::sort(all.begin(), all.end());
    std::string text;
    for (const std::string& name : all) text += name + " ";
    return text;
  }

  testing::TempDir folder_;
  const std::filesystem::path state_ = folder_ / "state", file_ = folder_ / "backup.zip",
                              fresh_ = folder_ / "fresh";
};

TEST_F(BackupTest, ComesBackWithEveryJobAndTheLedger) {
  const BackupFacts made = back_up();
  EXPECT_EQ(made.jobs, 3);
  EXPECT_EQ(made.unfinished, 2);
  EXPECT_EQ(made.bytes, static_cast<std::int64_t>(std::filesystem::file_size(file_)));
  EXPECT_EQ(names(state_), "coordinator.db ");
  EXPECT_EQ(restore().jobs, 3);
  EXPECT_EQ(names(fresh_), "coordinator.db ");

  Store store(fresh_);
  const auto records = store.verify();
  ASSERT_EQ(records.size(), 3U);
  EXPECT_EQ(store.ledger("aaa", 0, -1).size(), 2U);
  EXPECT_EQ(store.manifest("bbb").digest(), "manifest of bbb");
}

TEST_F(BackupTest, AJobThatHadTrainersWaitsForNewOnesOfALaterGeneration) {
  back_up();
  restore();
  const auto records = Store(fresh_).load();
  const JobRecord& running = records[0];
  EXPECT_EQ(running.state(), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(running.job.reason(), "Restored");
  EXPECT_THAT(running.job.message(), HasSubstr("2023-11-14T22:13:20Z"));
  EXPECT_EQ(running.last_generation, 4 + kRestoredGenerations);
  EXPECT_FALSE(running.has_open_generation());
  EXPECT_EQ(running.job.workers(), 0);
  EXPECT_EQ(records[1].state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(records[1].last_generation, 4);
  EXPECT_EQ(records[2].state(), v1::JOB_STATE_PAUSED);
  EXPECT_EQ(records[2].last_generation, 4 + kRestoredGenerations);
}

TEST_F(BackupTest, AgentsAcceptTheRestoredEpoch) {
  const std::int64_t saved = back_up().epoch;
  const BackupFacts once = restore();
  EXPECT_GT(once.epoch, saved + 1'000'000);
  const BackupFacts again = coordinator::restore(file_, folder_ / "again", kMadeAt + 2h);
  EXPECT_GT(again.epoch, once.epoch + 3'000'000) << "an hour of starts after the first restoration";
  EXPECT_GT(restored_epoch(5, kMadeAt, kMadeAt - 1h), 5) << "a clock that was set back";
}

TEST_F(BackupTest, TakesSecretsOnRequestOnly) {
  std::ofstream(state_ / "token") << "0123456789abcdef";
  std::ofstream(state_ / "tls.key") << "key";
  back_up();
  EXPECT_EQ(format::ZipReader(file_).names(), (std::vector<std::string>{"manifest.json", "coordinator.db"}));
  std::filesystem::remove(file_);
  back_up(true);
  EXPECT_TRUE(restore().secrets);
  EXPECT_EQ(read_file(fresh_ / "token"), "0123456789abcdef");
  struct stat facts {};
  for (const auto& file : {file_, fresh_ / "token", fresh_ / "coordinator.db"}) {
    ASSERT_EQ(::stat(file.c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 0777, 0600U) << file;
  }
}

TEST_F(BackupTest, ARunningCoordinatorCopiesItsStoreAndGoesOn) {
  ServerOptions options;
  options.state_dir = state_;
  options.http = "";
  options.admin_socket = true;
  const auto server = Server::start(options);
  const std::int64_t epoch = back_up().epoch;
  EXPECT_EQ(server->job("bbb").state(), v1::JOB_STATE_SUCCEEDED);
  restore();
  EXPECT_GT(Store(fresh_).epoch(), epoch);
  EXPECT_THAT(refused([&] { Store second(state_); }, ErrorCode::kFailedPrecondition), HasSubstr("in use"));
  EXPECT_THAT(names(state_), Not(HasSubstr("backup-")));
}

TEST_F(BackupTest, WhatAKilledCoordinatorLeftDoesNotMatter) {
  { std::ofstream stale(state_ / "admin.sock"); }
  EXPECT_EQ(back_up().jobs, 3);
}

TEST_F(BackupTest, RefusesWhatWouldOverwrite) {
  back_up();
  EXPECT_THAT(refused([&] { back_up(); }, ErrorCode::kAlreadyExists),
              HasSubstr("backup.zip is there already"));
  EXPECT_THAT(refused([&] { coordinator::restore(file_, state_, kMadeAt); }, ErrorCode::kFailedPrecondition),
              HasSubstr("holds a store"));
  std::filesystem::create_directories(fresh_);
  std::ofstream(fresh_ / "notes.txt") << "mine";
  EXPECT_THAT(refused([&] { restore(); }, ErrorCode::kFailedPrecondition), HasSubstr("holds notes.txt"));
}

TEST_F(BackupTest, RefusesWhatIsNotThere) {
  EXPECT_THAT(
      refused([&] { coordinator::back_up(folder_ / "none", file_, false, kMadeAt); }, ErrorCode::kNotFound),
      HasSubstr("holds no coordinator.db"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "none"));
  EXPECT_THAT(refused([&] { restore(); }, ErrorCode::kNotFound), HasSubstr("there is no backup"));
}

TEST_F(BackupTest, ADamagedBackupIsRefusedAndLeavesNothing) {
  back_up();
  const std::string good = read_file(file_);
  for (const std::size_t at :
       {good.find("\"epoch\"") + 2, good.find("SQLite format 3") + 3, good.size() / 2}) {
    ASSERT_LT(at, good.size());
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    std::ofstream(file_, std::ios::binary | std::ios::trunc) << bad;
    refused([&] { restore(); }, ErrorCode::kDataLoss);
    EXPECT_FALSE(std::filesystem::exists(fresh_)) << "byte " << at;
  }
  std::ofstream(file_, std::ios::binary | std::ios::trunc) << good.substr(0, good.size() / 2);
  refused([&] { restore(); }, ErrorCode::kDataLoss);
}

TEST_F(BackupTest, ADamagedStoreIsNotBackedUp) {
  {
    Database database(state_ / "coordinator.db");
    database.run("UPDATE manifests SET manifest = x'00' WHERE job_id = 'bbb'");
  }
  EXPECT_THAT(refused([&] { back_up(); }, ErrorCode::kDataLoss), HasSubstr("manifest of job bbb"));
  EXPECT_FALSE(std::filesystem::exists(file_));
}

}  // namespace
}  // namespace mdgen::coordinator
