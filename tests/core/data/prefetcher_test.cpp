#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "core/base/error.h"
#include "data_fixture.h"

namespace mdgen::data {
namespace {

using ::testing::HasSubstr;

class PrefetcherTest : public ::testing::TestWithParam<int> {
 protected:
  DataFixture data_{{.lengths = {12, 20, 31}}};
  Dataset dataset_ = data_.dataset();
};
INSTANTIATE_TEST_SUITE_P(Threads, PrefetcherTest, ::testing::Values(0, 1, 3));

TEST_P(PrefetcherTest, GetsWhatLoadGives_InTheOrderOfPush) {
  Prefetcher prefetcher(dataset_, GetParam());
  std::vector<MicroBatch> batches;
  for (std::uint32_t i = 0; i < 25; ++i) batches.push_back({i, (i * 7) % 25});
  for (const MicroBatch& batch : batches) prefetcher.push(4, batch);
  for (const MicroBatch& batch : batches) {
    const Batch got = prefetcher.get();
    const Batch expected = dataset_.load(4, batch);
    ASSERT_EQ(got.sample_hashes, expected.sample_hashes);
    ASSERT_TRUE(at::equal(got.torsions, expected.torsions));
    ASSERT_TRUE(at::equal(got.noise, expected.noise));
  }
}

TEST_P(PrefetcherTest, Exception_ComesFromItsOwnGet) {
  std::filesystem::remove(data_.made.data_dir / "synth1_R1.npy");
  std::filesystem::remove(data_.made.data_dir / "synth1_R2.npy");
  std::filesystem::remove(data_.made.data_dir / "synth1_R3.npy");
  Prefetcher prefetcher(dataset_, GetParam());
  for (const std::uint32_t sample : {0U, 1U, 2U}) prefetcher.push(0, {sample});
  EXPECT_EQ(prefetcher.get().sample_hashes, dataset_.load(0, {0}).sample_hashes);
  try {
    prefetcher.get();
    ADD_FAILURE() << "no exception";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_THAT(error.what(), HasSubstr("synth1_R"));
  }
  EXPECT_EQ(prefetcher.get().sample_hashes, dataset_.load(0, {2}).sample_hashes);
}

TEST_P(PrefetcherTest, Clear_ForgetsWhatWasPushed) {
  Prefetcher prefetcher(dataset_, GetParam());
  for (int round = 0; round < 20; ++round) {
    for (std::uint32_t i = 0; i < 10; ++i) prefetcher.push(0, {i});
    if (round % 2 == 0) {
      EXPECT_EQ(prefetcher.get().sample_hashes, dataset_.load(0, {0}).sample_hashes);
    }
    prefetcher.clear();
  }
  prefetcher.push(9, {4});
  EXPECT_EQ(prefetcher.get().sample_hashes, dataset_.load(9, {4}).sample_hashes);
}

TEST_P(PrefetcherTest, GetWithoutPush_Throws) {
  Prefetcher prefetcher(dataset_, GetParam());
  EXPECT_THROW(prefetcher.get(), Error);
}

TEST_P(PrefetcherTest, Destruction_WithWorkLeft_Ends) {
  Prefetcher prefetcher(dataset_, GetParam());
  for (std::uint32_t i = 0; i < 50; ++i) prefetcher.push(0, {i});
}

TEST_P(PrefetcherTest, CallersThreadCount_IsLeftAlone) {
  const int before = at::get_num_threads();
  at::set_num_threads(3);
  {
    Prefetcher prefetcher(dataset_, GetParam());
    EXPECT_EQ(at::get_num_threads(), 3);
    prefetcher.push(0, {1});
    prefetcher.get();
    EXPECT_EQ(at::get_num_threads(), 3);
  }
  at::set_num_threads(before);
}

}  // namespace
}  // namespace mdgen::data
