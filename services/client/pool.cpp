// workers, queue, drain, top.
#include "services/client/exit_code.h"
#include "services/client/format.h"
#include "services/client/hints.h"
#include "services/client/pool_text.h"
#include "services/client/verbs.h"
#include "services/client/views.h"

namespace mdgen::client {
namespace {

constexpr std::chrono::seconds kTopEvery{2};

Overview look_around(JobApi& api, const Options& options) {
  Overview overview;
  overview.address = options.address;
  v1::ListJobsRequest request;
  request.set_page_size(options.limit);
  for (int state = v1::JobState_MIN + 1; state <= v1::JobState_MAX; ++state)
    if (v1::JobState_IsValid(state) && !is_final(static_cast<v1::JobState>(state)))
      request.add_states(static_cast<v1::JobState>(state));
  overview.jobs = api.list(request);
  overview.workers = api.workers();
  overview.queue = api.queue();
  return overview;
}

config::Json json_of(const Overview& overview) {
  const auto whole = [](const google::protobuf::Message& message) {
    return config::message_to_json(message, config::Unset::kInclude);
  };
  return {{"jobs", config::Json::parse(config::jobs_json(overview.jobs))["jobs"]},
          {"workers", whole(overview.workers)["workers"]},
          {"queue", whole(overview.queue)}};
}

}  // namespace

ExitCode workers(const Options& options, const Surroundings& world) {
  const v1::ListWorkersResponse workers = open_api(options, world)->workers();
  if (options.output != Output::kTable) {
    print_json(config::message_to_json(workers, config::Unset::kInclude), options, world.out);
    return kExitOk;
  }
  world.out << workers_text(workers, look_of(options, world)) << std::flush;
  return kExitOk;
}

ExitCode queue(const Options& options, const Surroundings& world) {
  const v1::GetQueueResponse queue = open_api(options, world)->queue();
  if (options.output != Output::kTable) {
    print_json(config::message_to_json(queue, config::Unset::kInclude), options, world.out);
    return kExitOk;
  }
  world.out << queue_text(queue, world.clock.wall(), look_of(options, world)) << std::flush;
  if (!queue.entries().empty())
    print_hints({"status " + queue.entries(0).job_id(), "workers"}, options, world);
  return kExitOk;
}

ExitCode drain(const Options& options, const Surroundings& world) {
  const v1::Worker worker = open_api(options, world)->drain(options.worker);
  if (options.output != Output::kTable) {
    print_json(config::message_to_json(worker, config::Unset::kInclude), options, world.out);
    return kExitOk;
  }
  world.out << one_line(worker.id()) << ' ' << one_line(worker.state()) << std::endl;
  print_hints({"workers"}, options, world);
  return kExitOk;
}

ExitCode top(const Options& options, const Surroundings& world) {
  const auto api = open_api(options, world);
  const bool is_table = options.output == Output::kTable;
  if (options.once || !is_table || world.terminal().columns == 0) {
    const Overview overview = look_around(*api, options);
    if (is_table)
      world.out << top_text(overview, world.clock.wall(), look_of(options, world)) << std::flush;
    else
      print_json(json_of(overview), options, world.out);
    return kExitOk;
  }
  const Patience patience = patience_of(options, kTopEvery);
  Reconnector connection(world, patience, [&](const std::string& text) { world.err << text << std::endl; });
  Screen screen(world.out);
  while (world.out.good()) {
    Overview overview;
    connection.run([&] { overview = look_around(*api, options); });
    const Look look = look_of(options, world);
    screen.draw(top_text(overview, world.clock.wall(), look), look);
    world.sleep(patience.interval);
  }
  return kExitOk;
}

}  // namespace mdgen::client
