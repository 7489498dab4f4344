#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <map>

#include "services/client/format.h"
#include "services/client/table.h"

namespace mdgen::client {
namespace {

using Row = std::array<std::string, 13>;

std::string seconds_text(double seconds) { return fmt::format("{:.2f}", seconds); }

Row row_of(const v1::Recovery& one) {
  const auto done = [&](double seconds) { return one.complete() ? seconds_text(seconds) : "-"; };
  return {std::to_string(one.generation()),
          clock_text(one.detected_at()),
          one.rank() < 0 ? "-" : std::to_string(one.rank()),
          seconds_text(one.abort_seconds()),
          seconds_text(one.wait_seconds()),
          done(one.rendezvous_seconds()),
          done(one.heal_seconds()),
          done(one.first_step_seconds()),
          done(one.total_seconds()),
          one.complete() ? std::to_string(one.from_step()) : "-",
          std::to_string(one.lost_steps()),
          std::to_string(one.workers()),
          one.reason()};
}

std::string cause_text(const v1::Recovery& one) {
  std::string text;
  if (!one.message().empty()) text += "       " + one_line(one.message()) + "\n";
  if (!one.source().empty()) text += "       went on from " + one_line(one.source()) + "\n";
  return text;
}

std::string timeouts_text(const v1::Timeouts& timeouts) {
  std::string text = fmt::format(
      "timeouts      an agent without a beat {:.4g} s, a trainer without a beat {:.4g} s, a survivor that "
      "does "
      "not leave {:.4g} s, lease {:.4g} s\n",
      timeouts.worker_lost_seconds(), timeouts.trainer_silent_seconds(), timeouts.abort_seconds(),
      timeouts.lease_seconds());
  const std::map<std::string, double> phases(timeouts.phase_seconds().begin(),
                                             timeouts.phase_seconds().end());
  for (const auto& [phase, seconds] : phases)
    text += fmt::format("  {:<12}{:.4g} s without progress\n", phase, seconds);
  return text;
}

}  // namespace

std::string recoveries_text(const v1::Job& job) {
  std::vector<Row> rows{{"GEN", "DETECTED", "RANK", "ABORT", "WAIT", "JOIN", "HEAL", "STEP", "TOTAL", "FROM",
                         "LOST", "WORKERS", "REASON"}};
  for (const v1::Recovery& one : job.recoveries()) rows.push_back(row_of(one));
  std::array<std::size_t, std::tuple_size_v<Row>> widths{};
  for (const Row& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  std::string text;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    text += "  ";
    for (std::size_t i = 0; i + 1 < rows[r].size(); ++i)
      text += fmt::format("{:<{}}  ", rows[r][i], widths[i]);
    text += rows[r].back() + "\n";
    if (r > 0) text += cause_text(job.recoveries(static_cast<int>(r) - 1));
  }
  return text;
}

std::string phase_name(v1::TrainerPhase phase) {
  const std::string name = v1::TrainerPhase_Name(phase);
  const std::string prefix = "TRAINER_PHASE_";
  if (phase == v1::TRAINER_PHASE_UNSPECIFIED || !name.starts_with(prefix)) return "-";
  return name.substr(prefix.size());
}

std::string ranks_text(const v1::Job& job, const Look& look) {
  if (job.ranks().empty()) return "";
  Table table({"  RANK", "WORKER", "HOST", "ATTEMPT", "PHASE", "STEP", "COMPUTE", "SLOWNESS", "BEAT"});
  for (const v1::RankInfo& rank : job.ranks()) {
    table.add({"  " + std::to_string(rank.rank()),
               rank.worker_id(),
               rank.host(),
               std::to_string(rank.attempt()),
               phase_name(rank.phase()),
               std::to_string(rank.step()),
               rank.compute_seconds() > 0 ? fmt::format("{:.3g}s", rank.compute_seconds()) : "-",
               {rank.slowness() > 0 ? fmt::format("{:.2f}", rank.slowness()) : "-",
                rank.straggler() ? Tint::kWarn : Tint::kNone},
               fmt::format("{:.1f}s", rank.beat_age_seconds())});
  }
  return table.text(look);
}

std::string describe_text(const v1::Job& job, const std::vector<std::string>& checkpoints, WallTime now,
                          const Look& look) {
  std::string text = status_text(job, now, look);
  if (job.has_spec()) {
    text += fmt::format("workers       {} of {} to {}\n", job.workers(), job.spec().workers().min(),
                        job.spec().workers().max());
  }
  if (job.priority() != 0) text += fmt::format("priority      {}\n", job.priority());
  if (job.has_timeouts()) text += timeouts_text(job.timeouts());
  if (!checkpoints.empty()) text += fmt::format("checkpoints   {}\n", checkpoints.size());
  for (const std::string& name : checkpoints) text += "  " + one_line(name) + "\n";
  if (!job.ranks().empty()) text += "ranks         " + std::to_string(job.ranks_size()) + "\n";
  text += ranks_text(job, look);
  if (job.recoveries().empty()) return text;
  text += fmt::format(
      "recoveries    {}{}; seconds\n", std::max<std::int64_t>(job.recovery_count(), job.recoveries_size()),
      job.recovery_count() > job.recoveries_size() ? fmt::format(", the last {}", job.recoveries_size())
                                                   : "");
  return text + recoveries_text(job);
}

}  // namespace mdgen::client
