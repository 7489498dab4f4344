// mdgen-prep: trajectories to the arrays that training reads.
#include <spdlog/spdlog.h>

#include <cstdio>

#include "core/base/command_line.h"
#include "core/base/log.h"
#include "core/prep/flags.h"
#include "core/prep/run.h"

namespace {

constexpr int kBad = 1;

}  // namespace

int main(int argc, char** argv) {
  mdgen::prep::Flags flags;
  if (const auto status = mdgen::parse_command_line(flags.app(), argc, argv)) return *status;
  if (const std::string problem = flags.problem(); !problem.empty()) {
    std::fprintf(stderr, "%s\n", problem.c_str());
    return mdgen::kExitUsage;
  }
  mdgen::init_logging("prep");
  try {
    return mdgen::prep::run(flags.options()) ? 0 : kBad;
  } catch (const std::exception& error) {
    spdlog::error("{}", error.what());
    return kBad;
  }
}
