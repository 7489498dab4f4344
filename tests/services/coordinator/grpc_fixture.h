// A real server on loopback, with clients and agents of the test's own.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/config/spec.h"
#include "mdgen/v1/job_service.grpc.pb.h"
#include "mdgen/v1/worker_service.grpc.pb.h"
#include "services/coordinator/server.h"
#include "tests/support/synthetic_dataset.h"
#include "tests/support/temp_dir.h"

namespace mdgen::coordinator::testing {

using namespace std::chrono_literals;

// Waits, at most ten seconds, for something that another thread brings about.
template <typename Condition>
bool eventually(Condition&& condition) {
  const auto end = std::chrono::steady_clock::now() + 10s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(2ms);
  }
  return true;
}

inline std::unique_ptr<grpc::ClientContext> context(std::chrono::milliseconds timeout = 10s) {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() + timeout);
  return context;
}

// An agent whose trainer is the test.
class FakeAgent {
 public:
  FakeAgent(const std::shared_ptr<grpc::Channel>& channel, const v1::Register& identity)
      : stub_(v1::WorkerService::NewStub(channel)),
        incarnation_(identity.incarnation()),
        context_(context(30s)),
        stream_(stub_->Connect(context_.get())) {
    v1::AgentMessage message;
    *message.mutable_register_() = identity;
    stream_->Write(message);
  }

  // The next message but for confirmations of what is stored; empty at the end of the stream.
  v1::CoordinatorMessage read() {
    v1::CoordinatorMessage message;
    do {
      if (!stream_->Read(&message)) message.Clear();
    } while (message.has_stored());
    if (message.has_start()) assignment_ = message.start();
    return message;
  }
  v1::Assignment read_assignment() {
    while (true) {
      const v1::CoordinatorMessage message = read();
      if (message.has_start()) return message.start();
      if (message.message_case() == v1::CoordinatorMessage::MESSAGE_NOT_SET) return {};
    }
  }
  void write(const v1::AgentMessage& message) { stream_->Write(message); }
  template <typename Fill>
  void report(Fill&& fill) {
    v1::AgentMessage message;
    *message.mutable_trainer()->mutable_id() = assignment_.id();
    message.mutable_trainer()->set_rank(assignment_.rank());
    fill(*message.mutable_trainer());
    write(message);
  }
  grpc::Status exchange(const std::string& blob, std::chrono::milliseconds timeout,
                        std::vector<std::string>* blobs) {
    v1::ExchangeRequest request;
    *request.mutable_id() = assignment_.id();
    request.set_rank(assignment_.rank());
    request.set_key("peers");
    request.set_blob(blob);
    request.set_incarnation(incarnation_);
    v1::ExchangeResponse response;
    const grpc::Status status = stub_->Exchange(context(timeout).get(), request, &response);
    blobs->assign(response.blobs().begin(), response.blobs().end());
    return status;
  }
  // The end as seen from the agent's side.
  grpc::Status finish() {
    stream_->WritesDone();
    while (read().message_case() != v1::CoordinatorMessage::MESSAGE_NOT_SET) {
    }
    return stream_->Finish();
  }
  void vanish() { context_->TryCancel(); }
  const v1::Assignment& assignment() const { return assignment_; }

 private:
  std::unique_ptr<v1::WorkerService::Stub> stub_;
  std::string incarnation_;
  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::AgentMessage, v1::CoordinatorMessage>> stream_;
  v1::Assignment assignment_;
};

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() : made_(mdgen::testing::make_synthetic_dataset(folder_.path(), {})) { start(); }

  void start() {
    ServerOptions options;
    options.state_dir = folder_ / "state";
    server_ = Server::start(options);
    channel_ = grpc::CreateChannel(server_->grpc_address(), grpc::InsecureChannelCredentials());
    jobs_ = v1::JobService::NewStub(channel_);
  }
  void restart() {
    server_.reset();
    start();
  }

  v1::JobSpec spec(const std::string& more = "", const std::string& name = "run") const {
    return config::resolve(config::parse_yaml(
                               "{name: " + name + ", work_dir: " + (folder_ / "runs").string() +
                                   ", data: {train_split: " + made_.train_split.string() + ", val_split: " +
                                   made_.val_split.string() + ", data_dir: " + made_.data_dir.string() +
                                   ", atlas: true, num_frames: 8, crop: 16}, "
                                   "model: {sim_condition: true, embed_dim: 16, num_layers: 1, "
                                   "mha_heads: 2}, loop: {epochs: 2}, " +
                                   more + "}",
                               "test"),
                           folder_.path())
        .spec;
  }
  grpc::Status submit(const v1::JobSpec& spec, v1::Job* job = nullptr, const std::string& request_id = "") {
    v1::SubmitJobRequest request;
    *request.mutable_spec() = spec;
    request.set_request_id(request_id);
    v1::SubmitJobResponse response;
    const grpc::Status status = jobs_->SubmitJob(context().get(), request, &response);
    if (job != nullptr) *job = response.job();
    return status;
  }
  std::string submitted(const v1::JobSpec& spec) {
    v1::Job job;
    const grpc::Status status = submit(spec, &job);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return job.id();
  }
  v1::JobState state(const std::string& id) const { return server_->job(id).state(); }
  bool reaches(const std::string& id, v1::JobState wanted) const {
    return eventually([&] { return state(id) == wanted; });
  }
  static v1::Register identity(const std::string& incarnation, const std::string& device = "cpu") {
    v1::Register identity;
    identity.set_incarnation(incarnation);
    identity.set_host("node1");
    identity.set_boot_id("boot1");
    identity.set_device(device);
    identity.set_address("127.0.0.1");
    identity.set_cpus(2);
    return identity;
  }
  std::unique_ptr<FakeAgent> agent(const v1::Register& identity) {
    return std::make_unique<FakeAgent>(channel_, identity);
  }

  mdgen::testing::TempDir folder_;
  mdgen::testing::SyntheticDataset made_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::JobService::Stub> jobs_;
};

}  // namespace mdgen::coordinator::testing
