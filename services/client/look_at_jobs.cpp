// status, describe, list, watch.
#include <algorithm>
#include <filesystem>
#include <map>

#include "core/base/error.h"
#include "core/checkpoint/store.h"
#include "services/client/format.h"
#include "services/client/hints.h"
#include "services/client/verbs.h"
#include "services/client/views.h"

namespace mdgen::client {
namespace {

constexpr int kPage = 500;
constexpr std::chrono::seconds kListEvery{2};

// "RUNNING" or "running".
v1::JobState state_of(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::toupper(c); });
  v1::JobState state{};
  if (!v1::JobState_Parse("JOB_STATE_" + name, &state) || state == v1::JOB_STATE_UNSPECIFIED)
    throw UsageError("--state \"" + name + "\" is no state of a job, such as RUNNING or QUEUED");
  return state;
}

v1::ListJobsRequest filters_of(const Options& options) {
  v1::ListJobsRequest request;
  for (const std::string& name : options.states) request.add_states(state_of(name));
  request.set_name_prefix(options.name);
  request.set_owner(options.owner);
  std::string labels;
  for (const std::string& label : options.labels) labels += (labels.empty() ? "" : ",") + label;
  request.set_labels(labels);
  return request;
}

v1::ListJobsResponse list_pages(JobApi& api, const Options& options) {
  v1::ListJobsResponse all;
  v1::ListJobsRequest request = filters_of(options);
  const auto has_room = [&] { return options.all || all.jobs_size() < options.limit; };
  do {
    request.set_page_size(options.all ? kPage : options.limit - all.jobs_size());
    v1::ListJobsResponse page = api.list(request);
    for (v1::Job& job : *page.mutable_jobs()) *all.add_jobs() = std::move(job);
    request.set_page_token(page.next_page_token());
    all.set_next_page_token(page.next_page_token());
  } while (!all.next_page_token().empty() && has_room());
  return all;
}

void print_jobs(const v1::ListJobsResponse& jobs, const Options& options, const Surroundings& world) {
  if (options.output != Output::kTable) {
    print_json(config::Json::parse(config::jobs_json(jobs)), options, world.out);
    return;
  }
  world.out << list_text(jobs, world.clock.wall(), look_of(options, world)) << std::flush;
  if (!jobs.next_page_token().empty())
    world.err << "older jobs are left out; --limit or --all shows more" << std::endl;
}

// Of list --watch where there is no screen: each job again when its state, step or workers have changed.
class ChangedJobs {
 public:
  void print(const v1::ListJobsResponse& jobs, const Options& options, const Surroundings& world) {
    v1::ListJobsResponse changed;
    for (const v1::Job& job : jobs.jobs()) {
      std::string now = state_name(job.state()) + " " + steps_text(job) + " " + std::to_string(job.workers());
      if (known_[job.id()] == now) continue;
      known_[job.id()] = std::move(now);
      *changed.add_jobs() = job;
    }
    if (options.output == Output::kTable) {
      print_rows(changed, options, world);
      return;
    }
    for (const v1::Job& job : changed.jobs()) {
      if (options.output == Output::kJson) world.out << config::job_json(job) << std::endl;
      if (options.output == Output::kYaml)
        world.out << "---\n" << yaml_text(config::job_to_json(job)) << std::flush;
    }
  }

 private:
  void print_rows(const v1::ListJobsResponse& changed, const Options& options, const Surroundings& world) {
    if (changed.jobs().empty() && has_printed_) return;
    std::string text = list_text(changed, world.clock.wall(), look_of(options, world));
    if (has_printed_) text.erase(0, text.find('\n') + 1);
    has_printed_ = !changed.jobs().empty();
    world.out << text << std::flush;
  }

  std::map<std::string, std::string> known_;
  bool has_printed_ = false;
};

ExitCode watch_list(JobApi& api, const Options& options, const Surroundings& world) {
  const Patience patience = patience_of(options, kListEvery);
  Reconnector connection(world, patience, [&](const std::string& note) { world.err << note << std::endl; });
  Screen screen(world.out);
  ChangedJobs changed;
  const bool is_screen = options.output == Output::kTable && world.terminal().columns > 0;
  while (world.out.good()) {
    v1::ListJobsResponse jobs;
    connection.run([&] { jobs = list_pages(api, options); });
    if (is_screen) {
      const Look look = look_of(options, world);
      screen.draw(list_text(jobs, world.clock.wall(), look), look);
    } else {
      changed.print(jobs, options, world);
    }
    world.sleep(patience.interval);
  }
  return kExitOk;
}

std::vector<std::string> local_checkpoints(const v1::Job& job) {
  std::vector<std::string> names;
  for (const auto& one : checkpoint::list(std::filesystem::path(job.run_folder()) / "checkpoints"))
    names.push_back(one.filename().string());
  return names;
}

// Those that this machine sees; where the run folder is not mounted, the coordinator says.
std::vector<std::string> checkpoints_of(JobApi& api, const v1::Job& job) {
  std::error_code not_here;
  if (job.run_folder().empty()) return {};
  if (std::filesystem::is_directory(std::filesystem::path(job.run_folder()) / "checkpoints", not_here))
    return local_checkpoints(job);
  std::vector<std::string> names;
  try {
    const v1::ListCheckpointsResponse list = api.checkpoints(job.id());
    for (const v1::CheckpointInfo& one : list.checkpoints()) names.push_back(one.name());
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kUnavailable) throw;
  }
  return names;
}

}  // namespace

ExitCode status(const Options& options, const Surroundings& world) {
  const v1::Job job = open_api(options, world)->get(options.job);
  print_job(job, options, world.out, status_text(job, world.clock.wall(), look_of(options, world)));
  print_hints(next_after_status(job), options, world);
  return kExitOk;
}

ExitCode describe(const Options& options, const Surroundings& world) {
  const auto api = open_api(options, world);
  const v1::Job job = api->get(options.job);
  std::string table;
  if (options.output == Output::kTable)
    table = describe_text(job, checkpoints_of(*api, job), world.clock.wall(), look_of(options, world));
  print_job(job, options, world.out, table);
  print_hints(next_after_status(job), options, world);
  return kExitOk;
}

ExitCode list(const Options& options, const Surroundings& world) {
  const auto api = open_api(options, world);
  if (options.watch) return watch_list(*api, options, world);
  print_jobs(list_pages(*api, options), options, world);
  return kExitOk;
}

ExitCode watch(const Options& options, const Surroundings& world) {
  const auto api = open_api(options, world);
  return follow_to_end(*api, options.job, options, world);
}

}  // namespace mdgen::client
