// The real mdgen-trainer under an agent made for tests.
#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>

#include "core/base/files.h"
#include "core/checkpoint/store.h"
#include "tests/support/fake_agent.h"
#include "tests/support/temp_dir.h"
#include "tests/support/training_spec.h"

namespace mdgen::trainer {
namespace {

using mdgen::testing::FakeAgent;
using mdgen::testing::ProcessEnd;
using ::testing::HasSubstr;

using Messages = std::vector<v1::TrainerMessage>;

const v1::FinishReport* finish_of(const Messages& messages) {
  for (const v1::TrainerMessage& message : messages) {
    if (message.has_finished()) return &message.finished();
  }
  return nullptr;
}

bool finished(const Messages& messages) { return finish_of(messages) != nullptr; }

std::int64_t steps_of(const Messages& messages) {
  return std::count_if(messages.begin(), messages.end(),
                       [](const auto& message) { return message.has_step(); });
}

v1::StartReport started_of(const Messages& messages) {
  for (const v1::TrainerMessage& message : messages) {
    if (message.has_started()) return message.started();
  }
  return {};
}

class TrainerTest : public ::testing::Test {
 protected:
  v1::Assignment assignment(const std::string& name, std::vector<std::string> more = {}) {
    more.push_back("name=" + name);
    return mdgen::testing::assignment_for(mdgen::testing::tiny_spec(data_, folder_.path(), more));
  }
  // Of the newest checkpoint.
  std::map<std::string, std::string> tensor_digests(const std::string& name) const {
    std::map<std::string, std::string> digests;
    for (const auto& file :
         checkpoint::verify(checkpoint::list(folder_.path() / name / "checkpoints").front()).files) {
      if (file.name.ends_with(".safetensors")) digests[file.name] = file.sha256;
    }
    return digests;
  }
  std::string log() const { return std::filesystem::exists(log_) ? read_file(log_) : ""; }

