#include "services/worker/outbox.h"

#include <algorithm>
#include <utility>

namespace mdgen::worker {
namespace {

std::int64_t first_step(const v1::StepReport& report) {
  return report.first_step() > 0 ? report.first_step() : report.step();
}

bool same_generation(const v1::GenerationId& a, const v1::GenerationId& b) {
  return a.job_id() == b.job_id() && a.generation() == b.generation();
}

bool is_plain(const v1::StepReport& report) {
  return !report.skipped() && report.bad_samples().empty() && !report.overflowed();
}

bool fit_together(const v1::TrainerEvent& a, const v1::TrainerEvent& b) {
  return a.has_step() && b.has_step() && same_generation(a.id(), b.id()) && is_plain(a.step()) &&
         is_plain(b.step()) && first_step(b.step()) == a.step().step() + 1 &&
         b.step().step() - first_step(a.step()) < Outbox::kMostTogether;
}

// Both steps' report: `later` with the sums and the means of both.
v1::StepReport together(const v1::StepReport& earlier, v1::StepReport later) {
  const auto before = static_cast<double>(earlier.step() - first_step(earlier) + 1);
  const auto after = static_cast<double>(later.step() - first_step(later) + 1);
  const auto mean = [&](double a, double b) { return (a * before + b * after) / (before + after); };
  later.set_seconds(mean(earlier.seconds(), later.seconds()));
  later.set_tokens(static_cast<std::int64_t>(
      mean(static_cast<double>(earlier.tokens()), static_cast<double>(later.tokens()))));
  later.set_first_step(first_step(earlier));
  later.set_samples(earlier.samples() + later.samples());
  later.set_sample_hash_sum(earlier.sample_hash_sum() + later.sample_hash_sum());
  return later;
}

}  // namespace

void Outbox::push(v1::AgentMessage message) {
  if (waiting_.size() >= capacity_ && !put_together()) {
    const auto victim =
        std::find_if(waiting_.begin(), waiting_.end(), [](const Waiting& one) { return !one.sent; });
    if (victim != waiting_.end()) {
      waiting_.erase(victim);
      ++dropped_;
    }
  }
  waiting_.push_back({std::move(message)});
}

// Halves the number of reports or so, that it need not be done again soon.
bool Outbox::put_together() {
  std::deque<Waiting> kept;
  for (Waiting& next : waiting_) {
    const bool fits = !kept.empty() && !kept.back().sent && !next.sent &&
                      fit_together(kept.back().message.trainer(), next.message.trainer());
    if (!fits) {
      kept.push_back(std::move(next));
      continue;
    }
    v1::StepReport& report = *kept.back().message.mutable_trainer()->mutable_step();
    report = together(report, std::move(*next.message.mutable_trainer()->mutable_step()));
  }
  const bool helped = kept.size() < waiting_.size();
  waiting_ = std::move(kept);
  return helped;
}

const v1::AgentMessage& Outbox::front() {
  waiting_.front().sent = true;
  return waiting_.front().message;
}

void Outbox::pop() {
  if (!waiting_.front().message.has_trainer()) return waiting_.pop_front();
  if (!waiting_.front().message.trainer().has_started()) {
    std::erase_if(written_, [](const v1::AgentMessage& one) { return one.trainer().has_started(); });
  }
  written_.push_back(std::move(waiting_.front().message));
  waiting_.pop_front();
  if (written_.size() > replay_) written_.pop_front();
}

void Outbox::rewind() {
  std::erase_if(waiting_, [](const Waiting& one) { return !one.message.has_trainer(); });
  std::deque<Waiting> again;
  for (v1::AgentMessage& message : written_) again.push_back({std::move(message), true});
  for (Waiting& message : waiting_) again.push_back(std::move(message));
  waiting_ = std::move(again);
  written_.clear();
}

void Outbox::stored(const v1::Stored& stored) {
  const auto last = std::find_if(written_.rbegin(), written_.rend(), [&](const v1::AgentMessage& one) {
    const v1::TrainerEvent& event = one.trainer();
    return event.has_step() && same_generation(event.id(), stored.id()) &&
           event.step().step() <= stored.step();
  });
  written_.erase(written_.begin(), last.base());
}

}  // namespace mdgen::worker
