// mdgen-launch: a whole run in one command, by itself or under mpirun and srun.
#include <CLI/CLI.hpp>
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
#include "core/base/log.h"
#include "core/config/spec.h"
#include "launcher/command.h"
#include "launcher/launch.h"

namespace {

namespace launcher = mdgen::launcher;

launcher::Interrupts interrupts;

// Slurm says TERM, twice within a millisecond, to whom it pre-empts. Whoever gives a job up does not look at
// its exit status.
bool is_slurm_job() {
  const char* job = std::getenv("SLURM_JOB_ID");
  return job != nullptr && *job != '\0';
}

void handle_signals() {
  struct sigaction action {};
  action.sa_flags = SA_RESTART;
  action.sa_handler = [](int) { ++interrupts.stop; };
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(number, &action, nullptr);
  action.sa_handler = [](int) { ++interrupts.requeue; };
  ::sigaction(SIGUSR1, &action, nullptr);
  if (is_slurm_job()) ::sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGUSR2, SIG_IGN);
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  CLI::App app("Trains in one command: a coordinator, N workers and their trainers, from start to end.",
               "mdgen-launch");
  app.set_version_flag("--version", std::string("mdgen-launch ") + MDGEN_VERSION);
  app.require_subcommand(1);
  std::optional<int> n;
  const auto here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  launcher::Programs programs{.worker = here / "mdgen-worker", .trainer = {}, .device = "cpu"};
  app.add_option("-n,--workers", n, "workers on this host (default 1; under mpirun and srun their count)")
      ->check(mdgen::positive_number());
  app.add_option("--device", programs.device, "cpu, cuda (each worker its local GPU) or cuda:N")
      ->capture_default_str();
  app.add_option("--trainer", programs.trainer,
                 "the trainer program (default: mdgen-trainer beside this one)");
  auto* train =
      app.add_subcommand("train", "train: -f SPEC.yaml, flags, --set a.b=c; `train --help` lists the flags");
  train->set_help_flag();
  train->prefix_command();
  if (const auto status = mdgen::parse_command_line(app, argc, argv)) return *status;
  const auto words = train->remaining();
  mdgen::init_logging("launch");
  if (std::getenv("MDGEN_LOG") == nullptr) spdlog::set_level(spdlog::level::warn);
  try {
    if (launcher::split_spec_arguments(words).help) {
      std::printf("usage: mdgen-launch [-n N] train [-f SPEC.yaml] [flags] [--set a.b=c]\n\n%s",
                  mdgen::config::flags_help().c_str());
      return 0;
    }
    handle_signals();
    return launcher::launch(words, n, programs, interrupts);
  } catch (const mdgen::Error& error) {
    return launcher::report(error);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mdgen-launch: %s\n", error.what());
    return 1;
  }
}
