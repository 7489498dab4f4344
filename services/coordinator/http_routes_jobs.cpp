#include <google/protobuf/util/time_util.h>
#include <httplib.h>

#include <chrono>

#include "core/config/json.h"
#include "services/coordinator/checkpoint_list.h"
#include "services/coordinator/http_routes.h"
#include "services/coordinator/log_cursor.h"

namespace mdgen::coordinator {
namespace {

constexpr std::int64_t kLogBytes = 64 * 1024;

HttpReply message_reply(const google::protobuf::Message& message) {
  return json_reply(config::message_to_json(message, config::Unset::kInclude).dump());
}

v1::ListJobsRequest list_request(const HttpRequest& request) {
  v1::ListJobsRequest list;
  list.set_page_size(static_cast<int>(request.whole("page_size")));
  list.set_page_token(request.text("page_token"));
  list.set_name_prefix(request.text("name_prefix"));
  list.set_owner(request.text("owner"));
  list.set_labels(request.text("labels"));
  if (!request.has("state")) return list;
  for (const std::string& name : request.query.at("state")) {
    v1::JobState state{};
    v1::JobState_Parse("JOB_STATE_" + name, &state);
    list.add_states(state);
  }
  return list;
}

v1::GetMetricsRequest metrics_request(const HttpRequest& request) {
  v1::GetMetricsRequest metrics;
  metrics.set_after_step(request.whole("after_step"));
  metrics.set_max_points(static_cast<int>(request.whole("max_points")));
  if (request.has("name"))
    for (const std::string& name : request.query.at("name")) metrics.add_names(name);
  return metrics;
}

v1::StreamLogsRequest logs_request(const HttpRequest& request) {
  v1::StreamLogsRequest logs;
  logs.set_rank(static_cast<int>(request.whole("rank")));
  if (request.has("attempt")) logs.set_attempt(static_cast<int>(request.whole("attempt")));
  logs.set_offset(request.whole("offset"));
  logs.set_tail_bytes(request.whole("tail_bytes"));
  if (request.has("since"))
    google::protobuf::util::TimeUtil::FromString(request.text("since"), logs.mutable_since());
  return logs;
}

HttpReply events(const HttpRequest& request, Frontend& frontend) {
  v1::ListEventsRequest list;
  list.set_id(request.id);
  list.set_after_sequence(request.whole("after_sequence"));
  list.set_page_size(static_cast<int>(request.whole("page_size")));
  return message_reply(frontend.coordinator.events(list));
}

HttpReply logs(const HttpRequest& request, Frontend& frontend) {
  const std::string id = frontend.coordinator.job(request.id).id();
  LogCursor cursor(
      logs_request(request), [&] { return frontend.coordinator.logs(id); },
      static_cast<std::size_t>(request.whole("limit", kLogBytes)));
  const auto piece = cursor.next();
  const bool ended = !piece && cursor.exhausted();
  if (request.raw.get_header_value("Accept").starts_with("text/plain")) {
    HttpReply reply{.type = "text/plain; charset=utf-8", .body = piece ? piece->text() : ""};
    reply.headers = {{"X-Next-Offset", std::to_string(cursor.offset())},
                     {"X-Attempt", std::to_string(cursor.attempt())},
                     {"X-Ended", ended ? "true" : "false"}};
    return reply;
  }
  return json_reply(config::Json{{"text", piece ? piece->text() : ""},
                                 {"next_offset", cursor.offset()},
                                 {"attempt", cursor.attempt()},
                                 {"ended", ended}}
                        .dump());
}

}  // namespace

void bind_job_lookups(HttpRouter& router, Frontend& frontend) {
  router.bind("ListJobs", [&](const HttpRequest& request) {
    return json_reply(config::jobs_json(frontend.coordinator.list(list_request(request))));
  });
  router.bind("GetJob", [&](const HttpRequest& request) {
    return json_reply(config::job_json(frontend.coordinator.job(request.id)));
  });
  router.bind("ListEvents", [&](const HttpRequest& request) { return events(request, frontend); });
  router.bind("GetMetrics", [&](const HttpRequest& request) {
    const v1::Job job = frontend.coordinator.job(request.id);
    return message_reply(frontend.metrics.get(job.run_folder(), metrics_request(request)));
  });
  router.bind("ListCheckpoints", [&](const HttpRequest& request) {
    return message_reply(list_checkpoints(frontend.coordinator.job(request.id).run_folder()));
  });
  router.bind("GetSamples", [&](const HttpRequest& request) {
    return json_reply(frontend.pictures.get(frontend.coordinator.job(request.id), request.text("file")));
  });
  router.bind("GetLogs", [&](const HttpRequest& request) { return logs(request, frontend); });
}

}  // namespace mdgen::coordinator
