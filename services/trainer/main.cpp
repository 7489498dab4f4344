// mdgen-trainer: the rank process. Started by mdgen-worker, never by hand.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>

#include "core/base/command_line.h"
#include "core/base/log.h"
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
    mdgen::trainer::keep_freed_memory();
    mdgen::trainer::AgentLink link(descriptor, {.agent_lost = [] {
                                     spdlog::error("the agent has closed the connection");
                                     mdgen::trainer::leave(1);
                                   }});
    const auto assignment = link.hello();
    if (!assignment) mdgen::trainer::leave(1);
    mdgen::init_logging("rank " + std::to_string(assignment->rank()));
    // Its lines go to a file of its own, which must not stay empty because a launcher keeps the terminal
    // calm.
    spdlog::set_level(std::min(spdlog::get_level(), spdlog::level::info));
    const mdgen::v1::FinishReport report = mdgen::trainer::run_rank(
        *assignment, link, link.control(), [&](const std::string& key, const std::string& blob) {
          return link.exchange(*assignment, key, blob);
        });
    link.finish(report);
    mdgen::trainer::leave(report.outcome() == mdgen::v1::OUTCOME_FAILED ? 1 : 0);
  } catch (const std::exception& error) {
    spdlog::error("{}", error.what());
    mdgen::trainer::leave(1);
  }
}
