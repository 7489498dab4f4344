#include "core/data/micro_batches.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "core/data/padding.h"
#include "plan_fixture.h"

namespace mdgen::data {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// As it was before lengths counted: the oracle of "nothing changes where all are equal".
std::vector<MicroBatch> cut_in_order(const std::vector<std::uint32_t>& samples, std::uint32_t batch_size) {
  std::vector<MicroBatch> batches;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (i % batch_size == 0) batches.emplace_back();
    batches.back().push_back(samples[i]);
  }
  return batches;
}

std::int32_t longest(const MicroBatch& batch, const SampleSizes& sizes) {
  std::int32_t most = 0;
  for (const std::uint32_t sample : batch) most = std::max(most, sizes.of(sample));
  return most;
}

TEST(MicroBatches, EqualLengths_AreCutInOrder) {
  Random random(1);
  for (int trial = 0; trial < 3000; ++trial) {
    SampleSizes sizes{.residues = std::vector<std::int32_t>(random.between(1, 9), 17)};
    const auto samples = epoch_order(random.between(0, 99), 0, random.between(0, 80));
    const std::uint32_t batch_size = random.between(1, 90);
    ASSERT_EQ(micro_batches(samples, sizes, batch_size), cut_in_order(samples, batch_size));
  }
}

TEST(MicroBatches, OfOneSample_KeepTheOrderWhateverTheLengths) {
  Random random(2);
  for (int trial = 0; trial < 1000; ++trial) {
    const SampleSizes sizes = random_sizes(random, 40);
    const auto samples = epoch_order(random.between(0, 99), 0, 40);
    ASSERT_EQ(micro_batches(samples, sizes, 1), cut_in_order(samples, 1));
  }
}

TEST(MicroBatches, HaveEachSampleOnce_WithinBatchSize_InTheStepsOrder) {
  Random random(3);
  for (int trial = 0; trial < 5000; ++trial) {
    const SampleSizes sizes = random_sizes(random, random.between(1, 60));
    const auto samples = epoch_order(random.between(0, 99), 0, random.between(1, 100));
    const std::uint32_t batch_size = random.between(1, 12);
    std::map<std::uint32_t, std::size_t> place;
    for (std::size_t i = 0; i < samples.size(); ++i) place[samples[i]] = i;
    const auto batches = micro_batches(samples, sizes, batch_size);
    ASSERT_EQ(sorted(flattened(batches)), sorted(samples));
    std::size_t first = 0;
    for (const MicroBatch& batch : batches) {
      ASSERT_GE(batch.size(), 1U);
      ASSERT_LE(batch.size(), batch_size);
      ASSERT_GE(place[batch.front()], first);
      first = place[batch.front()];
      for (std::size_t i = 1; i < batch.size(); ++i) ASSERT_LT(place[batch[i - 1]], place[batch[i]]);
    }
  }
}

// Sorted by length, no two micro-batches overlap but at their ends.
TEST(MicroBatches, HaveSimilarLengths_AndCostNoMoreThanTheRuleAllows) {
  Random random(4);
  for (int trial = 0; trial < 5000; ++trial) {
    const SampleSizes sizes = random_sizes(random, random.between(1, 60));
    const auto samples = epoch_order(random.between(0, 99), 0, random.between(1, 100));
    const std::uint32_t batch_size = random.between(1, 12);
    std::int64_t sum = 0;
    for (const std::uint32_t sample : samples) sum += sizes.of(sample);
    const double mean = static_cast<double>(sum) / static_cast<double>(samples.size());
    const double most =
        std::ceil(batch_size * mean / longest(samples, sizes) - 1e-9) * longest(samples, sizes);
    std::vector<std::pair<std::int32_t, std::int32_t>> ranges;
    for (const MicroBatch& batch : micro_batches(samples, sizes, batch_size)) {
      const std::int32_t residues = longest(batch, sizes);
      ASSERT_LE(static_cast<double>(batch.size()) * residues, most + 1e-9);
      std::int32_t shortest = residues;
      for (const std::uint32_t sample : batch) shortest = std::min(shortest, sizes.of(sample));
      ranges.emplace_back(shortest, residues);
    }
    std::sort(ranges.begin(), ranges.end());
    for (std::size_t i = 1; i < ranges.size(); ++i) ASSERT_LE(ranges[i - 1].second, ranges[i].first);
  }
}

