#include "core/config/json.h"
#include "services/coordinator/http_routes.h"
#include "services/coordinator/json_request.h"

namespace mdgen::coordinator {
namespace {

constexpr const char* kPrometheus = "text/plain; version=0.0.4; charset=utf-8";

HttpReply message_reply(const google::protobuf::Message& message) {
  return json_reply(config::message_to_json(message, config::Unset::kInclude).dump());
}

}  // namespace

void bind_pool(HttpRouter& router, Frontend& frontend) {
  Coordinator& coordinator = frontend.coordinator;
  router.bind("ListWorkers", [&](const HttpRequest&) { return message_reply(coordinator.workers()); });
  router.bind("GetQueue", [&](const HttpRequest&) { return message_reply(coordinator.queue()); });
  router.bind("DrainWorker", [&](const HttpRequest& request) {
    v1::DrainWorkerRequest wanted;
    json_to_message(request.body, wanted);
    return message_reply(coordinator.drain_worker(request.caller, request.id));
  });
}

// The first two are called by the thread for probes: they must not wait for the coordinator.
void bind_probes(HttpRouter& router, Frontend& frontend) {
  Coordinator& coordinator = frontend.coordinator;
  router.bind("GetHealth", [](const HttpRequest&) { return json_reply(R"({"status":"SERVING"})"); });
  router.bind("GetReadiness", [&](const HttpRequest&) {
    const std::string problem = coordinator.not_ready();
    return problem.empty() ? json_reply(R"({"status":"SERVING"})") : error_reply(503, "Unavailable", problem);
  });
  router.bind("GetPrometheusMetrics", [&](const HttpRequest&) {
    return HttpReply{.type = kPrometheus, .body = coordinator.metrics()};
  });
}

void bind_access(HttpRouter& router, const HttpAccess& access) {
  router.bind("GetAccess", [access](const HttpRequest& request) {
    config::Json json{{"required", access.is_required()}};
    if (!access.is_required()) return json_reply(json.dump());
    const mdgen::access::Verdict verdict = access.identify(request.raw);
    if (verdict.is_admitted()) {
      json["name"] = verdict.caller.name;
      json["role"] = mdgen::access::role_name(verdict.caller.role);
    }
    return json_reply(json.dump());
  });
}

}  // namespace mdgen::coordinator
