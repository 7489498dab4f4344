// The agent's small parts: outbox, log sink, environment, addresses, devices.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "core/base/error.h"
#include "core/base/files.h"
#include "services/worker/log_sink.h"
#include "services/worker/outbox.h"
#include "services/worker/surroundings.h"
#include "services/worker/trainer_process.h"
#include "tests/support/temp_dir.h"

namespace mdgen::worker {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

v1::AgentMessage step(std::int64_t number) {
  v1::AgentMessage message;
  message.mutable_trainer()->mutable_step()->set_step(number);
  return message;
}

v1::AgentMessage started() {
  v1::AgentMessage message;
  message.mutable_trainer()->mutable_started();
  return message;
}

std::vector<std::int64_t> drain(Outbox& outbox) {
  std::vector<std::int64_t> steps;  // 0: a start report
  for (; !outbox.empty(); outbox.pop()) steps.push_back(outbox.front().trainer().step().step());
  return steps;
}

TEST(Outbox, Rewind_SendsTheLastFewAgainInOrder) {
  Outbox outbox(10, 2);
  for (int i = 1; i <= 4; ++i) outbox.push(step(i));
  for (int i = 0; i < 3; ++i) outbox.pop();
  outbox.rewind();
  EXPECT_THAT(drain(outbox), ElementsAre(2, 3, 4));
}

TEST(Outbox, Rewind_RepeatsAStartReportOnlyWhenNothingFollowedIt) {
  Outbox outbox;
  outbox.push(started());
  outbox.pop();
  outbox.rewind();
  outbox.push(step(1));
  EXPECT_THAT(drain(outbox), ElementsAre(0, 1));
  outbox.rewind();
  EXPECT_THAT(drain(outbox), ElementsAre(1));
}

TEST(Outbox, Rewind_DropsWhatABrokenConnectionMadeVoid) {
  Outbox outbox(10, 5);
  v1::AgentMessage examined;
  examined.mutable_preflight();
  outbox.push(examined);
  outbox.push(examined);
  outbox.pop();
  outbox.rewind();
  EXPECT_TRUE(outbox.empty());
}

v1::AgentMessage counted(std::int64_t number) {
  v1::AgentMessage message = step(number);
  v1::StepReport& report = *message.mutable_trainer()->mutable_step();
  report.set_samples(4);
  report.set_sample_hash_sum(std::uint64_t{1} << number);
  report.set_tokens(100 * number);
  report.set_seconds(0.5);
  return message;
}

TEST(Outbox, Push_WhenFull_PutsStepsTogether) {
  Outbox outbox(4, 0);
  outbox.push(started());
  for (int i = 1; i <= 40; ++i) outbox.push(counted(i));
  EXPECT_EQ(outbox.dropped(), 0U);
  EXPECT_FALSE(outbox.front().trainer().has_step());
  outbox.pop();
  std::int64_t next = 1;
  std::int64_t samples = 0;
  std::uint64_t hash_sum = 0;
  for (; !outbox.empty(); outbox.pop()) {
    const v1::StepReport& report = outbox.front().trainer().step();
    EXPECT_EQ(report.first_step() > 0 ? report.first_step() : report.step(), next);
    EXPECT_EQ(report.seconds(), 0.5) << "a mean";
    next = report.step() + 1;
    samples += report.samples();
    hash_sum += report.sample_hash_sum();
  }
  EXPECT_EQ(next, 41);
  EXPECT_EQ(samples, 160);
  EXPECT_EQ(hash_sum, (std::uint64_t{1} << 41) - 2);
}

TEST(Outbox, PutTogether_LeavesAloneWhatMayHaveArrivedAndWhatHasNames) {
  Outbox outbox(6, 100);
  for (int i = 1; i <= 3; ++i) outbox.push(counted(i));
  outbox.front();
  outbox.pop();
  outbox.front();  // on its way when the connection breaks
  outbox.rewind();
  v1::AgentMessage skipped = counted(4);
  skipped.mutable_trainer()->mutable_step()->set_skipped(true);
  outbox.push(skipped);
  for (int i = 5; i <= 12; ++i) outbox.push(counted(i));
  std::vector<std::pair<std::int64_t, std::int64_t>> spans;
  for (; !outbox.empty(); outbox.pop()) {
    const v1::StepReport& report = outbox.front().trainer().step();
    spans.emplace_back(report.first_step(), report.step());
  }
  ASSERT_GE(spans.size(), 5U);
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(spans[static_cast<std::size_t>(i)], std::pair(std::int64_t{0}, std::int64_t{i + 1}));
  EXPECT_EQ(spans[4].first, 5);
  EXPECT_EQ(spans.back().second, 12);
}

TEST(Outbox, Push_WhenNothingFitsTogether_DropsTheOldestThatWasNotSent) {
  Outbox outbox(3, 0);
  outbox.push(started());
  outbox.front();
  for (int i = 1; i <= 9; i += 2) outbox.push(step(i));
  EXPECT_EQ(outbox.dropped(), 3U);
  EXPECT_THAT(drain(outbox), ElementsAre(0, 7, 9));
}

TEST(Outbox, Stored_IsNotSentAgain) {
  Outbox outbox;
  for (int i = 1; i <= 5; ++i) outbox.push(step(i));
  for (int i = 1; i <= 4; ++i) outbox.pop();
  v1::Stored stored;
  stored.set_step(3);
  stored.mutable_id()->set_generation(7);
  outbox.stored(stored);
  stored.mutable_id()->clear_generation();
  stored.set_step(2);
  outbox.stored(stored);
  outbox.rewind();
  EXPECT_THAT(drain(outbox), ElementsAre(3, 4, 5)) << "only the same generation's";
}

TEST(Outbox, WhatIsNotStoredIsKeptHoweverMuchItIs) {
  Outbox outbox;
  for (int i = 1; i <= 1000; ++i) outbox.push(step(i));
  for (int i = 1; i <= 1000; ++i) outbox.pop();
  outbox.rewind();
  EXPECT_EQ(drain(outbox).size(), 1000U);
}

TEST(LastLines, Get_KeepsTheLastLinesAndTheOpenOne) {
  LastLines lines(3, 5);
  lines.add("one\ntwo\nthr");
  lines.add("ee-and-more\nfour\nfi\xff");
  EXPECT_THAT(lines.get(), ElementsAre("three", "four", "fi?"));
}

TEST(LastLines, Get_KeepsUtf8) {
  LastLines lines;
  lines.add("5 \xC3\x85 apart\n\xC3");
  EXPECT_THAT(lines.get(), ElementsAre("5 \xC3\x85 apart", "?"));
}

void write_text(int fd, const std::string& text) {
  ASSERT_EQ(::write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

TEST(LogSink, Finish_WritesAllAndGivesTheLastLines) {
  const mdgen::testing::TempDir folder;
  LogSink sink(folder / "logs" / "rank-0.attempt-1.log", {});
  write_text(sink.write_end(), "one\ntwo\n");
  EXPECT_THAT(sink.finish(10s), ElementsAre("one", "two"));
  EXPECT_EQ(read_file(folder / "logs" / "rank-0.attempt-1.log"), "one\ntwo\n");
}

TEST(LogSink, Finish_FileFull_SaysHowMuchWasDropped) {
  const mdgen::testing::TempDir folder;
  LogSink sink(folder / "log", {.file_bytes = 4, .buffer_bytes = 100});
  write_text(sink.write_end(), "one\ntwo\n");
  EXPECT_THAT(sink.finish(10s), ElementsAre("one", "two"));
  EXPECT_EQ(read_file(folder / "log"), "one\n\n[4 bytes of output were dropped]\n");
}

TEST(LogSink, Write_DiskHangs_DoesNotBlockTheWriter) {
  std::signal(SIGPIPE, SIG_IGN);
  const mdgen::testing::TempDir folder;
  const std::string file = folder / "log";
  ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0);
  const int reader =
      ::open(file.c_str(), O_RDONLY | O_NONBLOCK);  // reads nothing: the sink's file is full at once
  {
    LogSink sink(file, {.file_bytes = 1 << 30, .buffer_bytes = 1 << 20});
    const std::string chunk(65536, 'x');
    for (int i = 0; i < 256; ++i) write_text(sink.write_end(), chunk);
    write_text(sink.write_end(), "\nthe end\n");
    EXPECT_EQ(sink.finish(200ms).back(), "the end");
  }
  ::close(reader);
}

TEST(TrainerEnvironment, LeavesOutTheLaunchersAndSetsTheThreads) {
  const std::vector<std::string> agent = {
      "PATH=/bin",    "OMPI_COMM_WORLD_RANK=1", "PMIX_RANK=1", "PMI_RANK=1",          "SLURM_PROCID=3",
      "ORTE_X=1",     "OMP_NUM_THREADS=64",     "MYSLURM_X=1", "MODEL_DIR=elsewhere", "MDGEN_TOKEN=secret",
      "MDGEN_CA=/ca", "MDGEN_ADDRESS=h:1"};
  EXPECT_THAT(trainer_environment(agent, 2, "/runs/a"),
              ElementsAre("PATH=/bin", "MYSLURM_X=1", "OMP_WAIT_POLICY=PASSIVE", "MODEL_DIR=/runs/a",
                          "OMP_NUM_THREADS=2"));
  const std::vector<std::string> chosen = {"OMP_WAIT_POLICY=ACTIVE"};
  EXPECT_THAT(trainer_environment(chosen, 1, "/r"),
              ElementsAre("OMP_WAIT_POLICY=ACTIVE", "MODEL_DIR=/r", "OMP_NUM_THREADS=1"));
}

TEST(DeviceName, Cuda_IsTheOnlyVisibleOneElseTheLocalRanks) {
  EXPECT_EQ(device_name("cpu", "0", 3), "cpu");
  EXPECT_EQ(device_name("cuda:5", "", 3), "cuda:5");
  EXPECT_EQ(device_name("cuda", "", 3), "cuda:3");
  EXPECT_EQ(device_name("cuda", "4,5,6,7", 3), "cuda:3");
  EXPECT_EQ(device_name("cuda", "6", 3), "cuda:0");
  EXPECT_THROW(device_name("gpu", "", 0), Error);
  EXPECT_THROW(device_name("cuda:", "", 0), Error);
}

TEST(LocalAddress, Towards_IsTheOneThatPeersReach) {
  EXPECT_EQ(local_address_towards("127.0.0.1:5000"), "127.0.0.1");
  EXPECT_EQ(local_address_towards("127.0.0.2:5000"), "127.0.0.1");
  EXPECT_THROW(local_address_towards("127.0.0.1"), Error);
  EXPECT_THROW(local_address_towards(":5000"), Error);
  EXPECT_THROW(local_address_towards("127.0.0.1:http"), Error);
}

}  // namespace
}  // namespace mdgen::worker
