#include "services/access/methods.h"

#include <algorithm>
#include <array>

#include "core/base/text.h"

namespace mdgen::access {
namespace {

constexpr std::array kGrpc = {
    GrpcMethod{"/mdgen.v1.JobService/SubmitJob", Need::kSubmitter, true},
    GrpcMethod{"/mdgen.v1.JobService/GetJob", Need::kViewer},
    GrpcMethod{"/mdgen.v1.JobService/WatchJob", Need::kViewer},
    GrpcMethod{"/mdgen.v1.JobService/ListJobs", Need::kViewer},
    GrpcMethod{"/mdgen.v1.JobService/CancelJob", Need::kSubmitter, true},
    GrpcMethod{"/mdgen.v1.JobService/PauseJob", Need::kSubmitter, true},
    GrpcMethod{"/mdgen.v1.JobService/ResumeJob", Need::kSubmitter, true},
    GrpcMethod{"/mdgen.v1.JobService/UpdateJob", Need::kSubmitter, true},
    GrpcMethod{"/mdgen.v1.JobService/RetryJob", Need::kSubmitter, true},
    GrpcMethod{"/mdgen.v1.JobService/DeleteJob", Need::kSubmitter, true},
    GrpcMethod{"/mdgen.v1.JobService/ListEvents", Need::kViewer},
    GrpcMethod{"/mdgen.v1.JobService/GetMetrics", Need::kViewer},
    GrpcMethod{"/mdgen.v1.JobService/ListCheckpoints", Need::kViewer},
    GrpcMethod{"/mdgen.v1.JobService/InjectFault", Need::kAdmin, true},
    GrpcMethod{"/mdgen.v1.JobService/StreamLogs", Need::kViewer},
    GrpcMethod{"/mdgen.v1.JobService/StreamLedger", Need::kViewer},
    GrpcMethod{"/mdgen.v1.PoolService/ListWorkers", Need::kViewer},
    GrpcMethod{"/mdgen.v1.PoolService/DrainWorker", Need::kAdmin, true},
    GrpcMethod{"/mdgen.v1.PoolService/GetQueue", Need::kViewer},
    GrpcMethod{"/mdgen.v1.WorkerService/Connect", Need::kWorker},
    GrpcMethod{"/mdgen.v1.WorkerService/Exchange", Need::kWorker},
    GrpcMethod{"/grpc.health.v1.Health/Check", Need::kKnown},
    GrpcMethod{"/grpc.health.v1.Health/Watch", Need::kKnown},
    GrpcMethod{"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Need::kKnown},
};

constexpr std::array kHttp = {
    HttpRoute{"GET", "/healthz", Need::kNothing},
    HttpRoute{"GET", "/readyz", Need::kNothing},
    // The dashboard's own files hold no data; it asks for a token when /v1/access says so.
    HttpRoute{"GET", "/", Need::kNothing},
    HttpRoute{"GET", "/favicon.ico", Need::kNothing},
    HttpRoute{"GET", "/dashboard/**", Need::kNothing},
    HttpRoute{"GET", "/openapi.yaml", Need::kNothing},
    HttpRoute{"GET", "/v1/access", Need::kNothing},
    HttpRoute{"GET", "/metrics", Need::kViewer},
    HttpRoute{"GET", "/v1/jobs", Need::kViewer},
    HttpRoute{"GET", "/v1/jobs/*", Need::kViewer},
    HttpRoute{"GET", "/v1/jobs/*/**", Need::kViewer},
    HttpRoute{"GET", "/v1/workers", Need::kViewer},
    HttpRoute{"GET", "/v1/queue", Need::kViewer},
    HttpRoute{"POST", "/v1/jobs", Need::kSubmitter},
    HttpRoute{"POST", "/v1/jobs/*/cancel", Need::kSubmitter},
    HttpRoute{"POST", "/v1/jobs/*/pause", Need::kSubmitter},
    HttpRoute{"POST", "/v1/jobs/*/resume", Need::kSubmitter},
    HttpRoute{"POST", "/v1/jobs/*/retry", Need::kSubmitter},
    HttpRoute{"POST", "/v1/jobs/*/update", Need::kSubmitter},
    HttpRoute{"PATCH", "/v1/jobs/*", Need::kSubmitter},
    HttpRoute{"DELETE", "/v1/jobs/*", Need::kSubmitter},
    HttpRoute{"POST", "/v1/workers/*/drain", Need::kAdmin},
};

bool matches(std::string_view pattern, std::string_view path) {
  const auto wanted = split(pattern, '/'), given = split(path, '/');
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] == "**") return given.size() > i;
    if (i >= given.size() || (wanted[i] != "*" && wanted[i] != given[i])) return false;
  }
  return wanted.size() == given.size();
}

}  // namespace

bool suffices(Role role, Need need) {
  switch (need) {
    case Need::kNothing:
    case Need::kKnown:
      return true;
    case Need::kWorker:
      return role == Role::kWorker || role == Role::kAdmin;
    case Need::kViewer:
      return role != Role::kWorker;
    case Need::kSubmitter:
      return role == Role::kSubmitter || role == Role::kAdmin;
    case Need::kAdmin:
      return role == Role::kAdmin;
  }
  return false;
}

const char* need_text(Need need) {
  switch (need) {
    case Need::kNothing:
      return "nobody in particular";
    case Need::kKnown:
      return "any";
    case Need::kWorker:
      return "worker or admin";
    case Need::kViewer:
      return "viewer, submitter or admin";
    case Need::kSubmitter:
      return "submitter or admin";
    case Need::kAdmin:
      return "admin";
  }
  return "?";
}

std::span<const GrpcMethod> grpc_methods() { return kGrpc; }

GrpcMethod grpc_method(std::string_view path) {
  const auto found =
      std::find_if(kGrpc.begin(), kGrpc.end(), [&](const GrpcMethod& one) { return one.path == path; });
  return found != kGrpc.end() ? *found : GrpcMethod{path, Need::kAdmin};
}

Need need_of_change(std::string_view name) {
  const auto found = std::find_if(kGrpc.begin(), kGrpc.end(), [&](const GrpcMethod& one) {
    return one.changes && one.path.substr(one.path.rfind('/') + 1) == name;
  });
  return found != kGrpc.end() ? found->need : Need::kAdmin;
}

std::span<const HttpRoute> http_routes() { return kHttp; }

HttpRoute http_route(std::string_view method, std::string_view path) {
  const std::string_view asked = method == "HEAD" ? "GET" : method;
  const auto found = std::find_if(kHttp.begin(), kHttp.end(), [&](const HttpRoute& one) {
    return one.method == asked && matches(one.path, path);
  });
  if (found != kHttp.end()) return *found;
  return HttpRoute{method, path, asked == "GET" ? Need::kViewer : Need::kAdmin};
}

}  // namespace mdgen::access
