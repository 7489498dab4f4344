// workers, queue, top, drain; update, retry, delete; checkpoints on another machine.
#include <gmock/gmock.h>
#include <google/protobuf/util/time_util.h>
#include <gtest/gtest.h>

#include "core/config/json.h"
#include "fake_world.h"
#include "services/client/pool_text.h"

namespace mdgen::client {
namespace {

using google::protobuf::util::TimeUtil;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

struct Pool : ::testing::Test {
  FakeWorld fake;

  Pool() {
    fake.api.on_workers = [] { return two_workers(); };
    fake.api.on_queue = [] { return one_waits(); };
    fake.api.on_list = [this](const v1::ListJobsRequest& request) {
      listed = request;
      v1::ListJobsResponse page;
      *page.add_jobs() = job_in(v1::JOB_STATE_RUNNING, 50);
      return page;
    };
  }

  static v1::ListWorkersResponse two_workers() {
    v1::ListWorkersResponse workers;
    v1::Worker& busy = *workers.add_workers();
    busy.set_id("w1");
    busy.set_host("node-a");
    busy.set_device("cuda:0");
    busy.set_state("BUSY");
    busy.set_job_id("j1");
    busy.set_rank(0);
    busy.set_phase(v1::TRAINER_PHASE_COMPUTE);
    busy.set_step(50);
    busy.set_beat_age_seconds(0.25);
    busy.set_slowness(1.5);
    busy.set_straggler(true);
    (*busy.mutable_labels())["gpu"] = "h200";
    v1::Worker& free = *workers.add_workers();
    free.set_id("w2");
    free.set_host("node-b");
    free.set_device("cpu");
    free.set_state("FREE");
    free.set_rank(-1);
    return workers;
  }

