#include "tests/bench/coordinator_load/scenario.h"

#include <sys/resource.h>

#include <functional>
#include <thread>

#include "core/base/error.h"
#include "tests/bench/coordinator_load/agent_pool.h"
#include "tests/bench/coordinator_load/coordinator_process.h"
#include "tests/bench/coordinator_load/jobs.h"

namespace mdgen::load {
namespace {

constexpr std::chrono::milliseconds kPoll{50};
constexpr std::chrono::milliseconds kFarewell{30000};
constexpr rlim_t kSpareDescriptors = 256;

// A process cannot have more sockets than descriptors; the coordinator raises its own limit.
void allow_descriptors(const LoadOptions& options) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  const auto needed = static_cast<rlim_t>(options.ranks) + kSpareDescriptors;
  if (!options.share_connection && limit.rlim_max < needed)
    throw Error(ErrorCode::kFailedPrecondition, std::to_string(options.ranks) + " ranks need " +
                                                    std::to_string(needed) + " descriptors, the limit is " +
                                                    std::to_string(limit.rlim_max) +
                                                    ": raise it (ulimit -Hn) or use --share_connection");
}

class Scenario {
 public:
  explicit Scenario(const LoadOptions& options)
      : options_(options),
        dataset_(write_dataset(options.folder, options.entries)),
        coordinator_(options.coordinator, options.folder),
        jobs_(coordinator_.address(), options),
        pool_(options, coordinator_.address(), latencies_) {
    result_.ranks = options.ranks;
    result_.jobs = options.jobs;
  }

  RunResult run() {
    try {
      play();
    } catch (const Error& error) {
      result_.problems.emplace_back(error.what());
    }
    finish();
    return result_;
  }

 private:
  void play() {
    jobs_.submit(dataset_);
    wait_for("the jobs' data sets to be examined", [this] { return jobs_.are(v1::JOB_STATE_QUEUED, 0); });
    phase("start", [this] {
      pool_.start();
      wait_for("all generations to run", [this] { return all_train(0); });
    });
    phase("", [this] { std::this_thread::sleep_for(options_.beat_interval); });
    phase("steady", [this] { std::this_thread::sleep_for(options_.measure); });
    for (int restart = 1; restart <= options_.restarts; ++restart) {
      phase(restart == 1 ? "restart" : "restart " + std::to_string(restart), [&] {
        pool_.crash_one_of_each_job();
        wait_for("all generations to run again", [&] { return all_train(restart); });
      });
    }
    phase("stop", [this] {
      jobs_.cancel();
      wait_for("all jobs to be cancelled",
               [this] { return jobs_.are(v1::JOB_STATE_CANCELLED, options_.restarts); });
    });
    pool_.leave(kFarewell);
  }

  bool all_train(int restarts) {
    return pool_.counters().training == options_.ranks && jobs_.are(v1::JOB_STATE_RUNNING, restarts);
  }

  void wait_for(const std::string& what, const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + options_.patience;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end)
        throw Error(ErrorCode::kUnavailable,
                    "waited in vain for " + what + ": " + std::to_string(pool_.counters().registered) +
                        " agents are registered, " + std::to_string(pool_.counters().training) + " train");
      std::this_thread::sleep_for(kPoll);
    }
  }

  // Without a name it is not measured.
  void phase(const std::string& name, const std::function<void()>& body) {
    latencies_.take();
    const auto begun = std::chrono::steady_clock::now();
    const Usage coordinator = coordinator_.usage();
    const Usage own = own_usage();
    body();
    const auto passed = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    const Usage after = coordinator_.usage();
    if (!name.empty())
      result_.phases.push_back({name, passed, (after.cpu_seconds - coordinator.cpu_seconds) / passed,
                                (own_usage().cpu_seconds - own.cpu_seconds) / passed, latencies_.take()});
    if (name == "steady") result_.resident_bytes = after.resident_bytes;
    result_.peak_bytes = after.peak_bytes;
  }

  void finish() {
    const Counters& counters = pool_.counters();
    std::int64_t declared_lost = 0;
    try {
      for (const v1::Job& job : jobs_.all())
        for (const v1::Transition& transition : job.transitions())
          if (transition.reason() == "WorkerLost") {
            ++declared_lost;
            result_.problems.push_back(job.name() + ": " + transition.message());
          }
    } catch (const Error& error) {
      result_.problems.emplace_back(error.what());
    }
    result_.lost_heartbeats = std::max<std::int64_t>(declared_lost, counters.links_lost);
    result_.failed_rpcs = counters.failed_exchanges;
    result_.beats_sent = counters.beats_sent;
    result_.beats_answered = counters.beats_answered;
    result_.assignments = counters.assignments;
    result_.assignment_bytes = counters.assignment_bytes;
  }

  const LoadOptions& options_;
  RunResult result_;
  Latencies latencies_;
  Dataset dataset_;
  CoordinatorProcess coordinator_;
  Jobs jobs_;
  AgentPool pool_;
};

}  // namespace

RunResult run_load(const LoadOptions& options) {
  if (options.ranks % options.jobs != 0)
    throw Error(ErrorCode::kInvalidArgument, std::to_string(options.ranks) + " ranks cannot be " +
                                                 std::to_string(options.jobs) + " equal jobs");
  allow_descriptors(options);
  return Scenario(options).run();
}

}  // namespace mdgen::load
