// The launcher's parts: command line, progress lines, hand-over of the address.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <string>

#include "core/base/error.h"
#include "core/base/files.h"
#include "launcher/addresses.h"
#include "launcher/command.h"
#include "launcher/progress.h"
#include "launcher/wireup.h"
#include "tests/support/temp_dir.h"

namespace mdgen::launcher {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

template <typename Function>
std::string error_of(Function function) {
  try {
    function();
    return "(no error)";
  } catch (const Error& error) {
    return error.what();
  }
}

// --- Command line ---

TEST(SplitSpecArguments, TakesFileAndAssignmentsOutOfTheFlags) {
  const std::vector<std::string> words = {"--num_frames", "250",   "-f",         "a.yaml",
                                          "--atlas",      "--set", "optim.lr=1", "--set=data.crop=3",
                                          "--suffix",     "-x"};
  const SpecArguments split = split_spec_arguments(words);
  EXPECT_EQ(split.file, "a.yaml");
  EXPECT_THAT(split.flags, ElementsAre("--num_frames", "250", "--atlas", "--suffix", "-x"));
  EXPECT_THAT(split.assignments, ElementsAre("optim.lr=1", "data.crop=3"));
  const std::vector<std::string> bare = {"--set"};
  EXPECT_EQ(error_of([&] { split_spec_arguments(bare); }), "--set needs a value");
}

TEST(CountSlots, MinusNIsForThisHostAlone) {
  EXPECT_EQ(count_slots({}, std::nullopt).total, 1);
  EXPECT_EQ(count_slots({}, 3).here, 3);
  Place place{Launcher::kOpenMpi, 1, 4, 1, 4, ""};
  EXPECT_EQ(count_slots(place, std::nullopt).total, 4);
  EXPECT_EQ(count_slots(place, std::nullopt).here, 1);
  EXPECT_THAT(error_of([&] { count_slots(place, 2); }), HasSubstr("mpirun has started 4 processes"));
}

config::Resolved resolved(std::vector<std::string> flags, int slots) {
  flags.insert(flags.end(), {"--train_split", "t.csv", "--val_split", "v.csv", "--data_dir", "d"});
  return resolve_spec({.file = {}, .flags = flags, .assignments = {"optim.lr=0.5"}}, slots, "/base");
}

TEST(ResolveSpec, WorkersAreTheSlotsUnlessTheSpecSaysFewer) {
  const v1::JobSpec all = resolved({"--batch_size", "2"}, 3).spec;
  EXPECT_EQ(all.workers().min(), 3);
  EXPECT_EQ(all.workers().max(), 3);
  EXPECT_EQ(all.global_batch_size(), 6);
  EXPECT_EQ(all.optim().lr(), 0.5);
  EXPECT_EQ(all.work_dir(), "/base/workdir");
  EXPECT_EQ(resolved({"--workers.max", "2"}, 3).spec.workers().min(), 2);
  EXPECT_EQ(resolved({"--workers.min", "1"}, 3).spec.workers().max(), 3);
  EXPECT_THAT(error_of([] {
                resolved({"--workers.max", "4"}, 3);
              }),
              HasSubstr("workers.max=4, but this run has 3"));
}

TEST(ResolveSpec, WhatNeedsAPoolIsRefused) {
  EXPECT_THAT(error_of([] {
                resolved({"--workers.selector", "gpu=h200"}, 1);
              }),
              HasSubstr("workers.selector = gpu=h200"));
  EXPECT_THAT(error_of([] { resolved({"--after", "prep"}, 1); }), HasSubstr("after = prep"));
}

TEST(ResolveSpec, FlagsWinOverTheFile) {
  const mdgen::testing::TempDir folder;
  const auto file = folder / "spec.yaml";
  write_file_synced(file, "name: from-file\ndata: {train_split: t, val_split: v, data_dir: d, crop: 7}\n");
  const v1::JobSpec spec =
      resolve_spec({.file = file, .flags = {"--crop", "9"}, .assignments = {}}, 1, folder.path()).spec;
  EXPECT_EQ(spec.name(), "from-file");
  EXPECT_EQ(spec.data().crop(), 9);
  EXPECT_THAT(
      error_of([&] { resolve_spec({.file = folder / "no.yaml", .flags = {}, .assignments = {}}, 1, "/"); }),
      HasSubstr("no.yaml"));
}

// --- Progress ---

v1::Job running(std::int64_t step) {
  v1::Job job;
  job.set_id("abc");
  job.set_state(v1::JOB_STATE_RUNNING);
  job.set_step(step);
  job.set_total_steps(2000);
  job.set_epoch(3);
  job.set_first_loss(2);
  job.set_loss(0.43214);
  job.set_tokens_per_second(811.7);
  job.set_eta_seconds(725);
  return job;
}

TEST(Progress, Line_HasWhatIsKnown) {
  EXPECT_EQ(progress_line(running(120)), "step 120/2000  epoch 3  loss 0.4321  812 tokens/s  ETA 12m05s");
  EXPECT_EQ(progress_line({}), "step 0  epoch 0");
}

TEST(Progress, Duration_HasTwoUnits) {
  EXPECT_EQ(duration_text(0.4), "0s");
  EXPECT_EQ(duration_text(59.6), "1m00s");
  EXPECT_EQ(duration_text(3 * 3600 + 7 * 60), "3h07m");
  EXPECT_EQ(duration_text(2 * 86400 + 4 * 3600), "2d04h");
}

TEST(Progress, Summary_IsTheLineThatScriptsRead) {
  v1::Job job = running(2000);
  job.set_state(v1::JOB_STATE_SUCCEEDED);
  job.set_checkpoint("/runs/a/checkpoints/step-000002000-g0001");
  EXPECT_EQ(
      summary_line(job),
      "job abc SUCCEEDED steps=2000 loss=2->0.43214 checkpoint=/runs/a/checkpoints/step-000002000-g0001");
  EXPECT_EQ(exit_status(v1::JOB_STATE_SUCCEEDED), 0);
  EXPECT_EQ(exit_status(v1::JOB_STATE_FAILED), 1);
  EXPECT_EQ(exit_status(v1::JOB_STATE_CANCELLED), 3);
}

TEST(ProgressPrinter, Line_EachStateOnceAndStepsOnceASecond) {
  ProgressPrinter printer;
  Clock::Steady now{};
  EXPECT_EQ(printer.line(running(1), now), "RUNNING");
  EXPECT_THAT(*printer.line(running(1), now), HasSubstr("step 1/2000"));
  EXPECT_EQ(printer.line(running(2), now + 999ms), std::nullopt);
  EXPECT_THAT(*printer.line(running(3), now + 1000ms), HasSubstr("step 3/2000"));
  EXPECT_EQ(printer.line(running(3), now + 5000ms), std::nullopt);
  v1::Job failed = running(3);
  failed.set_state(v1::JOB_STATE_FAILED);
  failed.set_message("rank 1 ended by signal 11");
  EXPECT_EQ(printer.line(failed, now + 5001ms), "FAILED: rank 1 ended by signal 11");
}

// --- Hand-over ---

const Handover kHandover{{"10.0.0.1:5000", "[fd00::1]:5000"}, {"PEM\nlines\n", "secret"}};

TEST(Handover, ToText_IsOneLineThatIsReadBack) {
  EXPECT_EQ(to_text(kHandover).find('\n'), std::string::npos);
  EXPECT_EQ(to_text(handover_from_text(to_text(kHandover))), to_text(kHandover));
  EXPECT_THAT(handover_from_text(to_text(kHandover)).addresses,
              ElementsAre("10.0.0.1:5000", "[fd00::1]:5000"));
  EXPECT_THAT(error_of([] { handover_from_text("{\"token\": \"secret\"}"); }),
              AllOf(HasSubstr("not from an mdgen-launch"), Not(HasSubstr("secret"))));
}

TEST(FileWireup, Share_ReadersGetWhatRankZeroLeaves) {
  const mdgen::testing::TempDir folder;
  auto reader = std::async(
      std::launch::async, [&] { return file_wireup(folder / "run", "slurm-7-0", 20s)->share(std::nullopt); });
  {
    const auto writer = file_wireup(folder / "run", "slurm-7-0", 20s);
    EXPECT_EQ(to_text(writer->share(kHandover)), to_text(kHandover));
    EXPECT_EQ(to_text(reader.get()), to_text(kHandover));
    const auto file = folder.path() / "run" / ".mdgen-launch-slurm-7-0";
    EXPECT_EQ(std::filesystem::status(file).permissions(),
              std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder / "run"));
}

TEST(FileWireup, Share_AnotherLaunchsFileDoesNotCount) {
  const mdgen::testing::TempDir folder;
  const auto writer = file_wireup(folder.path(), "slurm-7-0", 20s);
  writer->share(kHandover);
  EXPECT_THAT(error_of([&] { file_wireup(folder.path(), "slurm-7-0-1", 0ms)->share(std::nullopt); }),
              HasSubstr("rank 0 has not left its address"));
}

TEST(FileWireup, Share_AFileThatOthersCanWriteIsRefused) {
  const mdgen::testing::TempDir folder;
  const auto file = folder / ".mdgen-launch-slurm-7-0";
  write_file_synced(file, to_text(kHandover) + "\n");
  std::filesystem::permissions(file, std::filesystem::perms(0666));
  EXPECT_THAT(error_of([&] { file_wireup(folder.path(), "slurm-7-0", 0ms)->share(std::nullopt); }),
              HasSubstr("open to others"));
}

TEST(ChooseWireup, WithoutPmixAndName_NeedsAnAddressAndASecret) {
  const Place place{Launcher::kTorch, 1, 2, 1, 2, ""};
  const auto choose = [&](const Environment& environment) {
    return choose_wireup(environment, place, [] { return std::filesystem::path(); });
  };
  EXPECT_THAT(error_of([&] { choose({}); }), HasSubstr("MDGEN_ADDRESS=HOST:PORT"));
  EXPECT_THAT(error_of([&] {
                choose({{"MDGEN_ADDRESS", "h:1"}});
              }),
              HasSubstr("MDGEN_TOKEN must hold a secret"));
  EXPECT_THAT(error_of([&] {
                choose({{"MDGEN_ADDRESS", "h:1"}, {"MDGEN_TOKEN", "twenty-four-characters!!"}});
              }),
              AllOf(HasSubstr("32 or more characters"), Not(HasSubstr("twenty"))));
  EXPECT_FALSE(choose({{"MDGEN_ADDRESS", "127.0.0.1:1"}})->agreement()->access);
}

TEST(ChooseWireup, AddressAndSecret_GiveAllRanksTheSameCertificate) {
  const Place place{Launcher::kTorch, 1, 2, 1, 2, ""};
  const Environment environment = {{"MDGEN_ADDRESS", "h:1"}, {"MDGEN_TOKEN", std::string(64, 'a')}};
  const auto choose = [&] {
    return choose_wireup(environment, place, [] { return std::filesystem::path(); });
  };
  const Handover follower = choose()->share(std::nullopt);
  const Agreement leader = *choose()->agreement();
  EXPECT_THAT(follower.addresses, ElementsAre("h:1"));
  EXPECT_EQ(leader.address, "h:1");
  EXPECT_EQ(follower.access.trusted, leader.access->identity.certificate);
  EXPECT_EQ(follower.access.token, leader.access->token);
}

class Listener {
 public:
  Listener() : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(fd_, generic, length) != 0 || ::getsockname(fd_, generic, &length) != 0) ADD_FAILURE();
    port_ = ::ntohs(address.sin_port);
  }
  ~Listener() { ::close(fd_); }
  void listen() { ::listen(fd_, 1); }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  int fd_;
  int port_ = 0;
};

TEST(RaceToConnect, TakesTheOneThatAnswers) {
  Listener silent, answering;
  answering.listen();
  const std::vector<std::string> both = {silent.address(), answering.address()};
  EXPECT_EQ(race_to_connect(both, 20s), answering.address());
  const std::vector<std::string> one = {silent.address()};
  EXPECT_THAT(error_of([&] { race_to_connect(one, 300ms); }), HasSubstr(silent.address()));
}

}  // namespace
}  // namespace mdgen::launcher
