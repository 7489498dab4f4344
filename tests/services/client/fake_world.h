// Surroundings without a terminal, a network or a passing of time.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "services/client/command_line.h"
#include "services/client/surroundings.h"

namespace mdgen::client {

class ManualClock : public Clock {
 public:
  Steady steady() const override { return Steady(now); }
  Wall wall() const override { return Wall(std::chrono::duration_cast<Wall::duration>(now)); }
  std::chrono::milliseconds now{1'700'000'000'000};
};

// Answers as its functions say; counts nothing, knows nothing.
class ScriptedApi : public JobApi {
 public:
  std::function<v1::Job(const v1::JobSpec&, const std::string&)> on_submit;
  std::function<v1::Job(const std::string&)> on_get;
  std::function<v1::ListJobsResponse(const v1::ListJobsRequest&)> on_list;
  std::function<v1::Job(const std::string&, std::optional<int>)> on_cancel;
  std::function<v1::Job(const std::string&, std::optional<int>)> on_pause;
  std::function<v1::Job(const std::string&, const std::optional<v1::WorkerRange>&)> on_resume;
  std::function<v1::Job(const v1::UpdateJobRequest&)> on_update;
  std::function<v1::Job(const std::string&, const std::string&)> on_retry;
  std::function<void(const std::string&)> on_remove;
  std::function<v1::ListEventsResponse(const v1::ListEventsRequest&)> on_events;
  std::function<v1::GetMetricsResponse(const v1::GetMetricsRequest&)> on_metrics;
  std::function<v1::ListCheckpointsResponse(const std::string&)> on_checkpoints;
  std::function<v1::InjectFaultResponse(const v1::InjectFaultRequest&)> on_inject;
  std::function<void(const v1::StreamLogsRequest&, const std::function<bool(const v1::StreamLogsResponse&)>&)>
      on_logs;

  std::function<v1::StreamLedgerResponse(const v1::StreamLedgerRequest&)> on_ledger;
  std::function<void(const v1::JobSpec&)> on_check;
  // As a coordinator that has no such stream.
  std::function<void(const v1::WatchJobRequest&, const std::function<bool(const v1::Job&)>&)> on_watch =
      [](const auto&, const auto&) { throw Error(ErrorCode::kUnimplemented, "no WatchJob"); };
  std::function<v1::ListWorkersResponse()> on_workers;
  std::function<v1::Worker(const std::string&)> on_drain;
  std::function<v1::GetQueueResponse()> on_queue;

  v1::StreamLedgerResponse ledger(const v1::StreamLedgerRequest& request) override {
    return on_ledger(request);
  }
  v1::Job submit(const v1::JobSpec& spec, const std::string& request_id) override {
    return on_submit(spec, request_id);
  }
  v1::Job get(const std::string& id) override { return on_get(id); }
  v1::ListJobsResponse list(const v1::ListJobsRequest& request) override { return on_list(request); }
  v1::Job cancel(const std::string& id, std::optional<int> grace) override { return on_cancel(id, grace); }
  v1::Job pause(const std::string& id, std::optional<int> grace) override { return on_pause(id, grace); }
  v1::Job resume(const std::string& id, const std::optional<v1::WorkerRange>& workers) override {
    return on_resume(id, workers);
  }
  void check(const v1::JobSpec& spec) override { on_check(spec); }
  void watch(const v1::WatchJobRequest& request, const std::function<bool(const v1::Job&)>& take) override {
    on_watch(request, take);
  }
  v1::Job update(const v1::UpdateJobRequest& request) override { return on_update(request); }
  v1::Job retry(const std::string& id, const std::string& request_id) override {
    return on_retry(id, request_id);
  }
  void remove(const std::string& id) override { on_remove(id); }
  v1::ListEventsResponse events(const v1::ListEventsRequest& request) override { return on_events(request); }
  v1::GetMetricsResponse metrics(const v1::GetMetricsRequest& request) override {
    return on_metrics(request);
  }
  v1::ListCheckpointsResponse checkpoints(const std::string& id) override { return on_checkpoints(id); }
  v1::InjectFaultResponse inject(const v1::InjectFaultRequest& request) override {
    return on_inject(request);
  }
  v1::ListWorkersResponse workers() override { return on_workers(); }
  v1::Worker drain(const std::string& id) override { return on_drain(id); }
  v1::GetQueueResponse queue() override { return on_queue(); }
  void stream_logs(const v1::StreamLogsRequest& request,
                   const std::function<bool(const v1::StreamLogsResponse&)>& take) override {
    on_logs(request, take);
  }
};

// mdgenctl with all of its surroundings fake but the file system; sleeping turns the clock.
struct FakeWorld {
  ScriptedApi api;
  ManualClock clock;
  std::istringstream in;
  std::ostringstream out;
  std::ostringstream err;
  Endpoint connected;
  TerminalSize terminal;  // no terminal
  std::map<std::string, std::string> variables{{"MDGEN_ADDRESS", "127.0.0.1:7"}};
  std::vector<std::string> batch_scripts;
  std::vector<std::chrono::milliseconds> sleeps;
  std::function<void()> on_sleep = [] {};
  Surroundings world{.in = in,
                     .out = out,
                     .err = err,
                     .terminal = [this] { return terminal; },
                     .variable =
                         [this](const std::string& name) {
                           const auto found = variables.find(name);
                           return found == variables.end() ? "" : found->second;
                         },
                     .current_folder = "/home/u",
                     .connect =
                         [this](const Endpoint& endpoint) {
                           connected = endpoint;
                           return std::shared_ptr<JobApi>(std::shared_ptr<JobApi>(), &api);
                         },
                     .submit_batch =
                         [this](const std::string& script) {
                           batch_scripts.push_back(script);
                           return "17";
                         },
                     .launcher = "/opt/mdgen/bin/mdgen-launch",
                     .clock = clock,
                     .sleep =
                         [this](std::chrono::milliseconds pause) {
                           sleeps.push_back(pause);
                           clock.now += pause;
                           on_sleep();
                         }};

  int run(std::vector<std::string> arguments) { return run_client(std::move(arguments), world); }
};

inline v1::Job job_in(v1::JobState state, std::int64_t step = 0) {
  v1::Job job;
  job.set_id("j1");
  job.set_name("run");
  job.set_state(state);
  job.set_step(step);
  job.set_total_steps(200);
  return job;
}

inline Error lost() { return Error(ErrorCode::kUnavailable, "no answer"); }

}  // namespace mdgen::client
