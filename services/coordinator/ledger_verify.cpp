#include "services/coordinator/ledger_verify.h"

#include <algorithm>
#include <utility>

#include "core/data/draws.h"
#include "core/data/plan.h"

namespace mdgen::coordinator {
namespace {

struct Expected {
  std::uint64_t hash_sum = 0;
  std::int64_t samples = 0;
};

// The chain of ranges as it grows, against the plan.
class Verifier {
 public:
  Verifier(const v1::JobSpec& spec, const v1::JobManifest& manifest)
      : spec_(spec),
        manifest_(manifest),
        plan_(data::plan_inputs(spec, manifest)),
        digest_(data::plan_digest(plan_.inputs())) {}

  void take(const LedgerRecord& record) {
    switch (record.kind) {
      case LedgerRecord::Kind::kStart:
        if (begun_) problem(record, "a second start at step " + std::to_string(record.to));
        begun_ = true;
        verdict_.first_step = verdict_.last_step = record.to;
        break;
      case LedgerRecord::Kind::kRollback:
        roll_back(record);
        break;
      case LedgerRecord::Kind::kSkipped:
        ++verdict_.skipped;
        break;
      case LedgerRecord::Kind::kRange:
        take_range(record);
        break;
    }
  }

  LedgerVerdict finish(std::int64_t end_step) {
    if (verdict_.last_step < end_step) {
      verdict_.gaps += end_step - verdict_.last_step;
      verdict_.problems.push_back("steps " + span(verdict_.last_step + 1, end_step) +
                                  " are missing at the end");
    }
    for (std::int64_t step = verdict_.first_step; step < verdict_.last_step && step < plan_.total_steps();
         ++step)
      verdict_.samples += static_cast<std::int64_t>(plan_.step(step).samples.size());
    return std::move(verdict_);
  }

 private:
  static std::string span(std::int64_t first, std::int64_t last) {
    return std::to_string(first) + " to " + std::to_string(last);
  }

  void problem(const LedgerRecord& record, const std::string& text) {
    verdict_.problems.push_back("generation " + std::to_string(record.generation) + ": " + text);
  }

  void roll_back(const LedgerRecord& record) {
    ++verdict_.rollbacks;
    if (record.from != verdict_.last_step || record.to > record.from)
      problem(record, "a rollback from step " + std::to_string(record.from) + " to " +
                          std::to_string(record.to) + ", where the chain ends at step " +
                          std::to_string(verdict_.last_step));
    verdict_.last_step = record.to;
  }

  void take_range(const LedgerRecord& record) {
    if (record.first_step < 1 || record.last_step < record.first_step ||
        record.last_step > plan_.total_steps())
      return problem(record, "steps " + span(record.first_step, record.last_step) +
                                 " are not in the plan, which has " + std::to_string(plan_.total_steps()));
    const std::int64_t next = verdict_.last_step + 1;
    if (record.first_step > next) {
      verdict_.gaps += record.first_step - next;
      problem(record, "steps " + span(next, record.first_step - 1) + " are missing");
    } else if (record.first_step < next) {
      const std::int64_t last = std::min(record.last_step, next - 1);
      verdict_.repeats += last - record.first_step + 1;
      problem(record, "steps " + span(record.first_step, last) + " were done already");
    }
    verdict_.last_step = std::max(verdict_.last_step, record.last_step);
    compare(record);
  }

  void compare(const LedgerRecord& record) {
    const std::string steps = "steps " + span(record.first_step, record.last_step);
    if (record.plan_digest != digest_)
      problem(record, steps + " followed another plan, " + record.plan_digest);
    const Expected expected = expect(record);
    if (record.samples != expected.samples)
      problem(record, steps + " used " + std::to_string(record.samples) + " samples, the plan has " +
                          std::to_string(expected.samples));
    if (record.hash_sum != expected.hash_sum)
      problem(record, steps + " used other samples or draws than the plan's");
  }

  Expected expect(const LedgerRecord& record) {
    const data::WindowRules rules = data::window_rules(spec_);
    Expected expected;
    for (std::int64_t step = record.first_step; step <= record.last_step; ++step) {
      const data::StepPlan planned = plan_.step(step - 1);
      for (const std::uint32_t sample : planned.samples) {
        const data::DrawKey key{spec_.seed(), static_cast<std::uint32_t>(planned.epoch), sample};
        const auto& entries = manifest_.train().entries();
        const auto& entry = entries[static_cast<int>(sample % static_cast<std::uint32_t>(entries.size()))];
        const data::Window window = data::draw_window(key, entry, rules);
        expected.hash_sum += data::sample_hash(key, window, data::draw_flow_time(key));
        ++expected.samples;
      }
    }
    return expected;
  }

  const v1::JobSpec& spec_;
  const v1::JobManifest& manifest_;
  data::RunPlan plan_;
  std::string digest_;
  bool begun_ = false;
  LedgerVerdict verdict_;
};

}  // namespace

std::string LedgerVerdict::summary() const {
  return "ledger: steps=" + std::to_string(last_step - first_step) + " samples=" + std::to_string(samples) +
         " repeats=" + std::to_string(repeats) + " gaps=" + std::to_string(gaps) +
         " rollbacks=" + std::to_string(rollbacks) + (ok() ? " OK" : " BROKEN");
}

LedgerVerdict verify_ledger(const std::vector<LedgerRecord>& records, const v1::JobSpec& spec,
                            const v1::JobManifest& manifest, std::int64_t end_step) {
  Verifier verifier(spec, manifest);
  for (const LedgerRecord& record : records) verifier.take(record);
  return verifier.finish(end_step);
}

}  // namespace mdgen::coordinator
