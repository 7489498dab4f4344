// The client against a real gRPC server on loopback.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <mutex>

#include "core/config/spec.h"
#include "fake_world.h"
#include "mdgen/v1/job_service.grpc.pb.h"

namespace mdgen::client {
namespace {

using ::testing::HasSubstr;

// Keeps jobs in memory; forgets nothing between two servers.
class FakeJobService : public v1::JobService::Service {
 public:
  grpc::Status SubmitJob(grpc::ServerContext*, const v1::SubmitJobRequest* request,
                         v1::SubmitJobResponse* response) override {
    const std::lock_guard lock(mutex_);
    try {
      config::check(request->spec());
    } catch (const Error& error) {
      return {grpc::StatusCode::INVALID_ARGUMENT, error.what()};
    }
    const auto [place, is_new] = ids_.emplace(request->request_id(), "job" + std::to_string(ids_.size()));
    v1::Job& job = jobs_[place->second];
    if (is_new) {
      job.set_id(place->second);
      job.set_name(request->spec().name());
      job.set_state(v1::JOB_STATE_RUNNING);
    }
    if (lose_next_answer.exchange(false)) return {grpc::StatusCode::UNAVAILABLE, "lost"};
    *response->mutable_job() = job;
    return grpc::Status::OK;
  }

  grpc::Status GetJob(grpc::ServerContext*, const v1::GetJobRequest* request,
                      v1::GetJobResponse* response) override {
    const std::lock_guard lock(mutex_);
    if (cancel_next_get.exchange(false)) return {grpc::StatusCode::CANCELLED, ""};
    const auto found = jobs_.find(request->id());
    if (found == jobs_.end()) return {grpc::StatusCode::NOT_FOUND, "no job " + request->id()};
    *response->mutable_job() = found->second;
    return grpc::Status::OK;
  }

  grpc::Status ListJobs(grpc::ServerContext*, const v1::ListJobsRequest*,
                        v1::ListJobsResponse* response) override {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, job] : jobs_) *response->add_jobs() = job;
    return grpc::Status::OK;
  }

  grpc::Status CancelJob(grpc::ServerContext*, const v1::CancelJobRequest* request,
                         v1::CancelJobResponse* response) override {
    const std::lock_guard lock(mutex_);
    last_grace = request->has_grace_seconds() ? request->grace_seconds() : -1;
    v1::Job& job = jobs_[request->id()];
    if (job.state() == v1::JOB_STATE_CANCELLED) {
      return {grpc::StatusCode::FAILED_PRECONDITION, "job " + request->id() + " has ended"};
    }
    job.set_state(v1::JOB_STATE_CANCELLED);
    *response->mutable_job() = job;
    return grpc::Status::OK;
  }

  grpc::Status PauseJob(grpc::ServerContext*, const v1::PauseJobRequest* request,
                        v1::PauseJobResponse* response) override {
    last_grace = request->has_grace_seconds() ? request->grace_seconds() : -1;
    response->mutable_job()->set_id(request->id());
    response->mutable_job()->set_state(v1::JOB_STATE_PAUSING);
    return grpc::Status::OK;
  }

  grpc::Status ResumeJob(grpc::ServerContext*, const v1::ResumeJobRequest* request,
                         v1::ResumeJobResponse* response) override {
    response->mutable_job()->set_id(request->id());
    response->mutable_job()->set_workers(request->has_workers() ? request->workers().max() : -1);
    response->mutable_job()->set_state(v1::JOB_STATE_QUEUED);
    return grpc::Status::OK;
  }

  grpc::Status InjectFault(grpc::ServerContext*, const v1::InjectFaultRequest*,
                           v1::InjectFaultResponse*) override {
    return {grpc::StatusCode::PERMISSION_DENIED, "faults are not allowed: --allow_inject"};
  }

  grpc::Status StreamLogs(grpc::ServerContext*, const v1::StreamLogsRequest* request,
                          grpc::ServerWriter<v1::StreamLogsResponse>* writer) override {
    const std::string text = "first\nsecond\nthird\n";
    v1::StreamLogsResponse piece;
    std::int64_t offset = request->offset();
    while (offset < static_cast<std::int64_t>(text.size())) {
      piece.set_text(text.substr(static_cast<std::size_t>(offset), 5));
      offset += static_cast<std::int64_t>(piece.text().size());
      piece.set_next_offset(offset);
      writer->Write(piece);
      if (break_next_log.exchange(false)) return {grpc::StatusCode::UNAVAILABLE, "going down"};
    }
    return grpc::Status::OK;
  }

  void end(const std::string& id, v1::JobState state) {
    const std::lock_guard lock(mutex_);
    jobs_[id].set_state(state);
  }

  std::size_t jobs() {
    const std::lock_guard lock(mutex_);
    return jobs_.size();
  }

  std::atomic<bool> cancel_next_get = false;
  std::atomic<bool> lose_next_answer = false;
  std::atomic<bool> break_next_log = false;
  std::atomic<int> last_grace = 0;

 private:
  std::mutex mutex_;
  std::map<std::string, std::string> ids_;
  std::map<std::string, v1::Job> jobs_;
};

struct Grpc : ::testing::Test {
  FakeJobService service;
  std::unique_ptr<grpc::Server> server;
  int port = 0;
  FakeWorld fake;

