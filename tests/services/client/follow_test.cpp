#include "services/client/follow.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_world.h"
#include "services/client/exit_code.h"
#include "services/client/format.h"
#include "services/client/views.h"

namespace mdgen::client {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(ExitCode, OfStates) {
  EXPECT_EQ(exit_of_state(v1::JOB_STATE_SUCCEEDED), 0);
  EXPECT_EQ(exit_of_state(v1::JOB_STATE_FAILED), 1);
  EXPECT_EQ(exit_of_state(v1::JOB_STATE_CANCELLED), 3);
  for (int state = v1::JobState_MIN; state <= v1::JobState_MAX; ++state) {
    const auto job_state = static_cast<v1::JobState>(state);
    if (is_final(job_state)) continue;
    EXPECT_THROW(exit_of_state(job_state), Error) << state;
  }
  EXPECT_EQ(kExitComeAgain, 75);
}

TEST(ExitCode, OfRefusals) {
  for (bool following : {false, true}) {
    EXPECT_EQ(exit_of_refusal(ErrorCode::kUnavailable, following), 4);
    EXPECT_EQ(exit_of_refusal(ErrorCode::kInternal, following), 1);
    for (ErrorCode code : {ErrorCode::kInvalidArgument, ErrorCode::kUnimplemented, ErrorCode::kAlreadyExists,
                           ErrorCode::kNotFound, ErrorCode::kFailedPrecondition}) {
      EXPECT_EQ(exit_of_refusal(code, following), following ? 2 : 1);
    }
  }
}

struct Follow : ::testing::Test {
  FakeWorld fake;
  const milliseconds start = fake.clock.now;
  std::ostringstream text;
  LineView view{text, {}};

