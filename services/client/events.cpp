#include <google/protobuf/util/time_util.h>

#include "core/base/error.h"
#include "services/client/event_text.h"
#include "services/client/times.h"
#include "services/client/verbs.h"

namespace mdgen::client {
namespace {

constexpr int kPage = 1000;

using google::protobuf::util::TimeUtil;

// Prints what is new since the last look.
class EventReader {
 public:
  EventReader(const Options& options, const Surroundings& world)
      : options_(options), world_(world), after_(options.after_sequence) {
    if (options.since.empty()) return;
    since_ = parse_since(options.since, world.clock.wall());
    if (!since_)
      throw UsageError("--since \"" + options.since +
                       "\" is neither a duration such as 10m nor a time such as 2026-11-23T09:15:02Z");
  }

  void read(JobApi& api, const std::string& id) {
    v1::ListEventsResponse page;
    do {
      v1::ListEventsRequest request;
      request.set_id(id);
      request.set_after_sequence(after_);
      request.set_page_size(kPage);
      page = api.events(request);
      if (page.dropped() > 0 && after_ == 0 && options_.output == Output::kTable)
        world_.err << page.dropped() << " older events are not kept" << std::endl;
      for (const v1::JobEvent& event : page.events()) {
        after_ = event.sequence();
        if (!since_ || *since_ <= event.at()) take(event);
      }
    } while (page.events_size() == kPage);
  }

  void print_all() {
    if (options_.output == Output::kTable || options_.follow) return;
    print_json({{"events", events_}}, options_, world_.out);
  }

 private:
  void take(const v1::JobEvent& event) {
    const config::Json json = config::message_to_json(event, config::Unset::kInclude);
    if (options_.output == Output::kTable) {
      world_.out << event_text(event, look_of(options_, world_)) << std::endl;
    } else if (!options_.follow) {
      events_.push_back(json);
    } else if (options_.output == Output::kJson) {
      world_.out << json.dump() << std::endl;
    } else {
      world_.out << "---\n";
      print_json(json, options_, world_.out);
    }
  }

  const Options& options_;
  const Surroundings& world_;
  std::int64_t after_;
  std::optional<google::protobuf::Timestamp> since_;
  config::Json events_ = config::Json::array();
};

}  // namespace

ExitCode events(const Options& options, const Surroundings& world) {
  EventReader reader(options, world);
  const auto api = open_api(options, world);
  if (!options.follow) {
    reader.read(*api, options.job);
    reader.print_all();
    return kExitOk;
  }
  const Patience patience = patience_of(options, std::chrono::seconds(1));
  Reconnector connection(world, patience, [&](const std::string& text) { world.err << text << std::endl; });
  std::string id = options.job;
  bool has_ended = false;
  while (!has_ended && world.out.good()) {
    connection.run([&] {
      const v1::Job job = api->get(id);  // before its events: the last ones are there when it has ended
      id = job.id();
      reader.read(*api, id);
      has_ended = is_final(job.state());
    });
    if (!has_ended) world.sleep(patience.interval);
  }
  return kExitOk;
}

}  // namespace mdgen::client