  Grpc() {
    fake.world.connect = [](const Endpoint& endpoint) { return connect_grpc(endpoint.address, {}); };
    start();
    fake.variables["MDGEN_ADDRESS"] = "127.0.0.1:" + std::to_string(port);
  }

  void start() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:" + std::to_string(port), grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service);
    server = builder.BuildAndStart();
    ASSERT_NE(server, nullptr);
  }

  std::vector<std::string> submit(std::vector<std::string> options = {}) {
    options.insert(options.begin(), "submit");
    for (const char* flag : {"--", "--train_split", "S", "--val_split", "V", "--data_dir", "D"})
      options.push_back(flag);
    return options;
  }
};

TEST_F(Grpc, SubmitStatusListCancel) {
  ASSERT_EQ(fake.run(submit()), 0) << fake.err.str();
  EXPECT_EQ(fake.out.str(), "job0\n");
  fake.out.str("");
  EXPECT_EQ(fake.run({"status", "job0", "-o", "yaml"}), 0);
  EXPECT_THAT(fake.out.str(), HasSubstr("state: \"RUNNING\""));
  EXPECT_EQ(fake.run({"list"}), 0);
  EXPECT_THAT(fake.out.str(), HasSubstr("job0  default  RUNNING"));
  EXPECT_EQ(fake.run({"cancel", "job0", "--grace", "5"}), 0);
  EXPECT_EQ(service.last_grace, 5);
  EXPECT_EQ(fake.run({"cancel", "job0"}), 1);
  EXPECT_EQ(service.last_grace, -1);
  EXPECT_THAT(fake.err.str(), HasSubstr("mdgenctl: job job0 has ended\n"));
  EXPECT_EQ(fake.run({"status", "job7"}), 1);
  EXPECT_EQ(fake.run({"watch", "job0"}), 3);
}

TEST_F(Grpc, PauseResumeInject) {
  EXPECT_EQ(fake.run({"pause", "job0", "--grace", "7"}), 0);
  EXPECT_EQ(service.last_grace, 7);
  EXPECT_EQ(fake.run({"pause", "job0"}), 0);
  EXPECT_EQ(service.last_grace, -1);
  fake.out.str("");
  EXPECT_EQ(fake.run({"resume", "job0", "--workers", "1:3", "-o", "yaml"}), 0);
  EXPECT_THAT(fake.out.str(), HasSubstr("workers: 3\n"));
  EXPECT_EQ(fake.run({"resume", "job0", "-o", "yaml"}), 0);
  EXPECT_THAT(fake.out.str(), HasSubstr("workers: -1\n"));
  EXPECT_EQ(fake.run({"inject", "job0", "kill"}), 1);
  EXPECT_THAT(fake.err.str(), HasSubstr("--allow_inject"));
}

TEST_F(Grpc, ALostSubmitAnswerMakesOneJob) {
  service.lose_next_answer = true;
  EXPECT_EQ(fake.run(submit()), 0) << fake.err.str();
  EXPECT_EQ(fake.out.str(), "job0\n");
  EXPECT_EQ(service.jobs(), 1U);
}

TEST_F(Grpc, FollowSurvivesARestartOfTheServer) {
  int sleeps = 0;
  fake.on_sleep = [&] {
    ++sleeps;
    if (sleeps == 1) server.reset();
    if (sleeps == 4) {
      service.end("job0", v1::JOB_STATE_SUCCEEDED);
      start();
    }
  };
  EXPECT_EQ(fake.run(submit({"--follow", "--reconnect-for", "100000"})), 0) << fake.err.str();
  EXPECT_THAT(fake.out.str(), HasSubstr("connected again"));
  EXPECT_THAT(fake.out.str(), HasSubstr("job job0 SUCCEEDED"));
}

TEST_F(Grpc, ACallThatAServerEndsWhileGoingDownIsRepeated) {
  fake.on_sleep = [&, sleeps = 0]() mutable {
    if (++sleeps == 1) service.cancel_next_get = true;
    if (sleeps == 2) service.end("job0", v1::JOB_STATE_FAILED);
  };
  EXPECT_EQ(fake.run(submit({"--follow"})), 1) << fake.err.str();
  EXPECT_THAT(fake.out.str(), HasSubstr("connected again"));
}

TEST_F(Grpc, FollowOfAServerThatStaysAwayIsLost) {
  fake.on_sleep = [&] { server.reset(); };
  EXPECT_EQ(fake.run(submit({"--follow", "--reconnect-for", "10"})), 4);
  EXPECT_THAT(fake.err.str(), HasSubstr("connection lost for 1"));
  EXPECT_EQ(fake.run({"status", "job0"}), 4);
  EXPECT_THAT(fake.err.str(), HasSubstr("no answer from the coordinator at 127.0.0.1:"));
}

TEST_F(Grpc, LogsGoOnWhereTheyBrokeOff) {
  service.break_next_log = true;
  EXPECT_EQ(fake.run({"logs", "job0", "-f"}), 0) << fake.err.str();
  EXPECT_EQ(fake.out.str(), "first\nsecond\nthird\n");
  EXPECT_THAT(fake.err.str(), HasSubstr("going down; trying again"));
}

}  // namespace
}  // namespace mdgen::client
