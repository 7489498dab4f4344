#include "core/train/recorder.h"

#include <spdlog/spdlog.h>

#include <sstream>

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
      total_steps_(total_steps),
      observer_(observer),
      clock_(clock),
      metrics_(fs::path(assignment.run_folder()) / "metrics.jsonl", step),
      log_(fs::path(assignment.run_folder()) / "log.out", clock) {
  if (spec_.logging().wandb()) {
    events_ = std::make_unique<format::EventWriter>(fs::path(assignment.run_folder()) / "tensorboard", clock);
    events_->text("config/text_summary", as_markdown(config::to_yaml(spec_)), clock.wall());
  }
}

void Recorder::committed(const v1::StepReport& report) {
  metrics_.append(metrics_line(report));
  rate_.add(report.seconds(), report.tokens());
  add_events(report.step(), {{"loss", report.loss()},
                             {"grad_norm", report.grad_norm()},
                             {"lr", report.lr()},
                             {"tokens_per_second", rate_.tokens_per_second().value_or(0)},
                             {"epoch", static_cast<double>(report.epoch())}});
  if (report.bad_samples_size() > 0) {
    add_events(report.step(), {{"bad_samples", static_cast<double>(report.bad_samples_size())}});
  }
  observer_.step_committed(report);
  if (print_due(spec_, report.step(), total_steps_)) print(report);
}

void Recorder::logged(const LogRecord& record) {
  metrics_.append(metrics_line(record));
  log_.info(dictionary_text(record));
  add_events(record.trainer_step, scalars(record));
}

void Recorder::validated(const v1::ValidationReport& report, const LogRecord& record) {
  metrics_.append(metrics_line(report, record));
  log_.info(dictionary_text(record));
  add_events(report.step(), scalars(record));
  observer_.validated(report);
  spdlog::info("validation after step {} (epoch {}): loss {:.6g} over {} samples", report.step(),
               report.epoch(), report.val_loss(), report.samples());
}

void Recorder::add_events(std::int64_t step, const NamedMeans& scalars) {
  if (!events_) return;
  for (const auto& [tag, value] : scalars) events_->scalar(tag, step, value, clock_.wall());
  events_->flush();
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
