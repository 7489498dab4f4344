#include "services/coordinator/progress.h"

#include <algorithm>

namespace mdgen::coordinator {
namespace {

const std::string kBadSample = "left out: ";
const std::string kCheckpoint = "no checkpoint: ";

void drop_warnings(v1::Job& job, const std::string& head) {
  auto& warnings = *job.mutable_warnings();
  const auto kept = std::remove_if(warnings.begin(), warnings.end(),
                                   [&](const std::string& text) { return text.starts_with(head); });
  warnings.erase(kept, warnings.end());
}

}  // namespace

void Pace::add(std::int64_t tokens, double seconds) {
  steps_.push_back({tokens, seconds});
  if (steps_.size() > kSteps) steps_.pop_front();
}

double Pace::tokens_per_second() const {
  double tokens = 0.0;
  double seconds = 0.0;
  for (const Step& step : steps_) {
    tokens += static_cast<double>(step.tokens);
    seconds += step.seconds;
  }
  return seconds > 0.0 ? tokens / seconds : 0.0;
}

double Pace::seconds_per_step() const {
  double seconds = 0.0;
  for (const Step& step : steps_) seconds += step.seconds;
  return steps_.empty() ? 0.0 : seconds / static_cast<double>(steps_.size());
}

void warn_of_bad_samples(v1::Job& job, const std::string& where,
                         const google::protobuf::RepeatedPtrField<v1::NamedSample>& samples) {
  for (const v1::NamedSample& sample : samples) {
    const std::string head = kBadSample + sample.entry() + " ";
    const auto& warnings = job.warnings();
    const bool told = std::any_of(warnings.begin(), warnings.end(),
                                  [&](const std::string& text) { return text.starts_with(head); });
    const auto entries = std::count_if(warnings.begin(), warnings.end(),
                                       [](const std::string& text) { return text.starts_with(kBadSample); });
    if (told || entries >= kMostBadEntries) continue;
    job.add_warnings(head + "(virtual sample " + std::to_string(sample.virtual_sample()) + ", " + where +
                     "): " + sample.reason());
  }
}

void record_checkpoint(v1::Job& job, const v1::CheckpointReport& report) {
  drop_warnings(job, kCheckpoint);
  if (!report.verified()) {
    job.add_warnings(kCheckpoint + report.problem());
  } else if (report.step() >= job.checkpoint_step()) {
    job.set_checkpoint(report.folder());
    job.set_checkpoint_step(report.step());
  }
}

void record_step(v1::Job& job, Pace& pace, const v1::StepReport& report) {
  pace.add(report.tokens(), report.seconds());
  job.set_bad_samples(job.bad_samples() + report.bad_samples_size());
  warn_of_bad_samples(job, "step " + std::to_string(report.step()), report.bad_samples());
  job.set_step(report.step());
  job.set_epoch(report.epoch());
  job.set_loss(report.loss());
  if (!job.has_first_loss()) job.set_first_loss(report.loss());
  job.set_tokens_per_second(pace.tokens_per_second());
  const auto left = std::max<std::int64_t>(0, job.total_steps() - report.step());
  job.set_eta_seconds(static_cast<double>(left) * pace.seconds_per_step());
}

}  // namespace mdgen::coordinator
