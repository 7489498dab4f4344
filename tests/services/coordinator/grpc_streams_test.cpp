// WatchJob and StreamLogs with clients that come back, that are slow, and that are too many.
#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>

#include "mdgen/v1/pool_service.grpc.pb.h"
#include "services/coordinator/run_folder.h"
#include "tests/services/coordinator/grpc_fixture.h"

namespace mdgen::coordinator {
namespace {

using testing::context;
using ::testing::HasSubstr;
using testing::ServerTest;
using namespace std::chrono_literals;

struct StreamsTest : ServerTest {
  // A stream with its context.
  template <typename Response>
  struct Open {
    std::unique_ptr<grpc::ClientContext> client;
    std::unique_ptr<grpc::ClientReader<Response>> reader;
  };
  Open<v1::WatchJobResponse> watch(const std::string& id, double rate = 20) {
    v1::WatchJobRequest request;
    request.set_id(id);
    request.set_max_rate(rate);
    auto client = context(30s);
    auto reader = jobs_->WatchJob(client.get(), request);
    return {std::move(client), std::move(reader)};
  }
  Open<v1::StreamLogsResponse> logs(const v1::StreamLogsRequest& request) {
    auto client = context(30s);
    auto reader = jobs_->StreamLogs(client.get(), request);
    return {std::move(client), std::move(reader)};
  }
  void restart_with(const Limits& limits) {
    server_.reset();
    ServerOptions options;
    options.state_dir = folder_ / "state";
    options.limits = limits;
    server_ = Server::start(options);
    channel_ = grpc::CreateChannel(server_->grpc_address(), grpc::InsecureChannelCredentials());
    jobs_ = v1::JobService::NewStub(channel_);
  }
  void write_log(const std::string& id, int attempt, const std::string& text) {
    std::ofstream(log_file(server_->job(id).run_folder(), 0, attempt), std::ios::app) << text;
  }
  static std::size_t resident_bytes() {
    std::size_t pages = 0;
    std::size_t resident = 0;
    std::ifstream("/proc/self/statm") >> pages >> resident;
    return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  }
};

TEST_F(StreamsTest, AWatchSendsChangesAndEndsWithTheJob) {
  const std::string id = submitted(spec());
  const auto open = watch("run");
  v1::WatchJobResponse news;
  v1::JobState last{};
  do {
    ASSERT_TRUE(open.reader->Read(&news));
    last = news.job().state();
  } while (last != v1::JOB_STATE_QUEUED);
  server_->cancel(id, 0s);
  while (open.reader->Read(&news)) last = news.job().state();
  EXPECT_EQ(last, v1::JOB_STATE_CANCELLED);
  EXPECT_TRUE(open.reader->Finish().ok());
}

TEST_F(StreamsTest, AWatchOfAnEndedJobSendsItOnce) {
  const std::string id = submitted(spec());
  server_->cancel(id, 0s);
  const auto open = watch(id, 0.001);
  v1::WatchJobResponse news;
  ASSERT_TRUE(open.reader->Read(&news));
  EXPECT_EQ(news.job().state(), v1::JOB_STATE_CANCELLED);
  EXPECT_FALSE(open.reader->Read(&news));
  EXPECT_TRUE(open.reader->Finish().ok());
}

TEST_F(StreamsTest, ASlowRateHoldsNoFinalStateBack) {
  const std::string id = submitted(spec());
  const auto open = watch(id, 0.001);
  v1::WatchJobResponse news;
  ASSERT_TRUE(open.reader->Read(&news));
  server_->cancel(id, 0s);
  const auto begin = std::chrono::steady_clock::now();
  while (open.reader->Read(&news)) {
  }
  EXPECT_EQ(news.job().state(), v1::JOB_STATE_CANCELLED);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
}

TEST_F(StreamsTest, AWatchRefusesWhatMakesNoSense) {
  v1::WatchJobResponse news;
  const auto nobody = watch("nobody");
  EXPECT_FALSE(nobody.reader->Read(&news));
  EXPECT_EQ(nobody.reader->Finish().error_code(), grpc::StatusCode::NOT_FOUND);
  submitted(spec());
  const auto negative = watch("run", -1);
  EXPECT_FALSE(negative.reader->Read(&news));
  EXPECT_EQ(negative.reader->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(StreamsTest, OffsetsOfALogOutliveTheCoordinator) {
  const std::string id = submitted(spec());
  ASSERT_TRUE(reaches(id, v1::JOB_STATE_QUEUED));
  write_log(id, 1, "one\ntwo\n");
  write_log(id, 2, "three\n");
  v1::StreamLogsRequest request;
  request.set_id(id);
  v1::StreamLogsResponse piece;
  ASSERT_TRUE(logs(request).reader->Read(&piece));
  EXPECT_EQ(piece.text(), "one\ntwo\n");
  restart();
  write_log(id, 2, "four\n");
  request.set_offset(piece.next_offset());
  const auto rest = logs(request);
  std::string text;
  while (rest.reader->Read(&piece)) text += piece.text();
  EXPECT_EQ(text, "three\nfour\n");
  request.set_offset(0);
  request.set_tail_bytes(6);
  ASSERT_TRUE(logs(request).reader->Read(&piece));
  EXPECT_EQ(piece.text(), "four\n");
}

TEST_F(StreamsTest, ClientsThatDoNotReadHoldNobodyUpAndLittleMemory) {
  const std::string id = submitted(spec());
  ASSERT_TRUE(reaches(id, v1::JOB_STATE_QUEUED));
  write_log(id, 1, std::string(64U << 20U, 'x') + "\n");
  v1::StreamLogsRequest request;
  request.set_id(id);
  request.set_follow(true);
  const std::size_t before = resident_bytes();
  std::vector<Open<v1::StreamLogsResponse>> deaf;
  std::vector<Open<v1::WatchJobResponse>> blind;
  for (int i = 0; i < 25; ++i) {
    deaf.push_back(logs(request));
    blind.push_back(watch(id));
  }
  v1::StreamLogsResponse piece;
  for (auto& open : deaf) ASSERT_TRUE(open.reader->Read(&piece)) << "each is being served";
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 50; ++i) {
    v1::GetJobRequest get;
    get.set_id(id);
    v1::GetJobResponse got;
    ASSERT_TRUE(jobs_->GetJob(context(5s).get(), get, &got).ok());
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
  EXPECT_LT(resident_bytes() - before, 200U << 20U) << "1.6 GB if all of it were kept";
  for (auto& open : deaf) open.client->TryCancel();
  for (auto& open : blind) open.client->TryCancel();
}

TEST_F(StreamsTest, AClientHasSoManyStreamsAndNoMore) {
  Limits limits;
  limits.streams_per_client = 2;
  restart_with(limits);
  const std::string id = submitted(spec());
  ASSERT_TRUE(reaches(id, v1::JOB_STATE_QUEUED));
  write_log(id, 1, "a line\n");
  v1::StreamLogsRequest request;
  request.set_id(id);
  request.set_follow(true);
  const auto first = logs(request);
  const auto second = logs(request);
  v1::StreamLogsResponse piece;
  ASSERT_TRUE(first.reader->Read(&piece) && second.reader->Read(&piece));
  const auto third = logs(request);
  EXPECT_FALSE(third.reader->Read(&piece));
  const grpc::Status refused = third.reader->Finish();
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(refused.error_message(), HasSubstr("2 streams open"));
  first.client->TryCancel();
  EXPECT_TRUE(testing::eventually([&] { return logs(request).reader->Read(&piece); }))
      << "there is room again";
}

TEST_F(StreamsTest, ChangesAreLimitedAndLooksAreNot) {
  Limits limits;
  limits.changes_at_once = 2;
  limits.changes_per_second = 0.01;
  restart_with(limits);
  EXPECT_TRUE(submit(spec("", "a")).ok());
  EXPECT_TRUE(submit(spec("", "b")).ok());
  const grpc::Status refused = submit(spec("", "c"));
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(refused.error_message(), HasSubstr("try again in"));
  for (int i = 0; i < 5; ++i) {
    v1::ListJobsResponse list;
    EXPECT_TRUE(jobs_->ListJobs(context().get(), {}, &list).ok());
    EXPECT_EQ(list.jobs_size(), 2);
  }
}

TEST_F(StreamsTest, ARequestThatIsTooLargeIsRefused) {
  v1::JobSpec large = spec();
  large.set_name(std::string(5U << 20U, 'x'));
  const grpc::Status refused = submit(large);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(refused.error_message(), HasSubstr("at most 4194304"));
}

TEST_F(StreamsTest, MetricsAndCheckpointsOfARun) {
  const std::string id = submitted(spec());
  const std::filesystem::path run = server_->job(id).run_folder();
  std::ofstream(run / "metrics.jsonl") << "{\"step\":1,\"loss\":0.5}\n";
  std::filesystem::create_directories(run / "checkpoints/step-000000001-g0001");
  v1::GetMetricsRequest metrics;
  metrics.set_id(id);
  v1::GetMetricsResponse series;
  ASSERT_TRUE(jobs_->GetMetrics(context().get(), metrics, &series).ok());
  ASSERT_EQ(series.series_size(), 1);
  EXPECT_EQ(series.series(0).values(0), 0.5);
  v1::ListCheckpointsRequest list;
  list.set_id(id);
  v1::ListCheckpointsResponse checkpoints;
  ASSERT_TRUE(jobs_->ListCheckpoints(context().get(), list, &checkpoints).ok());
  ASSERT_EQ(checkpoints.checkpoints_size(), 1);
  EXPECT_EQ(checkpoints.checkpoints(0).name(), "step-000000001-g0001");
  EXPECT_THAT(checkpoints.checkpoints(0).problem(), HasSubstr("manifest.json"));
  metrics.set_id("nobody");
  EXPECT_EQ(jobs_->GetMetrics(context().get(), metrics, &series).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(StreamsTest, StopsWhileEverybodyWatches) {
  const std::string id = submitted(spec());
  ASSERT_TRUE(reaches(id, v1::JOB_STATE_QUEUED));
  std::vector<Open<v1::WatchJobResponse>> watches;
  for (int i = 0; i < 20; ++i) watches.push_back(watch(id, 0.001));
  v1::WatchJobResponse news;
  for (auto& open : watches) ASSERT_TRUE(open.reader->Read(&news));
  const auto begin = std::chrono::steady_clock::now();
  server_->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
}

}  // namespace
}  // namespace mdgen::coordinator
