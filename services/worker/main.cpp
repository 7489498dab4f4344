// mdgen-worker: the agent of one slot.
#include <sys/prctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/base/command_line.h"
#include "core/base/error.h"
#include "core/base/labels.h"
#include "core/base/log.h"
#include "core/base/service_manager.h"
#include "core/base/text.h"
#include "launcher/binding.h"
#include "launcher/environment.h"
#include "services/access/access.h"
#include "services/worker/agent.h"

namespace {

constexpr std::array kStopSignals = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};

mdgen::worker::StopSignal* stop_signal = nullptr;
pid_t owner = 0;
// Slurm and mpirun say TERM more than once within a second, and KILL when they have waited enough.
bool echoes = false;
std::atomic_flag asked;

// An agent that mdgen-launch owns gets the signals of its whole job, and stops only when its owner is gone,
// then at once: it is the owner that decides what a signal to the job means.
void on_signal(int number) {
  if (owner != 0 && ::getppid() == owner) return;
  if (asked.test_and_set() && echoes) return;
  stop_signal->request(number);
  if (owner != 0) stop_signal->request(number);
}

void handle_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  for (const int number : kStopSignals) ::sigaction(number, &action, nullptr);
  std::signal(SIGUSR2, SIG_IGN);
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  CLI::App app("Holds one slot: registers with a coordinator and runs the trainers that it assigns.",
               "mdgen-worker");
  app.set_version_flag("--version", std::string("mdgen-worker ") + MDGEN_VERSION);
  mdgen::worker::AgentOptions options;
  std::optional<int> local_rank, local_size;
  double connect_timeout = 30;
  double give_up_after = 0;
  double drain_timeout = 60;
  app.add_option("--coordinator", options.coordinator, "HOST:PORT of the coordinator")
      ->envname("MDGEN_ADDRESS")
      ->required();
  mdgen::access::Sources access;
  app.add_option("--ca", access.ca_file, "the coordinator's certificate, PEM (default: MDGEN_CA)");
  app.add_option("--token_file,--token-file", access.token_file,
                 "holds the token for it (default: the one in MDGEN_TOKEN)");
  app.add_option(
      "--cert", access.certificate_file,
      "this worker's own certificate, PEM, where the coordinator asks for one (default: MDGEN_CERT)");
  app.add_option("--key", access.key_file, "its private key (default: MDGEN_KEY)");
  app.add_option("--device", options.device, "cpu, cuda (the GPU of the local rank) or cuda:N")
      ->capture_default_str();
  std::vector<std::string> labels;
  app.add_option("--label", labels,
                 "what jobs select workers by (workers.selector): gpu=h200; repeat it for several")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  app.add_option("--trainer", options.trainer,
                 "the trainer program (default: mdgen-trainer beside this one)");
  app.add_option("--local_rank", local_rank, "place among the agents of this host (default: the launcher's)")
      ->check(mdgen::non_negative_number());
  app.add_option("--local_size", local_size, "agents on this host (default: the launcher's)")
      ->check(mdgen::positive_number());
  app.add_option("--connect_timeout", connect_timeout, "seconds to wait for the coordinator's first answer")
      ->check(mdgen::positive_number())
      ->capture_default_str();
  app.add_option("--give_up_after", give_up_after,
                 "seconds without the coordinator after which to leave; 0: never")
      ->check(mdgen::non_negative_number())
      ->capture_default_str();
  app.add_option(
         "--drain_timeout", drain_timeout,
         "seconds that the trainer may take for a checkpoint after SIGTERM, SIGINT, SIGHUP or SIGUSR1; "
         "a second signal ends it at once")
      ->check(mdgen::non_negative_number())
      ->capture_default_str();
  app.add_option("--owner", owner, "process id of the parent that this agent must not outlive")->group("");
  if (const auto status = mdgen::parse_command_line(app, argc, argv)) return *status;
  mdgen::init_logging("worker");
  try {
    mdgen::worker::StopSignal stop;
    stop_signal = &stop;
    handle_signals();
    if (owner != 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGTERM);
      if (::getppid() != owner) return 0;
    }
    options.access = mdgen::access::find_access(access);
    if (!options.access.is_plain()) mdgen::access::protect_memory();
    options.labels = mdgen::parse_labels("--label", mdgen::join(labels, ","));
    options.version = MDGEN_VERSION;
    const auto environment = mdgen::launcher::current_environment();
    const auto place = mdgen::launcher::find_place(environment);
    if (owner == 0 && place.launcher != mdgen::launcher::Launcher::kNone) {
      echoes = true;
      ::prctl(PR_SET_PDEATHSIG, SIGTERM);  // a launcher that is killed leaves nobody to end this process
    }
    options.local_rank = local_rank.value_or(place.local_rank);
    options.local_size = local_size.value_or(place.local_size);
    options.connect_timeout = std::chrono::milliseconds(static_cast<long>(connect_timeout * 1000));
    options.give_up_after = std::chrono::milliseconds(static_cast<long>(give_up_after * 1000));
    options.drain_timeout = std::chrono::milliseconds(static_cast<long>(drain_timeout * 1000));
    options.ready = [coordinator = options.coordinator](const std::string& id) {
      std::printf("ready worker=%s\n", id.c_str());
      std::fflush(stdout);
      mdgen::notify_service_manager("READY=1\nSTATUS=worker " + id + " of " + coordinator);
    };
    mdgen::launcher::widen_binding(environment);
    const int status = mdgen::worker::run_agent(options, stop);
    for (const int number : kStopSignals) std::signal(number, SIG_IGN);
    return status;
  } catch (const mdgen::Error& error) {
    std::fprintf(stderr, "mdgen-worker: %s\n", error.what());
    return error.code() == mdgen::ErrorCode::kInvalidArgument ? 2 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mdgen-worker: %s\n", error.what());
    return 1;
  }
}
