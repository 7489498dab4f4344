#include "tests/bench/coordinator_load/report.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <functional>

namespace mdgen::load {
namespace {

using nlohmann::json;

double middle(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

template <typename Get>
double middle_of(const std::vector<RunResult>& runs, const Get& get) {
  std::vector<double> values;
  for (const RunResult& run : runs) values.push_back(static_cast<double>(get(run)));
  return middle(std::move(values));
}

const Phase* find(const RunResult& result, const std::string& name) {
  const auto found = std::find_if(result.phases.begin(), result.phases.end(),
                                  [&](const Phase& phase) { return phase.name == name; });
  return found == result.phases.end() ? nullptr : &*found;
}

void add_phase(std::string& text, const RunResult& result, const Phase& phase) {
  for (std::size_t call = 0; call < kCalls; ++call) {
    const Quantiles& each = phase.calls[call];
    if (each.count == 0) continue;
    text += fmt::format("{:>6} {:<8} {:<11} {:>8} {:>9.2f} {:>9.2f} {:>9.2f}\n", result.ranks, phase.name,
                        call_name(static_cast<Call>(call)), each.count, each.p50, each.p99, each.max);
  }
}

std::string growth(const std::vector<RunResult>& results) {
  std::vector<std::pair<double, double>> cpu, beat;
  for (const RunResult& result : results) {
    const Phase* steady = find(result, "steady");
    if (steady == nullptr) continue;
    cpu.emplace_back(result.ranks, steady->coordinator_cores);
    beat.emplace_back(result.ranks, steady->calls[static_cast<std::size_t>(Call::kBeat)].p99);
  }
  if (cpu.size() < 2) return {};
  const PowerLaw cores = fit(cpu), latency = fit(beat);
  return fmt::format(
      "growth in the steady state: coordinator {:.3g} cores x ranks^{:.2f}, beat p99 {:.3g} ms x "
      "ranks^{:.2f}\n",
      cores.factor, cores.exponent, latency.factor, latency.exponent);
}

}  // namespace

RunResult median(const std::vector<RunResult>& runs) {
  RunResult result = runs.front();
  for (std::size_t p = 0; p < result.phases.size(); ++p) {
    Phase& phase = result.phases[p];
    phase.seconds = middle_of(runs, [p](const RunResult& run) { return run.phases.at(p).seconds; });
    phase.coordinator_cores =
        middle_of(runs, [p](const RunResult& run) { return run.phases.at(p).coordinator_cores; });
    phase.generator_cores =
        middle_of(runs, [p](const RunResult& run) { return run.phases.at(p).generator_cores; });
    for (std::size_t c = 0; c < kCalls; ++c) {
      const auto of = [&](double Quantiles::*number) {
        return middle_of(runs, [&](const RunResult& run) { return run.phases.at(p).calls[c].*number; });
      };
      phase.calls[c] = {phase.calls[c].count, of(&Quantiles::p50), of(&Quantiles::p99), of(&Quantiles::max)};
    }
  }
  const auto worst = [&](std::int64_t RunResult::*number) {
    for (const RunResult& run : runs) result.*number = std::max(result.*number, run.*number);
  };
  worst(&RunResult::lost_heartbeats);
  worst(&RunResult::failed_rpcs);
  worst(&RunResult::resident_bytes);
  worst(&RunResult::peak_bytes);
  return result;
}

PowerLaw fit(const std::vector<std::pair<double, double>>& points) {
  double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
  for (const auto& [x, y] : points) {
    if (x <= 0 || y <= 0) continue;
    const double lx = std::log(x), ly = std::log(y);
    n += 1;
    sx += lx;
    sy += ly;
    sxx += lx * lx;
    sxy += lx * ly;
  }
  const double spread = n * sxx - sx * sx;
  if (n < 2 || spread <= 0) return {};
  const double exponent = (n * sxy - sx * sy) / spread;
  return {std::exp((sy - exponent * sx) / n), exponent};
}

std::string table(const std::vector<RunResult>& results) {
  std::string text = fmt::format("{:>6} {:<8} {:<11} {:>8} {:>9} {:>9} {:>9}\n", "ranks", "phase", "call",
                                 "count", "p50 ms", "p99 ms", "max ms");
  for (const RunResult& result : results)
    for (const Phase& phase : result.phases) add_phase(text, result, phase);
  text += fmt::format("\n{:>6} {:<8} {:>8} {:>12} {:>10}\n", "ranks", "phase", "seconds", "coordinator",
                      "generator");
  for (const RunResult& result : results)
    for (const Phase& phase : result.phases)
      text += fmt::format("{:>6} {:<8} {:>8.2f} {:>6.2f} cores {:>4.2f} cores\n", result.ranks, phase.name,
                          phase.seconds, phase.coordinator_cores, phase.generator_cores);
  text += '\n';
  for (const RunResult& result : results) {
    text += fmt::format(
        "{} ranks in {} jobs: {} lost heartbeats, {} failed RPCs; coordinator {:.0f} MiB resident, {:.0f} "
        "MiB "
        "at most; {:.0f} kB an assignment\n",
        result.ranks, result.jobs, result.lost_heartbeats, result.failed_rpcs,
        static_cast<double>(result.resident_bytes) / (1 << 20),
        static_cast<double>(result.peak_bytes) / (1 << 20),
        static_cast<double>(result.assignment_bytes) / 1000.0 /
            static_cast<double>(std::max<std::int64_t>(1, result.assignments)));
    for (const std::string& problem : result.problems) text += "  " + problem + "\n";
  }
  return text + growth(results);
}

json to_json(const RunResult& result) {
  json phases = json::object();
  for (const Phase& phase : result.phases) {
    json calls = json::object();
    for (std::size_t call = 0; call < kCalls; ++call) {
      const Quantiles& each = phase.calls[call];
      if (each.count == 0) continue;
      calls[call_name(static_cast<Call>(call))] = {
          {"count", each.count}, {"p50_ms", each.p50}, {"p99_ms", each.p99}, {"max_ms", each.max}};
    }
    phases[phase.name] = {{"seconds", phase.seconds},
                          {"coordinator_cores", phase.coordinator_cores},
                          {"generator_cores", phase.generator_cores},
                          {"calls", calls}};
  }
  return {{"ranks", result.ranks},
          {"jobs", result.jobs},
          {"good", result.good()},
          {"lost_heartbeats", result.lost_heartbeats},
          {"failed_rpcs", result.failed_rpcs},
          {"beats_sent", result.beats_sent},
          {"beats_answered", result.beats_answered},
          {"assignments", result.assignments},
          {"assignment_bytes", result.assignment_bytes},
          {"resident_bytes", result.resident_bytes},
          {"peak_bytes", result.peak_bytes},
          {"problems", result.problems},
          {"phases", phases}};
}

}  // namespace mdgen::load
