// A small run's plan and what honest ranks report of it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "core/ledger/planned_samples.h"
#include "core/ledger/verify.h"
#include "core/ledger/writer.h"

namespace mdgen::ledger::testing {

// Three entries four times over, five samples a step, two epochs: 3 steps an epoch, the last of two samples.
struct SmallRun {
  explicit SmallRun(int repeat = 4, int epochs = 2) {
    spec.set_seed(11);
    spec.set_global_batch_size(5);
    spec.mutable_optim()->set_batch_size(2);
    spec.mutable_loop()->set_epochs(epochs);
    spec.mutable_data()->set_train_repeat(repeat);
    spec.mutable_data()->set_num_frames(8);
    spec.mutable_data()->set_atlas(true);
    spec.mutable_data()->set_crop(10);
    for (int i = 0; i < 3; ++i) {
      auto& entry = *manifest.mutable_train()->add_entries();
      entry.set_name("p" + std::to_string(i));
      entry.set_residues(9 + i);
      for (int replica = 1; replica <= 2; ++replica) entry.add_replicas()->set_frames(20 + i);
    }
    manifest.mutable_train()->set_digest("digest");
    begin(1, 0);
  }

  PlannedSamples planned() const { return {spec, manifest}; }

  void begin(std::int64_t generation, std::int64_t applied, const std::string& cause = "",
             const Records& known = {}) {
    lost += writer.begin(generation, 2, planned().digest(), applied, cause, known);
    collect();
  }
  // What honest ranks report of a step.
  v1::StepReport report(std::int64_t step) const {
    PlannedSamples planned = this->planned();
    const Sums sums = planned.sums(planned.step(step));
    v1::StepReport report;
    report.set_step(step);
    report.set_samples(static_cast<std::int32_t>(sums.samples));
    report.set_sample_hash_sum(sums.hash_sum);
    return report;
  }
  // ... and of several.
  v1::StepReport report(std::int64_t first, std::int64_t last) const {
    v1::StepReport together = report(first);
    together.set_first_step(first);
    for (std::int64_t step = first + 1; step <= last; ++step) {
      const v1::StepReport one = report(step);
      together.set_step(step);
      together.set_samples(together.samples() + one.samples());
      together.set_sample_hash_sum(together.sample_hash_sum() + one.sample_hash_sum());
    }
    return together;
  }
  // What is reported when a step used `sample` (of `epoch`'s draws) in place of its n-th.
  v1::StepReport replaced(std::int64_t step, std::size_t n, std::uint32_t sample, std::int64_t epoch) const {
    PlannedSamples planned = this->planned();
    const data::StepPlan plan = planned.step(step);
    v1::StepReport report = this->report(step);
    report.set_sample_hash_sum(report.sample_hash_sum() - planned.hash(plan.epoch, plan.samples[n]) +
                               planned.hash(epoch, sample));
    return report;
  }
  void steps(std::int64_t first, std::int64_t last) {
    for (std::int64_t step = first; step <= last; ++step) writer.step(report(step));
  }
  void collect() {
    for (const v1::LedgerRecord& record : writer.pending()) {
      const auto known = std::find_if(records.begin(), records.end(), [&](const v1::LedgerRecord& old) {
        return old.sequence() == record.sequence();
      });
      if (known == records.end()) {
        records.push_back(record);
      } else {
        *known = record;
      }
    }
    writer.clear_pending();
  }
  Verdict verdict(std::int64_t end = 6) {
    collect();
    return verify(records, spec, manifest, end);
  }

  v1::JobSpec spec;
  v1::JobManifest manifest;
  Writer writer;
  Records records;
  std::int64_t lost = 0;
};

}  // namespace mdgen::ledger::testing
