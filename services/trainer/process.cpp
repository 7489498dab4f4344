#include "services/trainer/process.h"

#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>

#include "core/base/error.h"

namespace mdgen::trainer {

void ignore_signals() {
  for (const int number : {SIGPIPE, SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2}) std::signal(number, SIG_IGN);
}

void tie_to_agent(pid_t agent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != agent) {
    throw Error(ErrorCode::kUnavailable, "the agent (process " + std::to_string(agent) +
                                             ") has gone; the parent is process " +
                                             std::to_string(::getppid()));
  }
}

void leave(int status) {
  spdlog::default_logger()->flush();
  std::fflush(nullptr);
  ::_exit(status);
}

}  // namespace mdgen::trainer
