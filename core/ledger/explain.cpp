#include "core/ledger/explain.h"

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

namespace mdgen::ledger {
namespace {

// Among `tried` pairs, one in a hundred runs would show an accidental match.
constexpr double kMostTried = 0.01 * 1099511627776.0;  // of 2^40

using ByHash = std::unordered_map<std::uint64_t, std::uint32_t>;

class Search {
 public:
  Search(const v1::LedgerRecord& range, const Sums& missing, PlannedSamples& planned)
      : range_(range), missing_(missing), planned_(planned) {}

  Explanation run() {
    if (missing_.samples == 0) {
      another_steps_samples();
      if (matches_ == 0) each_sample(true);
    } else if (missing_.samples == 1) {
      each_sample(false);
    }
    return matches_ == 1 ? found_ : Explanation();
  }

 private:
  void match(Explanation explanation) {
    ++matches_;
    found_ = std::move(explanation);
  }

  // Sum(steps) - hash(step) + hash(another) is what was found.
  void another_steps_samples() {
    const std::int64_t first = std::max<std::int64_t>(1, range_.first_step() - 1);
    const std::int64_t last = std::min(planned_.total_steps(), range_.last_step() + 1);
    std::vector<std::pair<std::int64_t, Sums>> steps;
    std::unordered_map<std::uint64_t, std::int64_t> step_of;
    for (std::int64_t step = first; step <= last; ++step) {
      const data::StepPlan plan = planned_.step(step);
      steps.emplace_back(plan.epoch, planned_.sums(plan));
      step_of.emplace(steps.back().second.hash_sum, step);
    }
    for (std::int64_t step = range_.first_step(); step <= range_.last_step(); ++step) {
      const auto& [epoch, own] = steps[static_cast<std::size_t>(step - first)];
      const auto other = step_of.find(own.hash_sum - missing_.hash_sum);
      if (other == step_of.end() || other->second == step) continue;
      const auto& [other_epoch, others] = steps[static_cast<std::size_t>(other->second - first)];
      if (other_epoch != epoch || others.samples != own.samples) continue;
      match({"as if step " + std::to_string(step) + " had used the samples of step " +
                 std::to_string(other->second),
             own.samples, own.samples});
    }
  }

  const ByHash& samples_of(std::int64_t epoch) {
    if (epoch != epoch_) {
      samples_.clear();
      for (std::uint32_t sample = 0; sample < planned_.virtual_samples(); ++sample)
        samples_.emplace(planned_.hash(epoch, sample), sample);
      epoch_ = epoch;
    }
    return samples_;
  }

  // One sample is missing, or another one of the epoch is there in its place.
  void each_sample(bool replaced) {
    const double tried = static_cast<double>(planned_.sums(planned_.step(range_.first_step())).samples) *
                         static_cast<double>(range_.last_step() - range_.first_step() + 1) *
                         (replaced ? static_cast<double>(planned_.virtual_samples()) : 1.0);
    if (tried > kMostTried) return;
    for (std::int64_t step = range_.first_step(); step <= range_.last_step(); ++step) {
      const data::StepPlan plan = planned_.step(step);
      for (const std::uint32_t sample : plan.samples) {
        const std::uint64_t own = planned_.hash(plan.epoch, sample);
        if (!replaced) {
          if (own == missing_.hash_sum)
            match({"as if step " + std::to_string(step) + " had not used sample " + planned_.name(sample), 0,
                   1});
          continue;
        }
        const ByHash& samples = samples_of(plan.epoch);
        const auto other = samples.find(own - missing_.hash_sum);
        if (other == samples.end() || other->second == sample) continue;
        match({"as if step " + std::to_string(step) + " had used sample " + planned_.name(other->second) +
                   " in place of " + planned_.name(sample),
               1, 1});
      }
    }
  }

  const v1::LedgerRecord& range_;
  const Sums missing_;
  PlannedSamples& planned_;
  std::int64_t epoch_ = -1;
  ByHash samples_;
  int matches_ = 0;
  Explanation found_;
};

}  // namespace

Explanation explain(const v1::LedgerRecord& range, const Sums& missing, PlannedSamples& planned) {
  return Search(range, missing, planned).run();
}

}  // namespace mdgen::ledger
