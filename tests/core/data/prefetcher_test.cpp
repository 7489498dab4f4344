#include "core/data/prefetcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/base/error.h"
#include "data_fixture.h"

namespace mdgen::data {
namespace {

using ::testing::ElementsAre;
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

// A device whose copies are done when the test says so; its memory is the host's.
class FakeCopier : public DeviceCopier {
 public:
  struct Log {
    std::vector<std::string> events;
    std::vector<std::weak_ptr<std::byte>> host;  // of each copy
    bool done = false;
    std::function<void()> on_start = [] {};
  };
  explicit FakeCopier(Log& log) : log_(log) {}

  BufferPool::Buffer allocate(std::size_t bytes) override {
    return {new std::byte[bytes], [](std::byte* memory) { delete[] memory; }};
  }
  std::unique_ptr<DeviceCopy> start(const BufferPool::Buffer& host, std::int64_t bytes) override {
    log_.host.push_back(host);
    log_.events.push_back("start " + std::to_string(log_.host.size()));
    log_.on_start();
    return std::make_unique<Copy>(log_, log_.host.size(), host, bytes);
  }

 private:
  class Copy : public DeviceCopy {
   public:
    Copy(Log& log, std::size_t number, BufferPool::Buffer host, std::int64_t bytes)
        : log_(log), number_(number), host_(std::move(host)), bytes_(bytes) {}
    at::Tensor finish() override {
      log_.events.push_back("finish " + std::to_string(number_));
      return at::from_blob(host_.get(), {bytes_}, at::kByte).clone();
    }
    bool done() const override { return log_.done; }

   private:
    Log& log_;
    std::size_t number_;
    BufferPool::Buffer host_;
    std::int64_t bytes_;
  };
  Log& log_;
};

class DevicePrefetcherTest : public PrefetcherTest {
 protected:
  FakeCopier::Log log_;
  Prefetcher prefetcher_{dataset_, GetParam(), std::make_unique<FakeCopier>(log_)};
};
INSTANTIATE_TEST_SUITE_P(Threads, DevicePrefetcherTest, ::testing::Values(0, 1, 3));

TEST_P(DevicePrefetcherTest, GetsWhatLoadGives_InTheOrderOfPush) {
  std::vector<MicroBatch> batches;
  for (std::uint32_t i = 0; i < 25; ++i) batches.push_back({i, (i * 7) % 25});
  for (const MicroBatch& batch : batches) prefetcher_.push(4, batch);
  for (std::size_t i = 0; i < batches.size(); ++i) {
    log_.done = i % 3 == 0;
    const Batch got = prefetcher_.get();
    const Batch expected = dataset_.load(4, batches[i]);
    ASSERT_EQ(got.sample_hashes, expected.sample_hashes);
    ASSERT_EQ(got.names, expected.names);
    ASSERT_TRUE(at::equal(got.torsions, expected.torsions));
    ASSERT_TRUE(at::equal(got.noise, expected.noise));
    ASSERT_TRUE(at::equal(got.seqres, expected.seqres));
  }
}

TEST_P(DevicePrefetcherTest, HostMemory_IsKeptUntilItsCopyIsDone) {
  for (std::uint32_t i = 0; i < 6; ++i) prefetcher_.push(0, {i});
  for (int i = 0; i < 4; ++i) prefetcher_.get();
  for (std::size_t i = 0; i < 4; ++i) EXPECT_FALSE(log_.host[i].expired()) << i;
  log_.done = true;
  prefetcher_.get();
  for (std::size_t i = 0; i < 4; ++i) EXPECT_TRUE(log_.host[i].expired()) << i;
}

TEST_P(DevicePrefetcherTest, NextCopy_IsStartedBeforeTheStepThatGoesBefore) {
  if (GetParam() == 0) return;  // nothing is read before it is asked for
  log_.on_start = [this] {
    while (log_.host.size() < 3 && !prefetcher_.next_is_read()) std::this_thread::yield();
  };
  for (const std::uint32_t sample : {0U, 1U, 2U}) prefetcher_.push(0, {sample});
  prefetcher_.get();
  prefetcher_.get();
  EXPECT_THAT(log_.events, ElementsAre("start 1", "start 2", "finish 1", "start 3", "finish 2"));
}

TEST_P(DevicePrefetcherTest, Exception_ComesFromItsOwnGet) {
  for (const char* replica : {"1", "2", "3"})
    std::filesystem::remove(data_.made.data_dir / ("synth1_R" + std::string(replica) + ".npy"));
  for (const std::uint32_t sample : {0U, 1U, 2U}) prefetcher_.push(0, {sample});
  EXPECT_EQ(prefetcher_.get().sample_hashes, dataset_.load(0, {0}).sample_hashes);
  EXPECT_THROW(prefetcher_.get(), Error);
  EXPECT_EQ(prefetcher_.get().sample_hashes, dataset_.load(0, {2}).sample_hashes);
}

TEST_P(DevicePrefetcherTest, OnlyBadSamples_AreNotCopied) {
  data_.spec.mutable_data()->set_on_bad_sample("skip");
  for (const char* replica : {"1", "2", "3"})
    std::filesystem::remove(data_.made.data_dir / ("synth1_R" + std::string(replica) + ".npy"));
  const Dataset skipping = data_.dataset();
  Prefetcher prefetcher(skipping, GetParam(), std::make_unique<FakeCopier>(log_));
  prefetcher.push(0, {1, 4});
  prefetcher.push(0, {2, 1});
  const Batch none = prefetcher.get();
  EXPECT_EQ(none.bad_samples.size(), 2U);
  EXPECT_TRUE(none.names.empty());
  const Batch one = prefetcher.get();
  EXPECT_EQ(one.bad_samples.size(), 1U);
  EXPECT_EQ(one.sample_hashes, skipping.load(0, {2}).sample_hashes);
}

TEST_P(DevicePrefetcherTest, Clear_ForgetsWhatWasPushed) {
  for (std::uint32_t i = 0; i < 10; ++i) prefetcher_.push(0, {i});
  prefetcher_.get();
  prefetcher_.clear();
  prefetcher_.push(9, {4});
  EXPECT_EQ(prefetcher_.get().sample_hashes, dataset_.load(9, {4}).sample_hashes);
}

}  // namespace
}  // namespace mdgen::data
