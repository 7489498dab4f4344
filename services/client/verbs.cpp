// What verbs have in common.
#include "services/client/verbs.h"

#include "core/base/error.h"
#include "services/client/format.h"
#include "services/client/views.h"

namespace mdgen::client {
namespace {

bool is_host_and_port(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  return colon != std::string::npos && colon > 0 && colon + 1 < address.size();
}

bool has_utf8(const Variable& variable) {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string locale = variable(name);
    if (locale.empty()) continue;
    return locale.find("UTF-8") != std::string::npos || locale.find("utf8") != std::string::npos;
  }
  return false;
}

}  // namespace

void print_json(const config::Json& json, const Options& options, std::ostream& out) {
  out << (options.output == Output::kYaml
              ? yaml_text(json)
              : json.dump(2, ' ', false, config::Json::error_handler_t::replace) + "\n")
      << std::flush;
}

void print_job(const v1::Job& job, const Options& options, std::ostream& out, const std::string& table) {
  if (options.output == Output::kTable) {
    out << table << std::flush;
  } else {
    print_json(config::job_to_json(job), options, out);
  }
}

Look look_of(const Options& options, const Surroundings& world) {
  const TerminalSize size = world.terminal();
  const bool may_colour =
      size.columns > 0 && world.variable("NO_COLOR").empty() && world.variable("TERM") != "dumb";
  return {.colours = options.color == "always" || (options.color == "auto" && may_colour),
          .utf8 = has_utf8(world.variable),
          .columns = size.columns,
          .rows = size.rows};
}

Patience patience_of(const Options& options, std::chrono::milliseconds interval) {
  return {.interval = options.interval.value_or(interval), .reconnect_for = options.reconnect_for};
}

std::shared_ptr<JobApi> open_api(const Options& options, const Surroundings& world) {
  if (options.address.empty()) {
    throw UsageError(
        "no coordinator: give --address HOST:PORT, set MDGEN_ADDRESS, or write \"address: HOST:PORT\" into " +
        config_file_of(world.variable).string());
  }
  if (!is_host_and_port(options.address))
    throw UsageError("the coordinator's address \"" + options.address + "\" is not HOST:PORT");
  try {
    // Says nothing yet: what fails are the options.
    return world.connect({.address = options.address, .access = options.access});
  } catch (const Error& error) {
    throw UsageError(error.what());
  }
}

ExitCode follow_to_end(JobApi& api, const std::string& id, const Options& options,
                       const Surroundings& world) {
  std::unique_ptr<FollowView> view;
  const bool is_table = options.output == Output::kTable;
  if (is_table && world.terminal().columns > 0) {
    view = std::make_unique<TerminalView>(world.out, [&] { return look_of(options, world); });
  } else {
    view = std::make_unique<LineView>(is_table ? world.out : world.err,
                                      is_table ? look_of(options, world) : Look());
  }
  const v1::Job job = follow(api, id, *view, patience_of(options, std::chrono::seconds(1)), world);
  if (options.output == Output::kJson) world.out << config::job_json(job) << std::endl;
  if (options.output == Output::kYaml) world.out << yaml_text(config::job_to_json(job)) << std::flush;
  return exit_of_state(job.state());
}

}  // namespace mdgen::client
