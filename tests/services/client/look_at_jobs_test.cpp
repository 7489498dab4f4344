// list, status, events, logs, metrics.
#include <gmock/gmock.h>
#include <google/protobuf/util/time_util.h>
#include <gtest/gtest.h>

#include "core/config/json.h"
#include "fake_world.h"
#include "services/client/event_text.h"
#include "services/client/metrics_text.h"

namespace mdgen::client {
namespace {

using google::protobuf::util::TimeUtil;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

struct LookAtJobs : ::testing::Test {
  FakeWorld fake;

  v1::ListJobsResponse page_of(std::vector<v1::Job> jobs) {
    v1::ListJobsResponse page;
    for (v1::Job& job : jobs) *page.add_jobs() = std::move(job);
    return page;
  }
  // Nobody reads the output after so many sleeps.
  void stop_after(int looks) {
    fake.on_sleep = [this, looks, n = 0]() mutable {
      if (++n == looks) fake.out.setstate(std::ios::eofbit | std::ios::failbit);
    };
  }
};

TEST_F(LookAtJobs, ListPassesItsFilters) {
  v1::ListJobsRequest asked;
  fake.api.on_list = [&](const v1::ListJobsRequest& request) {
    asked = request;
    return v1::ListJobsResponse();
  };
  EXPECT_EQ(fake.run({"list", "--state", "running,QUEUED", "--state", "PAUSED", "--name", "atlas", "--owner",
                      "alice", "--label", "team=md", "--label", "stage"}),
            0)
      << fake.err.str();
  EXPECT_THAT(std::vector<int>(asked.states().begin(), asked.states().end()),
              ElementsAre(v1::JOB_STATE_RUNNING, v1::JOB_STATE_QUEUED, v1::JOB_STATE_PAUSED));
  EXPECT_EQ(asked.name_prefix(), "atlas");
  EXPECT_EQ(asked.owner(), "alice");
  EXPECT_EQ(asked.labels(), "team=md,stage");
  EXPECT_EQ(fake.out.str(), "no jobs\n");
  EXPECT_EQ(fake.run({"list", "--state", "BUSY"}), 2);
  EXPECT_EQ(fake.run({"list", "--all", "--limit", "3"}), 2);
}

TEST_F(LookAtJobs, ListAllGoesOnToTheLastPage) {
  int pages = 0;
  fake.api.on_list = [&](const v1::ListJobsRequest& request) {
    v1::ListJobsResponse page = page_of(std::vector<v1::Job>(500, job_in(v1::JOB_STATE_FAILED)));
    EXPECT_EQ(request.page_size(), 500);
    if (++pages < 3) page.set_next_page_token("more");
    return page;
  };
  EXPECT_EQ(fake.run({"list", "--all", "-o", "json"}), 0);
  EXPECT_EQ(config::Json::parse(fake.out.str())["jobs"].size(), 1500U);
}

TEST_F(LookAtJobs, ListWatchAppendsWhatHasChanged) {
  int looks = 0;
  fake.api.on_list = [&](const v1::ListJobsRequest&) {
    ++looks;
    v1::Job first = job_in(looks < 3 ? v1::JOB_STATE_RUNNING : v1::JOB_STATE_SUCCEEDED, 7);
    v1::Job second = job_in(v1::JOB_STATE_FAILED);
    second.set_id("j2");
    return page_of({first, second});
  };
  stop_after(4);
  EXPECT_EQ(fake.run({"list", "--watch"}), 0);
  EXPECT_EQ(fake.out.str(),
            "ID  NAME  STATE    STEP   LOSS  WORKERS  AGE\n"
            "j1  run   RUNNING  7/200  -     0        -\n"
            "j2  run   FAILED   0/200  -     0        -\n"
            "j1  run   SUCCEEDED  7/200  -     0        -\n");
  EXPECT_EQ(fake.sleeps.front(), std::chrono::milliseconds(2000));
}

TEST_F(LookAtJobs, ListWatchDrawsOverATerminal) {
  fake.api.on_list = [&](const v1::ListJobsRequest&) { return page_of({job_in(v1::JOB_STATE_RUNNING)}); };
  fake.terminal = {100, 10};
  stop_after(2);
  EXPECT_EQ(fake.run({"list", "--watch", "--color", "never"}), 0);
  const std::string text = fake.out.str();
  EXPECT_THAT(text, StartsWith("\x1b[2J\x1b[HID"));
  EXPECT_THAT(text, HasSubstr("\x1b[J\x1b[HID")) << "the second frame goes over the first";
}

TEST_F(LookAtJobs, ListWatchOutlivesACoordinator) {
  int looks = 0;
  fake.api.on_list = [&](const v1::ListJobsRequest&) {
    if (++looks > 1) throw lost();
    return page_of({job_in(v1::JOB_STATE_RUNNING)});
  };
  EXPECT_EQ(fake.run({"list", "--watch", "--reconnect-for", "10"}), 4);
  EXPECT_THAT(fake.err.str(), HasSubstr("no answer; trying again for 10s\n"));
}

TEST_F(LookAtJobs, ColoursAreForTerminalsWithoutNoColor) {
  fake.api.on_list = [&](const v1::ListJobsRequest&) { return page_of({job_in(v1::JOB_STATE_RUNNING)}); };
  const auto has_colours = [&](std::vector<std::string> arguments) {
    fake.out.str("");
    arguments.insert(arguments.begin(), "list");
    EXPECT_EQ(fake.run(arguments), 0);
    return fake.out.str().find("\x1b[") != std::string::npos;
  };
  EXPECT_FALSE(has_colours({}));
  EXPECT_TRUE(has_colours({"--color", "always"}));
  fake.terminal = {80, 24};
  EXPECT_TRUE(has_colours({}));
  EXPECT_FALSE(has_colours({"--color", "never"}));
  EXPECT_FALSE(has_colours({"-o", "json"}));
  fake.variables["TERM"] = "dumb";
  EXPECT_FALSE(has_colours({}));
  fake.variables["TERM"] = "xterm";
  fake.variables["NO_COLOR"] = "1";
  EXPECT_FALSE(has_colours({}));
  EXPECT_TRUE(has_colours({"--color", "always"}));
}

TEST_F(LookAtJobs, StatusTellsWhyAJobWaits) {
  v1::Job job = job_in(v1::JOB_STATE_QUEUED);
  job.mutable_queue()->set_position(3);
  job.mutable_queue()->set_reason("WaitingForWorkers");
  job.mutable_queue()->set_message("needs 4 workers, 1 is free");
  *job.mutable_queue()->mutable_since() = TimeUtil::SecondsToTimestamp(1'700'000'000 - 125);
  job.set_owner("alice");
  (*job.mutable_labels())["team"] = "md";
  fake.api.on_get = [&](const std::string&) { return job; };
  EXPECT_EQ(fake.run({"status", "j1"}), 0);
  EXPECT_THAT(
      fake.out.str(),
      HasSubstr("queue         position 3, WaitingForWorkers: needs 4 workers, 1 is free, since 2m05s\n"));
  EXPECT_THAT(fake.out.str(), HasSubstr("owner         alice\nlabels        team=md\n"));
}

TEST_F(LookAtJobs, StatusTellsOfSpeedAndStragglers) {
  v1::Job job = job_in(v1::JOB_STATE_RUNNING, 50);
  job.set_samples_per_second(12.34);
  job.set_step_seconds(0.5);
  job.set_flops_per_second(2e12);
  job.set_ceiling_ratio(0.415);
  job.mutable_step_times()->set_data(0.1);
  job.mutable_step_times()->set_backward(0.3);
  *job.mutable_spent() = job.step_times();
  job.set_goodput_ratio(0.97);
  v1::RankInfo& rank = *job.add_ranks();
  rank.set_rank(2);
  rank.set_host("node-b");
  rank.set_slowness(1.8);
  rank.set_straggler(true);
  fake.api.on_get = [&](const std::string&) { return job; };
  EXPECT_EQ(fake.run({"status", "j1"}), 0);
  const std::string text = fake.out.str();
  EXPECT_THAT(text, HasSubstr("speed         0.5 s a step, 12.3 samples/s, 2e+12 FLOP/s, 41.5% of what"));
  EXPECT_THAT(text, HasSubstr("step          data 25%, backward 75%\n"));
  EXPECT_THAT(text, HasSubstr("spent         0.4 s in steps: data 25%, backward 75%; at the end 41.5% of"));
  EXPECT_THAT(text, HasSubstr("stragglers    rank 2 on node-b takes 1.80 times the median\n"));
  EXPECT_THAT(text, HasSubstr("goodput       97.0%\n"));
}

v1::JobEvent event_of(std::int64_t sequence, const std::string& kind, const std::string& reason) {
  v1::JobEvent event;
  event.set_sequence(sequence);
  event.set_kind(kind);
  event.set_reason(reason);
  *event.mutable_at() = TimeUtil::SecondsToTimestamp(1'700'000'000 - 100 + sequence);
  return event;
}

TEST(EventText, TimeNumberKindAndWho) {
  v1::JobEvent event = event_of(7, "State", "Cancelled");
  event.set_state(v1::JOB_STATE_CANCELLING);
  event.set_message("as asked");
  event.set_actor("alice");
  EXPECT_EQ(event_text(event, {}),
            "2023-11-14T22:11:47Z     7  State       CANCELLING  Cancelled: as asked  (by alice)");
}

TEST_F(LookAtJobs, EventsReadEveryPageAndFilterByTime) {
  std::vector<std::int64_t> after;
  fake.api.on_events = [&](const v1::ListEventsRequest& request) {
    after.push_back(request.after_sequence());
    v1::ListEventsResponse page;
    const std::int64_t last = request.after_sequence() == 0 ? 1000 : 1001;
    for (std::int64_t i = request.after_sequence() + 1; i <= last; ++i)
      *page.add_events() = event_of(i, "State", "R");
    return page;
  };
  EXPECT_EQ(fake.run({"events", "j1", "-o", "json"}), 0);
  EXPECT_EQ(config::Json::parse(fake.out.str())["events"].size(), 1001U);
  EXPECT_THAT(after, ElementsAre(0, 1000));
  fake.out.str("");
  EXPECT_EQ(fake.run({"events", "j1", "--after", "999", "--since", "98s"}), 0);
  EXPECT_THAT(fake.out.str(), StartsWith("2023-11-14T22:28:20Z  1000"));
  fake.out.str("");
  EXPECT_EQ(fake.run({"events", "j1", "--since", "2023-11-14T22:28:20Z"}), 0);
  EXPECT_THAT(fake.out.str(), StartsWith("2023-11-14T22:28:20Z  1000"));
  EXPECT_EQ(fake.run({"events", "j1", "--since", "soon"}), 2);
}

TEST_F(LookAtJobs, EventsFollowUntilTheEnd) {
  int looks = 0;
  fake.api.on_get = [&](const std::string&) {
    ++looks;
    if (looks == 2) throw lost();
    return job_in(looks < 4 ? v1::JOB_STATE_RUNNING : v1::JOB_STATE_FAILED);
  };
  fake.api.on_events = [&](const v1::ListEventsRequest& request) {
    EXPECT_EQ(request.id(), "j1");
    v1::ListEventsResponse page;
    if (request.after_sequence() < looks) *page.add_events() = event_of(looks, "Change", "R");
    return page;
  };
  EXPECT_EQ(fake.run({"events", "run", "-f", "-o", "json"}), 1 - 1) << fake.err.str();
  std::istringstream lines(fake.out.str());
  std::vector<int> seen;
  for (std::string line; std::getline(lines, line);) seen.push_back(config::Json::parse(line)["sequence"]);
  EXPECT_THAT(seen, ElementsAre(1, 3, 4));
}

// A log as the coordinator serves it: tail_bytes starts at a line.
struct LogsOf : LookAtJobs {
  std::string log;
  std::vector<v1::StreamLogsRequest> asked;

  LogsOf() {
    for (int i = 1; i <= 100; ++i) log += "line " + std::to_string(i) + std::string(300, '.') + "\n";
    fake.api.on_logs = [this](const v1::StreamLogsRequest& request, const auto& take) {
      asked.push_back(request);
      auto start = static_cast<std::size_t>(request.offset());
      if (start == 0 && request.tail_bytes() > 0 &&
          static_cast<std::size_t>(request.tail_bytes()) < log.size())
        start = log.find('\n', log.size() - static_cast<std::size_t>(request.tail_bytes())) + 1;
      v1::StreamLogsResponse piece;
      for (; start < log.size(); start += 1000) {
        piece.set_text(log.substr(start, 1000));
        piece.set_next_offset(static_cast<std::int64_t>(std::min(start + 1000, log.size())));
        if (!take(piece)) return;
      }
    };
  }
};

TEST_F(LogsOf, TailIsTheLastLines) {
  EXPECT_EQ(fake.run({"logs", "j1", "--tail", "3"}), 0);
  EXPECT_EQ(fake.out.str(), log.substr(log.find("line 98")));
  fake.out.str("");
  EXPECT_EQ(fake.run({"logs", "j1", "--tail", "1000"}), 0);
  EXPECT_EQ(fake.out.str(), log);
  fake.out.str("");
  EXPECT_EQ(fake.run({"logs", "j1", "--tail", "0"}), 0);
  EXPECT_EQ(fake.out.str(), "");
  log += "no end of line";
  EXPECT_EQ(fake.run({"logs", "j1", "--tail", "2"}), 0);
  EXPECT_EQ(fake.out.str(), log.substr(log.find("line 100")));
}

TEST_F(LogsOf, TailAndFollowGoOnFromTheEnd) {
  EXPECT_EQ(fake.run({"logs", "j1", "--tail", "1", "-f"}), 0);
  EXPECT_EQ(fake.out.str(), log.substr(log.find("line 100")));
  EXPECT_FALSE(asked.front().follow());
  EXPECT_TRUE(asked.back().follow());
  EXPECT_EQ(asked.back().offset(), static_cast<std::int64_t>(log.size()));
}

TEST_F(LogsOf, SinceAndOffsetArePassed) {
  EXPECT_EQ(fake.run({"logs", "j1", "--since", "10m"}), 0);
  EXPECT_EQ(asked.back().since().seconds(), 1'700'000'000 - 600);
  EXPECT_EQ(fake.run({"logs", "j1", "--offset", "5000"}), 0);
  EXPECT_EQ(asked.back().offset(), 5000);
  EXPECT_EQ(fake.run({"logs", "j1", "--since", "x"}), 2);
}

TEST_F(LookAtJobs, LogsOfACoordinatorThatComesBack) {
  int calls = 0;
  fake.api.on_logs = [&](const v1::StreamLogsRequest&, const auto& take) {
    if (++calls < 3) throw lost();
    v1::StreamLogsResponse piece;
    piece.set_text("text\n");
    piece.set_next_offset(5);
    take(piece);
  };
  EXPECT_EQ(fake.run({"logs", "j1", "-f"}), 0);
  EXPECT_EQ(fake.out.str(), "text\n");
  EXPECT_EQ(fake.err.str(), "no answer; trying again for 1m00s\nconnected again\n");
}

TEST_F(LookAtJobs, ALostLogSaysWhereToGoOn) {
  fake.api.on_logs = [&](const v1::StreamLogsRequest& request, const auto& take) {
    v1::StreamLogsResponse piece;
    piece.set_text("text\n");
    piece.set_next_offset(5);
    if (request.offset() == 0) take(piece);
    throw lost();
  };
  EXPECT_EQ(fake.run({"logs", "j1", "-f"}), 4);
  EXPECT_THAT(fake.err.str(), HasSubstr("; go on with --offset 5\n"));
}

v1::GetMetricsResponse series_of(const std::string& name, std::vector<double> values,
                                 std::int64_t first = 1) {
  v1::GetMetricsResponse metrics;
  v1::MetricSeries& series = *metrics.add_series();
  series.set_name(name);
  for (double value : values) {
    series.add_steps(first++);
    series.add_values(value);
  }
  metrics.set_last_step(first - 1);
  return metrics;
}

TEST(MetricsText, TableAndCurve) {
  v1::GetMetricsResponse metrics = series_of("loss", {4, std::nan(""), 2, 1});
  metrics.add_series()->set_name("val_loss");
  EXPECT_EQ(metrics_text(metrics, {}),
            "SERIES  STEP  LAST  LOWEST  HIGHEST  POINTS\n"
            "loss    4     1     1       4        4\n");
  EXPECT_THAT(metrics_text(metrics, {.columns = 100}), HasSubstr("4       #!-_\n"));
  EXPECT_THAT(metrics_text(metrics, {.utf8 = true, .columns = 100}), HasSubstr("4       █!▃▁\n"));
  EXPECT_EQ(metrics_text({}, {}), "no metrics yet\n");
}

TEST_F(LookAtJobs, MetricsAsTableAndJson) {
  v1::GetMetricsRequest asked;
  fake.api.on_metrics = [&](const v1::GetMetricsRequest& request) {
    asked = request;
    return series_of("loss", {4, 2});
  };
  EXPECT_EQ(fake.run({"metrics", "j1", "--name", "loss,lr", "--after-step", "7"}), 0);
  EXPECT_THAT(fake.out.str(), HasSubstr("loss    2     2     2       4        2\n"));
  EXPECT_EQ(asked.id(), "j1");
  EXPECT_EQ(asked.after_step(), 7);
  EXPECT_THAT(std::vector<std::string>(asked.names().begin(), asked.names().end()),
              ElementsAre("loss", "lr"));
  fake.out.str("");
  EXPECT_EQ(fake.run({"metrics", "j1", "-o", "json"}), 0) << fake.err.str();
  EXPECT_EQ(config::Json::parse(fake.out.str())["series"][0]["values"], (std::vector<double>{4, 2}));
}

TEST_F(LookAtJobs, MetricsFollowTellsEachStepOnce) {
  int looks = 0;
  fake.api.on_get = [&](const std::string&) {
    return job_in(++looks < 3 ? v1::JOB_STATE_RUNNING : v1::JOB_STATE_SUCCEEDED);
  };
  fake.api.on_metrics = [&](const v1::GetMetricsRequest& request) {
    return request.after_step() < 4 ? series_of("loss", {0.5, 0.25}, request.after_step() + 1)
                                    : v1::GetMetricsResponse();
  };
  EXPECT_EQ(fake.run({"metrics", "run", "--follow"}), 0) << fake.err.str();
  EXPECT_EQ(fake.out.str(), "step 1  loss 0.5\nstep 2  loss 0.25\nstep 3  loss 0.5\nstep 4  loss 0.25\n");
  looks = 0;
  fake.out.str("");
  EXPECT_EQ(fake.run({"metrics", "run", "--follow", "-o", "json"}), 0);
  EXPECT_THAT(fake.out.str(), StartsWith("{\"step\":1,\"loss\":0.5}\n{\"step\":2,\"loss\":0.25}\n"));
  looks = 0;
  fake.out.str("");
  fake.terminal = {100, 20};
  EXPECT_EQ(fake.run({"metrics", "run", "--follow", "--color", "never"}), 0);
  EXPECT_THAT(fake.out.str(), HasSubstr("loss    4     0.25  0.25    0.5      4       #_#_"));
}

}  // namespace
}  // namespace mdgen::client
