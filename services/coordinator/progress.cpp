#include "services/coordinator/progress.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace mdgen::coordinator {
namespace {

const std::string kBadSample = "left out: ";
const std::string kCheckpoint = "no checkpoint: ";
const std::string kWarningsLeftOut = " older warnings are left out";
const std::string kTransitionsLeftOut = " transitions after it are left out";
const std::string kBreak = "; ";

void drop_warnings(v1::Job& job, const std::string& head) {
  auto& warnings = *job.mutable_warnings();
  const auto kept = std::remove_if(warnings.begin(), warnings.end(),
                                   [&](const std::string& text) { return text.starts_with(head); });
  warnings.erase(kept, warnings.end());
}

// "12 things are left out" -> 12; 0 for anything else.
std::int64_t left_out(const std::string& text, const std::string& words) {
  return text.ends_with(words) ? std::strtoll(text.c_str(), nullptr, 10) : 0;
}

}  // namespace

void add_warning(v1::Job& job, std::string text) {
  auto& warnings = *job.mutable_warnings();
  *warnings.Add() = std::move(text);
  const std::int64_t before = left_out(warnings[0], kWarningsLeftOut);
  const int head = before > 0 ? 1 : 0;
  const int extra = warnings.size() - head - kKeptWarnings;
  if (extra <= 0) return;
  warnings.DeleteSubrange(1, extra + head - 1);
  warnings[0] = std::to_string(before + extra) + kWarningsLeftOut;
}

void keep_newest_transitions(v1::Job& job) {
  auto& transitions = *job.mutable_transitions();
  const int extra = transitions.size() - 1 - kKeptTransitions;
  if (extra <= 0) return;
  transitions.DeleteSubrange(1, extra);
  std::string& text = *transitions[0].mutable_message();
  std::int64_t before = 0;
  if (const auto at = text.rfind(kBreak); at != std::string::npos) {
    before = left_out(text.substr(at + kBreak.size()), kTransitionsLeftOut);
    if (before > 0) text.resize(at);
  }
  text += kBreak + std::to_string(before + extra) + kTransitionsLeftOut;
}

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
    add_warning(job, head + "(virtual sample " + std::to_string(sample.virtual_sample()) + ", " + where +
                         "): " + sample.reason());
  }
}

void record_checkpoint(v1::Job& job, const v1::CheckpointReport& report) {
  drop_warnings(job, kCheckpoint);
  if (!report.verified()) {
    add_warning(job, kCheckpoint + report.problem());
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
