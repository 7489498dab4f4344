#include "core/train/outputs.h"

#include <spdlog/spdlog.h>

#include <filesystem>
#include <limits>
#include <string>

#include "core/model/summary.h"
#include "core/train/failure.h"
#include "core/train/model_table.h"

namespace mdgen::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCheckpointFailed = "CheckpointFailed";
constexpr const char* kMetricsFailed = "MetricsFailed";

template <typename Write>
void write_or_fail(const char* reason, const Write& write) {
  try {
    write();
  } catch (const std::exception& error) {
    throw RunFailure(ErrorCode::kUnavailable, reason, message_without_backtrace(error));
  }
}

}  // namespace

Outputs::Outputs(const v1::Assignment& assignment, const Start& start, std::int64_t total_steps,
                 RunState& state, RunObserver& observer, const Clock& clock)
    : assignment_(assignment), observer_(observer) {
  const v1::JobSpec& spec = assignment.spec();
  const fs::path checkpoints = fs::path(assignment.run_folder()) / "checkpoints";
  const bool trains = !spec.loop().validate();
  fs::create_directories(checkpoints);
  write_or_fail(kMetricsFailed, [&] {
    const std::int64_t last_line = trains ? start.step : std::numeric_limits<std::int64_t>::max();
    recorder_ = std::make_unique<Recorder>(assignment, last_line, total_steps, observer, clock);
  });
  if (trains) {
    writer_ = std::make_unique<checkpoint::BackgroundWriter>(
        checkpoint::BackgroundWriter::Options{.checkpoints = checkpoints,
                                              .generation = assignment.id().generation(),
                                              .keep_last = spec.checkpoint().keep_last()},
        [this](const fs::path& written, std::int64_t step) {
          v1::CheckpointReport report;
          report.set_step(step);
          report.set_folder(written.string());
          report.set_verified(true);
          observer_.checkpoint(report);
        });
  }
  report_start(start, state);
}

Outputs::~Outputs() = default;

void Outputs::report_start(const Start& start, RunState& state) {
  const std::int64_t parameters = state.parameter_count();
  const std::int64_t all = model::parameter_count(*state.model());
  const auto bytes = static_cast<int>(state.parameters().front().second.element_size());
  for (const std::string& line : model_table(model::summarize(*state.model()), parameters, all, bytes)) {
    spdlog::info("{}", line);
  }
  v1::StartReport report;
  report.set_first_step(start.step);
  report.set_checkpoint(start.checkpoint.string());
  for (const std::string& note : start.notes) report.add_notes(note);
  if (recorder_->dropped_lines() > 0) {
    report.add_notes("metrics.jsonl: " + std::to_string(recorder_->dropped_lines()) + " lines after step " +
                     std::to_string(start.step) + " dropped");
  }
  report.set_parameters(parameters);
  *report.mutable_ledger() = {start.ledger.begin(), start.ledger.end()};
  for (const std::string& note : report.notes()) spdlog::warn("{}", note);
  spdlog::info("{} parameters; {}", parameters,
               start.checkpoint.empty() ? "starting from initial weights"
                                        : "going on from " + start.checkpoint.string());
  observer_.started(report);
}

void Outputs::committed(const v1::StepReport& report, const std::vector<LogRecord>& records) {
  write_or_fail(kMetricsFailed, [&] {
    recorder_->committed(report);
    for (const LogRecord& record : records) recorder_->logged(record);
  });
}

void Outputs::validated(const v1::ValidationReport& report, const LogRecord& record) {
  write_or_fail(kMetricsFailed, [&] { recorder_->validated(report, record); });
}

void Outputs::checkpoint(const checkpoint::TrainState& live) {
  write_or_fail(kCheckpointFailed, [&] { writer_->write(live); });
}

void Outputs::flush() {
  if (!writer_) return;
  write_or_fail(kCheckpointFailed, [&] { writer_->flush(); });
}

}  // namespace mdgen::train