TEST(MicroBatches, ByHand) {
  const SampleSizes sizes{.residues = {10, 100, 20, 90, 100, 30}};
  // mean 58.3, longest 100: of batch_size 2, ceil(2 x 0.583) = 2 of the longest may share a batch.
  EXPECT_THAT(micro_batches({0, 1, 2, 3, 4, 5}, sizes, 2),
              ElementsAre(ElementsAre(0, 2), ElementsAre(1, 4), ElementsAre(3, 5)));
  // Of 4, ceil(4 x 0.583) = 3.
  EXPECT_THAT(micro_batches({0, 1, 2, 3, 4, 5}, sizes, 4),
              ElementsAre(ElementsAre(0, 2, 5), ElementsAre(1, 3, 4)));
  EXPECT_THAT(micro_batches({3}, sizes, 4), ElementsAre(ElementsAre(3)));
  EXPECT_TRUE(micro_batches({}, sizes, 2).empty());
  EXPECT_THAT(message_of([&] { micro_batches({1}, sizes, 0); }), HasSubstr("batch_size"));
}

TEST(MicroBatchCost, CountsTheMultiplicationsOfABlock) {
  const SampleSizes sizes{.residues = {10, 20}, .frames = 5, .width = 3};
  EXPECT_THAT(micro_batch_cost(sizes, {0, 2}), DoubleEq(2 * 5 * 10 * (8 * 3 + 5 + 10)));
  EXPECT_THAT(micro_batch_cost(sizes, {0, 1, 2}), DoubleEq(3 * 5 * 20 * (8 * 3 + 5 + 20)));
}

v1::JobSpec spec_of(bool atlas, std::int32_t crop, const std::string& padding) {
  v1::JobSpec spec;
  spec.mutable_data()->set_atlas(atlas);
  spec.mutable_data()->set_crop(crop);
  spec.mutable_data()->set_padding(padding);
  spec.mutable_data()->set_num_frames(50);
  spec.mutable_model()->set_embed_dim(64);
  return spec;
}

TEST(SampleSizes, AreWhatABatchOfTheSampleAloneHas) {
  v1::Manifest manifest;
  for (const std::int32_t residues : {12, 57, 100, 300}) manifest.add_entries()->set_residues(residues);
  EXPECT_THAT(sample_sizes(spec_of(true, 100, "crop"), manifest).residues, ElementsAre(100, 100, 100, 100));
  EXPECT_THAT(sample_sizes(spec_of(true, 100, "trimmed"), manifest).residues, ElementsAre(16, 64, 100, 100));
  EXPECT_THAT(sample_sizes(spec_of(true, 8, "trimmed"), manifest).residues, ElementsAre(8, 8, 8, 8));
  EXPECT_THAT(sample_sizes(spec_of(false, 100, "trimmed"), manifest).residues, ElementsAre(12, 57, 100, 300));
  EXPECT_EQ(sample_sizes(spec_of(true, 100, "crop"), manifest).frames, 50);
  EXPECT_EQ(sample_sizes(spec_of(true, 100, "crop"), manifest).width, 64);
  EXPECT_THAT(sample_sizes(spec_of(true, 100, "crop"), {}).residues, ElementsAre(1));
}

// What a micro-batch is computed with is the longest of what its samples have alone.
TEST(SampleSizes, TheLongestIsTheBatchs) {
  Random random(5);
  for (int trial = 0; trial < 3000; ++trial) {
    const v1::JobSpec spec = spec_of(random.coin(), static_cast<std::int32_t>(random.between(1, 300)),
                                     random.coin() ? "trimmed" : "crop");
    const PaddingRules rules = padding_rules(spec);
    std::vector<std::int32_t> proteins;
    std::int32_t most = 0;
    for (std::uint32_t i = random.between(1, 8); i > 0; --i) {
      proteins.push_back(static_cast<std::int32_t>(random.between(1, 600)));
      const std::int32_t alone = padded_residues(rules, {&proteins.back(), 1});
      ASSERT_GE(alone, shown_residues(rules, proteins.back()));
      most = std::max(most, alone);
    }
    ASSERT_EQ(padded_residues(rules, proteins), most);
  }
  EXPECT_THAT(message_of([] { padded_residues({}, {}); }), HasSubstr("no proteins"));
}

}  // namespace
}  // namespace mdgen::data
