#include "services/coordinator/job_events.h"

#include <cstdio>
#include <filesystem>
#include <utility>

namespace mdgen::coordinator {
namespace {

std::string seconds_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g s", seconds);
  return text;
}

}  // namespace

void JobEvents::add(v1::JobEvent event) {
  event.set_sequence(++last_);
  pending_.push_back(std::move(event));
  if (pending_.size() > static_cast<std::size_t>(kKept)) pending_.erase(pending_.begin());
}

std::string recovered_text(const v1::Recovery& recovery) {
  return "goes on from step " + std::to_string(recovery.from_step()) + " (" + recovery.source() + ") with " +
         std::to_string(recovery.workers()) + " workers after " + seconds_text(recovery.total_seconds()) +
         "; " + std::to_string(recovery.lost_steps()) + " steps are done again";
}

std::string checkpoint_text(const v1::CheckpointReport& report) {
  const std::string step = "step " + std::to_string(report.step());
  if (!report.verified()) return "no checkpoint of " + step + ": " + report.problem();
  std::string text = std::filesystem::path(report.folder()).filename().string() + " of " + step;
  if (report.blocked_seconds() > 0.0)
    text += ", training waited " + seconds_text(report.blocked_seconds()) + " for it";
  if (report.persist_seconds() > 0.0) text += ", written in " + seconds_text(report.persist_seconds());
  return text;
}

}  // namespace mdgen::coordinator
