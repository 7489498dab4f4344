#include "services/coordinator/ledger.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace mdgen::coordinator {

std::string ledger_kind_name(LedgerRecord::Kind kind) {
  switch (kind) {
    case LedgerRecord::Kind::kStart:
      return "start";
    case LedgerRecord::Kind::kRange:
      return "range";
    case LedgerRecord::Kind::kRollback:
      return "rollback";
    case LedgerRecord::Kind::kSkipped:
      return "skipped";
  }
  return "range";
}

namespace {

std::string samples_text(const v1::StepReport& report) {
  nlohmann::json list = nlohmann::json::array();
  for (const v1::SkippedSample& sample : report.skipped_samples()) {
    list.push_back({sample.virtual_sample(), sample.entry()});
  }
  return list.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

LedgerWriter::LedgerWriter(bool begun, std::int64_t last_step, std::int64_t next_sequence)
    : begun_(begun), last_step_(last_step), next_sequence_(next_sequence) {}

LedgerRecord& LedgerWriter::push(LedgerRecord::Kind kind) {
  LedgerRecord record;
  record.kind = kind;
  record.sequence = next_sequence_++;
  record.generation = generation_;
  record.world_size = world_size_;
  record.plan_digest = plan_digest_;
  return pending_.emplace_back(std::move(record));
}

void LedgerWriter::begin(std::int64_t generation, std::int32_t world_size, const std::string& plan_digest,
                         std::int64_t applied, const std::string& cause) {
  end_range();
  generation_ = generation;
  world_size_ = world_size;
  plan_digest_ = plan_digest;
  if (!begun_) {
    LedgerRecord& start = push(LedgerRecord::Kind::kStart);
    start.to = applied;
    start.cause = cause;
  } else if (applied < last_step_) {
    LedgerRecord& rollback = push(LedgerRecord::Kind::kRollback);
    rollback.from = last_step_;
    rollback.to = applied;
    rollback.cause = cause;
    lost_steps_ += last_step_ - applied;
  }
  if (!begun_ || applied < last_step_) last_step_ = applied;
  begun_ = true;
}

void LedgerWriter::step(const v1::StepReport& report) {
  if (report.step() <= last_step_) return;
  if (range_ && (report.step() != range_->last_step + 1 || report.step() - range_->first_step >= kRangeSteps))
    end_range();
  if (!range_) {
    range_ = push(LedgerRecord::Kind::kRange);
    range_->first_step = report.step();
  }
  range_->last_step = report.step();
  range_->hash_sum += report.sample_hash_sum();
  range_->samples += report.samples();
  last_step_ = report.step();
  ++unsaved_steps_;
  const auto kept = std::find_if(pending_.begin(), pending_.end(), [&](const LedgerRecord& record) {
    return record.sequence == range_->sequence;
  });
  if (kept == pending_.end()) {
    pending_.push_back(*range_);
  } else {
    *kept = *range_;
  }
  if (report.skipped()) {
    LedgerRecord& skipped = push(LedgerRecord::Kind::kSkipped);
    skipped.first_step = skipped.last_step = report.step();
    skipped.samples = report.samples();
    skipped.hash_sum = report.sample_hash_sum();
    skipped.cause = std::isfinite(report.loss()) ? "NonFiniteGradient" : "NonFiniteLoss";
    skipped.skipped_samples = samples_text(report);
  }
}

}  // namespace mdgen::coordinator
