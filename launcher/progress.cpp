#include "launcher/progress.h"

#include <spdlog/fmt/fmt.h>

#include <chrono>
#include <cmath>

namespace mdgen::launcher {

std::string state_name(v1::JobState state) {
  const std::string name = v1::JobState_Name(state);
  constexpr std::string_view prefix = "JOB_STATE_";
  return name.starts_with(prefix) ? name.substr(prefix.size()) : name;
}

bool is_final(v1::JobState state) {
  return state == v1::JOB_STATE_SUCCEEDED || state == v1::JOB_STATE_FAILED ||
         state == v1::JOB_STATE_CANCELLED;
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  if (whole < 60) return fmt::format("{}s", whole);
  if (whole < 3600) return fmt::format("{}m{:02}s", whole / 60, whole % 60);
  if (whole < 86400) return fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60);
  return fmt::format("{}d{:02}h", whole / 86400, whole / 3600 % 24);
}

std::string progress_line(const v1::Job& job) {
  std::string line = fmt::format("step {}", job.step());
  if (job.total_steps() > 0) line += fmt::format("/{}", job.total_steps());
  line += fmt::format("  epoch {}", job.epoch());
  if (job.has_loss()) line += fmt::format("  loss {:.4f}", job.loss());
  if (job.has_val_loss()) line += fmt::format("  val_loss {:.4f}", job.val_loss());
  if (job.tokens_per_second() > 0) line += fmt::format("  {:.0f} tokens/s", job.tokens_per_second());
  if (job.eta_seconds() > 0) line += "  ETA " + duration_text(job.eta_seconds());
  return line;
}

std::string summary_line(const v1::Job& job) {
  std::string line = fmt::format("job {} {} steps={}", job.id(), state_name(job.state()), job.step());
  if (job.has_loss()) line += fmt::format(" loss={:.6g}->{:.6g}", job.first_loss(), job.loss());
  if (job.spec().loop().validate() && job.has_val_loss())
    line += fmt::format(" val_loss={:.6g}", job.val_loss());
  if (!job.checkpoint().empty()) line += " checkpoint=" + job.checkpoint();
  return line;
}

int exit_status(v1::JobState state) {
  if (state == v1::JOB_STATE_SUCCEEDED) return 0;
  return state == v1::JOB_STATE_CANCELLED ? 3 : 1;
}

std::optional<std::string> ProgressPrinter::line(const v1::Job& job, Clock::Steady now) {
  if (job.state() != state_) {
    state_ = job.state();
    std::string text = state_name(state_);
    if (!job.message().empty()) text += ": " + job.message();
    return text;
  }
  if (job.step() == step_ || (printed_ && now - *printed_ < std::chrono::seconds(1))) return std::nullopt;
  step_ = job.step();
  printed_ = now;
  return progress_line(job);
}

}  // namespace mdgen::launcher
