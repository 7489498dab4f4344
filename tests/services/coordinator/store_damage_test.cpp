// The store on a disk that fails: full, torn, flipped, read-only; and a coordinator that dies at each of its
// calls.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/config/spec.h"
#include "services/coordinator/coordinator.h"
#include "services/coordinator/store.h"
#include "tests/services/coordinator/fake_world.h"
#include "tests/support/file_faults.h"
#include "tests/support/memory_dir.h"
#include "tests/support/small_disk.h"

namespace mdgen::coordinator {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using mdgen::testing::FileFault;
using mdgen::testing::FileFaults;
using mdgen::testing::MemoryDir;
using mdgen::testing::SmallDisk;
using ::testing::AllOf;
using ::testing::HasSubstr;
using Kind = FileFault::Kind;

JobRecord job_at(std::int64_t step) {
  JobRecord record;
  record.job.set_id("a");
  record.job.set_name(std::string(3000, 'n'));
  record.job.set_state(v1::JOB_STATE_RUNNING);
  record.job.set_step(step);
  record.plan_digest = "plan";
  record.manifest.set_digest("manifest");
  record.last_generation = step;
  Generation& generation = record.generation.emplace();
  generation.number = step;
  generation.members.emplace_back().worker_id = "w0";
  record.ledger.begin(1, 1, "plan", 0, "");
  for (std::int64_t done = 1; done <= step; ++done) {
    v1::StepReport report;
    report.set_step(done);
    report.set_samples(4);
    record.ledger.step(report);
  }
  record.generation_unsaved = record.manifest_unsaved = true;
  return record;
}

// Three changes, each announced once it is stored.
void live(const fs::path& folder, const std::function<void(std::int64_t)>& announce) {
  Store store(folder);
  for (std::int64_t step = 1; step <= 3; ++step) {
    const JobRecord record = job_at(step);
    store.save({&record});
    announce(step);
  }
}

// What a later coordinator finds; 0: no job.
std::int64_t stored(const fs::path& folder) {
  Store store(folder);
  const auto records = store.load();
  if (records.empty()) return 0;
  const std::int64_t step = records.at(0).job.step();
  EXPECT_EQ(records[0].last_generation, step);
  EXPECT_EQ(records[0].generation->number, step);
  EXPECT_EQ(records[0].ledger.last_step(), step);
  EXPECT_EQ(store.manifest("a").digest(), "manifest");
  return step;
}

std::vector<std::string> calls(const fs::path& folder) {
  const FileFaults watch(folder);
  live(folder, [](std::int64_t) {});
  return watch.log();
}

class StoreKilled : public ::testing::TestWithParam<Kind> {};

TEST_P(StoreKilled, AtEachCall_WhatWasAnnouncedIsThere) {
  const std::vector<std::string> log = calls((MemoryDir()).path());
  ASSERT_GT(log.size(), 30U);
  auto* announced = static_cast<std::int64_t*>(
      ::mmap(nullptr, sizeof(std::int64_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  for (int at = 0; at < static_cast<int>(log.size()); ++at) {
    SCOPED_TRACE("call " + std::to_string(at) + " of " + std::to_string(log.size()) + ": " + log[at]);
    const MemoryDir folder;
    *announced = 0;
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const FileFaults faults(folder.path(), {.at = at, .kind = GetParam()});
      live(folder.path(), [&](std::int64_t step) { *announced = step; });
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "the fault was not met";
    const std::int64_t step = stored(folder.path());
    EXPECT_GE(step, *announced);
    EXPECT_LE(step, *announced + 1);
    if (HasFatalFailure() || HasNonfatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Store, StoreKilled,
                         ::testing::Values(Kind::kKillBefore, Kind::kKillHalfway, Kind::kKillAfter),
                         [](const auto& info) {
                           return info.param == Kind::kKillBefore    ? "Before"
                                  : info.param == Kind::kKillHalfway ? "Halfway"
                                                                     : "After";
                         });

class StoreRefused : public ::testing::TestWithParam<int> {};

TEST_P(StoreRefused, AtEachCall_ItIsAnErrorAndTheStoreIsWhole) {
  const std::vector<std::string> log = calls((MemoryDir()).path());
  int refused = 0;
  for (int at = 0; at < static_cast<int>(log.size()); ++at) {
    SCOPED_TRACE("call " + std::to_string(at) + " of " + std::to_string(log.size()) + ": " + log[at]);
    const MemoryDir folder;
    std::int64_t announced = 0;
    try {
      const FileFaults faults(folder.path(), {.at = at, .kind = Kind::kError, .error = GetParam()});
      live(folder.path(), [&](std::int64_t step) { announced = step; });
    } catch (const Error& error) {
      ++refused;
      EXPECT_THAT(error.what(), HasSubstr((folder / "coordinator.db").string()));
    }
    const std::int64_t step = stored(folder.path());
    EXPECT_GE(step, announced);
    EXPECT_LE(step, announced + 1);
    if (HasFatalFailure() || HasNonfatalFailure()) return;
  }
  EXPECT_GT(refused, 5) << "errors are not swallowed";
}

INSTANTIATE_TEST_SUITE_P(Store, StoreRefused, ::testing::Values(ENOSPC, EIO),
                         [](const auto& info) { return std::string(info.param == EIO ? "EIO" : "ENOSPC"); });

// A copy of a store in use, so that there is a log.
class StoreDamaged : public ::testing::Test {
 protected:
  StoreDamaged() {
    Store store(origin.path());
    for (std::int64_t step = 1; step <= 3; ++step) {
      const JobRecord record = job_at(step);
      store.save({&record});
    }
    for (const char* name : {"coordinator.db", "coordinator.db-wal"}) files[name] = read_file(origin / name);
  }
  // 3, an earlier step, 0 for nothing at all; -1: refused with a clear error.
  std::int64_t found_with(const std::string& name, const std::string& content) {
    const MemoryDir folder;
    for (const auto& [other, bytes] : files)
      write_file_synced(folder / other, other == name ? content : bytes);
    try {
      return stored(folder.path());
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(folder.path().string()));
      damage_named += std::string(error.what()).find("is damaged") != std::string::npos ? 1 : 0;
      return -1;
    }
  }

  MemoryDir origin;
  std::map<std::string, std::string> files;
  int damage_named = 0;
};

TEST_F(StoreDamaged, FlippedBytesOfTheFileAreAnErrorOrOfNoConsequence) {
  Store(origin.path());  // the log goes into the file
  files = {{"coordinator.db", read_file(origin / "coordinator.db")}};
  const std::string& good = files.begin()->second;
  ASSERT_GT(good.size(), 20000U);
  std::map<std::int64_t, int> outcomes;
  for (std::size_t at = 0; at < good.size(); at += 61) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x41);
    ++outcomes[found_with("coordinator.db", bad)];
    if (HasFailure()) FAIL() << "byte " << at;
  }
  EXPECT_GT(outcomes[-1], 50);
  EXPECT_GT(damage_named, outcomes[-1] - 5) << "another schema version is not damage";
  EXPECT_GT(outcomes[3], 50) << "unused bytes";
  EXPECT_EQ(outcomes.size(), 2U) << "never another state";
}

TEST_F(StoreDamaged, AFileCutShortIsAnError) {
  Store(origin.path());
  files = {{"coordinator.db", read_file(origin / "coordinator.db")}};
  const std::string good = files.begin()->second;
  for (std::size_t length = 1; length < good.size(); length += 509) {
    EXPECT_EQ(found_with("coordinator.db", good.substr(0, length)), -1) << length;
  }
}

TEST_F(StoreDamaged, AnEmptyFileBesideALogIsNotTakenForANewOne) {
  EXPECT_EQ(found_with("coordinator.db", ""), -1);
}

// What a log that lost its end tells is an earlier state, and a whole one: its frames have check sums.
TEST_F(StoreDamaged, ALogCutShortOrFlippedGivesAWholeState) {
  const std::string good = files["coordinator.db-wal"];
  ASSERT_GT(good.size(), 20000U);
  std::map<std::int64_t, int> outcomes;
  for (std::size_t at = 0; at < good.size(); at += 401) {
    ++outcomes[found_with("coordinator.db-wal", good.substr(0, at))];
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x41);
    ++outcomes[found_with("coordinator.db-wal", bad)];
    if (HasFailure()) FAIL() << "byte " << at;
  }
  EXPECT_GT(outcomes[2], 0);
  EXPECT_LE(outcomes.rbegin()->first, 3);
}

TEST(StoreDisk, AFullOneIsAnErrorThatSaysSo_AndThenItGoesOn) {
  const SmallDisk disk(1 << 20);
  if (!disk.there()) GTEST_SKIP() << disk.why_not();
  const fs::path folder = disk / "state";
  {
    Store store(folder);
    const JobRecord first = job_at(1);
    store.save({&first});
    write_file_synced(disk / "filler", std::string(static_cast<std::size_t>(free_bytes(disk.path())), 'x'));
    const JobRecord second = job_at(2);
    for (int i = 0; i < 3; ++i) {
      try {
        store.save({&second});
        FAIL() << "the disk is full";
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
        EXPECT_THAT(error.what(),
                    AllOf(HasSubstr("the disk or its quota is full"), HasSubstr(folder.string())));
      }
    }
    EXPECT_EQ(store.load().at(0).job.step(), 1);
    fs::remove(disk / "filler");
    store.save({&second});
  }
  EXPECT_EQ(stored(folder), 2);
}

TEST(StoreDisk, AReadOnlyFolderIsRefused) {
  const SmallDisk disk(1 << 20);
  if (!disk.there()) GTEST_SKIP() << disk.why_not();
  { const Store store(disk / "used"); }
  fs::create_directory(disk / "new");
  ASSERT_TRUE(disk.make_read_only());
  for (const char* name : {"used", "new"}) {
    try {
      const Store store(disk / name);
      FAIL() << "nothing can be written";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kFailedPrecondition) << error.what();
      EXPECT_THAT(error.what(), AllOf(HasSubstr((disk / name).string()), HasSubstr("can be written")));
    }
  }
}

// Counts what it is told.
class CountingAgent : public AgentSink {
 public:
  void send(const v1::CoordinatorMessage& message) override {
    if (message.has_start()) ++starts;
  }
  void close(const std::string&) override {}
  std::atomic<int> starts{0};
};

void wait_until(const std::function<bool()>& condition) {
  for (int i = 0; i < 2000 && !condition(); ++i) std::this_thread::sleep_for(5ms);
  EXPECT_TRUE(condition());
}

TEST(StoreDisk, ARunningCoordinatorAnnouncesNothing_SaysSo_AndGoesOnWhenThereIsRoom) {
  const SmallDisk disk(1 << 20);
  if (!disk.there()) GTEST_SKIP() << disk.why_not();
  const MemoryDir runs;
  std::ostringstream log;
  const auto earlier = spdlog::default_logger();
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("", std::make_shared<spdlog::sinks::ostream_sink_mt>(log)));
  const SystemClock clock;
  CoordinatorOptions options;
  options.tick = 5ms;
  auto store = std::make_unique<Store>(disk / "state");
  const std::int64_t epoch = store->epoch();
  auto coordinator = std::make_unique<Coordinator>(options, std::move(store), epoch, clock,
                                                   [](const RequestManifest&, const ParallelProgress&) {
                                                     Validated result;
                                                     result.total_steps = 20;
                                                     result.manifest.set_digest("manifest");
                                                     return result;
                                                   });
  const auto spec = [&](const std::string& name) {
    return config::resolve(config::parse_yaml("{name: " + name +
                                                  ", work_dir: runs, data: {train_split: t, "
                                                  "val_split: v, data_dir: d}, model: "
                                                  "{sim_condition: true}}",
                                              "test"),
                           runs.path())
        .spec;
  };
  const std::string id = coordinator->submit(access::Caller{}, spec("run"), "").id();
  wait_until([&] { return coordinator->job(id).state() == v1::JOB_STATE_QUEUED; });
  // Until the last page: what is stored next does not fit.
  write_file_synced(disk / "filler", std::string(static_cast<std::size_t>(free_bytes(disk.path())), 'x'));

