#include "core/ledger/verify.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "core/ledger/explain.h"

namespace mdgen::ledger {
namespace {

constexpr int kMostExplained = 8;  // ranges; each takes as long as some thousand steps' verification

std::string span(std::int64_t first, std::int64_t last) {
  return first == last ? fmt::format("step {}", first) : fmt::format("steps {} to {}", first, last);
}

// (generation, step): what was left out.
using BadSamples = std::map<std::pair<std::int64_t, std::int64_t>, std::vector<std::uint32_t>>;

BadSamples bad_samples(const Records& records) {
  BadSamples bad;
  for (const v1::LedgerRecord& record : records) {
    if (record.kind() != v1::LEDGER_KIND_BAD_SAMPLES) continue;
    auto& samples = bad[{record.generation(), record.first_step()}];
    for (const v1::NamedSample& named : record.named()) samples.push_back(named.virtual_sample());
  }
  return bad;
}

// What one range should hold.
struct Expected {
  Sums sums;
  std::vector<std::string> problems;  // bad samples that the plan does not have there
};

Expected expect(const v1::LedgerRecord& range, const BadSamples& bad, PlannedSamples& planned) {
  Expected expected;
  for (std::int64_t step = range.first_step(); step <= range.last_step(); ++step) {
    const data::StepPlan plan = planned.step(step);
    const Sums sums = planned.sums(plan);
    expected.sums.hash_sum += sums.hash_sum;
    expected.sums.samples += sums.samples;
    const auto left_out = bad.find({range.generation(), step});
    if (left_out == bad.end()) continue;
    for (const std::uint32_t sample : left_out->second) {
      if (std::find(plan.samples.begin(), plan.samples.end(), sample) == plan.samples.end()) {
        expected.problems.push_back(
            fmt::format("generation {}: sample {} is recorded as bad in step {}, whose plan does not have it",
                        range.generation(), planned.name(sample), step));
        continue;
      }
      expected.sums.hash_sum -= planned.hash(plan.epoch, sample);
      --expected.sums.samples;
    }
  }
  return expected;
}

// A piece of the effective chain: it alone led to the weights.
struct Piece {
  std::int64_t first;
  std::int64_t last;
  std::int64_t generation;
};

class Verifier {
 public:
  Verifier(const Records& records, const v1::JobSpec& spec, const v1::JobManifest& manifest)
      : records_(records),
        bad_(bad_samples(records)),
        planned_(spec, manifest),
        problems_(records.size() + 1) {}

  Verdict run(std::int64_t end_step, int threads) {
    for (std::size_t i = 0; i < records_.size(); ++i) take(i);
    if (verdict_.last_step < end_step) {
      verdict_.gaps += end_step - verdict_.last_step;
      problems_.back().push_back(span(verdict_.last_step + 1, end_step) + ": missing at the end");
    }
    compare_all(threads);
    count_chain();
    for (auto& of_record : problems_)
      for (std::string& text : of_record) verdict_.problems.push_back(std::move(text));
    return std::move(verdict_);
  }

 private:
  void problem(std::size_t index, const std::string& text) {
    problems_[index].push_back(fmt::format("generation {}: {}", records_[index].generation(), text));
  }

  void take(std::size_t index) {
    const v1::LedgerRecord& record = records_[index];
    switch (record.kind()) {
      case v1::LEDGER_KIND_START:
        if (begun_) problem(index, fmt::format("a second start, at step {}", record.to()));
        begun_ = true;
        verdict_.first_step = verdict_.last_step = record.to();
        break;
      case v1::LEDGER_KIND_ROLLBACK:
        roll_back(index);
        break;
      case v1::LEDGER_KIND_RANGE:
        take_range(index);
        break;
      default:
        break;
    }
  }

  void roll_back(std::size_t index) {
    const v1::LedgerRecord& record = records_[index];
    ++verdict_.rollbacks;
    if (record.from() != verdict_.last_step || record.to() > record.from())
      problem(index, fmt::format("a rollback from step {} to {}, where the chain ends at step {}",
                                 record.from(), record.to(), verdict_.last_step));
    verdict_.lost_steps += std::max<std::int64_t>(0, record.from() - record.to());
    verdict_.last_step = record.to();
    std::erase_if(chain_, [&](const Piece& piece) { return piece.first > record.to(); });
    if (!chain_.empty()) chain_.back().last = std::min(chain_.back().last, record.to());
  }

