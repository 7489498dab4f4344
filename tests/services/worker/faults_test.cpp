// Parts that tell or make faults: the out-of-memory killer's count, damaged checkpoints.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <optional>
#include <string>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/checkpoint/store.h"
#include "services/worker/checkpoint_fault.h"
#include "services/worker/out_of_memory.h"
#include "tests/support/temp_dir.h"

namespace mdgen::worker {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(OutOfMemoryKills, Parse_BothVersionsOfCgroups) {
  EXPECT_EQ(parse_out_of_memory_kills("low 0\nhigh 0\nmax 9\noom 3\noom_kill 2\noom_group_kill 0\n"), 2);
  EXPECT_EQ(parse_out_of_memory_kills("oom_kill_disable 0\nunder_oom 0\noom_kill 17"), 17);
  EXPECT_EQ(parse_out_of_memory_kills("oom_kill_disable 0\nunder_oom 0\n"), std::nullopt);
  EXPECT_EQ(parse_out_of_memory_kills("oom_kill many\n"), std::nullopt);
}

TEST(OutOfMemoryKills, Files_OfThisCgroupThenOfTheRootThatAContainerSees) {
  EXPECT_THAT(memory_event_files("5:cpu:/a\n4:memory:/slurm/job_1\n0::/\n", "/cg"),
              ElementsAre("/cg/memory/slurm/job_1/memory.oom_control", "/cg/memory/memory.oom_control",
                          "/cg/memory.events", "/cg/unified/memory.events"));
  EXPECT_THAT(memory_event_files("0::/user.slice/x\n", "/cg"),
              ElementsAre("/cg/user.slice/x/memory.events", "/cg/memory.events",
                          "/cg/unified/user.slice/x/memory.events", "/cg/unified/memory.events"));
}

class OutOfMemoryWatchTest : public ::testing::Test {
 protected:
  v1::ProcessExit judge(int signal) {
    v1::ProcessExit exit;
    exit.set_signal(signal);
    watch_.judge(exit, now_);
    return exit;
  }
  void pass(std::chrono::seconds time) {
    for (auto second = 0s; second < time; ++second) watch_.look(now_ += 1s);
  }

  std::optional<std::int64_t> kills_ = 4;
  Clock::Steady now_{1h};
  OutOfMemoryWatch watch_{[this] { return kills_; }};
};

TEST_F(OutOfMemoryWatchTest, KilledWhileTheCountRose_WasOutOfMemory) {
  pass(60s);
  EXPECT_FALSE(judge(SIGKILL).out_of_memory()) << "the count stands still";
  kills_ = 5;
  EXPECT_TRUE(judge(SIGKILL).out_of_memory());
  EXPECT_FALSE(judge(SIGSEGV).out_of_memory());
  EXPECT_EQ(judge(SIGKILL).last_log_lines_size(), 0);
}

TEST_F(OutOfMemoryWatchTest, SlowDeath_IsStillSeen_AnOldKillIsNot) {
  pass(60s);
  kills_ = 5;
  pass(5s);
  EXPECT_TRUE(judge(SIGKILL).out_of_memory());
  pass(10s);
  EXPECT_FALSE(judge(SIGKILL).out_of_memory());
}

TEST_F(OutOfMemoryWatchTest, KernelDoesNotTell_SaysPerhaps) {
  kills_.reset();
  pass(3s);
  const v1::ProcessExit exit = judge(SIGKILL);
  EXPECT_FALSE(exit.out_of_memory());
  ASSERT_EQ(exit.last_log_lines_size(), 1);
  EXPECT_THAT(exit.last_log_lines(0), HasSubstr("perhaps by the kernel's out-of-memory killer"));
  EXPECT_EQ(judge(SIGSEGV).last_log_lines_size(), 0);
}

TEST(CorruptCheckpoint, FlipsOneByteOfTheNewestSoThatItNoLongerVerifies) {
  const mdgen::testing::TempDir run;
  const auto write = [&](std::int64_t step) {
    return checkpoint::publish(run / "checkpoints", {step, 1}, {.step = step}, [](const auto& folder) {
      write_file_synced(folder / "model.safetensors", std::string(1000, 'w'));
      write_file_synced(folder / "state.json", "{}");
    });
  };
  const auto older = write(10);
  const auto newest = write(20);
  EXPECT_EQ(corrupt_newest_checkpoint(run.path()), newest / "model.safetensors");
  EXPECT_NO_THROW(checkpoint::verify(older));
  EXPECT_THROW(checkpoint::verify(newest), Error);
  EXPECT_EQ(std::filesystem::file_size(newest / "model.safetensors"), 1000U);
}

TEST(CorruptCheckpoint, WithoutOne_DoesNothing) {
  const mdgen::testing::TempDir run;
  EXPECT_EQ(corrupt_newest_checkpoint(run.path()), std::nullopt);
  EXPECT_EQ(corrupt_newest_checkpoint(run / "nowhere"), std::nullopt);
}

}  // namespace
}  // namespace mdgen::worker
