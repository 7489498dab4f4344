// mdgen-prep: trajectories to the arrays that training reads.
#include <signal.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <cstdio>

#include "core/base/command_line.h"
#include "core/base/log.h"
#include "core/prep/flags.h"
#include "core/prep/run.h"

namespace {

constexpr int kBad = 1;

std::atomic<bool> stop = false;
static_assert(std::atomic<bool>::is_always_lock_free);

// The first signal ends the run in order, a second one at once.
void stop_on_signals() {
  struct sigaction action {};
  action.sa_handler = [](int) { stop = true; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
}

}  // namespace

int main(int argc, char** argv) {
  mdgen::prep::Flags flags;
  if (const auto status = mdgen::parse_command_line(flags.app(), argc, argv)) return *status;
  if (const std::string problem = flags.problem(); !problem.empty()) {
    std::fprintf(stderr, "%s\n", problem.c_str());
    return mdgen::kExitUsage;
  }
  mdgen::init_logging("prep");
  stop_on_signals();
  try {
    const mdgen::prep::Report report = mdgen::prep::run(flags.options(), stop);
    std::fputs(mdgen::prep::report_table(report).c_str(), stdout);
    return report.good() ? 0 : kBad;
  } catch (const std::exception& error) {
    spdlog::error("{}", error.what());
    return kBad;
  }
}