  static v1::GetQueueResponse one_waits() {
    v1::GetQueueResponse queue;
    queue.set_free_workers(1);
    queue.set_total_workers(2);
    v1::QueueEntry& entry = *queue.add_entries();
    entry.set_job_id("j9");
    entry.set_name("next");
    entry.set_priority(5);
    entry.set_min_workers(2);
    entry.set_max_workers(4);
    entry.mutable_queue()->set_position(1);
    entry.mutable_queue()->set_reason("WaitingForWorkers");
    entry.mutable_queue()->set_message("needs 2, 1 is free");
    *entry.mutable_queue()->mutable_since() = TimeUtil::SecondsToTimestamp(1'700'000'000 - 60);
    return queue;
  }

  v1::ListJobsRequest listed;
};

TEST_F(Pool, WorkersHaveARowEach) {
  EXPECT_EQ(fake.run({"workers"}), 0);
  EXPECT_EQ(fake.out.str(),
            "ID  HOST    DEVICE  LABELS    STATE  JOB  RANK  PHASE    STEP  BEAT  SLOWNESS\n"
            "w1  node-a  cuda:0  gpu=h200  BUSY   j1   0     COMPUTE  50    0.2s  1.50\n"
            "w2  node-b  cpu               FREE   -    -     -        -     0.0s  -\n");
  fake.out.str("");
  EXPECT_EQ(fake.run({"workers", "-o", "json"}), 0);
  EXPECT_EQ(config::Json::parse(fake.out.str())["workers"][0]["labels"]["gpu"], "h200");
  fake.out.str("");
  fake.api.on_workers = [] { return v1::ListWorkersResponse(); };
  EXPECT_EQ(fake.run({"workers"}), 0);
  EXPECT_EQ(fake.out.str(), "no workers\n");
}

TEST_F(Pool, QueueSaysWhoWaitsAndWhy) {
  EXPECT_EQ(fake.run({"queue"}), 0);
  EXPECT_EQ(fake.out.str(),
            "2 workers, 1 free; 1 job waiting\n"
            "POSITION  ID  NAME  PRIORITY  WORKERS  WAITS  REASON\n"
            "1         j9  next  5         2:4      1m00s  WaitingForWorkers: needs 2, 1 is free\n");
}

TEST_F(Pool, TopIsOneLookWithoutATerminal) {
  EXPECT_EQ(fake.run({"top"}), 0);
  EXPECT_THAT(fake.out.str(),
              StartsWith("mdgenctl top  127.0.0.1:7  22:13:20Z  1 RUNNING; 2 workers, 1 free; "
                         "1 job waiting\n\nID  NAME"));
  EXPECT_THAT(fake.out.str(), HasSubstr("[==>         ]  25%"));
  EXPECT_THAT(fake.out.str(), HasSubstr("\nw2  node-b"));
  for (int state : listed.states()) EXPECT_LT(state, v1::JOB_STATE_SUCCEEDED);
  fake.out.str("");
  EXPECT_EQ(fake.run({"top", "-o", "json"}), 0);
  const config::Json json = config::Json::parse(fake.out.str());
  EXPECT_EQ(json["jobs"][0]["id"], "j1");
  EXPECT_EQ(json["workers"].size(), 2U);
  EXPECT_EQ(json["queue"]["free_workers"], 1);
}

TEST_F(Pool, TopDrawsAgainOnATerminal) {
  fake.terminal = {120, 30};
  fake.on_sleep = [this, n = 0]() mutable {
    if (++n == 3) fake.out.setstate(std::ios::failbit);
  };
  EXPECT_EQ(fake.run({"top", "--color", "never", "--interval", "5"}), 0);
  EXPECT_THAT(fake.sleeps,
              ElementsAre(std::chrono::seconds(5), std::chrono::seconds(5), std::chrono::seconds(5)));
  EXPECT_THAT(fake.out.str(), HasSubstr("\x1b[J\x1b[Hmdgenctl top"));
}

TEST_F(Pool, DrainNamesTheWorker) {
  std::string asked;
  fake.api.on_drain = [&](const std::string& id) {
    asked = id;
    v1::Worker worker;
    worker.set_id(id);
    worker.set_state("DRAINING");
    return worker;
  };
  EXPECT_EQ(fake.run({"drain", "w1"}), 0);
  EXPECT_EQ(asked, "w1");
  EXPECT_EQ(fake.out.str(), "w1 DRAINING\n");
  EXPECT_EQ(fake.run({"drain"}), 2);
  fake.api.on_drain = [](const std::string&) -> v1::Worker {
    throw Error(ErrorCode::kPermissionDenied, "no");
  };
  EXPECT_EQ(fake.run({"drain", "w1"}), 1);
}

TEST_F(Pool, UpdateSendsWhatIsGiven) {
  v1::UpdateJobRequest asked;
  fake.api.on_update = [&](const v1::UpdateJobRequest& request) {
    asked = request;
    return job_in(v1::JOB_STATE_QUEUED);
  };
  EXPECT_EQ(fake.run({"update", "j1", "--priority", "-3"}), 0) << fake.err.str();
  EXPECT_EQ(asked.priority(), -3);
  EXPECT_FALSE(asked.has_deadline_seconds() || asked.has_labels());
  EXPECT_EQ(fake.run({"update", "j1", "--deadline", "1h30m", "--labels", "a=b"}), 0);
  EXPECT_EQ(asked.deadline_seconds(), 5400);
  EXPECT_EQ(asked.labels(), "a=b");
  EXPECT_FALSE(asked.has_priority());
  EXPECT_EQ(fake.run({"update", "j1", "--deadline", "none", "--labels", ""}), 0) << fake.err.str();
  EXPECT_TRUE(asked.has_deadline_seconds());
  EXPECT_EQ(asked.deadline_seconds(), 0);
  EXPECT_TRUE(asked.has_labels());
  EXPECT_EQ(fake.run({"update", "j1"}), 2);
  EXPECT_EQ(fake.run({"update", "j1", "--deadline", "later"}), 2);
}

TEST_F(Pool, RetryPrintsTheNewIdAndAsksTwiceWithTheSameRequest) {
  std::vector<std::string> requests;
  fake.api.on_retry = [&](const std::string& id, const std::string& request_id) {
    EXPECT_EQ(id, "j1");
    requests.push_back(request_id);
    if (requests.size() == 1) throw lost();
    v1::Job job = job_in(v1::JOB_STATE_VALIDATING);
    job.set_id("j2");
    return job;
  };
  EXPECT_EQ(fake.run({"retry", "j1"}), 0);
  EXPECT_EQ(fake.out.str(), "j2\n");
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(requests[0], requests[1]);
  EXPECT_EQ(requests[0].size(), 36U);
}

TEST_F(Pool, DeleteAsksWhoeverCanAnswer) {
  std::vector<std::string> removed;
  fake.api.on_remove = [&](const std::string& id) { removed.push_back(id); };
  fake.api.on_get = [](const std::string&) { return job_in(v1::JOB_STATE_FAILED); };
  EXPECT_EQ(fake.run({"delete", "run"}), 2) << "nobody to ask, and no --yes";
  EXPECT_EQ(fake.run({"delete", "run", "--yes"}), 0);
  fake.world.can_ask = true;
  fake.in.str("n\n");
  EXPECT_EQ(fake.run({"delete", "run"}), 1);
  EXPECT_THAT(fake.err.str(), HasSubstr("Forget job j1 (run, FAILED)?"));
  fake.in.clear();
  fake.in.str("");
  EXPECT_EQ(fake.run({"delete", "run"}), 1) << "no answer is no";
  fake.in.clear();
  fake.in.str("y\n");
  EXPECT_EQ(fake.run({"delete", "run"}), 0);
  EXPECT_THAT(removed, ElementsAre("run", "j1"));
}

TEST_F(Pool, ValidateOnlyAsksTheCoordinatorAndSubmitsNothing) {
  int checks = 0;
  fake.api.on_check = [&](const v1::JobSpec& spec) {
    EXPECT_EQ(spec.data().data_dir(), "/home/u/D");
    if (++checks == 2) throw Error(ErrorCode::kAlreadyExists, "run folder belongs to job x");
  };
  const std::vector<std::string> arguments = {
      "submit", "--validate-only", "--", "--train_split", "S", "--val_split", "V", "--data_dir", "D"};
  EXPECT_EQ(fake.run(arguments), 0);
  EXPECT_EQ(fake.out.str(), "");
  EXPECT_EQ(fake.run(arguments), 1);
}

TEST_F(Pool, CheckpointsOfARunFolderElsewhereAreTheCoordinatorsWords) {
  v1::Job job = job_in(v1::JOB_STATE_RUNNING);
  job.set_run_folder("/not/on/this/machine");
  fake.api.on_get = [&](const std::string&) { return job; };
  fake.api.on_checkpoints = [](const std::string& id) {
    EXPECT_EQ(id, "j1");
    v1::ListCheckpointsResponse list;
    v1::CheckpointInfo& good = *list.add_checkpoints();
    good.set_name("step-000000040-g0002");
    good.set_folder("/not/on/this/machine/checkpoints/step-000000040-g0002");
    good.set_step(40);
    good.set_generation(2);
    good.set_bytes(1'500'000);
    *good.mutable_written_at() = TimeUtil::SecondsToTimestamp(1'700'000'000 - 60);
    v1::CheckpointInfo& bad = *list.add_checkpoints();
    bad.set_name("step-000000020-g0001");
    bad.set_problem("model.safetensors is short");
    return list;
  };
  EXPECT_EQ(fake.run({"checkpoints", "ls", "run"}), 0) << fake.err.str();
  EXPECT_THAT(fake.out.str(),
              HasSubstr("step-000000040-g0002            40     2   1m00s        1.5          -"));
  EXPECT_THAT(fake.out.str(), HasSubstr("BAD: model.safetensors is short\n"));
  EXPECT_EQ(fake.run({"describe", "run"}), 0) << fake.err.str();
  EXPECT_THAT(fake.out.str(), HasSubstr("checkpoints   2\n  step-000000040-g0002\n"));
}

}  // namespace
}  // namespace mdgen::client
