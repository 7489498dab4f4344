#include "services/client/format.h"

#include <google/protobuf/util/time_util.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "services/client/exit_code.h"

namespace mdgen::client {
namespace {

using google::protobuf::util::TimeUtil;

std::string time_text(const google::protobuf::Timestamp& time) { return TimeUtil::ToString(time); }

std::string reason_text(const std::string& reason, const std::string& message) {
  const std::string line = one_line(message);
  if (reason.empty()) return line;
  return line.empty() ? reason : reason + ": " + line;
}

std::string loss_text(const v1::Job& job) {
  if (!job.has_loss()) return "";
  const std::string last = fmt::format("{:.4g}", job.loss());
  return job.has_first_loss() ? fmt::format("{:.4g}->{}", job.first_loss(), last) : last;
}

std::string steps_text(const v1::Job& job) {
  return job.total_steps() > 0 ? fmt::format("{}/{}", job.step(), job.total_steps())
                               : std::to_string(job.step());
}

void add_line(std::string& text, const std::string& name, const std::string& value) {
  if (!value.empty()) text += fmt::format("{:<14}{}\n", name, one_line(value));
}

using Row = std::array<std::string, 7>;

Row row_of(const v1::Job& job, std::chrono::system_clock::time_point now) {
  const double age = std::chrono::duration<double>(now.time_since_epoch()).count() -
                     static_cast<double>(job.created_at().seconds());
  return {job.id(),
          job.name(),
          state_name(job.state()),
          steps_text(job),
          job.has_loss() ? fmt::format("{:.4g}", job.loss()) : "-",
          std::to_string(job.workers()),
          job.has_created_at() ? duration_text(std::max(0.0, age)) : "-"};
}

// The newest one, shortly.
std::string recovery_text(const v1::Job& job) {
  if (job.recoveries().empty()) return "";
  const v1::Recovery& last = job.recoveries(job.recoveries_size() - 1);
  const auto count = std::max<std::int64_t>(job.recovery_count(), job.recoveries_size());
  const std::string how =
      last.complete() ? fmt::format("in {:.2f} s from {}", last.total_seconds(), last.source()) : "under way";
  return fmt::format("{}, the last {}: {}", count, how, reason_text(last.reason(), last.message()));
}

}  // namespace

std::string state_name(v1::JobState state) {
  const std::string name = v1::JobState_Name(state);
  const std::string prefix = "JOB_STATE_";
  if (name.empty()) return "STATE_" + std::to_string(static_cast<int>(state));
  return name.starts_with(prefix) ? name.substr(prefix.size()) : name;
}

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 1e12) return "?";
  const auto total = static_cast<long long>(std::llround(seconds));
  if (total < 60) return fmt::format("{}s", total);
  if (total < 3600) return fmt::format("{}m{:02}s", total / 60, total % 60);
  if (total < 86400) return fmt::format("{}h{:02}m", total / 3600, total / 60 % 60);
  return fmt::format("{}d{:02}h", total / 86400, total / 3600 % 24);
}

std::string progress_text(const v1::Job& job) {
  std::string text = fmt::format("step {}  epoch {}", steps_text(job), job.epoch());
  if (job.has_loss()) text += fmt::format("  loss {:.4f}", job.loss());
  if (job.has_val_loss()) text += fmt::format("  val_loss {:.4f}", job.val_loss());
  if (job.tokens_per_second() > 0) text += fmt::format("  {:.0f} tokens/s", job.tokens_per_second());
  if (job.eta_seconds() > 0 && !is_final(job.state())) text += "  ETA " + duration_text(job.eta_seconds());
  return text;
}

std::string transition_text(const v1::Transition& transition) {
  const std::string time = time_text(transition.at());  // 2026-11-23T09:15:02.123Z
  const std::string why = reason_text(transition.reason(), transition.message());
  return time.substr(11, 8) + "Z " + state_name(transition.state()) + (why.empty() ? "" : "  " + why);
}

std::string outcome_text(const v1::Job& job) {
  std::string text = fmt::format("job {} {}", job.id(), state_name(job.state()));
  const std::string why = reason_text(job.reason(), job.message());
  if (job.state() == v1::JOB_STATE_FAILED && !why.empty()) return text + "  " + why;
  text += fmt::format("  steps={}", job.step());
  if (job.has_loss()) text += "  loss=" + loss_text(job);
  if (!job.checkpoint().empty()) text += "  checkpoint=" + job.checkpoint();
  return text;
}

std::string status_text(const v1::Job& job) {
  std::string text;
  add_line(text, "job", job.id());
  add_line(text, "name", job.name());
  add_line(text, "state", state_name(job.state()));
  add_line(text, "reason", reason_text(job.reason(), job.message()));
  add_line(text, "progress", progress_text(job));
  add_line(text, "loss", loss_text(job));
  add_line(text, "workers", std::to_string(job.workers()));
  add_line(text, "restarts", std::to_string(job.restarts()));
  add_line(text, "recoveries", recovery_text(job));
  if (job.lost_steps() > 0) add_line(text, "lost steps", std::to_string(job.lost_steps()));
  if (job.bad_samples() > 0) add_line(text, "bad samples", std::to_string(job.bad_samples()));
  add_line(text, "checkpoint", job.checkpoint());
  add_line(text, "data digest", job.manifest_digest());
  add_line(text, "run folder", job.run_folder());
  if (job.has_created_at()) add_line(text, "created", time_text(job.created_at()));
  if (job.has_started_at()) add_line(text, "started", time_text(job.started_at()));
  if (job.has_ended_at()) add_line(text, "ended", time_text(job.ended_at()));
  for (const std::string& warning : job.warnings()) add_line(text, "warning", one_line(warning));
  for (const v1::Transition& transition : job.transitions()) {
    add_line(text, "  " + time_text(transition.at()).substr(0, 10), transition_text(transition));
  }
  return text;
}

std::string list_text(const v1::ListJobsResponse& jobs, std::chrono::system_clock::time_point now) {
  if (jobs.jobs().empty()) return "no jobs\n";
  std::vector<Row> rows{{"ID", "NAME", "STATE", "STEP", "LOSS", "WORKERS", "AGE"}};
  for (const v1::Job& job : jobs.jobs()) rows.push_back(row_of(job, now));
  std::array<std::size_t, std::tuple_size_v<Row>> widths{};
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const Row& row : rows) {
    for (std::size_t i = 0; i + 1 < row.size(); ++i) text += fmt::format("{:<{}}  ", row[i], widths[i]);
    text += row.back() + "\n";
  }
  return text;
}

std::string one_line(const std::string& text) {
  std::string line;
  for (char c : text) line += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  return line;
}

}  // namespace mdgen::client
