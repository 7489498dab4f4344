// Verbs that change a job: cancel, pause, resume, inject; and what there is to know of it, describe.
#include <charconv>
#include <filesystem>
#include <map>
#include <string_view>

#include "core/checkpoint/store.h"
#include "core/config/json.h"
#include "services/client/format.h"
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

// Those that this machine sees; none where the run folder is not mounted.
std::vector<std::string> checkpoints_of(const v1::Job& job) {
  std::vector<std::string> names;
  std::error_code not_here;
  const auto folder = std::filesystem::path(job.run_folder()) / "checkpoints";
  if (job.run_folder().empty() || !std::filesystem::is_directory(folder, not_here)) return names;
  for (const auto& one : checkpoint::list(folder)) names.push_back(one.filename().string());
  return names;
}

void print_changed(const v1::Job& job, const Options& options, std::ostream& out) {
  print_job(job, options, out, job.id() + " " + state_name(job.state()) + "\n");
}

}  // namespace

ExitCode describe(const Options& options, const Surroundings& world) {
  const v1::Job job = open_api(options, world)->get(options.job);
  const bool is_table = options.output == Output::kTable;
  print_job(job, options, world.out, is_table ? describe_text(job, checkpoints_of(job)) : std::string());
  return kExitOk;
}

ExitCode cancel(const Options& options, const Surroundings& world) {
  print_changed(open_api(options, world)->cancel(options.job, options.grace_seconds), options, world.out);
  return kExitOk;
}

ExitCode pause(const Options& options, const Surroundings& world) {
  print_changed(open_api(options, world)->pause(options.job, options.grace_seconds), options, world.out);
  return kExitOk;
}

ExitCode resume(const Options& options, const Surroundings& world) {
  std::optional<v1::WorkerRange> workers;
  if (!options.workers.empty()) workers = worker_range(options.workers);
  print_changed(open_api(options, world)->resume(options.job, workers), options, world.out);
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
