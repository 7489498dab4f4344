#include "core/train/outputs.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <thread>
#include <utility>

#include "core/base/files.h"
#include "core/checkpoint/store.h"
#include "core/comm/collective.h"
#include "core/config/spec.h"
#include "core/model/summary.h"
#include "core/train/failure.h"
#include "core/train/gemm_ceiling.h"
#include "core/train/model_table.h"
#include "core/train/test_fault.h"

namespace mdgen::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCheckpointFailed = "CheckpointFailed";
constexpr const char* kMetricsFailed = "MetricsFailed";

template <typename Write>
void write_or_fail(const char* reason, const Write& write) {
  try {
    write();
  } catch (const comm::CollectiveError&) {
    throw;
  } catch (const std::exception& error) {
    throw RunFailure(ErrorCode::kUnavailable, reason, message_without_backtrace(error));
  }
}

// Adam makes its moments with the first gradients.
checkpoint::TrainState with_all_moments(const RunState& state) {
  checkpoint::TrainState like = state.live();
  for (const auto& [name, parameter] : state.parameters()) {
    const auto weights = like.model.find(name);
    if (weights == like.model.end()) continue;
    like.optimizer.try_emplace("exp_avg." + name, weights->second);
    like.optimizer.try_emplace("exp_avg_sq." + name, weights->second);
  }
  return like;
}

v1::CheckpointReport report_of(const checkpoint::WriteResult& result) {
  v1::CheckpointReport report;
  report.set_step(result.step);
  report.set_folder(result.folder.string());
  report.set_verified(result.problem.empty());
  report.set_problem(result.problem);
  report.set_blocked_seconds(result.blocked_seconds);
  report.set_persist_seconds(result.persist_seconds);
  report.set_bytes_needed(result.bytes_needed);
  report.set_bytes_free(result.bytes_free);
  if (result.val_loss) report.set_val_loss(*result.val_loss);
  return report;
}

// Nothing: it is damaged.
std::optional<std::int64_t> step_of(const fs::path& folder) {
  try {
    return checkpoint::check_sizes(folder).summary.step;
  } catch (const Error&) {
    return std::nullopt;
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
  if (!log.steps().empty() && log.steps().back().validation) {
    validation_ = log.steps().back().validation->report;
  }
  if (trains && open_writer(assignment.id().generation(), true)) writer_->prepare(with_all_moments(state));
  report_start(start, state);
  if (trains) write_or_fail(kMetricsFailed, [&] { recorder_->catch_up(log); });
}

bool Outputs::open_writer(std::int64_t generation, bool deletes) {
  generation_ = generation;
  const bool is_new = writer_ == nullptr;
  if (is_new) {
    const v1::CheckpointSpec& spec = spec_.checkpoint();
    writer_ = std::make_unique<checkpoint::BackgroundWriter>(
        checkpoint::BackgroundWriter::Options{.checkpoints = run_folder_ / "checkpoints",
                                              .generation = generation,
                                              .policy = {.keep_last = spec.keep_last(),
                                                         .keep_every = spec.keep_every(),
                                                         .keep_best = spec.keep_best()},
                                              .before_write = slow_disk(run_folder_)},
        [this](const checkpoint::WriteResult& result) { observer_.checkpoint(report_of(result)); });
  }
  writer_->enter_generation(generation, deletes);
  return is_new;
}

void Outputs::leave() {
  recorder_.reset();
  if (writer_) writer_->enter_generation(generation_, false);
}

void Outputs::await_writer(const Interrupt& interrupt) {
  try {
    flush(interrupt);
  } catch (const RunFailure& failure) {
    spdlog::warn("{}", failure.what());
  }
}

bool Outputs::lacks(std::int64_t step) const {
  if (writer_ && writer_->in_flight().value_or(-1) >= step) return false;
  try {
    for (const fs::path& folder : checkpoint::list(run_folder_ / "checkpoints")) {
      if (const auto there = step_of(folder)) return *there < step;
    }
    return true;
  } catch (const std::exception& error) {  // no reason to end a recovery
    spdlog::warn("{}", error.what());
    return false;
  }
}

void Outputs::save(std::int64_t generation, const checkpoint::TrainState& live) {
  fs::create_directories(run_folder_ / "checkpoints");
  open_writer(generation, false);
  checkpoint(live);
  flush();
}

void Outputs::name_precision(const std::string& precision) const {
  if (precision.empty() || spec_.optim().auto_precision() == precision) return;
  v1::JobSpec decided = spec_;
  decided.mutable_optim()->set_auto_precision(precision);
  write_or_fail(kMetricsFailed, [&] { replace_file(run_folder_ / "spec.yaml", config::to_yaml(decided)); });
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
  report.set_precision(start.precision);
  if (!goes_on) name_precision(start.precision);
  *report.mutable_ledger() = {start.ledger.begin(), start.ledger.end()};
  report.set_source(start.source);
  report.set_source_rank(start.source_rank);
  report.set_healed_ranks(start.healed_ranks);
  report.set_form_seconds(start.form_seconds);
  report.set_heal_seconds(start.heal_seconds);
  // Not where others wait for the end of a recovery.
  if (!goes_on && gemm_ceiling_ == 0) {
    gemm_ceiling_ = gemm_ceiling(product_type(state.precision()), state.parameters().front().second.device(),
                                 kProbe, clock_);
  }
  report.set_gemm_ceiling_flops(gemm_ceiling_);
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
  validation_ = report;
  write_or_fail(kMetricsFailed, [&] { recorder_->validated(report, record); });
}

void Outputs::checkpoint(const checkpoint::TrainState& live, const Interrupt& interrupt) {
  checkpoint::TrainState judged = live;
  if (validation_ && validation_->step() == live.summary.step && std::isfinite(validation_->val_loss())) {
    judged.summary.val_loss = validation_->val_loss();
  }
  write_or_fail(kCheckpointFailed, [&] { writer_->write(judged, interrupt); });
}

void Outputs::flush(const Interrupt& interrupt) {
  if (!writer_) return;
  write_or_fail(kCheckpointFailed, [&] { writer_->flush(interrupt); });
}

void Outputs::pause(std::chrono::seconds length, const Interrupt& interrupt) const {
  constexpr std::chrono::milliseconds kSlice{50};
  for (const Clock::Steady end = clock_.steady() + length; clock_.steady() < end;) {
    if (interrupt) interrupt();
    std::this_thread::sleep_for(kSlice);
  }
}

void Outputs::finish(std::chrono::duration<double> patience, const Interrupt& interrupt) {
  constexpr std::chrono::seconds kLongest{10};
  const Clock::Steady begin = clock_.steady();
  for (std::chrono::seconds wait{1};; wait = std::min(2 * wait, kLongest)) {
    try {
      return flush(interrupt);
    } catch (const RunFailure& failure) {
      if (clock_.steady() + wait - begin > patience) throw;
      spdlog::warn("the last checkpoint is tried again in {} s: {}", wait.count(), failure.what());
    }
    pause(wait, interrupt);
    writer_->retry();
  }
}

}  // namespace mdgen::train
