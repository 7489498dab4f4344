#include <grpcpp/grpcpp.h>
#include <grpcpp/support/channel_arguments.h>

#include <chrono>
#include <cstdio>

#include "core/base/error.h"
#include "mdgen/v1/job_service.grpc.pb.h"
#include "services/access/credentials.h"
#include "services/client/job_api.h"
#include "services/version/grpc_version.h"

namespace mdgen::client {
namespace {

constexpr std::chrono::seconds kAnswerWithin{20};
constexpr std::chrono::seconds kLedgerWithin{120};

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
  GrpcJobApi(const std::string& address, const access::Access& access)
      : address_(address), is_plain_(access.is_plain()) {
    grpc::ChannelArguments arguments;
    // A cluster's web proxy is not on the way to its coordinator.
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    arguments.SetMaxReceiveMessageSize(-1);
    std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>> interceptors;
    interceptors.push_back(version::compare_versions(
        [](const std::string& advice) { std::fprintf(stderr, "mdgenctl: %s\n", advice.c_str()); }));
    channel_ = grpc::experimental::CreateCustomChannelWithInterceptors(
        address, access::channel_credentials(access, arguments), arguments, std::move(interceptors));
    stub_ = v1::JobService::NewStub(channel_);
  }

  v1::Job submit(const v1::JobSpec& resolved, const std::string& request_id) override {
    v1::SubmitJobRequest request;
    *request.mutable_spec() = resolved;
    request.set_request_id(request_id);
    return std::move(*call<v1::SubmitJobResponse>(&v1::JobService::Stub::SubmitJob, request).mutable_job());
  }

  v1::Job get(const std::string& id) override {
    v1::GetJobRequest request;
    request.set_id(id);
    return std::move(*call<v1::GetJobResponse>(&v1::JobService::Stub::GetJob, request).mutable_job());
  }

  v1::ListJobsResponse list(const v1::ListJobsRequest& request) override {
    return call<v1::ListJobsResponse>(&v1::JobService::Stub::ListJobs, request);
  }

  v1::Job cancel(const std::string& id, std::optional<int> grace_seconds) override {
    v1::CancelJobRequest request;
    request.set_id(id);
    if (grace_seconds) request.set_grace_seconds(*grace_seconds);
    return std::move(*call<v1::CancelJobResponse>(&v1::JobService::Stub::CancelJob, request).mutable_job());
  }

  v1::Job pause(const std::string& id, std::optional<int> grace_seconds) override {
    v1::PauseJobRequest request;
    request.set_id(id);
    if (grace_seconds) request.set_grace_seconds(*grace_seconds);
    return std::move(*call<v1::PauseJobResponse>(&v1::JobService::Stub::PauseJob, request).mutable_job());
  }

  v1::Job resume(const std::string& id, const std::optional<v1::WorkerRange>& workers) override {
    v1::ResumeJobRequest request;
    request.set_id(id);
    if (workers) *request.mutable_workers() = *workers;
    return std::move(*call<v1::ResumeJobResponse>(&v1::JobService::Stub::ResumeJob, request).mutable_job());
  }

  v1::InjectFaultResponse inject(const v1::InjectFaultRequest& request) override {
    return call<v1::InjectFaultResponse>(&v1::JobService::Stub::InjectFault, request);
  }

  void stream_logs(const v1::StreamLogsRequest& request,
                   const std::function<bool(const v1::StreamLogsResponse&)>& take) override {
    grpc::ClientContext context;
    if (!request.follow()) context.set_deadline(std::chrono::system_clock::now() + std::chrono::hours(1));
    const auto reader = stub_->StreamLogs(&context, request);
    v1::StreamLogsResponse piece;
    while (reader->Read(&piece)) {
      if (take(piece)) continue;
      context.TryCancel();
      (void)reader->Finish();
      return;
    }
    require_ok(reader->Finish());
  }

  v1::StreamLedgerResponse ledger(const v1::StreamLedgerRequest& request) override {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kLedgerWithin);
    const auto reader = stub_->StreamLedger(&context, request);
    v1::StreamLedgerResponse whole;
    for (v1::StreamLedgerResponse piece; reader->Read(&piece);) whole.MergeFrom(piece);
    require_ok(reader->Finish());
    return whole;
  }

 private:
  template <class Response, class Request, class Method>
  Response call(Method method, const Request& request) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kAnswerWithin);
    Response response;
    require_ok((*stub_.*method)(&context, request, &response));
    return response;
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
    throw Error(code, text.empty() ? error_code_name(code) : text);
  }

  std::string address_;
  bool is_plain_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::JobService::Stub> stub_;
};

}  // namespace

std::unique_ptr<JobApi> connect_grpc(const std::string& address, const access::Access& access) {
  return std::make_unique<GrpcJobApi>(address, access);
}

}  // namespace mdgen::client
