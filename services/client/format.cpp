#include "services/client/format.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>

#include "services/client/charts.h"
#include "services/client/exit_code.h"
#include "services/client/table.h"

namespace mdgen::client {
namespace {

constexpr std::size_t kLongestBar = 30;
constexpr std::size_t kRoomForText = 60;  // a bar takes what is left of a line

std::string loss_text(const v1::Job& job) {
  if (!job.has_loss()) return "";
  const std::string last = fmt::format("{:.4g}", job.loss());
  return job.has_first_loss() ? fmt::format("{:.4g}->{}", job.first_loss(), last) : last;
}

std::string state_text(v1::JobState state, const Look& look) {
  return tinted(state_name(state), tint_of(state), look);
}

}  // namespace

std::string state_name(v1::JobState state) {
  const std::string name = v1::JobState_Name(state);
  const std::string prefix = "JOB_STATE_";
  if (name.empty()) return "STATE_" + std::to_string(static_cast<int>(state));
  return name.starts_with(prefix) ? name.substr(prefix.size()) : name;
}

std::string reason_text(const std::string& reason, const std::string& message) {
  const std::string line = one_line(message);
  if (reason.empty()) return line;
  return line.empty() ? one_line(reason) : one_line(reason) + ": " + line;
}

std::string steps_text(const v1::Job& job) {
  return job.total_steps() > 0 ? fmt::format("{}/{}", job.step(), job.total_steps())
                               : std::to_string(job.step());
}

double fraction_done(const v1::Job& job) {
  if (job.progress() > 0) return std::min(1.0, job.progress());
  if (job.total_steps() <= 0) return 0;
  return std::clamp(static_cast<double>(job.step()) / static_cast<double>(job.total_steps()), 0.0, 1.0);
}

std::string progress_text(const v1::Job& job) {
  std::string text = fmt::format("step {}  epoch {}", steps_text(job), job.epoch());
  if (job.has_loss()) text += fmt::format("  loss {:.4f}", job.loss());
  if (job.has_val_loss()) text += fmt::format("  val_loss {:.4f}", job.val_loss());
  if (job.tokens_per_second() > 0) text += fmt::format("  {:.0f} tokens/s", job.tokens_per_second());
  if (job.eta_seconds() > 0 && !is_final(job.state())) text += "  ETA " + duration_text(job.eta_seconds());
  return text;
}

std::string bar_text(const v1::Job& job, const Look& look) {
  std::string line = state_text(job.state(), look);
  const std::size_t room = look.columns > kRoomForText ? look.columns - kRoomForText : 0;
  if (job.step() > 0) {
    const std::size_t width = std::min(kLongestBar, room);
    if (width >= 10) {
      line += "  " + tinted(progress_bar(fraction_done(job), width, look.utf8), Tint::kBusy, look) +
              fmt::format(" {:3.0f}%", std::floor(100 * fraction_done(job)));
    }
    line += "  " + progress_text(job);
  } else if (job.has_queue() && job.queue().position() > 0) {
    line += fmt::format("  position {}: {}", job.queue().position(),
                        reason_text(job.queue().reason(), job.queue().message()));
  } else if (!job.message().empty()) {
    line += "  " + one_line(job.message());
  }
  // A line that wraps cannot be written over.
  return fitted(line, look.columns > 0 ? look.columns - 1 : 0);
}

std::string transition_text(const v1::Transition& transition, const Look& look) {
  const std::string why = reason_text(transition.reason(), transition.message());
  return tinted(clock_text(transition.at()), Tint::kDim, look) + " " + state_text(transition.state(), look) +
         (why.empty() ? "" : "  " + why);
}

std::string outcome_text(const v1::Job& job, const Look& look) {
  std::string text = fmt::format("job {} {}", one_line(job.id()), state_text(job.state(), look));
  const std::string why = reason_text(job.reason(), job.message());
  if (job.state() == v1::JOB_STATE_FAILED && !why.empty()) return text + "  " + why;
  text += fmt::format("  steps={}", job.step());
  if (job.has_loss()) text += "  loss=" + loss_text(job);
  if (!job.checkpoint().empty()) text += "  checkpoint=" + one_line(job.checkpoint());
  return text;
}

std::string labels_text(const google::protobuf::Map<std::string, std::string>& labels) {
  std::vector<std::string> words;
  for (const auto& [name, value] : labels) words.push_back(value.empty() ? name : name + "=" + value);
  std::sort(words.begin(), words.end());
  return fmt::format("{}", fmt::join(words, ","));
}

std::string list_text(const v1::ListJobsResponse& jobs, WallTime now, const Look& look) {
  if (jobs.jobs().empty()) return "no jobs\n";
  Table table({"ID", "NAME", "STATE", "STEP", "LOSS", "WORKERS", "ETA", "OWNER", "LABELS", "AGE"});
  for (const v1::Job& job : jobs.jobs()) {
    const bool has_eta = job.eta_seconds() > 0 && !is_final(job.state());
    table.add(
        {job.id(),
         job.name(),
         {state_name(job.state()), tint_of(job.state())},
         steps_text(job),
         job.has_loss() ? fmt::format("{:.4g}", job.loss()) : "-",
         std::to_string(job.workers()),
         has_eta ? duration_text(job.eta_seconds()) : "",
         job.owner(),
         labels_text(job.labels()),
         job.has_created_at() ? duration_text(std::max(0.0, age_seconds(job.created_at(), now))) : "-"});
  }
  return table.text(look);
}

std::string one_line(const std::string& text) {
  std::string line;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
    const bool is_c1 = c == 0xc2 && next >= 0x80 && next < 0xa0;  // U+0080 to U+009F steer terminals too
    line += c < 0x20 || c == 0x7f || is_c1 ? ' ' : text[i];
    if (is_c1) ++i;
  }
  return line;
}

}  // namespace mdgen::client