  // Answers with the jobs one after the other; an absent one is a lost connection.
  void answer_with(std::vector<std::optional<v1::Job>> answers) {
    fake.api.on_get = [answers, i = std::size_t{0}](const std::string&) mutable {
      const auto& answer = answers[std::min(i++, answers.size() - 1)];
      if (!answer) throw lost();
      return *answer;
    };
  }
};

TEST_F(Follow, TellsStepsAndStateChangesOnceEach) {
  v1::Job running = job_in(v1::JOB_STATE_RUNNING, 10);
  running.add_transitions()->set_state(v1::JOB_STATE_QUEUED);
  running.add_transitions()->set_state(v1::JOB_STATE_RUNNING);
  v1::Job done = running;
  done.set_state(v1::JOB_STATE_SUCCEEDED);
  done.set_step(200);
  done.add_transitions()->set_state(v1::JOB_STATE_SUCCEEDED);
  answer_with({running, running, done});
  EXPECT_EQ(follow(fake.api, "j1", view, {}, fake.world).step(), 200);
  EXPECT_EQ(text.str(),
            "00:00:00Z QUEUED\n00:00:00Z RUNNING\nstep 10/200  epoch 0\n"
            "00:00:00Z SUCCEEDED\nstep 200/200  epoch 0\njob j1 SUCCEEDED  steps=200\n");
}

TEST_F(Follow, SurvivesACoordinatorThatIsAway) {
  answer_with({job_in(v1::JOB_STATE_RUNNING, 10), std::nullopt, std::nullopt, std::nullopt,
               job_in(v1::JOB_STATE_SUCCEEDED, 200)});
  EXPECT_EQ(follow(fake.api, "j1", view, {}, fake.world).step(), 200);
  EXPECT_THAT(text.str(), HasSubstr("no answer; trying again for 1m00s\nconnected again\n"));
  EXPECT_THAT(fake.sleeps, ::testing::ElementsAre(milliseconds(1000), milliseconds(250), milliseconds(500),
                                                  milliseconds(1000)));
}

TEST_F(Follow, GivesUpAfterReconnectFor) {
  answer_with({job_in(v1::JOB_STATE_RUNNING, 10), std::nullopt});
  const auto start = fake.clock.now;
  try {
    follow(fake.api, "j1", view, {.reconnect_for = milliseconds(30000)}, fake.world);
    FAIL() << "a lost connection looked like an end";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
    EXPECT_THAT(error.what(), HasSubstr("connection lost for 3"));
  }
  EXPECT_GE(fake.clock.now - start, milliseconds(30000));
  EXPECT_LE(fake.clock.now - start, milliseconds(37000));
}

TEST_F(Follow, WaitsForACoordinatorThatIsNotThereYet) {
  answer_with({std::nullopt, std::nullopt, job_in(v1::JOB_STATE_SUCCEEDED, 200)});
  EXPECT_EQ(follow(fake.api, "j1", view, {}, fake.world).step(), 200);
  EXPECT_THAT(text.str(), StartsWith("no answer; trying again for 1m00s\nconnected again\n"));
  EXPECT_THAT(fake.sleeps, ::testing::ElementsAre(milliseconds(250), milliseconds(500)));
}

TEST_F(Follow, ACoordinatorThatStaysAwayFromTheBeginningIsLost) {
  answer_with({std::nullopt});
  EXPECT_THROW(follow(fake.api, "j1", view, {}, fake.world), Error);
  EXPECT_GE(fake.clock.now, start + milliseconds(60000));
  answer_with({std::nullopt});
  fake.sleeps.clear();
  EXPECT_THROW(follow(fake.api, "j1", view, {.reconnect_for = milliseconds(0)}, fake.world), Error);
  EXPECT_TRUE(fake.sleeps.empty());
}

TEST_F(Follow, WatchesTheStreamWhereThereIsOne) {
  v1::WatchJobRequest asked;
  fake.api.on_watch = [&](const v1::WatchJobRequest& request, const auto& take) {
    asked = request;
    EXPECT_TRUE(take(job_in(v1::JOB_STATE_RUNNING, 10)));
    EXPECT_FALSE(take(job_in(v1::JOB_STATE_SUCCEEDED, 200)));
  };
  EXPECT_EQ(follow(fake.api, "run", view, {.interval = milliseconds(500)}, fake.world).step(), 200);
  EXPECT_EQ(asked.id(), "run");
  EXPECT_EQ(asked.max_rate(), 2);
  EXPECT_TRUE(fake.sleeps.empty());
  EXPECT_EQ(text.str(), "step 10/200  epoch 0\nstep 200/200  epoch 0\njob j1 SUCCEEDED  steps=200\n");
}

TEST_F(Follow, AStreamThatBreaksIsTakenUpAgainById) {
  std::vector<std::string> asked;
  fake.api.on_watch = [&](const v1::WatchJobRequest& request, const auto& take) {
    asked.push_back(request.id());
    if (asked.size() == 2) throw lost();
    if (asked.size() < 3) {
      take(job_in(v1::JOB_STATE_RUNNING, 10));
      fake.clock.now += std::chrono::hours(1);  // silent for long: that is no lost connection
      return;                                   // a coordinator that goes down ends its streams
    }
    take(job_in(v1::JOB_STATE_SUCCEEDED, 200));
  };
  EXPECT_EQ(follow(fake.api, "run", view, {}, fake.world).step(), 200);
  EXPECT_THAT(asked, ::testing::ElementsAre("run", "j1", "j1"));
  EXPECT_THAT(text.str(), HasSubstr("the coordinator ended the stream of job j1; trying again for 1m00s\n"
                                    "connected again\nstep 200/200"));
}

TEST_F(Follow, AsksByIdOnceANameIsResolved) {
  std::vector<std::string> asked;
  fake.api.on_get = [&](const std::string& id) {
    asked.push_back(id);
    return job_in(asked.size() < 2 ? v1::JOB_STATE_RUNNING : v1::JOB_STATE_FAILED);
  };
  follow(fake.api, "run", view, {}, fake.world);
  EXPECT_THAT(asked, ::testing::ElementsAre("run", "j1"));
}

TEST_F(Follow, ARefusalInBetweenIsThrown) {
  fake.api.on_get = [first = true](const std::string&) mutable {
    if (!std::exchange(first, false)) throw Error(ErrorCode::kNotFound, "no job j1");
    return job_in(v1::JOB_STATE_RUNNING);
  };
  EXPECT_THROW(follow(fake.api, "j1", view, {}, fake.world), Error);
}

std::function<Look()> terminal_of(std::size_t columns) {
  return [columns] { return Look{.columns = columns, .rows = 24}; };
}

TEST(TerminalView, WritesOverOneLine) {
  std::ostringstream out;
  TerminalView view(out, terminal_of(90));
  view.on_progress(job_in(v1::JOB_STATE_RUNNING, 10));
  view.on_progress(job_in(v1::JOB_STATE_RUNNING, 100));
  EXPECT_EQ(out.str(),
            "\r\x1b[KRUNNING  [>                           ]   5%  step 10/200  epoch 0"
            "\r\x1b[KRUNNING  [=============>              ]  50%  step 100/200  epoch 0");
  view.on_note("note");
  EXPECT_THAT(out.str(), ::testing::EndsWith("\r\x1b[Knote\n"));
}

TEST(TerminalView, CutsALineThatWouldWrap) {
  std::ostringstream out;
  TerminalView(out, terminal_of(12)).on_progress(job_in(v1::JOB_STATE_RUNNING, 10));
  EXPECT_EQ(out.str(), "\r\x1b[KRUNNING  st");
}

TEST(TerminalView, SaysWhyAJobWaits) {
  v1::Job job = job_in(v1::JOB_STATE_QUEUED);
  job.mutable_queue()->set_position(2);
  job.mutable_queue()->set_reason("BehindOthers");
  job.mutable_queue()->set_message("behind j0");
  EXPECT_EQ(bar_text(job, {.columns = 80}), "QUEUED  position 2: BehindOthers: behind j0");
}

TEST(Screen, DrawsOverTheLastFrameAndKeepsWithinTheTerminal) {
  std::ostringstream out;
  Screen screen(out);
  screen.draw("a long line\nb\n", {.columns = 7, .rows = 24});
  EXPECT_EQ(out.str(), "\x1b[2J\x1b[Ha long\x1b[K\nb\x1b[K\n\x1b[J");
  out.str("");
  screen.draw("1\n2\n3\n4\n", {.columns = 40, .rows = 4});
  EXPECT_EQ(out.str(), "\x1b[H1\x1b[K\n2\x1b[K\n… 2 more lines\x1b[K\n\x1b[J");
}

}  // namespace
}  // namespace mdgen::client