  mdgen::testing::TempDir folder_;
  std::filesystem::path log_ = folder_ / "log";
  std::string program_ = std::string(MDGEN_BIN_DIR) + "/mdgen-trainer";
  mdgen::testing::SyntheticDataset data_ = mdgen::testing::make_synthetic_dataset(
      folder_ / "data",
      {.lengths = {7, 11}, .frames = 8, .replicas = 3, .dtype = "<f2", .suffix = {}, .seed = 3});
};

TEST_F(TrainerTest, WholeRun_SaysHelloReportsAndCompletes) {
  FakeAgent agent(program_, assignment("whole"), log_.string());
  ASSERT_TRUE(agent.wait_for(finished)) << log();
  const ProcessEnd end = agent.wait_for_exit();
  EXPECT_TRUE(end.exited);
  EXPECT_EQ(end.status, 0) << log();

  const Messages messages = agent.received();
  ASSERT_TRUE(messages.front().has_hello());
  EXPECT_GT(messages.front().hello().pid(), 0);
  EXPECT_FALSE(messages.front().hello().version().empty());
  EXPECT_EQ(steps_of(messages), 8);
  EXPECT_EQ(finish_of(messages)->outcome(), v1::OUTCOME_COMPLETED);
  EXPECT_EQ(finish_of(messages)->steps_applied(), 8);
  EXPECT_TRUE(messages.back().has_finished());
  int started = 0;
  int beats = 0;
  std::string checkpoint;
  for (const v1::TrainerMessage& message : messages) {
    if (message.has_started()) ++started;
    if (message.has_beat()) ++beats;
    if (message.has_checkpoint()) checkpoint = message.checkpoint().folder();
  }
  EXPECT_EQ(started, 1);
  EXPECT_GE(beats, 1);
  EXPECT_EQ(checkpoint::verify(checkpoint).summary.step, 8);
}

TEST_F(TrainerTest, ManifestLeftOut_IsReadFromTheRunFolder) {
  v1::Assignment assignment = this->assignment("by_digest");
  assignment.set_manifest_digest(assignment.manifest().digest());
  const std::filesystem::path run_folder = assignment.run_folder();
  std::filesystem::create_directories(run_folder);
  std::string text;
  ASSERT_TRUE(google::protobuf::util::MessageToJsonString(assignment.manifest(), &text).ok());
  std::ofstream(run_folder / "manifest.json") << text;
  assignment.clear_manifest();
  FakeAgent agent(program_, assignment, log_.string());
  ASSERT_TRUE(agent.wait_for(finished)) << log();
  EXPECT_EQ(agent.wait_for_exit().status, 0) << log();
  EXPECT_EQ(finish_of(agent.received())->steps_applied(), 8);
}

TEST_F(TrainerTest, StopOrder_StopsWithACheckpoint) {
  FakeAgent agent(program_, assignment("stop", {"epochs=100000"}), log_.string());
  ASSERT_TRUE(agent.wait_for([](const Messages& messages) { return steps_of(messages) >= 3; })) << log();
  v1::AgentOrder order;
  order.mutable_stop()->set_checkpoint(true);
  agent.send(order);
  ASSERT_TRUE(agent.wait_for(finished)) << log();
  EXPECT_EQ(agent.wait_for_exit().status, 0);
  const Messages messages = agent.received();
  const v1::FinishReport& finish = *finish_of(messages);
  EXPECT_EQ(finish.outcome(), v1::OUTCOME_STOPPED);
  EXPECT_EQ(steps_of(messages), finish.steps_applied());
  const auto found = checkpoint::list(folder_ / "stop" / "checkpoints");
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(checkpoint::verify(found.front()).summary.step, finish.steps_applied());
}

TEST_F(TrainerTest, AgentGone_EndsTheProcess) {
  FakeAgent agent(program_, assignment("gone", {"epochs=100000"}), log_.string());
  ASSERT_TRUE(agent.wait_for([](const Messages& messages) { return steps_of(messages) >= 1; })) << log();
  agent.hang_up();
  const ProcessEnd end = agent.wait_for_exit();
  EXPECT_TRUE(end.exited);
  EXPECT_EQ(end.status, 1);
  EXPECT_THAT(log(), HasSubstr("the agent has closed the connection"));
}

TEST_F(TrainerTest, Killed_ThenStartedAgain_RepeatsTheUninterruptedRunBitForBit) {
  const std::vector<std::string> more = {"epochs=30", "every_steps=4", "no_validate=false"};
  const v1::Assignment straight = assignment("straight", more);
  {
    FakeAgent agent(program_, straight, log_.string());
    ASSERT_TRUE(agent.wait_for(finished)) << log();
    ASSERT_EQ(agent.wait_for_exit().status, 0);
  }
  v1::Assignment killed = assignment("killed", more);
  {
    FakeAgent agent(program_, killed, log_.string());
    ASSERT_TRUE(agent.wait_for([](const Messages& messages) {
      return std::any_of(messages.begin(), messages.end(),
                         [](const auto& message) { return message.has_checkpoint(); });
    })) << log();
    agent.signal(SIGKILL);
    const ProcessEnd end = agent.wait_for_exit();
    ASSERT_FALSE(end.exited);
    ASSERT_EQ(end.status, SIGKILL);
  }
  killed.mutable_id()->set_generation(2);
  killed.set_require_checkpoint(true);
  FakeAgent agent(program_, killed, log_.string());
  ASSERT_TRUE(agent.wait_for(finished)) << log();
  EXPECT_EQ(agent.wait_for_exit().status, 0);
  EXPECT_GE(started_of(agent.received()).first_step(), 4);
  EXPECT_LT(started_of(agent.received()).first_step(), 60);
  EXPECT_EQ(mdgen::testing::curve_of(killed.spec()), mdgen::testing::curve_of(straight.spec()));
  EXPECT_EQ(tensor_digests("killed"), tensor_digests("straight"));
}

TEST_F(TrainerTest, OtherPlanDigest_FailsWithBothDigests) {
  v1::Assignment assignment = this->assignment("plan");
  const std::string ours = assignment.plan().plan_digest();
  assignment.mutable_plan()->set_plan_digest("0123");
  FakeAgent agent(program_, assignment, log_.string());
  ASSERT_TRUE(agent.wait_for(finished)) << log();
  EXPECT_EQ(agent.wait_for_exit().status, 1);
  const Messages messages = agent.received();
  EXPECT_EQ(finish_of(messages)->outcome(), v1::OUTCOME_FAILED);
  EXPECT_EQ(finish_of(messages)->reason(), "PlanMismatch");
  EXPECT_THAT(finish_of(messages)->message(), HasSubstr("0123"));
  EXPECT_THAT(finish_of(messages)->message(), HasSubstr(ours));
}

TEST_F(TrainerTest, MissingArray_FailsNamingTheFile) {
  const v1::Assignment assignment = this->assignment("array");
  std::filesystem::remove_all(data_.data_dir);
  FakeAgent agent(program_, assignment, log_.string());
  ASSERT_TRUE(agent.wait_for(finished)) << log();
  EXPECT_EQ(agent.wait_for_exit().status, 1);
  EXPECT_THAT(finish_of(agent.received())->message(), HasSubstr(".npy"));
}

TEST_F(TrainerTest, Signals_AreIgnored) {
  FakeAgent agent(program_, assignment("signals", {"epochs=50"}), log_.string());
  ASSERT_TRUE(agent.wait_for([](const Messages& messages) { return steps_of(messages) >= 1; })) << log();
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2}) agent.signal(number);
  ASSERT_TRUE(agent.wait_for(finished)) << log();
  EXPECT_EQ(agent.wait_for_exit().status, 0);
}

TEST_F(TrainerTest, LeaseAtItsEnd_HoldsUntilItIsRenewed) {
  v1::Assignment assignment = this->assignment("lease");
  assignment.mutable_lease()->set_duration_ms(1);
  FakeAgent agent(program_, assignment, log_.string());
  // A beat in phase DATA: the trainer waits before its first step.
  ASSERT_TRUE(agent.wait_for([](const Messages& messages) {
    return std::any_of(messages.begin(), messages.end(), [](const auto& message) {
      return message.has_beat() && message.beat().phase() == v1::TRAINER_PHASE_DATA;
    });
  })) << log();
  EXPECT_EQ(steps_of(agent.received()), 0);
  v1::AgentOrder order;
  order.mutable_lease()->set_duration_ms(600'000);
  agent.send(order);
  ASSERT_TRUE(agent.wait_for(finished)) << log();
  EXPECT_EQ(finish_of(agent.received())->outcome(), v1::OUTCOME_COMPLETED);
}

TEST_F(TrainerTest, OtherParent_EndsAtOnce) {
  FakeAgent agent(program_, assignment("parent"), log_.string(), 1);
  EXPECT_EQ(agent.wait_for_exit().status, 1);
  EXPECT_THAT(log(), HasSubstr("the agent (process 1) has gone"));
  EXPECT_TRUE(agent.received().empty());
}

}  // namespace
}  // namespace mdgen::trainer
