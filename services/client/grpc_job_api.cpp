#include <grpcpp/grpcpp.h>
#include <grpcpp/support/channel_arguments.h>

#include <chrono>
#include <cstdio>

#include "core/base/error.h"
#include "mdgen/v1/job_service.grpc.pb.h"
#include "mdgen/v1/pool_service.grpc.pb.h"
#include "services/access/credentials.h"
#include "services/client/job_api.h"
#include "services/version/grpc_version.h"

namespace mdgen::client {
namespace {

// A vanished coordinator ends a silent stream.
constexpr int kKeepaliveMs = 20'000;
constexpr std::chrono::seconds kLedgerWithin{120};
constexpr const char* kWhoHint =
    "; the token comes from --token_file or MDGEN_TOKEN, the coordinator's certificate from --ca or MDGEN_CA";
constexpr const char* kOldCoordinator =
    "the coordinator does not know this call; it is older than this mdgenctl";

ErrorCode code_of(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::DEADLINE_EXCEEDED:
    case grpc::StatusCode::CANCELLED:  // never by us: the server is going down
      return ErrorCode::kUnavailable;
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::OUT_OF_RANGE:
      return ErrorCode::kInvalidArgument;
    case grpc::StatusCode::NOT_FOUND:
      return ErrorCode::kNotFound;
    case grpc::StatusCode::ALREADY_EXISTS:
      return ErrorCode::kAlreadyExists;
    case grpc::StatusCode::UNIMPLEMENTED:
      return ErrorCode::kUnimplemented;
    case grpc::StatusCode::PERMISSION_DENIED:
      return ErrorCode::kPermissionDenied;
    case grpc::StatusCode::FAILED_PRECONDITION:
    case grpc::StatusCode::UNAUTHENTICATED:
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return ErrorCode::kFailedPrecondition;
    case grpc::StatusCode::ABORTED:
      return ErrorCode::kAborted;
    case grpc::StatusCode::DATA_LOSS:
      return ErrorCode::kDataLoss;
    default:
      return ErrorCode::kInternal;
  }
}

// Somebody listens there, and hung up on what we said.
bool is_hung_up(const std::string& text) {
  const auto has = [&](const char* words) { return text.find(words) != std::string::npos; };
  return has("failed to connect") && (has("Socket closed") || has("reset by peer"));
}

class GrpcJobApi : public JobApi {
 public:
  GrpcJobApi(const std::string& address, const access::Access& access,
             std::chrono::milliseconds answer_within)
      : address_(address), is_plain_(access.is_plain()), answer_within_(answer_within) {
    grpc::ChannelArguments arguments;
    // A cluster's web proxy is not on the way to its coordinator.
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveMs);
    arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    arguments.SetMaxReceiveMessageSize(-1);
    std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>> interceptors;
    interceptors.push_back(version::compare_versions(
        [](const std::string& advice) { std::fprintf(stderr, "mdgenctl: %s\n", advice.c_str()); }));
    channel_ = grpc::experimental::CreateCustomChannelWithInterceptors(
        address, access::channel_credentials(access, arguments), arguments, std::move(interceptors));
    jobs_ = v1::JobService::NewStub(channel_);
    pool_ = v1::PoolService::NewStub(channel_);
  }

  v1::Job submit(const v1::JobSpec& resolved, const std::string& request_id) override {
    v1::SubmitJobRequest request;
    *request.mutable_spec() = resolved;
    request.set_request_id(request_id);
    return job_of(call<v1::SubmitJobResponse>(*jobs_, &Jobs::SubmitJob, request));
  }

  void check(const v1::JobSpec& resolved) override {
    v1::SubmitJobRequest request;
    *request.mutable_spec() = resolved;
    request.set_validate_only(true);
    (void)call<v1::SubmitJobResponse>(*jobs_, &Jobs::SubmitJob, request);
  }

  v1::Job get(const std::string& id) override {
    return job_of(call<v1::GetJobResponse>(*jobs_, &Jobs::GetJob, named<v1::GetJobRequest>(id)));
  }

  void watch(const v1::WatchJobRequest& request, const std::function<bool(const v1::Job&)>& take) override {
    grpc::ClientContext context;
    const auto reader = jobs_->WatchJob(&context, request);
    read_all<v1::WatchJobResponse>(context, *reader,
                                   [&](const v1::WatchJobResponse& piece) { return take(piece.job()); });
  }

  v1::ListJobsResponse list(const v1::ListJobsRequest& request) override {
    return call<v1::ListJobsResponse>(*jobs_, &Jobs::ListJobs, request);
  }

  v1::Job cancel(const std::string& id, std::optional<int> grace_seconds) override {
    auto request = named<v1::CancelJobRequest>(id);
    if (grace_seconds) request.set_grace_seconds(*grace_seconds);
    return job_of(call<v1::CancelJobResponse>(*jobs_, &Jobs::CancelJob, request));
  }

  v1::Job pause(const std::string& id, std::optional<int> grace_seconds) override {
    auto request = named<v1::PauseJobRequest>(id);
    if (grace_seconds) request.set_grace_seconds(*grace_seconds);
    return job_of(call<v1::PauseJobResponse>(*jobs_, &Jobs::PauseJob, request));
  }

