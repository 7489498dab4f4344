#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>
#include <stop_token>
#include <thread>

#include "core/base/files.h"
#include "core/data/manifest.h"
#include "core/data/manifest_file.h"
#include "services/coordinator/run_folder.h"
#include "tests/services/coordinator/grpc_fixture.h"

namespace mdgen::coordinator {
namespace {

using namespace std::chrono_literals;
using testing::context;
using testing::eventually;
using testing::FakeAgent;
using ::testing::HasSubstr;
using testing::ServerTest;

grpc::ByteBuffer buffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

std::string bytes_of(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  buffer.Dump(&slices);
  std::string text;
  for (const grpc::Slice& slice : slices)
    text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return text;
}

struct Answer {
  grpc::Status status;
  std::string bytes;
};

// Services of gRPC's own, whose stubs Debian does not ship: the messages are written by hand.
Answer call(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
            const std::string& request) {
  grpc::GenericStub stub(channel);
  grpc::CompletionQueue queue;
  const auto client = context();
  const auto stream = stub.PrepareCall(client.get(), method, &queue);
  const auto done = [&] {
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    return ok;
  };
  Answer answer;
  stream->StartCall(nullptr);
  done();
  stream->Write(buffer(request), nullptr);
  done();
  stream->WritesDone(nullptr);
  done();
  grpc::ByteBuffer reply;
  stream->Read(&reply, nullptr);
  if (done()) answer.bytes = bytes_of(reply);
  stream->Finish(&answer.status, nullptr);
  done();
  return answer;
}

std::string text_field(int number, const std::string& text) {
  return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(text.size())} + text;
}

TEST_F(ServerTest, HealthAnswersForTheServerAndEachService) {
  const std::string serving{'\x08', '\x01'};
  for (const char* service : {"", "mdgen.v1.JobService", "mdgen.v1.PoolService", "mdgen.v1.WorkerService"}) {
    const Answer answer = call(channel_, "/grpc.health.v1.Health/Check", text_field(1, service));
    EXPECT_TRUE(answer.status.ok()) << service << ": " << answer.status.error_message();
    EXPECT_EQ(answer.bytes, serving) << service;
  }
  EXPECT_EQ(call(channel_, "/grpc.health.v1.Health/Check", text_field(1, "nobody")).status.error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(ServerTest, ReflectionListsTheServices) {
  const Answer answer =
      call(channel_, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", text_field(7, ""));
  for (const char* service :
       {"mdgen.v1.JobService", "mdgen.v1.PoolService", "mdgen.v1.WorkerService", "grpc.health.v1.Health"})
    EXPECT_THAT(answer.bytes, HasSubstr(service));
  const Answer file = call(channel_, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                           text_field(4, "mdgen.v1.JobService"));
  EXPECT_THAT(file.bytes, HasSubstr("SubmitJobRequest"));
}

TEST_F(ServerTest, ARefusedSpecCreatesNothing) {
  v1::JobSpec bad = spec();
  bad.mutable_model()->set_mha_heads(-1);
  grpc::Status status = submit(bad);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("mha_heads"));

  bad = spec();
  bad.mutable_optim()->set_precision("8-bit");
  status = submit(bad);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("precision"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "runs"));

  v1::ListJobsResponse list;
  ASSERT_TRUE(jobs_->ListJobs(context().get(), {}, &list).ok());
  EXPECT_EQ(list.jobs_size(), 0);
}

TEST_F(ServerTest, ABadDataSetFailsTheJobAndNamesTheFile) {
  std::filesystem::remove(made_.data_dir / (made_.names[1] + "_R2.npy"));
  std::ofstream(made_.data_dir / (made_.names[0] + "_R1.npy")) << "garbage";
  const std::string id = submitted(spec());
  const auto job = server_->wait(id, 10s);
  ASSERT_TRUE(job);
  EXPECT_EQ(job->state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(job->reason(), "InvalidDataset");
  EXPECT_THAT(job->message(), HasSubstr(made_.names[0] + "_R1.npy"));
}

TEST_F(ServerTest, EveryProblemIsInAFileThatTheMessageNames) {
  std::ofstream split(made_.train_split);
  split << "name,seqres\n";
  for (int i = 0; i < 30; ++i) split << "absent" << i << ",ACDE\n";
  split.close();
  const std::string id = submitted(spec());
  ASSERT_TRUE(reaches(id, v1::JOB_STATE_FAILED));
  const v1::Job job = server_->job(id);
  EXPECT_EQ(job.reason(), "InvalidDataset");
  EXPECT_THAT(job.message(), HasSubstr("the data set has 30 problems"));
  EXPECT_THAT(job.message(),
              HasSubstr("and 10 more\nThe whole list is in " + job.run_folder() + "/preflight.json"));
  const auto list = nlohmann::json::parse(read_file(preflight_file(job.run_folder())));
  ASSERT_EQ(list["problems"].size(), 30U);
  EXPECT_THAT(list["problems"][29].get<std::string>(), HasSubstr("line 31 (absent29)"));
}

// Of a data set whose findings would fit no single message of the usual size.
TEST_F(ServerTest, Preflight_OnAWorker) {
  grpc::ChannelArguments unlimited;  // as an agent's channel
  unlimited.SetMaxReceiveMessageSize(-1);
  const auto worker = std::make_unique<FakeAgent>(
      grpc::CreateCustomChannel(server_->grpc_address(), grpc::InsecureChannelCredentials(), unlimited),
      identity("i0"));
  v1::JobSpec resolved = spec();
  resolved.mutable_data()->set_preflight("worker");
  const std::string id = submitted(resolved);
  v1::CoordinatorMessage order;
  while (!order.has_examine()) order = worker->read();
  EXPECT_EQ(order.examine().job_id(), id);
  v1::Preflight found;
  for (int i = 0; i < 100'000; ++i) {
    v1::ManifestEntry& entry = *found.mutable_manifest()->mutable_train()->add_entries();
    entry.set_name("protein" + std::to_string(i) + "_A");
    entry.set_seqres(std::string(220, 'A'));
    entry.set_residues(220);
    for (int index = 1; index <= 3; ++index) {
      v1::Replica& replica = *entry.add_replicas();
      replica.set_index(index);
      replica.set_file(entry.name() + "_R" + std::to_string(index) + ".npy");
      replica.set_frames(251);
      replica.set_dtype("<f2");
      replica.set_bytes(4'639'000);
      replica.set_mtime_ns(1'800'000'000'000'000'000);
      replica.set_probe(0x0123456789abcdef);
    }
  }
  const std::string digest = data::job_manifest_digest(found.manifest());
  found.mutable_manifest()->set_digest(digest);
  const std::string bytes = found.SerializeAsString();
  EXPECT_GT(bytes.size(), std::size_t{32} << 20);
  for (std::size_t at = 0; at < bytes.size(); at += 1 << 20) {
    v1::AgentMessage message;
    message.mutable_preflight()->set_job_id(id);
    message.mutable_preflight()->set_attempt(order.examine().attempt());
    message.mutable_preflight()->mutable_part()->set_bytes(bytes.substr(at, 1 << 20));
    message.mutable_preflight()->mutable_part()->set_last(at + (1 << 20) >= bytes.size());
    worker->write(message);
    message.mutable_beat();
    worker->write(message);
  }
  std::jthread beating([&](const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    v1::AgentMessage beat;
    beat.mutable_beat();
    while (!never.wait_for(lock, stop, 500ms, [&] { return stop.stop_requested(); })) worker->write(beat);
  });
  const v1::Assignment assignment = worker->read_assignment();
  beating.request_stop();
  EXPECT_EQ(assignment.id().job_id(), id);
  EXPECT_EQ(assignment.manifest_digest(), digest);
  EXPECT_EQ(data::read_manifest(assignment.run_folder(), digest).train().entries_size(), 100'000);
  EXPECT_EQ(server_->job(id).manifest_digest(), digest);
}

TEST_F(ServerTest, BytesThatAreNoUtf8InASplitAreReportedAndStored) {
  std::ofstream(made_.train_split, std::ios::app) << "odd\xFFname,AAAA\n"
                                                  << "short,A\xFFG\n";
  const std::string id = submitted(spec());
  ASSERT_TRUE(reaches(id, v1::JOB_STATE_FAILED));
  restart();
  const v1::Job job = server_->job(id);
  EXPECT_EQ(job.reason(), "InvalidDataset");
  EXPECT_THAT(job.message(), HasSubstr("line 4: the name 'odd?name' is not UTF-8"));
  EXPECT_THAT(job.message(), HasSubstr("line 5 (short): letter '?' at residue 2"));
}

TEST_F(ServerTest, WhatASpecSaysInVainIsAmongTheJobsWarnings) {
  v1::JobSpec vain = spec();
  vain.mutable_data()->set_no_pad(true);
  const std::string id = submitted(vain);
  ASSERT_TRUE(reaches(id, v1::JOB_STATE_QUEUED));
  EXPECT_THAT(server_->job(id).warnings(), ::testing::Contains(HasSubstr("no_pad")));
  EXPECT_THAT(server_->job(submitted(spec("", "plain"))).warnings(),
              ::testing::Not(::testing::Contains(HasSubstr("no effect"))));
}

TEST_F(ServerTest, AcceptedJobsHaveAFolderASpecAndAManifest) {
  const std::string id = submitted(spec());
  ASSERT_TRUE(reaches(id, v1::JOB_STATE_QUEUED));
  const v1::Job job = server_->job(id);
  EXPECT_EQ(job.total_steps(), 2) << "two proteins fit in one step; two epochs";
  EXPECT_FALSE(job.manifest_digest().empty());
  EXPECT_TRUE(std::filesystem::exists(job.run_folder() + "/spec.yaml"));
  EXPECT_TRUE(std::filesystem::exists(job.run_folder() + "/manifest.json"));

  const grpc::Status status = submit(spec());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_THAT(status.error_message(), HasSubstr(id));
}

TEST_F(ServerTest, TheSameRequestIsAnsweredWithTheSameJob) {
  v1::Job first;
  v1::Job second;
  ASSERT_TRUE(submit(spec(), &first, "request-1").ok());
  ASSERT_TRUE(submit(spec(), &second, "request-1").ok());
  EXPECT_EQ(first.id(), second.id());
}

TEST_F(ServerTest, UnknownJobsAreNotFound) {
  v1::GetJobRequest get;
  get.set_id("nobody");
  v1::GetJobResponse job;
  EXPECT_EQ(jobs_->GetJob(context().get(), get, &job).error_code(), grpc::StatusCode::NOT_FOUND);
  v1::CancelJobRequest cancel;
  cancel.set_id("nobody");
  v1::CancelJobResponse cancelled;
  EXPECT_EQ(jobs_->CancelJob(context().get(), cancel, &cancelled).error_code(), grpc::StatusCode::NOT_FOUND);
  v1::StreamLogsRequest logs;
  logs.set_id("nobody");
  v1::StreamLogsResponse piece;
  const auto client = context();
  const auto stream = jobs_->StreamLogs(client.get(), logs);
  EXPECT_FALSE(stream->Read(&piece));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(ServerTest, ListsInPagesNewestFirst) {
  std::vector<std::string> ids;
  for (const char* name : {"a", "b", "c"}) ids.push_back(submitted(spec("", name)));
  v1::ListJobsRequest request;
  request.set_page_size(2);
  v1::ListJobsResponse page;
  ASSERT_TRUE(jobs_->ListJobs(context().get(), request, &page).ok());
  ASSERT_EQ(page.jobs_size(), 2);
  EXPECT_EQ(page.jobs(0).id(), ids[2]);
  EXPECT_FALSE(page.jobs(0).has_spec());
  request.set_page_token(page.next_page_token());
  ASSERT_TRUE(jobs_->ListJobs(context().get(), request, &page).ok());
  ASSERT_EQ(page.jobs_size(), 1);
  EXPECT_EQ(page.jobs(0).id(), ids[0]);
  EXPECT_TRUE(page.next_page_token().empty());
  request.set_page_token("nonsense");
  EXPECT_EQ(jobs_->ListJobs(context().get(), request, &page).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

void started(FakeAgent& agent) {
  agent.report([](v1::TrainerEvent& event) { event.mutable_started()->set_first_step(0); });
}
void step(FakeAgent& agent, int step) {
  agent.report([&](v1::TrainerEvent& event) { event.mutable_step()->set_step(step); });
}
void exited(FakeAgent& agent, int code, int signal = 0) {
  agent.report([&](v1::TrainerEvent& event) {
    event.mutable_exited()->set_exit_code(code);
    event.mutable_exited()->set_signal(signal);
  });
}
void completed(FakeAgent& agent) {
  agent.report([](v1::TrainerEvent& event) { event.mutable_finished()->set_outcome(v1::OUTCOME_COMPLETED); });
  exited(agent, 0);
}

v1::StreamLedgerResponse ledger_of(v1::JobService::Stub& jobs, const std::string& id, grpc::Status* status) {
  v1::StreamLedgerRequest request;
  request.set_id(id);
  request.set_with_inputs(true);
  const auto client = context();
  const auto stream = jobs.StreamLedger(client.get(), request);
  v1::StreamLedgerResponse whole;
  for (v1::StreamLedgerResponse piece; stream->Read(&piece);) whole.MergeFrom(piece);
  *status = stream->Finish();
  return whole;
}

TEST_F(ServerTest, TheLedgerIsStreamedWithWhatVerifiesIt) {
  const auto worker = agent(identity("i0"));
  const std::string id = submitted(spec());
  worker->read_assignment();
  started(*worker);
  // Each skipped step has a record of its own: several pages.
  for (int at = 1; at <= 1200; ++at) {
    worker->report([&](v1::TrainerEvent& event) {
      event.mutable_step()->set_step(at);
      event.mutable_step()->set_skipped(true);
    });
  }
  ASSERT_TRUE(eventually([&] { return server_->job(id).step() == 1200; }));
  grpc::Status status;
  const v1::StreamLedgerResponse whole = ledger_of(*jobs_, "run", &status);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(whole.job().id(), id);
  EXPECT_EQ(whole.job().spec().name(), "run");
  EXPECT_EQ(whole.manifest().train().entries_size(), 2);
  EXPECT_EQ(whole.end_step(), 1200) << "what is not stored yet included";
  ASSERT_EQ(whole.records_size(), 1 + 2 + 1200);
  for (int i = 0; i < whole.records_size(); ++i) EXPECT_EQ(whole.records(i).sequence(), i);
  ledger_of(*jobs_, "nobody", &status);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(ServerTest, AJobFromSubmitToSuccess) {
  const auto first = agent(identity("i0"));
  const auto second = agent(identity("i1"));
  EXPECT_TRUE(first->read().has_welcome());
  EXPECT_TRUE(second->read().has_welcome());
  const std::string id = submitted(spec("workers: {min: 2, max: 2}"));
  ASSERT_EQ(first->read_assignment().id().job_id(), id);
  ASSERT_EQ(second->read_assignment().id().job_id(), id);
  const v1::JobManifest manifest =
      data::read_manifest(first->assignment().run_folder(), first->assignment().manifest_digest());
  EXPECT_EQ(manifest.train().entries_size(), 2);

  std::vector<std::string> blobs;
  EXPECT_EQ(first->exchange("early", 100ms, &blobs).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  std::vector<std::string> others;
  std::thread peer([&] { EXPECT_TRUE(second->exchange("late", 10s, &others).ok()); });
  EXPECT_TRUE(first->exchange("early", 10s, &blobs).ok()) << "asked again, with the same blob";
  peer.join();
  EXPECT_EQ(blobs.size(), 2U);
  EXPECT_EQ(blobs, others);

  FakeAgent& leader = first->assignment().rank() == 0 ? *first : *second;
  started(leader);
  for (int i = 1; i <= 2; ++i) step(leader, i);
  leader.report([](v1::TrainerEvent& event) {
    event.mutable_checkpoint()->set_step(2);
    event.mutable_checkpoint()->set_folder("step-000000002-g0001");
    event.mutable_checkpoint()->set_verified(true);
  });
  completed(*first);
  completed(*second);
  const auto job = server_->wait(id, 10s);
  ASSERT_TRUE(job);
  EXPECT_EQ(job->state(), v1::JOB_STATE_SUCCEEDED) << job->message();
  EXPECT_EQ(job->step(), 2);

  std::thread dismissal([&] { server_->dismiss_workers(10s); });
  for (const auto& agent : {first.get(), second.get()}) {
    EXPECT_TRUE(agent->read().has_shutdown());
    EXPECT_TRUE(agent->finish().ok());
  }
  dismissal.join();
}

TEST_F(ServerTest, AnExchangeOfAnotherGenerationIsAborted) {
  const auto worker = agent(identity("i0"));
  const std::string id = submitted(spec());
  worker->read_assignment();
  v1::ExchangeRequest request;
  request.mutable_id()->set_job_id(id);
  request.mutable_id()->set_generation(77);
  v1::ExchangeResponse response;
  const auto stub = v1::WorkerService::NewStub(channel_);
  const grpc::Status status = stub->Exchange(context().get(), request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_THAT(status.error_message(), HasSubstr("superseded"));
}

TEST_F(ServerTest, AnAgentMustRegisterFirstAndAloneForItsGpu) {
  const auto stub = v1::WorkerService::NewStub(channel_);
  const auto client = context();
  const auto stream = stub->Connect(client.get());
  v1::AgentMessage beat;
  beat.mutable_beat();
  stream->Write(beat);
  v1::CoordinatorMessage message;
  EXPECT_FALSE(stream->Read(&message));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::FAILED_PRECONDITION);

  const auto holder = agent(identity("i0", "cuda:0"));
  const std::string holder_id = holder->read().welcome().worker_id();
  const auto rival = agent(identity("i1", "cuda:0"));
  const grpc::Status refused = rival->finish();
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_THAT(refused.error_message(), HasSubstr(holder_id));
}

TEST_F(ServerTest, ANewStreamOfAnAgentReplacesItsOldOne) {
  const auto old_stream = agent(identity("i0"));
  const std::string id = old_stream->read().welcome().worker_id();
  const auto new_stream = agent(identity("i0"));
  EXPECT_EQ(new_stream->read().welcome().worker_id(), id);
  EXPECT_EQ(old_stream->finish().error_code(), grpc::StatusCode::ABORTED);
  const std::string job = submitted(spec());
  EXPECT_EQ(new_stream->read_assignment().id().job_id(), job) << "the end of the old stream lost nothing";
}

TEST_F(ServerTest, InjectionIsRefusedUnlessAllowed) {
  v1::InjectFaultRequest request;
  request.set_id("any");
  v1::InjectFaultResponse response;
  const grpc::Status status = jobs_->InjectFault(context().get(), request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(status.error_message(), HasSubstr("--allow_inject"));
}

TEST_F(ServerTest, AJobIsPausedAndResumed) {
  const std::string id = submitted(spec("workers: {min: 1, max: 1}"));
  ASSERT_TRUE(reaches(id, v1::JOB_STATE_QUEUED));
  v1::PauseJobRequest pause;
  pause.set_id(id);
  v1::PauseJobResponse paused;
  ASSERT_TRUE(jobs_->PauseJob(context().get(), pause, &paused).ok());
  EXPECT_EQ(paused.job().state(), v1::JOB_STATE_PAUSED) << "it had no workers";
  EXPECT_EQ(jobs_->PauseJob(context().get(), pause, &paused).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
  v1::ResumeJobRequest resume;
  resume.set_id(id);
  resume.mutable_workers()->set_max(3);
  v1::ResumeJobResponse resumed;
  ASSERT_TRUE(jobs_->ResumeJob(context().get(), resume, &resumed).ok());
  EXPECT_EQ(resumed.job().state(), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(resumed.job().spec().workers().max(), 3);
}

TEST_F(ServerTest, AVanishedAgentIsRecoveredFrom) {
  const auto first = agent(identity("i0"));
  const auto second = agent(identity("i1"));
  first->read();
  second->read();
  const std::string id = submitted(spec("workers: {min: 1, max: 2}"));
  ASSERT_EQ(first->read_assignment().world_size(), 2);
  second->vanish();
  v1::CoordinatorMessage order;
  for (int messages = 0; messages < 100 && !order.has_abandon(); ++messages) order = first->read();
  ASSERT_EQ(order.abandon().id().generation(), 1);
  first->report([](v1::TrainerEvent& event) {
    event.mutable_left()->set_resident(true);
    event.mutable_left()->set_reason("Abandoned");
  });
  const v1::Assignment next = first->read_assignment();
  EXPECT_EQ(next.id().generation(), 2);
  EXPECT_EQ(next.world_size(), 1);
  EXPECT_EQ(server_->job(id).restarts(), 1);
}

TEST_F(ServerTest, LogsAreFollowedUntilTheJobHasEnded) {
  const std::string id = submitted(spec());
  ASSERT_TRUE(reaches(id, v1::JOB_STATE_QUEUED));
  const auto file = log_file(server_->job(id).run_folder(), 0, 1);
  std::ofstream log(file);
  log << "first\n" << std::flush;
  v1::StreamLogsRequest request;
  request.set_id(id);
  request.set_follow(true);
  const auto client = context();
  const auto stream = jobs_->StreamLogs(client.get(), request);
  v1::StreamLogsResponse piece;
  ASSERT_TRUE(stream->Read(&piece));
  EXPECT_EQ(piece.text(), "first\n");
  log << "second\n" << std::flush;
  ASSERT_TRUE(stream->Read(&piece));
  EXPECT_EQ(piece.text(), "second\n");
  EXPECT_EQ(piece.next_offset(), 13);
  log << "last\n" << std::flush;
  server_->cancel(id, 0s);
  ASSERT_TRUE(stream->Read(&piece));
  EXPECT_EQ(piece.text(), "last\n");
  EXPECT_FALSE(stream->Read(&piece));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(ServerTest, StopsWhileLogsAreFollowedAndExchangesWait) {
  const auto worker = agent(identity("i0"));
  const auto other = agent(identity("i1"));
  const std::string id = submitted(spec("workers: {min: 2, max: 2}"));
  worker->read_assignment();
  v1::StreamLogsRequest request;
  request.set_id(id);
  request.set_follow(true);
  const auto client = context();
  const auto stream = jobs_->StreamLogs(client.get(), request);
  std::vector<std::string> blobs;
  grpc::Status status;
  std::thread waiting([&] { status = worker->exchange("x", 20s, &blobs); });
  const auto begin = std::chrono::steady_clock::now();
  server_->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
  waiting.join();
  EXPECT_FALSE(status.ok());
}

TEST_F(ServerTest, ARestartedServerAdoptsARunningJob) {
  auto worker = agent(identity("i0"));
  const std::string id = submitted(spec());
  worker->read_assignment();
  started(*worker);
  step(*worker, 1);
  ASSERT_TRUE(eventually([&] { return server_->job(id).step() == 1; }));
  const v1::GenerationId generation = worker->assignment().id();
  server_.reset();
  worker.reset();
  start();

  v1::ListJobsResponse list;
  ASSERT_TRUE(jobs_->ListJobs(context().get(), {}, &list).ok());
  ASSERT_EQ(list.jobs_size(), 1);
  EXPECT_EQ(list.jobs(0).state(), v1::JOB_STATE_RUNNING);

  v1::Register again = identity("i0");
  *again.add_running() = generation;
  worker = agent(again);
  const v1::Welcome welcome = worker->read().welcome();
  EXPECT_EQ(welcome.epoch(), 2);
  EXPECT_TRUE(worker->read().has_lease());
  v1::AgentMessage message;
  *message.mutable_trainer()->mutable_id() = generation;
  message.mutable_trainer()->mutable_step()->set_step(2);
  worker->write(message);
  EXPECT_TRUE(eventually([&] { return server_->job(id).step() == 2; }));
  EXPECT_EQ(server_->job(id).restarts(), 0);
}

}  // namespace
}  // namespace mdgen::coordinator
