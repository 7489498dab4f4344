#include "core/ledger/writer.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace mdgen::ledger {
namespace {

std::string skip_cause(const v1::StepReport& report) {
  if (report.samples() == 0) return "NoGoodSample";
  return std::isfinite(report.loss()) ? "NonFiniteGradient" : "NonFiniteLoss";
}

// Replaces the record that has the same sequence, or adds one.
void put(Records& records, const v1::LedgerRecord& record) {
  const auto same = std::find_if(records.rbegin(), records.rend(), [&](const v1::LedgerRecord& kept) {
    return kept.sequence() == record.sequence();
  });
  if (same == records.rend()) {
    records.push_back(record);
  } else {
    *same = record;
  }
}

}  // namespace

std::string kind_name(v1::LedgerKind kind) {
  switch (kind) {
    case v1::LEDGER_KIND_START:
      return "start";
    case v1::LEDGER_KIND_RANGE:
      return "range";
    case v1::LEDGER_KIND_ROLLBACK:
      return "rollback";
    case v1::LEDGER_KIND_SKIPPED:
      return "skipped";
    case v1::LEDGER_KIND_BAD_SAMPLES:
      return "bad_samples";
    default:
      return "unknown";
  }
}

void Position::take(const v1::LedgerRecord& record) {
  next_sequence = std::max(next_sequence, record.sequence() + 1);
  if (record.kind() == v1::LEDGER_KIND_START || record.kind() == v1::LEDGER_KIND_ROLLBACK) {
    begun = true;
    last_step = record.to();
  } else if (record.kind() == v1::LEDGER_KIND_RANGE) {
    begun = true;
    last_step = std::max(last_step, record.last_step());
    if (generation != record.generation()) {
      generation = record.generation();
      first_step = record.first_step();
      sums = {};
    }
    sums.hash_sum += record.hash_sum();
    sums.samples += record.samples();
  }
}

Position position_of(const Records& records) {
  Position position;
  for (const v1::LedgerRecord& record : records) position.take(record);
  return position;
}

v1::LedgerRecord& Writer::push(v1::LedgerKind kind) {
  v1::LedgerRecord& record = pending_.emplace_back();
  record.set_kind(kind);
  record.set_sequence(position_.next_sequence++);
  record.set_generation(generation_);
  record.set_world_size(world_size_);
  record.set_plan_digest(plan_digest_);
  return record;
}

void Writer::copy(const v1::LedgerRecord& record) {
  v1::LedgerRecord& own = pending_.emplace_back(record);
  own.set_sequence(position_.next_sequence);
  position_.take(own);
}

std::int64_t Writer::begin(std::int64_t generation, std::int32_t world_size, const std::string& plan_digest,
                           std::int64_t applied, const std::string& cause, const Records& known) {
  go_on(generation, world_size, plan_digest);
  const std::int64_t last = position_.last_step;
  const Position theirs = position_of(known);
  if (!position_.begun && theirs.begun && theirs.last_step == applied) {
    for (const v1::LedgerRecord& record : known) copy(record);
  } else if (!position_.begun) {
    v1::LedgerRecord& start = push(v1::LEDGER_KIND_START);
    start.set_to(applied);
    start.set_cause(cause);
    position_.begun = true;
    position_.last_step = applied;
  } else if (applied < last) {
    v1::LedgerRecord& rollback = push(v1::LEDGER_KIND_ROLLBACK);
    rollback.set_from(last);
    rollback.set_to(applied);
    rollback.set_cause(cause);
    position_.last_step = applied;
    return last - applied;
  } else if (applied > last) {
    fill_from(known);
  }
  return 0;
}

void Writer::go_on(std::int64_t generation, std::int32_t world_size, const std::string& plan_digest) {
  end_range();
  generation_ = generation;
  world_size_ = world_size;
  plan_digest_ = plan_digest;
}

// A range of theirs that holds our last step: what it has more than all that we have of its generation.
void Writer::fill_from(const Records& known) {
  const std::int64_t last = position_.last_step;
  const Position ours = position_;
  Position theirs;
  for (const v1::LedgerRecord& record : known) {
    theirs.take(record);
    if (record.last_step() <= last) continue;
    if (record.kind() != v1::LEDGER_KIND_RANGE || record.first_step() > last) {
      copy(record);
    } else if (theirs.generation == ours.generation && theirs.first_step == ours.first_step) {
      v1::LedgerRecord rest = record;
      rest.set_first_step(last + 1);
      rest.set_hash_sum(theirs.sums.hash_sum - ours.sums.hash_sum);
      rest.set_samples(theirs.sums.samples - ours.sums.samples);
      copy(rest);
    }
  }
}

void Writer::step(const v1::StepReport& report) {
  if (report.step() <= position_.last_step) return;
  const std::int64_t first = report.first_step() > 0 ? report.first_step() : report.step();
  grow_range(first, report);
  unsaved_steps_ += report.step() - first + 1;
  const auto add = [&](v1::LedgerKind kind) -> v1::LedgerRecord& {
    v1::LedgerRecord& record = push(kind);
    record.set_first_step(report.step());
    record.set_last_step(report.step());
    return record;
  };
  if (report.skipped()) {
    v1::LedgerRecord& skipped = add(v1::LEDGER_KIND_SKIPPED);
    skipped.set_samples(report.samples());
    skipped.set_hash_sum(report.sample_hash_sum());
    skipped.set_cause(skip_cause(report));
    for (const v1::SkippedSample& sample : report.skipped_samples()) {
      v1::NamedSample& named = *skipped.add_named();
      named.set_virtual_sample(sample.virtual_sample());
      named.set_entry(sample.entry());
    }
  }
  if (report.bad_samples_size() > 0) {
    *add(v1::LEDGER_KIND_BAD_SAMPLES).mutable_named() = report.bad_samples();
  }
}

void Writer::grow_range(std::int64_t first_step, const v1::StepReport& report) {
  const bool continues =
      range_ && first_step == range_->last_step() + 1 && report.step() - range_->first_step() < kRangeSteps;
  if (!continues) {
    range_ = push(v1::LEDGER_KIND_RANGE);
    pending_.pop_back();
    range_->set_first_step(first_step);
  }
  v1::LedgerRecord added = *range_;
  added.set_last_step(report.step());
  added.set_hash_sum(report.sample_hash_sum());
  added.set_samples(report.samples());
  position_.take(added);
  range_->set_last_step(report.step());
  range_->set_hash_sum(range_->hash_sum() + report.sample_hash_sum());
  range_->set_samples(range_->samples() + report.samples());
  put(pending_, *range_);
}

void Writer::clear_pending() {
  pending_.clear();
  unsaved_steps_ = 0;
}

Chain::Chain(Records records, std::int64_t applied) : records_(std::move(records)) {
  if (position_of(records_).last_step != applied) records_.clear();
  writer_ = Writer(position_of(records_));
}

void Chain::begin(std::int64_t generation, std::int32_t world_size, const std::string& plan_digest,
                  std::int64_t applied, const std::string& checkpoint) {
  writer_.begin(generation, world_size, plan_digest, applied, checkpoint);
}

const Records& Chain::records() {
  for (const v1::LedgerRecord& record : writer_.pending()) put(records_, record);
  writer_.clear_pending();
  return records_;
}

}  // namespace mdgen::ledger
