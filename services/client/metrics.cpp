#include "services/client/format.h"
#include "services/client/metrics_text.h"
#include "services/client/verbs.h"
#include "services/client/views.h"

namespace mdgen::client {
namespace {

v1::GetMetricsRequest request_of(const Options& options) {
  v1::GetMetricsRequest request;
  request.set_id(options.job);
  request.set_after_step(options.after_step);
  for (const std::string& name : options.series) request.add_names(name);
  return request;
}

void print_new(const v1::GetMetricsResponse& fresh, const Options& options, const Surroundings& world) {
  const bool is_table = options.output == Output::kTable;
  for (const std::string& line : is_table ? point_lines(fresh) : point_objects(fresh))
    world.out << (options.output == Output::kYaml ? "- " : "") << line << std::endl;  // flow maps are YAML
}

ExitCode follow_metrics(JobApi& api, const Options& options, const Surroundings& world) {
  const Patience patience = patience_of(options, std::chrono::seconds(2));
  Reconnector connection(world, patience, [&](const std::string& text) { world.err << text << std::endl; });
  const bool is_screen = options.output == Output::kTable && world.terminal().columns > 0;
  Screen screen(world.out);
  v1::GetMetricsRequest request = request_of(options);
  v1::GetMetricsResponse known;
  while (world.out.good()) {
    v1::Job job;
    v1::GetMetricsResponse fresh;
    connection.run([&] {
      job = api.get(request.id());  // first: what it wrote before its end is there
      request.set_id(job.id());
      fresh = api.metrics(request);
    });
    request.set_after_step(std::max(request.after_step(), fresh.last_step()));
    append(known, fresh);
    if (is_screen) {
      const Look look = look_of(options, world);
      screen.draw(bar_text(job, look) + "\n" + metrics_text(known, look), look);
    } else {
      print_new(fresh, options, world);
    }
    if (is_final(job.state())) return kExitOk;
    world.sleep(patience.interval);
  }
  return kExitOk;
}

}  // namespace

ExitCode metrics(const Options& options, const Surroundings& world) {
  const auto api = open_api(options, world);
  if (options.follow) return follow_metrics(*api, options, world);
  const v1::GetMetricsResponse metrics = api->metrics(request_of(options));
  if (options.output != Output::kTable) {
    print_json(config::message_to_json(metrics, config::Unset::kInclude), options, world.out);
    return kExitOk;
  }
  world.out << metrics_text(metrics, look_of(options, world)) << std::flush;
  return kExitOk;
}

}  // namespace mdgen::client
