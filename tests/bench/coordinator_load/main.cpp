// mdgen-load: how many ranks one coordinator holds. Simulated agents over real connections; see
// docs/scaling.md.
#include <stdlib.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <map>

#include "core/base/command_line.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "tests/bench/coordinator_load/scenario.h"

namespace {

using namespace mdgen;

class Workspace {
 public:
  explicit Workspace(const std::filesystem::path& parent) {
    std::string pattern = (parent / "mdgen-load-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr)
      throw Error(ErrorCode::kUnavailable, "no folder can be made in " + parent.string());
    path_ = pattern;
  }
  ~Workspace() {
    std::error_code ignored;
    if (!keep_) std::filesystem::remove_all(path_, ignored);
  }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  const std::filesystem::path& path() const { return path_; }
  void keep() { keep_ = true; }

 private:
  std::filesystem::path path_;
  bool keep_ = false;
};

struct Arguments {
  load::LoadOptions load;
  std::vector<int> ranks{64};
  int repeat = 1;
  bool json = false, keep = false;
  std::filesystem::path folder = std::filesystem::temp_directory_path();
};

void add_options(CLI::App& app, Arguments& all) {
  load::LoadOptions& load = all.load;
  const auto milliseconds = [&](const std::string& name, std::chrono::milliseconds& value,
                                const std::string& help) {
    app.add_option_function<double>(
           name, [&value](double given) { value = std::chrono::milliseconds(std::llround(given * 1000)); },
           help + ", seconds (default " + std::to_string(value.count() / 1000.0).substr(0, 4) + ")")
        ->check(CLI::NonNegativeNumber);
  };
  app.add_option("--ranks", all.ranks, "simulated ranks; several sizes, one after another: 64,512,4096")
      ->delimiter(',')
      ->check(positive_number())
      ->capture_default_str();
  app.add_option("--jobs", load.jobs, "jobs that they are divided among")
      ->check(positive_number())
      ->capture_default_str();
  app.add_option("--repeat", all.repeat, "runs of each size; their medians are shown")
      ->check(positive_number())
      ->capture_default_str();
  milliseconds("--measure", load.measure, "length of the steady state");
  milliseconds("--beat", load.beat_interval, "time between heartbeats");
  milliseconds("--step", load.step_time, "time between a job's step reports");
  milliseconds("--patience", load.patience, "time until a phase that does not end counts as failed");
  app.add_option("--arrivals", load.arrivals, "agents that come a second; 0: all at once")
      ->check(non_negative_number())
      ->capture_default_str();
  app.add_option("--checkpoint_every", load.checkpoint_every, "steps")
      ->check(positive_number())
      ->capture_default_str();
  app.add_option("--restarts", load.restarts, "how often a trainer of each job crashes")
      ->check(non_negative_number())
      ->capture_default_str();
  app.add_option("--entries", load.entries, "proteins of the data set, three replicas each")
      ->check(positive_number())
      ->capture_default_str();
  app.add_option("--backend", load.backend, "whose rendezvous: nccl or gloo")
      ->transform(CLI::CheckedTransformer(std::map<std::string, load::Backend>{
          {"nccl", load::Backend::kNccl}, {"gloo", load::Backend::kGloo}}));
  app.add_flag("--share_connection", load.share_connection,
               "all ranks over one TCP connection (default: one each)");
  app.add_option("--coordinator", load.coordinator, "mdgen-coordinator (default: beside this program)");
  app.add_option("--folder", all.folder, "where the load's own folder is made")->capture_default_str();
  app.add_flag("--keep", all.keep, "leave that folder");
  app.add_flag("--json", all.json, "print JSON instead of a table");
}

load::RunResult run_once(const Arguments& arguments, int ranks) {
  Workspace workspace(arguments.folder);
  if (arguments.keep) workspace.keep();
  load::LoadOptions load = arguments.load;
  load.ranks = ranks;
  load.folder = workspace.path();
  return load::run_load(load);
}

int run(Arguments& arguments) {
  if (arguments.load.coordinator.empty())
    arguments.load.coordinator =
        std::filesystem::read_symlink("/proc/self/exe").parent_path() / "mdgen-coordinator";
  std::vector<load::RunResult> results;
  nlohmann::json runs = nlohmann::json::array();
  bool good = true;
  for (const int ranks : arguments.ranks) {
    std::vector<load::RunResult> same;
    for (int repeat = 0; repeat < arguments.repeat; ++repeat) {
      same.push_back(run_once(arguments, ranks));
      runs.push_back(load::to_json(same.back()));
      good = good && same.back().good();
      if (!same.back().good()) break;
    }
    results.push_back(same.back().good() ? load::median(same) : same.back());
  }
  std::fputs(arguments.json ? (runs.dump(2) + "\n").c_str() : load::table(results).c_str(), stdout);
  return good ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  init_logging("load");
  spdlog::set_level(std::max(spdlog::get_level(), spdlog::level::err));
  CLI::App app{
      "Simulates ranks against a coordinator of its own: registrations, heartbeats, rendezvous, reports, a "
      "crash and a cancel, and says how long each answer took.",
      "mdgen-load"};
  app.set_version_flag("--version", std::string("mdgen-load ") + MDGEN_VERSION);
  Arguments arguments;
  add_options(app, arguments);
  if (const auto status = parse_command_line(app, argc, argv)) return *status;
  try {
    return run(arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mdgen-load: %s\n", error.what());
    return 1;
  }
}
