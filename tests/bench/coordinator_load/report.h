// What a load showed, for people and for programs.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/bench/coordinator_load/latencies.h"
#include "tests/bench/coordinator_load/options.h"

namespace mdgen::load {

struct Phase {
  std::string name;  // start, steady, restart, stop
  double seconds = 0.0;
  double coordinator_cores = 0.0;  // CPU seconds per second
  double generator_cores = 0.0;
  CallQuantiles calls{};
};

struct RunResult {
  int ranks = 0, jobs = 0;
  std::vector<Phase> phases;
  std::int64_t lost_heartbeats = 0;  // workers that were declared lost, or streams that ended, unasked
  std::int64_t failed_rpcs = 0;
  std::int64_t beats_sent = 0, beats_answered = 0;
  std::int64_t assignments = 0, assignment_bytes = 0;
  std::int64_t resident_bytes = 0, peak_bytes = 0;  // of the coordinator
  std::vector<std::string> problems;
  bool good() const { return problems.empty() && lost_heartbeats == 0 && failed_rpcs == 0; }
};

// Of several runs of the same size: medians of every number; the worst of what counts failures.
RunResult median(const std::vector<RunResult>& runs);

// y = c * ranks^k, least squares over the logarithms; nothing for fewer than two sizes.
struct PowerLaw {
  double factor = 0.0, exponent = 0.0;
};
PowerLaw fit(const std::vector<std::pair<double, double>>& points);

std::string table(const std::vector<RunResult>& results);
nlohmann::json to_json(const RunResult& result);

}  // namespace mdgen::load