  const auto agent = std::make_shared<CountingAgent>();
  const std::string worker = coordinator->connect(agent, testing::World::identity("i0"));
  EXPECT_THROW(coordinator->submit(access::Caller{}, spec("other"), "request"), Error);
  wait_until([&] { return coordinator->job(id).state() == v1::JOB_STATE_STARTING; });
  for (int i = 0; i < 20; ++i) {
    v1::AgentMessage beat;
    beat.mutable_beat();
    coordinator->agent_message(worker, agent, beat);
    std::this_thread::sleep_for(5ms);
  }
  EXPECT_EQ(agent->starts, 0) << "a generation is stored before it is announced";
  fs::remove(disk / "filler");
  wait_until([&] { return agent->starts == 1; });
  EXPECT_NO_THROW(coordinator->submit(access::Caller{}, spec("other"), "request"));
  coordinator->stop();
  coordinator.reset();
  spdlog::set_default_logger(earlier);
  EXPECT_THAT(log.str(),
              AllOf(HasSubstr("nothing is announced until it is stored; training goes on"),
                    HasSubstr("the disk or its quota is full"), HasSubstr("the store can be written again")));
  EXPECT_EQ(Store(disk / "state").load().size(), 2U);
}

}  // namespace
}  // namespace mdgen::coordinator
