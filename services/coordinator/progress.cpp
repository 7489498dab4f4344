#include "services/coordinator/progress.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "services/coordinator/timestamps.h"

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

// That a report is of.
std::int64_t steps_of(const v1::StepReport& report) {
  return report.first_step() > 0 ? report.step() - report.first_step() + 1 : 1;
}

bool is_active(v1::JobState state) {
  return state == v1::JOB_STATE_STARTING || state == v1::JOB_STATE_RUNNING ||
         state == v1::JOB_STATE_CHECKPOINTING || state == v1::JOB_STATE_PAUSING ||
         state == v1::JOB_STATE_RECOVERING || state == v1::JOB_STATE_CANCELLING;
}

void add_share(const v1::StepTimes& times, double share, v1::StepTimes& sum) {
  sum.set_data(sum.data() + share * times.data());
  sum.set_forward(sum.forward() + share * times.forward());
  sum.set_backward(sum.backward() + share * times.backward());
  sum.set_reduce(sum.reduce() + share * times.reduce());
  sum.set_optimizer(sum.optimizer() + share * times.optimizer());
  sum.set_checkpoint(sum.checkpoint() + share * times.checkpoint());
}

void show_pace(v1::Job& job, const RunPace& run) {
  job.set_tokens_per_second(run.pace.tokens_per_second());
  job.set_samples_per_second(run.pace.samples_per_second());
  job.set_step_seconds(run.pace.seconds_per_step());
  *job.mutable_step_times() = run.pace.times();
  job.set_flops_per_second(run.pace.flops_per_second());
  const double ceiling = run.gemm_ceiling * job.workers();
  job.set_ceiling_ratio(ceiling > 0.0 ? job.flops_per_second() / ceiling : 0.0);
  const auto left = std::max<std::int64_t>(0, job.total_steps() - job.step());
  job.set_eta_seconds(static_cast<double>(left) * run.pace.seconds_per_step() * run.stretch.factor());
  if (job.total_steps() > 0)
    job.set_progress(static_cast<double>(job.step()) / static_cast<double>(job.total_steps()));
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

void Pace::add(const v1::StepReport& report) {
  steps_.push_back({static_cast<double>(report.tokens()),
                    static_cast<double>(report.samples()) / static_cast<double>(steps_of(report)),
                    report.flops(), report.seconds(), report.times()});
  if (steps_.size() > kSteps) steps_.pop_front();
}

double Pace::per_second(double Step::*what) const {
  double sum = 0.0;
  double seconds = 0.0;
  for (const Step& step : steps_) {
    sum += step.*what;
    seconds += step.seconds;
  }
  return seconds > 0.0 ? sum / seconds : 0.0;
}

double Pace::tokens_per_second() const { return per_second(&Step::tokens); }
double Pace::samples_per_second() const { return per_second(&Step::samples); }
double Pace::flops_per_second() const { return per_second(&Step::flops); }

double Pace::seconds_per_step() const {
  double seconds = 0.0;
  for (const Step& step : steps_) seconds += step.seconds;
  return steps_.empty() ? 0.0 : seconds / static_cast<double>(steps_.size());
}

v1::StepTimes Pace::times() const {
  v1::StepTimes mean;
  for (const Step& step : steps_) add_share(step.times, 1.0 / static_cast<double>(steps_.size()), mean);
  return mean;
}

void Stretch::step(Clock::Steady now, double seconds) {
  if (last_) {
    passed_ += std::chrono::duration<double>(now - *last_).count();
    in_steps_ += seconds;
  }
  last_ = now;
}

double Stretch::factor() const { return in_steps_ > 0.0 ? std::clamp(passed_ / in_steps_, 1.0, kMost) : 1.0; }

void Effort::step(double seconds, std::int64_t steps) {
  seconds_ += seconds * static_cast<double>(steps);
  steps_ += steps;
}

void Effort::lose(std::int64_t steps) {
  if (steps_ <= 0) return;
  const std::int64_t lost = std::min(steps, steps_);
  seconds_ -= seconds_ / static_cast<double>(steps_) * static_cast<double>(lost);
  steps_ -= lost;
}

void Effort::restore(const v1::Job& job) {
  if (!job.has_last_step_at()) return;
  seconds_ = job.goodput_ratio() * active_seconds(job, to_wall(job.last_step_at()));
  steps_ = job.step();
}

void RunPace::new_generation() {
  pace.clear();
  stretch.interrupt();
  stragglers.clear();
}

void RunPace::restore(const v1::Job& job) {
  effort.restore(job);
  if (job.ceiling_ratio() > 0.0 && job.workers() > 0)
    gemm_ceiling = job.flops_per_second() / (job.ceiling_ratio() * job.workers());
}

double active_seconds(const v1::Job& job, Clock::Wall now) {
  if (!job.has_started_at()) return 0.0;
  const Clock::Wall begin = to_wall(job.started_at());
  const Clock::Wall end = job.has_ended_at() ? to_wall(job.ended_at()) : now;
  double seconds = 0.0;
  for (int i = 0; i < job.transitions_size(); ++i) {
    if (!is_active(job.transitions(i).state())) continue;
    const bool last = i + 1 == job.transitions_size();
    const Clock::Wall from = std::max(begin, to_wall(job.transitions(i).at()));
    const Clock::Wall to = last ? end : to_wall(job.transitions(i + 1).at());
    if (to > from) seconds += std::chrono::duration<double>(to - from).count();
  }
  return seconds;
}

void update_goodput(v1::Job& job, const RunPace& pace, Clock::Wall now) {
  const double active = active_seconds(job, now);
  job.set_goodput_ratio(active > 0.0 ? std::clamp(pace.effort.seconds() / active, 0.0, 1.0) : 0.0);
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
  job.set_checkpoint_blocked_seconds(report.blocked_seconds());
  job.set_checkpoint_persist_seconds(report.persist_seconds());
  if (!report.verified()) {
    add_warning(job, kCheckpoint + report.problem());
  } else if (report.step() >= job.checkpoint_step()) {
    job.set_checkpoint(report.folder());
    job.set_checkpoint_step(report.step());
  }
}

void record_start(v1::Job& job, RunPace& pace, const v1::StartReport& report, std::int64_t lost_steps) {
  job.set_step(report.first_step());
  job.set_lost_steps(job.lost_steps() + lost_steps);
  pace.effort.lose(lost_steps);
  if (!report.precision().empty())
    job.mutable_spec()->mutable_optim()->set_auto_precision(report.precision());
  if (report.gemm_ceiling_flops() > 0.0) pace.gemm_ceiling = report.gemm_ceiling_flops();
  if (report.checkpoint().empty()) return;
  job.set_checkpoint(report.checkpoint());
  job.set_checkpoint_step(report.first_step());
}

void record_step(v1::Job& job, RunPace& run, const v1::StepReport& report, const At& now) {
  const std::int64_t steps = steps_of(report);
  run.pace.add(report);
  run.stretch.step(now.steady, report.seconds() * static_cast<double>(steps));
  run.effort.step(report.seconds(), steps);
  if (report.has_times()) add_share(report.times(), static_cast<double>(steps), *job.mutable_spent());
  job.set_bad_samples(job.bad_samples() + report.bad_samples_size());
  warn_of_bad_samples(job, "step " + std::to_string(report.step()), report.bad_samples());
  job.set_step(report.step());
  job.set_epoch(report.epoch());
  job.set_loss(report.loss());
  if (!job.has_first_loss()) job.set_first_loss(report.loss());
  job.set_grad_norm(report.grad_norm());
  job.set_lr(report.lr());
  *job.mutable_last_step_at() = to_timestamp(now.wall);
  show_pace(job, run);
  update_goodput(job, run, now.wall);
}

}  // namespace mdgen::coordinator
