#include "services/coordinator/step_samples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/data/plan.h"

namespace mdgen::coordinator {
namespace {

using ::testing::HasSubstr;

struct Planned {
  Planned() {
    spec.set_seed(5);
    spec.set_global_batch_size(12);
    spec.mutable_workers()->set_max(1);
    spec.mutable_optim()->set_batch_size(2);
    spec.mutable_data()->set_train_repeat(4);
    spec.mutable_data()->set_order("shuffled");
    spec.mutable_loop()->set_epochs(2);
    for (const char* name : {"1ake_A", "4ake_A", "2eck_A", "1dvr_A"}) {
      v1::ManifestEntry& entry = *manifest.mutable_train()->add_entries();
      entry.set_name(name);
      entry.set_residues(214);
    }
  }
  v1::JobSpec spec;
  v1::JobManifest manifest;
};

TEST(StepSamples, NamesTheEntriesOfThePlansStep) {
  const Planned planned;
  const std::string text = step_samples(planned.spec, planned.manifest, 1);
  data::RunPlan plan(data::plan_inputs(planned.spec, planned.manifest));
  const auto samples = plan.step(1).samples;
  ASSERT_EQ(samples.size(), 4U) << "the rest of the epoch";
  for (const std::uint32_t sample : samples)
    EXPECT_THAT(text, HasSubstr(planned.manifest.train().entries(static_cast<int>(sample % 4)).name() +
                                " (virtual sample " + std::to_string(sample) + ")"));
  EXPECT_THAT(step_samples(planned.spec, planned.manifest, 0), HasSubstr(" and 4 more"));
}

TEST(StepSamples, SaysWhyWhenItCannotTell) {
  const Planned planned;
  EXPECT_THAT(step_samples(planned.spec, planned.manifest, 99), HasSubstr("the plan ends before it"));
}

}  // namespace
}  // namespace mdgen::coordinator
