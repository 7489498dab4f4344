#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "agent_core_fixture.h"

namespace mdgen::worker {
namespace {

using namespace std::chrono_literals;
using namespace testing;

v1::CoordinatorMessage examine(std::int64_t attempt) {
  v1::CoordinatorMessage message;
  message.mutable_examine()->set_job_id("j");
  message.mutable_examine()->set_attempt(attempt);
  return message;
}

v1::CoordinatorMessage stop_examination(std::int64_t attempt) {
  v1::CoordinatorMessage message;
  message.mutable_stop_examination()->set_job_id("j");
  message.mutable_stop_examination()->set_attempt(attempt);
  return message;
}

ExaminerSaid examined(std::int64_t attempt, bool last) {
  ExaminerSaid said;
  said.report.set_job_id("j");
  said.report.set_attempt(attempt);
  said.report.mutable_part()->set_last(last);
  return said;
}

TEST_F(AgentCoreTest, Examination_IsReportedToItsEnd) {
  tick(0ms);
  welcome();
  EXPECT_EQ(tell(examine(1)), "examine1");
  EXPECT_EQ(tell(examined(1, false)), "preflight1");
  EXPECT_EQ(tell(examined(1, true)), "preflight1");
  EXPECT_EQ(tell(examined(1, true)), "") << "it is over";
  EXPECT_EQ(tell(examine(2)), "examine2");
  EXPECT_EQ(tell(start(1)), "spawn1") << "trainers do not wait for it";
}

TEST_F(AgentCoreTest, Examination_StoppedOnce) {
  tick(0ms);
  welcome();
  tell(examine(1));
  EXPECT_EQ(tell(stop_examination(7)), "");
  EXPECT_EQ(tell(stop_examination(1)), "stop-examination");
  EXPECT_EQ(tell(stop_examination(1)), "");
  EXPECT_EQ(tell(examined(1, true)), "preflight1") << "the coordinator waits for its end";
}

TEST_F(AgentCoreTest, Examination_IsBoundToTheLink) {
  tick(0ms);
  welcome();
  tell(examine(1));
  EXPECT_EQ(tell(LinkDown{LinkLoss::kUnreachable, "gone"}), "stop-examination");
  tick(200ms);
  welcome();
  EXPECT_EQ(tell(examine(1)), "") << "the old one, which may have the same number, has not ended";
  EXPECT_EQ(tell(examined(1, false)), "") << "nobody waits for the old one";
  EXPECT_EQ(tell(examined(1, true)), "examine1");
  EXPECT_EQ(tell(examined(1, true)), "preflight1");

  tell(examine(2));
  tell(LinkDown{LinkLoss::kUnreachable, "gone"});
  tick(200ms);
  welcome();
  tell(examine(3));
  EXPECT_EQ(tell(stop_examination(3)), "preflight3") << "it had not begun";
  EXPECT_EQ(tell(examined(2, true)), "");
}

}  // namespace
}  // namespace mdgen::worker
