#include "services/client/verbs.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/config/json.h"
#include "core/config/spec.h"
#include "services/client/format.h"
#include "services/client/views.h"

namespace mdgen::client {
namespace {

bool is_host_and_port(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  return colon != std::string::npos && colon > 0 && colon + 1 < address.size();
}

v1::ListJobsResponse list_all(JobApi& api, int limit) {
  v1::ListJobsResponse all;
  v1::ListJobsRequest request;
  do {
    request.set_page_size(limit - all.jobs_size());
    v1::ListJobsResponse page = api.list(request);
    for (v1::Job& job : *page.mutable_jobs()) *all.add_jobs() = std::move(job);
    request.set_page_token(page.next_page_token());
    all.set_next_page_token(page.next_page_token());
  } while (!all.next_page_token().empty() && all.jobs_size() < limit);
  return all;
}

}  // namespace

void print_job(const v1::Job& job, const Options& options, std::ostream& out, const std::string& table) {
  switch (options.output) {
    case Output::kTable:
      out << table;
      break;
    case Output::kJson:
      out << config::job_to_json(job).dump(2) << '\n';
      break;
    case Output::kYaml:
      out << yaml_text(config::job_to_json(job));
      break;
  }
}

std::unique_ptr<JobApi> open_api(const Options& options, const Surroundings& world) {
  const std::string& address = options.address.empty() ? world.default_address : options.address;
  if (address.empty()) throw UsageError("no coordinator: give --address HOST:PORT or set MDGEN_ADDRESS");
  if (!is_host_and_port(address))
    throw UsageError("the coordinator's address \"" + address + "\" is not HOST:PORT");
  try {
    return world.connect(address, options.access);  // says nothing yet: what fails are the options
  } catch (const Error& error) {
    throw UsageError(error.what());
  }
}

ExitCode follow_to_end(JobApi& api, const std::string& id, const Options& options,
                       const Surroundings& world) {
  std::unique_ptr<FollowView> view;
  const bool is_table = options.output == Output::kTable;
  if (is_table && world.terminal_columns > 0) {
    view = std::make_unique<TerminalView>(world.out, world.terminal_columns);
  } else {
    view = std::make_unique<LineView>(is_table ? world.out : world.err);
  }
  const v1::Job job = follow(api, id, *view, options.patience, world);
  if (options.output == Output::kJson) world.out << config::job_json(job) << std::endl;
  if (options.output == Output::kYaml) world.out << yaml_text(config::job_to_json(job)) << std::flush;
  return exit_of_state(job.state());
}

ExitCode watch(const Options& options, const Surroundings& world) {
  const auto api = open_api(options, world);
  return follow_to_end(*api, options.job, options, world);
}

ExitCode status(const Options& options, const Surroundings& world) {
  const v1::Job job = open_api(options, world)->get(options.job);
  print_job(job, options, world.out, status_text(job));
  return kExitOk;
}

ExitCode list(const Options& options, const Surroundings& world) {
  const v1::ListJobsResponse jobs = list_all(*open_api(options, world), options.limit);
  if (options.output == Output::kTable) {
    world.out << list_text(jobs, world.clock.wall());
    if (!jobs.next_page_token().empty()) world.err << "older jobs are left out; --limit shows more\n";
    return kExitOk;
  }
  const config::Json json = config::Json::parse(config::jobs_json(jobs));
  world.out << (options.output == Output::kJson ? json.dump(2) + "\n" : yaml_text(json));
  return kExitOk;
}

ExitCode init(const Options& options, const Surroundings& world) {
  const std::string text = config::commented_yaml();
  if (options.file == "-") {
    world.out << text;
    return kExitOk;
  }
  try {
    write_file_synced(world.current_folder / options.file, text);
  } catch (const Error& error) {
    throw UsageError(error.what());
  }
  world.out << options.file << '\n';
  world.err << "edit it, then: mdgenctl validate -f " << options.file << "; mdgenctl submit -f "
            << options.file << " --follow\n";
  return kExitOk;
}

ExitCode describe_spec(const Options& options, const Surroundings& world) {
  world.out << (options.markdown ? config::markdown_table() : config::flags_help());
  return kExitOk;
}

}  // namespace mdgen::client
