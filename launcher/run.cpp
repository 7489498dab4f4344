#include "launcher/run.h"

#include <stdlib.h>

#include <cstdio>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/log.h"
#include "launcher/addresses.h"
#include "launcher/handover.h"
#include "launcher/local_pool.h"
#include "launcher/progress.h"
#include "services/budget/budget.h"
#include "services/coordinator/server.h"

namespace mdgen::launcher {
namespace {

using namespace std::chrono_literals;

constexpr auto kLook = 200ms;
constexpr auto kFarewell = 5s;
constexpr auto kConnect = 60s;
constexpr auto kConnectOnce = 5s;
constexpr auto kCheckpointGrace = 60s;
constexpr int kComeAgain = 75;

// On this host's own disk, gone with the run: the checkpoints hold what a later run needs.
class StateFolder {
 public:
  StateFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "mdgen-launch-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) {
      throw Error(ErrorCode::kUnavailable,
                  "cannot make a folder in " + std::filesystem::temp_directory_path().string());
    }
    path_ = pattern;
  }
  ~StateFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  StateFolder(const StateFolder&) = delete;
  StateFolder& operator=(const StateFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

bool on_one_host(const Place& place) { return place.local_size == place.size; }

// Other people may be on this host, too: loopback alone keeps nobody out.
coordinator::ServerOptions server_options(const Place& place, const Wireup* wireup,
                                          const std::filesystem::path& state_folder) {
  coordinator::ServerOptions options;
  options.http.clear();
  options.state_dir = state_folder;
  if (const auto agreed = wireup == nullptr ? std::nullopt : wireup->agreement()) {
    options.listen = agreed->address;
    options.access = agreed->access;
  } else {
    options.listen = on_one_host(place) ? "127.0.0.1:0" : "0.0.0.0:0";
    options.access = access::make_server_access(std::chrono::system_clock::now());
  }
  return options;
}

std::vector<std::string> listening_addresses(const coordinator::Server& server) {
  const std::string address = server.grpc_address();
  if (!address.starts_with("0.0.0.0:")) return {address};
  auto result = reachable_addresses(address.substr(address.rfind(':') + 1));
  if (result.empty())
    throw Error(ErrorCode::kUnavailable, "rank 0's host has no address that others can reach");
  return result;
}

void print(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

LocalPool::Options pool_options(const Programs& programs, const Place& place, int agents,
                                const std::string& address, const access::Access& access) {
  return {.worker = programs.worker,
          .trainer = programs.trainer,
          .coordinator = address,
          .access = access,
          .device = programs.device,
          .agents = agents,
          .first_local_rank = place.local_rank,
          .local_size = place.size == 1 ? agents : place.local_size};
}

// Waits for the job's end and passes on what people and agents do meanwhile.
class Watch {
 public:
  Watch(coordinator::Server& server, LocalPool& pool, const Interrupts& interrupts)
      : server_(server), pool_(pool), interrupts_(interrupts) {}

  int until_the_end(const std::string& id) {
    while (true) {
      const auto ended = server_.wait(id, kLook);
      const v1::Job job = ended ? *ended : server_.job(id);
      if (auto line = printer_.line(job, clock_.steady())) print(*line);
      if (ended) return outcome(*ended);
      heed_signals(id);
      heed_agents(id);
    }
  }

 private:
  int outcome(const v1::Job& job) const {
    if (const std::string budget = budget_text(job); !budget.empty()) print(budget);
    print(summary_line(job));
    if (lost_agent_) return 1;
    if (job.state() == v1::JOB_STATE_CANCELLED && interrupts_.requeue > 0 && interrupts_.stop == 0)
      return kComeAgain;
    return exit_status(job.state());
  }

  void heed_signals(const std::string& id) {
    if (interrupts_.stop >= 2 && std::exchange(cancelled_, 2) < 2) return cancel(id, 0s);
    if ((interrupts_.stop >= 1 || interrupts_.requeue >= 1) && cancelled_ == 0) {
      cancelled_ = 1;
      print("stopping with a checkpoint; a second signal stops at once");
      cancel(id, kCheckpointGrace);
    }
  }

  void heed_agents(const std::string& id) {
    if (lost_agent_) return;
    const auto end = pool_.first_end();
    if (!end) return;
    lost_agent_ = true;
    spdlog::error("{}: this run is over; the same command goes on from its last checkpoint", *end);
    cancel(id, 0s);
  }

  void cancel(const std::string& id, std::chrono::seconds grace) {
    try {
      server_.cancel(id, grace);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kFailedPrecondition) throw;  // it has just ended
    }
  }

  coordinator::Server& server_;
  LocalPool& pool_;
  const Interrupts& interrupts_;
  SystemClock clock_;
  ProgressPrinter printer_;
  int cancelled_ = 0;
  bool lost_agent_ = false;
};

// Where rank 0 listens; `shared` becomes what it gave last. Empty: there is no run.
std::string find_coordinator(Wireup& wireup, Handover& shared) {
  for (auto waited = 0ms;; waited += kConnectOnce) {
    if (shared.addresses.empty()) return "";
    try {
      return race_to_connect(shared.addresses, kConnectOnce);
    } catch (const Error&) {
      if (waited + kConnectOnce >= kConnect) throw;
    }
    shared = wireup.latest(shared);
  }
}

bool is_refusal(ErrorCode code) {
  return code == ErrorCode::kInvalidArgument || code == ErrorCode::kUnimplemented ||
         code == ErrorCode::kAlreadyExists || code == ErrorCode::kFailedPrecondition;
}

}  // namespace

void share_refusal(Wireup& wireup) { wireup.share(Handover{}); }

int lead(const config::Resolved& resolved, const Place& place, const Slots& slots, const Programs& programs,
         Wireup* wireup, const Interrupts& interrupts) {
  for (const std::string& warning : resolved.warnings) spdlog::warn("{}", warning);
  const StateFolder state;
  const coordinator::ServerOptions options = server_options(place, wireup, state.path());
  const auto server = coordinator::Server::start(options);
  v1::Job job;
  try {
    job = server->submit(resolved.spec);
  } catch (const Error& error) {
    if (!is_refusal(error.code())) throw;
    std::fprintf(stderr, "mdgen-launch: %s\n", error.what());
    if (wireup != nullptr) share_refusal(*wireup);
    return 2;
  }
  print("job " + job.id() + " in " + job.run_folder());
  const Handover handover{listening_addresses(*server),
                          options.access ? options.access->for_clients() : access::Access{}};
  if (wireup != nullptr) wireup->share(handover);
  LocalPool pool(pool_options(programs, place, slots.here, handover.addresses.front(), handover.access));
  const int status = Watch(*server, pool, interrupts).until_the_end(job.id());
  server->dismiss_workers(kFarewell);
  if (!pool.wait(kFarewell)) pool.kill();
  server->stop();
  return status;
}

int follow(const Place& place, const Programs& programs, Wireup& wireup, const Interrupts& interrupts) {
  Handover shared = wireup.share(std::nullopt);
  const std::string address = find_coordinator(wireup, shared);
  if (shared.addresses.empty()) return 2;
  LocalPool pool(pool_options(programs, place, 1, address, shared.access));
  while (!pool.wait(kLook)) {
    if (interrupts.stop >= 2) pool.kill();
  }
  if (!pool.all_succeeded()) spdlog::error("rank {}: {}", place.rank, *pool.first_end());
  return pool.all_succeeded() ? 0 : 1;
}

}  // namespace mdgen::launcher
