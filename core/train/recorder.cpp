#include "core/train/recorder.h"

#include <spdlog/spdlog.h>

#include <sstream>

#include "core/base/error.h"
#include "core/config/spec.h"

namespace mdgen::train {

namespace fs = std::filesystem;

namespace {

// A block that is shown as it stands.
std::string as_markdown(const std::string& text) {
  std::string block;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) block += "    " + line + "\n";
  return block;
}

}  // namespace

Recorder::Recorder(const v1::Assignment& assignment, std::int64_t step, std::int64_t total_steps,
                   RunObserver& observer, const Clock& clock)
    : spec_(assignment.spec()),
      ordered_(!spec_.loop().validate()),
      total_steps_(total_steps),
      observer_(observer),
      clock_(clock),
      metrics_(fs::path(assignment.run_folder()) / "metrics.jsonl", step),
      log_(fs::path(assignment.run_folder()) / "log.out", clock) {
  if (spec_.logging().wandb()) {
    events_ = std::make_unique<format::EventWriter>(fs::path(assignment.run_folder()) / "tensorboard", clock);
    if (ordered_) events_->go_on(metrics_.next_step(), clock.wall());
    events_->text("config/text_summary", as_markdown(config::to_yaml(spec_)), clock.wall());
  }
}

void Recorder::catch_up(const StepLog& log) {
  for (const LoggedStep& step : log.steps()) {
    write(step.report);
    for (const LogRecord& record : step.records) logged(record);
    if (step.validation) validated(step.validation->report, step.validation->record);
  }
}

void Recorder::committed(const v1::StepReport& report) {
  rate_.add(report.seconds(), report.tokens());
  write(report);
  observer_.step_committed(report);
  if (print_due(spec_, report.step(), total_steps_)) print(report);
}

// The line comes last: what has no line is written whole, by whoever goes on.
void Recorder::write(const v1::StepReport& report) {
  const LinePlace place{report.step(), LineKind::kStep};
  if (metrics_.has(place)) return;
  NamedMeans events{{"loss", report.loss()}, {"grad_norm", report.grad_norm()}, {"lr", report.lr()}};
  if (const auto rate = rate_.tokens_per_second()) events.emplace_back("tokens_per_second", *rate);
  events.emplace_back("epoch", static_cast<double>(report.epoch()));
  if (report.bad_samples_size() > 0) {
    events.emplace_back("bad_samples", static_cast<double>(report.bad_samples_size()));
  }
  add_events(report.step(), events);
  metrics_.append(place, metrics_line(report));
}

void Recorder::logged(const LogRecord& record) {
  if (metrics_.has(place_of_record(record))) return;
  log_.info(dictionary_text(record));
  add_events(record.trainer_step, scalars(record));
  metrics_.append(place_of_record(record), metrics_line(record));
}

void Recorder::validated(const v1::ValidationReport& report, const LogRecord& record) {
  const LinePlace place{report.step(), LineKind::kValidation};
  if (ordered_ && metrics_.has(place)) return;
  log_.info(dictionary_text(record));
  add_events(report.step(), scalars(record));
  metrics_.append(place, metrics_line(report, record));
  observer_.validated(report);
  spdlog::info("validation after step {} (epoch {}): loss {:.6g} over {} samples", report.step(),
               report.epoch(), report.val_loss(), report.samples());
}

void Recorder::add_events(std::int64_t step, const NamedMeans& scalars) {
  if (!events_) return;
  try {
    for (const auto& [tag, value] : scalars) events_->scalar(tag, step, value, clock_.wall());
    events_->flush();
  } catch (const Error& error) {  // half a record ends a file of events
    spdlog::warn("no more TensorBoard events from step {} on: {}", step, error.what());
    events_.reset();
  }
}

void Recorder::print(const v1::StepReport& report) const {
  spdlog::info(
      "step {}/{} ({:.0f} %) epoch {} loss {:.6g} grad_norm {:.4g} {:.0f} tokens/s ETA {}{}", report.step(),
      total_steps_, 100.0 * static_cast<double>(report.step()) / static_cast<double>(total_steps_),
      report.epoch(), report.loss(), report.grad_norm(), rate_.tokens_per_second().value_or(0),
      format_duration(rate_.eta_seconds(total_steps_ - report.step())),
      report.skipped() ? (report.samples() > 0 ? " SKIPPED (not finite)" : " SKIPPED (no sample can be used)")
                       : "");
}

}  // namespace mdgen::train
