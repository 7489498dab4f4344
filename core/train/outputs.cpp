#include "core/train/outputs.h"

#include <spdlog/spdlog.h>

#include <filesystem>
#include <limits>
#include <string>
#include <utility>

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

std::string describe(const Start& start) {
  if (start.source == v1::STATE_SOURCE_MEMORY) {
    return "going on after step " + std::to_string(start.step) + " from the memory of rank " +
           std::to_string(start.source_rank);
  }
  return start.checkpoint.empty() ? "starting from initial weights"
                                  : "going on from " + start.checkpoint.string();
}

}  // namespace

Outputs::Outputs(const v1::JobSpec& spec, fs::path run_folder, RunObserver& observer, const Clock& clock)
    : spec_(spec), run_folder_(std::move(run_folder)), observer_(observer), clock_(clock) {}

Outputs::~Outputs() = default;

void Outputs::begin(const v1::Assignment& assignment, const Start& start, std::int64_t total_steps,
                    RunState& state, const StepLog& log) {
  const bool trains = !spec_.loop().validate();
  fs::create_directories(run_folder_ / "checkpoints");
  write_or_fail(kMetricsFailed, [&] {
    const std::int64_t last_line = trains ? start.step : std::numeric_limits<std::int64_t>::max();
    recorder_ = std::make_unique<Recorder>(assignment, last_line, total_steps, observer_, clock_);
  });
  if (trains) open_writer(assignment.id().generation());
  report_start(start, state);
  if (trains) write_or_fail(kMetricsFailed, [&] { recorder_->catch_up(log); });
}

void Outputs::open_writer(std::int64_t generation) {
  if (writer_) return writer_->enter_generation(generation);
  writer_ = std::make_unique<checkpoint::BackgroundWriter>(
      checkpoint::BackgroundWriter::Options{.checkpoints = run_folder_ / "checkpoints",
                                            .generation = generation,
                                            .keep_last = spec_.checkpoint().keep_last()},
      [this](const fs::path& written, std::int64_t step) {
        v1::CheckpointReport report;
        report.set_step(step);
        report.set_folder(written.string());
        report.set_verified(true);
        observer_.checkpoint(report);
      });
}

void Outputs::leave() { recorder_.reset(); }

void Outputs::await_writer() {
  try {
    flush();
  } catch (const RunFailure& failure) {
    spdlog::warn("{}", failure.what());
  }
}

void Outputs::save(std::int64_t generation, const checkpoint::TrainState& live) {
  fs::create_directories(run_folder_ / "checkpoints");
  open_writer(generation);
  checkpoint(live);
  flush();
}

void Outputs::report_start(const Start& start, RunState& state) {
  const std::int64_t parameters = state.parameter_count();
  const bool goes_on = start.source == v1::STATE_SOURCE_MEMORY;
  const std::int64_t all = model::parameter_count(*state.model());
  const auto bytes = static_cast<int>(state.parameters().front().second.element_size());
  if (!goes_on) {
    for (const std::string& line : model_table(model::summarize(*state.model()), parameters, all, bytes)) {
      spdlog::info("{}", line);
    }
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
  report.set_source(start.source);
  report.set_source_rank(start.source_rank);
  report.set_healed_ranks(start.healed_ranks);
  report.set_form_seconds(start.form_seconds);
  report.set_heal_seconds(start.heal_seconds);
  for (const std::string& note : report.notes()) spdlog::warn("{}", note);
  spdlog::info("{} parameters; {}", parameters, describe(start));
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
