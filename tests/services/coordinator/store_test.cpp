#include "services/coordinator/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <utility>

#include "core/base/error.h"
#include "services/coordinator/sqlite.h"
#include "tests/support/temp_dir.h"

namespace mdgen::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> texts(const ledger::Records& records) {
  std::vector<std::string> lines;
  for (const v1::LedgerRecord& record : records) lines.push_back(record.ShortDebugString());
  return lines;
}

JobRecord sample_record(const std::string& id) {
  JobRecord record;
  record.job.set_id(id);
  record.job.set_name("run-" + id);
  record.job.set_state(v1::JOB_STATE_RUNNING);
  record.job.mutable_spec()->set_seed(5);
  record.request_id = "request-" + id;
  record.ordinal = 3;
  record.after = {{"d1", "first", v1::JOB_STATE_RUNNING}, {"d2", "", std::nullopt}};
  record.desired = {Desired::Goal::kCancel, std::chrono::seconds(7), {}};
  record.plan_digest = "plan";
  record.manifest.set_digest("manifest");
  record.last_generation = 4;
  record.earlier_attempts = 2;
  record.best_step = 90;
  record.streak = {80, 2};
  record.poison = {88, 1};
  record.restart_cause = "TrainerKilled";
  Generation& generation = record.generation.emplace();
  generation.number = 4;
  for (int rank = 0; rank < 2; ++rank) {
    Member& member = generation.members.emplace_back();
    member.rank = rank;
    member.attempt = 3 + rank;
    member.worker_id = "w" + std::to_string(rank);
    member.incarnation = "i" + std::to_string(rank);
    member.host = "node";
    member.device = "cuda:0";
  }
  record.ledger.begin(4, 2, "plan", 50, "step-50");
  v1::StepReport step;
  step.set_step(51);
  step.set_samples(3);
  step.set_sample_hash_sum(0xFFFF'FFFF'FFFF'FFFEULL);
  step.set_skipped(true);
  step.set_loss(std::numeric_limits<double>::quiet_NaN());
  for (const auto& [sample, entry] : {std::pair{17, "4ake_A"}, std::pair{3, "1ake_A"}}) {
    step.add_skipped_samples()->set_virtual_sample(sample);
    step.mutable_skipped_samples()->rbegin()->set_entry(entry);
  }
  v1::NamedSample& bad = *step.add_bad_samples();
  bad.set_virtual_sample(9);
  bad.set_entry("2ake_A");
  bad.set_reason("2ake_A_R1.npy: a coordinate is not finite");
  record.ledger.step(step);
  record.generation_unsaved = record.manifest_unsaved = true;
  return record;
}

TEST(Store, KeepsEverythingOfALiveJob) {
  testing::TempDir folder;
  const JobRecord written = sample_record("a");
  Store(folder.path()).save({&written});
  Store store(folder.path());
  const auto records = store.load();
  ASSERT_EQ(records.size(), 1U);
  const JobRecord& read = records[0];
  EXPECT_EQ(read.job.SerializeAsString(), written.job.SerializeAsString());
  EXPECT_EQ(read.request_id, "request-a");
  EXPECT_EQ(read.ordinal, 3);
  ASSERT_EQ(read.after.size(), 2U);
  EXPECT_EQ(read.after[0].id, "d1");
  EXPECT_EQ(read.after[1].id, "d2");
  EXPECT_TRUE(read.cancelling());
  EXPECT_EQ(read.desired.grace, std::chrono::seconds(7));
  EXPECT_EQ(read.plan_digest, "plan");
  EXPECT_EQ(read.manifest.digest(), "manifest");
  EXPECT_EQ(read.last_generation, 4);
  EXPECT_EQ(read.earlier_attempts, 2);
  EXPECT_EQ(read.best_step, 90);
  EXPECT_EQ(read.streak.best_step, 80);
  EXPECT_EQ(read.streak.failures, 2);
  EXPECT_EQ(read.poison.step, 88);
  EXPECT_EQ(read.poison.times, 1);
  EXPECT_EQ(read.restart_cause, "TrainerKilled");
  ASSERT_TRUE(read.has_open_generation());
  ASSERT_EQ(read.generation->members.size(), 2U);
  EXPECT_EQ(read.generation->members[1].worker_id, "w1");
  EXPECT_EQ(read.generation->members[1].incarnation, "i1");
  EXPECT_EQ(read.generation->members[1].attempt, 4);
  EXPECT_EQ(read.attempts.at(1), 2) << "the highest, less those of earlier jobs";
  EXPECT_FALSE(read.generation->concluded);
  EXPECT_EQ(read.ledger.last_step(), 51);
  EXPECT_EQ(texts(store.ledger("a", 0, -1)), texts(written.ledger.pending()));
  EXPECT_EQ(store.ledger("a", 2, 1).size(), 1U);
  EXPECT_EQ(store.ledger("a", 2, 1)[0].kind(), v1::LEDGER_KIND_SKIPPED);
  EXPECT_EQ(store.manifest("a").digest(), "manifest");
  EXPECT_EQ(store.manifest("b").digest(), "");
}

// With nothing but the row: mdgenctl is not needed to know what was skipped.
TEST(Store, ASkippedStepsRowNamesItsSamples) {
  testing::TempDir folder;
  const JobRecord written = sample_record("a");
  Store(folder.path()).save({&written});
  Database database(folder / "coordinator.db");
  Statement row = database.prepare(
      "SELECT first_step, last_step, samples, hash_sum, cause, skipped_samples FROM ledger WHERE kind = 3");
  ASSERT_TRUE(row.step());
  EXPECT_EQ(row.number(), 51);
  EXPECT_EQ(row.number(), 51);
  EXPECT_EQ(row.number(), 3);
  EXPECT_EQ(row.number(), -2);
  EXPECT_EQ(row.text(), "NonFiniteLoss");
  EXPECT_EQ(row.text(), R"([[17,"4ake_A"],[3,"1ake_A"]])");
  Statement bad = database.prepare("SELECT first_step, bad_samples FROM ledger WHERE kind = 4");
  ASSERT_TRUE(bad.step());
  EXPECT_EQ(bad.number(), 51);
  EXPECT_EQ(bad.text(), R"([[9,"2ake_A","2ake_A_R1.npy: a coordinate is not finite"]])");
}

TEST(Store, KnowsThatAGenerationIsOverAndWhatIsWanted) {
  testing::TempDir folder;
  Store store(folder.path());
  JobRecord written = sample_record("a");
  written.generation->concluded = true;
  written.generation_unsaved = true;
  written.desired = {Desired::Goal::kPause, std::chrono::seconds(9), {}};
  store.save({&written});
  const auto records = store.load();
  EXPECT_TRUE(records[0].generation->concluded);
  EXPECT_TRUE(records[0].pausing());
  EXPECT_EQ(records[0].desired.grace, std::chrono::seconds(9));
}

void back_to_version_4(Database& database) {
  for (const char* change : {"ALTER TABLE jobs DROP COLUMN waits_for", "DROP TABLE events",
                             "DELETE FROM digests WHERE what LIKE 'event %' OR what LIKE 'job %'",
                             "UPDATE meta SET value = 4 WHERE key = 'schema_version'"})
    database.run(change);
}

void back_to_version_3(Database& database) {
  back_to_version_4(database);
  for (const char* change :
       {"ALTER TABLE jobs DROP COLUMN poison_step", "ALTER TABLE jobs DROP COLUMN poison_times",
        "ALTER TABLE jobs RENAME COLUMN streak_failures TO streak_any",
        "ALTER TABLE jobs ADD COLUMN streak_reason TEXT NOT NULL DEFAULT 'TrainerKilled'",
        "ALTER TABLE jobs ADD COLUMN streak_same INTEGER NOT NULL DEFAULT 1",
        "ALTER TABLE generations DROP COLUMN concluded",
        "UPDATE meta SET value = 3 WHERE key = 'schema_version'"})
    database.run(change);
}

v1::JobEvent event(const std::string& reason) {
  v1::JobEvent event;
  event.set_kind("State");
  event.set_reason(reason);
  event.set_state(v1::JOB_STATE_RUNNING);
  return event;
}

std::vector<std::string> reasons(const std::vector<v1::JobEvent>& events) {
  std::vector<std::string> reasons;
  for (const v1::JobEvent& event : events)
    reasons.push_back(std::to_string(event.sequence()) + " " + event.reason());
  return reasons;
}

TEST(Store, KeepsTheNewestEventsOfAJob) {
  testing::TempDir folder;
  JobRecord record = sample_record("a");
  for (int i = 0; i < 3; ++i) record.events.add(event("first"));
  {
    Store store(folder.path());
    store.save({&record});
    record.events.clear_pending();
    record.events.add(event("second"));
    store.save({&record});
    EXPECT_THAT(reasons(store.events("a", 2, 10)), ElementsAre("3 first", "4 second"));
    EXPECT_THAT(reasons(store.events("a", 0, 1)), ElementsAre("1 first"));
    EXPECT_TRUE(store.events("b", 0, 10).empty());
  }
  Store store(folder.path());
  JobRecord read = std::move(store.load()[0]);
  EXPECT_EQ(read.events.last_sequence(), 4);
  for (int i = 0; i < 999; ++i) read.events.add(event("third"));
  store.save({&read});
  const auto kept = store.events("a", 0, 5000);
  EXPECT_EQ(kept.size(), 1000U);
  EXPECT_EQ(kept.front().sequence(), 4);
  EXPECT_EQ(read.events.dropped(), 3);
}

TEST(Store, ForgetsAllOfAJobAndNothingOfOthers) {
  testing::TempDir folder;
  {
    Store store(folder.path());
    for (const char* id : {"a", "ba"}) {
      JobRecord record = sample_record(id);
      record.events.add(event("first"));
      store.save({&record});
    }
    store.forget({"a", "nobody"});
    const auto records = store.load();
    ASSERT_EQ(records.size(), 1U);
    EXPECT_EQ(records[0].id(), "ba");
    EXPECT_EQ(store.events("ba", 0, 10).size(), 1U);
    EXPECT_EQ(store.manifest("a").digest(), "") << "and nothing says that it is missing";
    EXPECT_TRUE(store.ledger("a", 0, -1).empty());
  }
  Database database(folder / "coordinator.db");
  for (const char* table : {"jobs", "events", "ledger", "members", "generations", "manifests"}) {
    const std::string column = std::string(table) == "jobs" ? "id" : "job_id";
    EXPECT_EQ(database.number("SELECT COUNT(*) FROM " + std::string(table) + " WHERE " + column + " = 'a'"),
              0)
        << table;
  }
  EXPECT_EQ(database.number("SELECT COUNT(*) FROM digests WHERE what LIKE '% a'"), 0);
  EXPECT_GT(database.number("SELECT COUNT(*) FROM digests WHERE what LIKE '% ba'"), 0);
}

TEST(Store, AFolderOfTheFourthVersionIsTakenOver) {
  testing::TempDir folder;
  JobRecord written = sample_record("a");
  for (const auto& [state, reason] :
       {std::pair{v1::JOB_STATE_QUEUED, "Validated"}, std::pair{v1::JOB_STATE_RUNNING, "Started"}}) {
    v1::Transition& transition = *written.job.add_transitions();
    transition.set_state(state);
    transition.set_reason(reason);
    transition.mutable_at()->set_seconds(1'800'000'000);
  }
  Store(folder.path()).save({&written});
  {
    Database old(folder / "coordinator.db");
    back_to_version_4(old);
  }
  Store store(folder.path());
  const JobRecord read = std::move(store.load()[0]);
  EXPECT_TRUE(read.after.empty());
  EXPECT_EQ(read.ordinal, 3);
  EXPECT_EQ(read.poison.step, 88);
  EXPECT_EQ(read.events.last_sequence(), 2) << "its transitions are its events";
  EXPECT_THAT(reasons(store.events("a", 0, 10)), ElementsAre("1 Validated", "2 Started"));
  EXPECT_EQ(store.events("a", 0, 1)[0].at().seconds(), 1'800'000'000);
  const JobRecord more = sample_record("b");
  store.save({&more});
  EXPECT_EQ(store.load().size(), 2U);
}

TEST(Store, AFolderOfTheThirdVersionIsTakenOver) {
  testing::TempDir folder;
  const JobRecord written = sample_record("a");
  Store(folder.path()).save({&written});
  {
    Database old(folder / "coordinator.db");
    back_to_version_3(old);
  }
  Store store(folder.path());
  const JobRecord read = std::move(store.load()[0]);
  EXPECT_EQ(read.streak.failures, 2);
  EXPECT_EQ(read.poison.step, -1);
  EXPECT_FALSE(read.generation->concluded);
  JobRecord more = sample_record("b");
  more.ordinal = 4;
  store.save({&more});
  EXPECT_EQ(store.load()[1].poison.step, 88);
}

TEST(Store, AFolderOfTheFirstVersionIsTakenOver) {
  testing::TempDir folder;
  const JobRecord written = sample_record("a");
  Store(folder.path()).save({&written});
  {
    Database old(folder / "coordinator.db");
    back_to_version_3(old);
    old.run("ALTER TABLE ledger DROP COLUMN bad_samples");
    old.run("ALTER TABLE ledger DROP COLUMN skipped_samples");
    old.run("UPDATE meta SET value = 1 WHERE key = 'schema_version'");
  }
  Store store(folder.path());
  const auto ledger = store.ledger("a", 0, -1);
  ASSERT_EQ(ledger.size(), 4U);
  EXPECT_EQ(ledger[2].named_size(), 0);
  const JobRecord more = sample_record("b");
  store.save({&more});
  EXPECT_EQ(texts(store.ledger("b", 0, -1)), texts(more.ledger.pending()));
}

TEST(Store, AFolderOfTheSecondVersionIsTakenOver) {
  testing::TempDir folder;
  const JobRecord written = sample_record("a");
  Store(folder.path()).save({&written});
  {
    Database old(folder / "coordinator.db");
    back_to_version_3(old);
    old.run("DELETE FROM ledger WHERE kind = 4");
    old.run("ALTER TABLE ledger DROP COLUMN bad_samples");
    old.run("UPDATE meta SET value = 2 WHERE key = 'schema_version'");
  }
  Store store(folder.path());
  const auto ledger = store.ledger("a", 0, -1);
  ASSERT_EQ(ledger.size(), 3U) << "start, range, skipped";
  EXPECT_EQ(ledger[2].named_size(), 2);
  EXPECT_EQ(store.load()[0].ledger.last_step(), 51);
  const JobRecord more = sample_record("b");
  store.save({&more});
  EXPECT_EQ(texts(store.ledger("b", 0, -1)), texts(more.ledger.pending()));
}

TEST(Store, AGrowingRangeReplacesItself) {
  testing::TempDir folder;
  Store store(folder.path());
  JobRecord record = sample_record("a");
  store.save({&record});
  record.ledger.clear_pending();
  v1::StepReport step;
  step.set_step(52);
  record.ledger.step(step);
  store.save({&record});
  const auto ledger = store.ledger("a", 0, -1);
  ASSERT_EQ(ledger.size(), 4U) << "start, range, skipped, bad samples";
  EXPECT_EQ(ledger[1].last_step(), 52);
}

TEST(Store, ListsJobsInTheOrderOfTheirSubmission) {
  testing::TempDir folder;
  Store store(folder.path());
  std::int64_t ordinal = 0;
  for (const char* id : {"z", "a", "m"}) {
    JobRecord record = sample_record(id);
    record.ordinal = ++ordinal;
    store.save({&record});
  }
  JobRecord again = sample_record("z");
  again.ordinal = 1;
  again.job.set_step(99);
  store.save({&again});
  const auto records = store.load();
  ASSERT_EQ(records.size(), 3U);
  EXPECT_EQ(records[0].id(), "z");
  EXPECT_EQ(records[0].job.step(), 99);
  EXPECT_EQ(records[2].id(), "m");
}

TEST(Store, RaisesItsEpochAtEachStart) {
  testing::TempDir folder;
  EXPECT_EQ(Store(folder.path()).epoch(), 1);
  EXPECT_EQ(Store(folder.path()).epoch(), 2);
}

TEST(Store, IsHeldByOneCoordinator) {
  testing::TempDir folder;
  const Store holder(folder.path());
  try {
    const Store second(folder.path());
    FAIL() << "a second holder";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kFailedPrecondition);
    EXPECT_THAT(error.what(), HasSubstr("another coordinator"));
    EXPECT_THAT(error.what(), HasSubstr(folder.path().string()));
  }
}

TEST(Store, RefusesAnotherSchema) {
  testing::TempDir folder;
  { const Store created(folder.path()); }
  { Database(folder / "coordinator.db").run("UPDATE meta SET value = 99 WHERE key = 'schema_version'"); }
  EXPECT_THROW(Store(folder.path()), Error);
}

TEST(Store, RefusesAFileThatIsNoDatabase) {
  testing::TempDir folder;
  std::FILE* file = std::fopen((folder / "coordinator.db").c_str(), "w");
  std::fputs(
      "this is not a database, but it is long enough to look like one with a header of 100 bytes.........",
      file);
  std::fclose(file);
  EXPECT_THROW(Store(folder.path()), Error);
}

TEST(Store, TrustsNoNetworkFileSystem) {
  EXPECT_STREQ(untrusted_file_system(0x6969), "NFS");
  EXPECT_STREQ(untrusted_file_system(0x0BD00BD0), "Lustre");
  EXPECT_STREQ(untrusted_file_system(0x65735546), "FUSE");
  EXPECT_EQ(untrusted_file_system(0xEF53), nullptr) << "ext4";
  testing::TempDir folder;
  EXPECT_NO_THROW(check_state_folder(folder.path()));
}

TEST(Store, RefusesAFolderThatCannotBeMade) { EXPECT_THROW(Store("/proc/nobody/state"), Error); }

}  // namespace
}  // namespace mdgen::coordinator
