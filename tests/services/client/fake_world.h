// Surroundings without a terminal, a network or a passing of time.
#pragma once

#include <functional>
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
  std::function<v1::InjectFaultResponse(const v1::InjectFaultRequest&)> on_inject;
  std::function<void(const v1::StreamLogsRequest&, const std::function<bool(const v1::StreamLogsResponse&)>&)>
      on_logs;

  std::function<v1::StreamLedgerResponse(const v1::StreamLedgerRequest&)> on_ledger;

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
  v1::InjectFaultResponse inject(const v1::InjectFaultRequest& request) override {
    return on_inject(request);
  }
  void stream_logs(const v1::StreamLogsRequest& request,
                   const std::function<bool(const v1::StreamLogsResponse&)>& take) override {
    on_logs(request, take);
  }
};

// Hands out one ScriptedApi through another object, as connect() gives ownership away.
class SharedApi : public JobApi {
 public:
  explicit SharedApi(JobApi& api) : api_(api) {}
  v1::Job submit(const v1::JobSpec& spec, const std::string& id) override { return api_.submit(spec, id); }
  v1::Job get(const std::string& id) override { return api_.get(id); }
  v1::ListJobsResponse list(const v1::ListJobsRequest& request) override { return api_.list(request); }
  v1::Job cancel(const std::string& id, std::optional<int> grace) override { return api_.cancel(id, grace); }
  v1::Job pause(const std::string& id, std::optional<int> grace) override { return api_.pause(id, grace); }
  v1::Job resume(const std::string& id, const std::optional<v1::WorkerRange>& workers) override {
    return api_.resume(id, workers);
  }
  v1::InjectFaultResponse inject(const v1::InjectFaultRequest& request) override {
    return api_.inject(request);
  }
  void stream_logs(const v1::StreamLogsRequest& request,
                   const std::function<bool(const v1::StreamLogsResponse&)>& take) override {
    api_.stream_logs(request, take);
  }
  v1::StreamLedgerResponse ledger(const v1::StreamLedgerRequest& request) override {
    return api_.ledger(request);
  }

 private:
  JobApi& api_;
};

// mdgenctl with all of its surroundings fake but the file system; sleeping turns the clock.
struct FakeWorld {
  ScriptedApi api;
  ManualClock clock;
  std::istringstream in;
  std::ostringstream out;
  std::ostringstream err;
  std::string connected_to;
  std::vector<std::string> batch_scripts;
  std::vector<std::chrono::milliseconds> sleeps;
  std::function<void()> on_sleep = [] {};
  Surroundings world{.in = in,
                     .out = out,
                     .err = err,
                     .terminal_columns = 0,
                     .default_address = "127.0.0.1:7",
                     .current_folder = "/home/u",
                     .connect =
                         [this](const std::string& address, const access::Sources&) {
                           connected_to = address;
                           return std::make_unique<SharedApi>(api);
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
