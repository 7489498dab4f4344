// mdgen-trainer: the rank process. Started by mdgen-worker, never by hand.
#include <CLI/CLI.hpp>
#include <iostream>

#include "core/base/clock.h"
#include "core/base/command_line.h"
#include "core/base/log.h"
#include "core/base/process_memory.h"
#include "services/trainer/agent_link.h"
#include "services/trainer/process.h"
#include "services/trainer/rank.h"

int main(int argc, char** argv) {
  mdgen::trainer::ignore_signals();
  int descriptor = -1;
  int agent = 0;
  CLI::App app("The rank process of a training run. mdgen-worker starts it; it is not run by hand.",
               "mdgen-trainer");
  app.set_version_flag("--version", std::string("mdgen-trainer ") + MDGEN_VERSION);
  app.add_option("--agent_fd", descriptor, "descriptor of the socketpair to the agent")
      ->required()
      ->check(mdgen::non_negative_number());
  app.add_option("--agent_pid", agent, "process id of the agent")
      ->required()
      ->check(mdgen::positive_number());
  if (const auto status = mdgen::parse_command_line(app, argc, argv)) return *status;

  mdgen::init_logging("trainer");
  try {
    mdgen::trainer::tie_to_agent(agent);
    mdgen::keep_freed_memory();
    mdgen::trainer::AgentLink link(descriptor, {.agent_lost = [] {
                                     spdlog::error("the agent has closed the connection");
                                     mdgen::trainer::leave(1);
                                   }});
    const mdgen::SystemClock clock;
    const mdgen::trainer::RankEnd end = mdgen::trainer::run_rank(link, clock);
    if (!end.gone) link.finish(end.report);
    mdgen::trainer::leave(end.status);
  } catch (const std::exception& error) {
    spdlog::error("{}", error.what());
    mdgen::trainer::leave(1);
  }
}
