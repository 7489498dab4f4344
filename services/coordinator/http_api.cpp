#include "services/coordinator/http_api.h"

#include "mdgen/v1/job.pb.h"
#include "mdgen/v1/job_service.pb.h"
#include "mdgen/v1/pool_service.pb.h"

namespace mdgen::coordinator {
namespace {

using Kind = HttpParameter::Kind;

constexpr std::int64_t kInt32 = std::numeric_limits<std::int32_t>::max();

std::vector<std::string> state_names() {
  std::vector<std::string> names;
  const std::string prefix = "JOB_STATE_";
  for (int i = 1; i < v1::JobState_descriptor()->value_count(); ++i)
    names.push_back(v1::JobState_descriptor()->value(i)->name().substr(prefix.size()));
  return names;
}

std::vector<HttpOperation> job_lookups() {
  const auto* job = v1::Job::descriptor();
  return {
      {.id = "ListJobs",
       .method = "GET",
       .path = "/v1/jobs",
       .summary = "Jobs, the newest first; without spec, transitions and recoveries.",
       .query = {{"state", Kind::kText, "Only jobs in one of these states.", 0, 0, state_names(), true},
                 {"name_prefix", Kind::kText, "Only jobs whose name begins so."},
                 {"owner", Kind::kText, "Only jobs of this owner."},
                 {"labels", Kind::kText, "team=md,stage: each must be there, with this value if one is given."},
                 {"page_size", Kind::kWhole, "0: 100.", 0, 1000},
                 {"page_token", Kind::kText, "next_page_token of the page before."}},
       .reply = v1::ListJobsResponse::descriptor()},
      {.id = "GetJob",
       .method = "GET",
       .path = "/v1/jobs/{id}",
       .summary = "A job.",
       .reply = job,
       .errors = {404}},
      {.id = "ListEvents",
       .method = "GET",
       .path = "/v1/jobs/{id}/events",
       .summary = "What happened to a job, the oldest first.",
       .query = {{"after_sequence", Kind::kWhole, "Only events after this one."},
                 {"page_size", Kind::kWhole, "0: 1000.", 0, 1000}},
       .reply = v1::ListEventsResponse::descriptor(),
       .errors = {404}},
      {.id = "GetMetrics",
       .method = "GET",
       .path = "/v1/jobs/{id}/metrics",
       .summary = "Loss, learning rate, … by step, from the run folder's metrics.jsonl.",
       .query = {{"name", Kind::kText, "Only these series: loss, val_loss, …", 0, 0, {}, true},
                 {"after_step", Kind::kWhole, "Only points beyond this step; 0: all."},
                 {"max_points", Kind::kWhole, "Of each series; extremes are kept. 0: 1000.", 0, 10'000}},
       .reply = v1::GetMetricsResponse::descriptor(),
       .errors = {404, 429}},
      {.id = "ListCheckpoints",
       .method = "GET",
       .path = "/v1/jobs/{id}/checkpoints",
       .summary = "The run folder's checkpoints, the newest first; names and sizes are looked at, no content.",
       .reply = v1::ListCheckpointsResponse::descriptor(),
       .errors = {404, 429}},
      {.id = "GetLogs",
       .method = "GET",
       .path = "/v1/jobs/{id}/logs",
       .summary = "A piece of a rank's log, from an offset on; as plain text with `Accept: text/plain`.",
       .query = {{"rank", Kind::kWhole, "", 0, kInt32},
                 {"attempt", Kind::kWhole, "Default: all attempts as one text, the oldest first.", 1, kInt32},
                 {"offset", Kind::kWhole, "In bytes; next_offset of the piece before."},
                 {"tail_bytes", Kind::kWhole, "When offset is 0: so far before the end, at a line's start."},
                 {"since", Kind::kTime, "When offset is 0: from the first line of this time or later."},
                 {"limit", Kind::kWhole, "Bytes of a piece; default 65536.", 16, 1 << 20}},
       .schema = "LogPiece",
       .errors = {404, 429}},
      {.id = "GetSamples",
       .method = "GET",
       .path = "/v1/jobs/{id}/samples",
       .summary = "Sampled structures, and one of them compared with the data: angles and fluctuations.",
       .query = {{"file", Kind::kText, "Of this sample; default: the latest."}},
       .schema = "Samples",
       .errors = {404}},
  };
}

std::vector<HttpOperation> job_changes() {
  const auto* job = v1::Job::descriptor();
  const auto action = [&](std::string id, std::string verb, std::string summary, HttpOperation::Message body,
                          std::vector<HttpBound> bounds = {}) {
    return HttpOperation{.id = std::move(id),
                         .method = "POST",
                         .path = "/v1/jobs/{id}/" + verb,
                         .summary = std::move(summary),
                         .body = body,
                         .bounds = std::move(bounds),
                         .reply = job,
                         .errors = {404, 409}};
  };
  return {
      {.id = "SubmitJob",
       .method = "POST",
       .path = "/v1/jobs",
       .summary = "Stores a job. Its spec is resolved as mdgenctl does, but paths must be absolute.",
       .body = v1::SubmitJobRequest::descriptor(),
       .reply = job,
       .success = 201,
       .errors = {409}},
      action("CancelJob", "cancel", "Asks for the end of a job; the answer does not wait for it.",
             v1::CancelJobRequest::descriptor(), {{"grace_seconds"}}),
      action("PauseJob", "pause", "Asks for a checkpoint and the end of the trainers.",
             v1::PauseJobRequest::descriptor(), {{"grace_seconds"}}),
      action("ResumeJob", "resume", "Queues a paused job again, perhaps with another range of workers.",
             v1::ResumeJobRequest::descriptor()),
      action("RetryJob", "retry", "A new job in the run folder of one that has FAILED or was CANCELLED.",
             v1::RetryJobRequest::descriptor()),
      action("UpdateJob", "update", "Changes what may change while a job lives.",
             v1::UpdateJobRequest::descriptor(), {{"deadline_seconds"}}),
      {.id = "DeleteJob",
       .method = "DELETE",
       .path = "/v1/jobs/{id}",
       .summary = "Forgets a job that has ended; its run folder stays.",
       .reply = v1::DeleteJobResponse::descriptor(),
       .errors = {404, 409}},
  };
}

std::vector<HttpOperation> pool_operations() {
  return {
      {.id = "ListWorkers",
       .method = "GET",
       .path = "/v1/workers",
       .summary = "Workers, in the order of their registration.",
       .reply = v1::ListWorkersResponse::descriptor()},
      {.id = "DrainWorker",
       .method = "POST",
       .path = "/v1/workers/{id}/drain",
       .summary = "Lets a worker finish its step, write a checkpoint with its job, and leave.",
       .body = v1::DrainWorkerRequest::descriptor(),
       .reply = v1::Worker::descriptor(),
       .errors = {404, 409}},
      {.id = "GetQueue",
       .method = "GET",
       .path = "/v1/queue",
       .summary = "Jobs that wait for workers, in the order in which they will get them.",
       .reply = v1::GetQueueResponse::descriptor()},
  };
}

std::vector<HttpOperation> probes() {
  return {
      {.id = "GetHealth",
       .method = "GET",
       .path = "/healthz",
       .summary = "The process serves.",
       .schema = "Health"},
      {.id = "GetReadiness",
       .method = "GET",
       .path = "/readyz",
       .summary = "It can take changes. 503, with the reason, while its store cannot be written or it stops.",
       .schema = "Health",
       .errors = {503}},
      {.id = "GetAccess",
       .method = "GET",
       .path = "/v1/access",
       .summary = "Whether a token is required, and whose the one that was sent is.",
       .schema = "Access"},
      {.id = "GetPrometheusMetrics",
       .method = "GET",
       .path = "/metrics",
       .summary = "For Prometheus.",
       .schema = "Text",
       .type = "text/plain; version=0.0.4; charset=utf-8"},
  };
}

}  // namespace

const std::vector<HttpOperation>& http_operations() {
  static const std::vector<HttpOperation> all = [] {
    std::vector<HttpOperation> table;
    for (auto& group : {job_lookups(), job_changes(), pool_operations(), probes()})
      table.insert(table.end(), group.begin(), group.end());
    return table;
  }();
  return all;
}

}  // namespace mdgen::coordinator