  v1::Job resume(const std::string& id, const std::optional<v1::WorkerRange>& workers) override {
    auto request = named<v1::ResumeJobRequest>(id);
    if (workers) *request.mutable_workers() = *workers;
    return job_of(call<v1::ResumeJobResponse>(*jobs_, &Jobs::ResumeJob, request));
  }

  v1::Job update(const v1::UpdateJobRequest& request) override {
    return job_of(call<v1::UpdateJobResponse>(*jobs_, &Jobs::UpdateJob, request));
  }

  v1::Job retry(const std::string& id, const std::string& request_id) override {
    auto request = named<v1::RetryJobRequest>(id);
    request.set_request_id(request_id);
    return job_of(call<v1::RetryJobResponse>(*jobs_, &Jobs::RetryJob, request));
  }

  void remove(const std::string& id) override {
    (void)call<v1::DeleteJobResponse>(*jobs_, &Jobs::DeleteJob, named<v1::DeleteJobRequest>(id));
  }

  v1::ListEventsResponse events(const v1::ListEventsRequest& request) override {
    return call<v1::ListEventsResponse>(*jobs_, &Jobs::ListEvents, request);
  }

  v1::GetMetricsResponse metrics(const v1::GetMetricsRequest& request) override {
    return call<v1::GetMetricsResponse>(*jobs_, &Jobs::GetMetrics, request);
  }

  v1::ListCheckpointsResponse checkpoints(const std::string& id) override {
    return call<v1::ListCheckpointsResponse>(*jobs_, &Jobs::ListCheckpoints,
                                             named<v1::ListCheckpointsRequest>(id));
  }

  v1::InjectFaultResponse inject(const v1::InjectFaultRequest& request) override {
    return call<v1::InjectFaultResponse>(*jobs_, &Jobs::InjectFault, request);
  }

  void stream_logs(const v1::StreamLogsRequest& request,
                   const std::function<bool(const v1::StreamLogsResponse&)>& take) override {
    grpc::ClientContext context;
    if (!request.follow()) context.set_deadline(std::chrono::system_clock::now() + std::chrono::hours(1));
    const auto reader = jobs_->StreamLogs(&context, request);
    read_all<v1::StreamLogsResponse>(context, *reader, take);
  }

  v1::StreamLedgerResponse ledger(const v1::StreamLedgerRequest& request) override {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kLedgerWithin);
    const auto reader = jobs_->StreamLedger(&context, request);
    v1::StreamLedgerResponse whole;
    for (v1::StreamLedgerResponse piece; reader->Read(&piece);) whole.MergeFrom(piece);
    require_ok(reader->Finish());
    return whole;
  }

  v1::ListWorkersResponse workers() override {
    return call<v1::ListWorkersResponse>(*pool_, &Pool::ListWorkers, v1::ListWorkersRequest());
  }

  v1::Worker drain(const std::string& worker_id) override {
    auto response =
        call<v1::DrainWorkerResponse>(*pool_, &Pool::DrainWorker, named<v1::DrainWorkerRequest>(worker_id));
    return std::move(*response.mutable_worker());
  }

  v1::GetQueueResponse queue() override {
    return call<v1::GetQueueResponse>(*pool_, &Pool::GetQueue, v1::GetQueueRequest());
  }

 private:
  using Jobs = v1::JobService::Stub;
  using Pool = v1::PoolService::Stub;

  template <class Request>
  static Request named(const std::string& id) {
    Request request;
    request.set_id(id);
    return request;
  }

  template <class Response>
  static v1::Job job_of(Response response) {
    return std::move(*response.mutable_job());
  }

  template <class Response, class Stub, class Method, class Request>
  Response call(Stub& stub, Method method, const Request& request) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + answer_within_);
    Response response;
    require_ok((stub.*method)(&context, request, &response));
    return response;
  }

  template <class Piece, class Take>
  void read_all(grpc::ClientContext& context, grpc::ClientReader<Piece>& reader, const Take& take) {
    for (Piece piece; reader.Read(&piece);) {
      if (take(piece)) continue;
      context.TryCancel();
      (void)reader.Finish();
      return;
    }
    require_ok(reader.Finish());
  }

  void require_ok(const grpc::Status& status) const {
    if (status.ok()) return;
    const ErrorCode code = code_of(status.error_code());
    std::string text = status.error_message();
    if (code == ErrorCode::kUnavailable) {
      // Whoever calls again has waited already.
      grpc::experimental::ChannelResetConnectionBackoff(channel_.get());
      text = "no answer from the coordinator at " + address_ + ": " + text;
      if (is_plain_ && is_hung_up(text)) text += "; if it uses TLS, --ca and --token_file must be given";
    }
    const bool is_unknown_method = text.empty() && status.error_code() == grpc::StatusCode::UNIMPLEMENTED;
    if (text.empty()) text = is_unknown_method ? kOldCoordinator : error_code_name(code);
    if (status.error_code() == grpc::StatusCode::UNAUTHENTICATED) text += kWhoHint;
    throw Error(code, text);
  }

  std::string address_;
  bool is_plain_;
  std::chrono::milliseconds answer_within_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<Jobs> jobs_;
  std::unique_ptr<Pool> pool_;
};

}  // namespace

std::shared_ptr<JobApi> connect_grpc(const std::string& address, const access::Access& access,
                                     std::chrono::milliseconds answer_within) {
  return std::make_shared<GrpcJobApi>(address, access, answer_within);
}

}  // namespace mdgen::client
