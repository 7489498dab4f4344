// Verbs that change a job: cancel, pause, resume, update, retry, delete, inject.
#include <charconv>
#include <map>
#include <string_view>

#include "core/base/error.h"
#include "core/base/identity.h"
#include "services/client/format.h"
#include "services/client/hints.h"
#include "services/client/verbs.h"

namespace mdgen::client {
namespace {

std::optional<int> number_in(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 1) return std::nullopt;
  return number;
}

// "N" or "MIN:MAX".
v1::WorkerRange worker_range(const std::string& text) {
  const std::size_t colon = text.find(':');
  const auto low = number_in(std::string_view(text).substr(0, colon));
  const auto high = colon == std::string::npos ? low : number_in(std::string_view(text).substr(colon + 1));
  if (!low || !high || *low > *high)
    throw UsageError("--workers \"" + text + "\" is neither N nor MIN:MAX with 1 <= MIN <= MAX");
  v1::WorkerRange range;
  range.set_min(*low);
  range.set_max(*high);
  return range;
}

v1::Fault fault_of(const Options& options) {
  static const std::map<std::string, v1::FaultKind> kinds = {
      {"kill", v1::FAULT_KIND_KILL},
      {"hang", v1::FAULT_KIND_HANG},
      {"slow", v1::FAULT_KIND_SLOW},
      {"corrupt-checkpoint", v1::FAULT_KIND_CORRUPT_CHECKPOINT},
      {"partition", v1::FAULT_KIND_PARTITION}};
  v1::Fault fault;
  fault.set_kind(kinds.at(options.fault));
  const bool lasts = fault.kind() == v1::FAULT_KIND_SLOW || fault.kind() == v1::FAULT_KIND_PARTITION;
  if (lasts && options.seconds.value_or(0) <= 0)
    throw UsageError("inject " + options.fault + " needs --seconds above 0");
  fault.set_seconds(options.seconds.value_or(0));
  fault.set_steps(options.steps);
  return fault;
}

// "2h": seconds after the submission; "none": no deadline any more.
double deadline_of(const std::string& text) {
  if (text == "none") return 0;
  const auto seconds = parse_duration(text);
  if (!seconds || *seconds <= 0)
    throw UsageError("--deadline \"" + text + "\" is neither a duration such as 90m, 8h or 2d, nor none");
  return *seconds;
}

void print_changed(const v1::Job& job, const Options& options, const Surroundings& world) {
  print_job(job, options, world.out, one_line(job.id()) + " " + state_name(job.state()) + "\n");
  print_hints(next_after_change(job), options, world);
}

// "y" or "yes" of whoever sits there.
bool agrees(const std::string& question, const Surroundings& world) {
  world.err << question << " [y/N] " << std::flush;
  std::string answer;
  std::getline(world.in, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

}  // namespace

ExitCode cancel(const Options& options, const Surroundings& world) {
  print_changed(open_api(options, world)->cancel(options.job, options.grace_seconds), options, world);
  return kExitOk;
}

ExitCode pause(const Options& options, const Surroundings& world) {
  print_changed(open_api(options, world)->pause(options.job, options.grace_seconds), options, world);
  return kExitOk;
}

ExitCode resume(const Options& options, const Surroundings& world) {
  std::optional<v1::WorkerRange> workers;
  if (!options.workers.empty()) workers = worker_range(options.workers);
  print_changed(open_api(options, world)->resume(options.job, workers), options, world);
  return kExitOk;
}

ExitCode update(const Options& options, const Surroundings& world) {
  v1::UpdateJobRequest request;
  request.set_id(options.job);
  if (options.priority) request.set_priority(*options.priority);
  if (!options.deadline.empty()) request.set_deadline_seconds(deadline_of(options.deadline));
  if (options.new_labels) request.set_labels(*options.new_labels);
  if (!options.priority && options.deadline.empty() && !options.new_labels)
    throw UsageError("update what? Give --priority, --deadline or --labels");
  print_changed(open_api(options, world)->update(request), options, world);
  return kExitOk;
}

ExitCode retry(const Options& options, const Surroundings& world) {
  const auto api = open_api(options, world);
  const std::string request_id = make_uuid();
  v1::Job job;
  try {
    job = api->retry(options.job, request_id);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kUnavailable) throw;
    world.sleep(std::chrono::milliseconds(500));
    job = api->retry(options.job, request_id);  // the same id makes no second one
  }
  print_job(job, options, world.out, one_line(job.id()) + "\n");
  print_hints(next_after_submit(job), options, world);
  return kExitOk;
}

ExitCode remove(const Options& options, const Surroundings& world) {
  const auto api = open_api(options, world);
  std::string id = options.job;
  if (!options.yes) {
    if (!world.can_ask)
      throw UsageError("delete forgets a job for good: give --yes where nobody can be asked");
    const v1::Job job = api->get(options.job);
    id = job.id();  // what was asked about and nothing else
    const std::string question = "Forget job " + one_line(job.id()) + " (" + one_line(job.name()) + ", " +
                                 state_name(job.state()) + ")? Its run folder stays.";
    if (!agrees(question, world)) {
      world.err << "nothing was done" << std::endl;
      return kExitFailed;
    }
  }
  api->remove(id);
  if (options.output == Output::kTable) {
    world.out << one_line(id) << " deleted" << std::endl;
  } else {
    print_json({{"id", id}, {"deleted", true}}, options, world.out);
  }
  return kExitOk;
}

ExitCode inject(const Options& options, const Surroundings& world) {
  v1::InjectFaultRequest request;
  request.set_id(options.job);
  request.set_rank(options.rank);
  *request.mutable_fault() = fault_of(options);
  const v1::InjectFaultResponse done = open_api(options, world)->inject(request);
  const config::Json json = {{"fault", options.fault},
                             {"rank", options.rank},
                             {"worker_id", done.worker_id()},
                             {"generation", done.generation()}};
  if (options.output == Output::kTable) {
    world.out << options.fault << " into rank " << options.rank << " of generation " << done.generation()
              << " on worker " << done.worker_id() << '\n';
  } else {
    world.out << (options.output == Output::kJson ? json.dump() + "\n" : yaml_text(json));
  }
  return kExitOk;
}

}  // namespace mdgen::client