  void take_range(std::size_t index) {
    const v1::LedgerRecord& record = records_[index];
    if (record.first_step() < 1 || record.last_step() < record.first_step() ||
        record.last_step() > planned_.total_steps())
      return problem(index,
                     fmt::format("{}: not in the plan, which has {}",
                                 span(record.first_step(), record.last_step()), planned_.total_steps()));
    if (!std::exchange(begun_, true)) problem(index, "the ledger does not say where the run starts");
    const std::int64_t next = verdict_.last_step + 1;
    if (record.first_step() > next) {
      verdict_.gaps += record.first_step() - next;
      problem(index, span(next, record.first_step() - 1) + ": missing");
    } else if (record.first_step() < next) {
      const std::int64_t last = std::min(record.last_step(), next - 1);
      verdict_.repeats += last - record.first_step() + 1;
      problem(index, span(record.first_step(), last) + ": done already");
    }
    generations_.insert(record.generation());
    const std::int64_t first = std::max(record.first_step(), next);
    if (first <= record.last_step()) chain_.push_back({first, record.last_step(), record.generation()});
    verdict_.last_step = std::max(verdict_.last_step, record.last_step());
    to_compare_.push_back(index);
  }

  void compare_all(int threads) {
    std::vector<Expected> expected(to_compare_.size());
    std::atomic<std::size_t> next{0};
    std::mutex mutex;
    std::exception_ptr failure;
    const auto work = [&] {
      try {
        PlannedSamples planned = planned_;
        for (std::size_t i = next++; i < expected.size(); i = next++)
          expected[i] = expect(records_[to_compare_[i]], bad_, planned);
      } catch (const std::exception&) {
        const std::lock_guard lock(mutex);
        failure = std::current_exception();
      }
    };
    const auto wanted = threads > 0 ? static_cast<unsigned>(threads) : std::thread::hardware_concurrency();
    std::vector<std::thread> others;
    while (others.size() + 1 < std::min<std::size_t>(wanted, expected.size())) others.emplace_back(work);
    work();
    for (std::thread& thread : others) thread.join();
    if (failure) std::rethrow_exception(failure);
    for (std::size_t i = 0; i < expected.size(); ++i) compare(to_compare_[i], expected[i]);
  }

  void compare(std::size_t index, const Expected& expected) {
    const v1::LedgerRecord& record = records_[index];
    const std::string steps = span(record.first_step(), record.last_step());
    for (const std::string& text : expected.problems) problems_[index].push_back(text);
    if (record.plan_digest() != planned_.digest())
      problem(index, fmt::format("{}: followed plan {}, expected {}", steps, record.plan_digest(),
                                 planned_.digest()));
    if (Sums{record.hash_sum(), record.samples()} == expected.sums) return;
    const Explanation likely =
        explained_++ < kMostExplained
            ? explain(record,
                      {expected.sums.hash_sum - record.hash_sum(), expected.sums.samples - record.samples()},
                      planned_)
            : Explanation();
    verdict_.repeats += likely.repeats;
    verdict_.gaps += likely.gaps;
    problem(index,
            fmt::format("{}: other samples or draws than the plan's: expected {} samples, hash sum {:016x}; "
                        "found {}, {:016x}{}",
                        steps, expected.sums.samples, expected.sums.hash_sum, record.samples(),
                        record.hash_sum(), likely.text.empty() ? "" : "; " + likely.text));
  }

  bool in_chain(const v1::LedgerRecord& record) const {
    return std::any_of(chain_.begin(), chain_.end(), [&](const Piece& piece) {
      return piece.generation == record.generation() && piece.first <= record.first_step() &&
             record.first_step() <= piece.last;
    });
  }

  void count_chain() {
    verdict_.generations = static_cast<std::int64_t>(generations_.size());
    for (const v1::LedgerRecord& record : records_) {
      if (record.kind() == v1::LEDGER_KIND_SKIPPED && in_chain(record)) ++verdict_.skipped_steps;
      if (record.kind() == v1::LEDGER_KIND_BAD_SAMPLES && in_chain(record))
        verdict_.bad_samples += record.named_size();
    }
    const std::int64_t last = std::min(verdict_.last_step, planned_.total_steps());
    if (verdict_.first_step < last)
      verdict_.samples = planned_.samples_between(verdict_.first_step + 1, last) - verdict_.bad_samples;
  }

  const Records& records_;
  const BadSamples bad_;
  PlannedSamples planned_;
  std::vector<std::vector<std::string>> problems_;  // by record; the last: of the whole
  bool begun_ = false;
  std::vector<Piece> chain_;
  std::set<std::int64_t> generations_;
  std::vector<std::size_t> to_compare_;
  int explained_ = 0;
  Verdict verdict_;
};

}  // namespace

std::string Verdict::details() const {
  return fmt::format("generations={} skipped_steps={} bad_samples={} lost_steps={}", generations,
                     skipped_steps, bad_samples, lost_steps);
}

std::string Verdict::summary() const {
  return fmt::format("ledger: steps={} samples={} repeats={} gaps={} rollbacks={} {}", last_step - first_step,
                     samples, repeats, gaps, rollbacks, ok() ? "OK" : "BROKEN");
}

Verdict verify(const Records& records, const v1::JobSpec& spec, const v1::JobManifest& manifest,
               std::int64_t end_step, int threads) {
  return Verifier(records, spec, manifest).run(end_step, threads);
}

}  // namespace mdgen::ledger
