#include "core/checkpoint/train_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <future>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/checkpoint/background_writer.h"
#include "core/checkpoint/snapshot_buffer.h"
#include "tests/support/temp_dir.h"

namespace mdgen::checkpoint {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

TrainState some_state(std::int64_t step = 3) {
  torch::manual_seed(step);
  TrainState state;
  state.model = {{"layer.weight", torch::randn({3, 4})},
                 {"layer.bias", torch::randn({4}).to(at::kBFloat16)},
                 {"buffer", torch::arange(5)},
                 {"scalar", torch::tensor(2.5)},
                 {"flag", torch::tensor({true, false})},
                 {"empty", torch::empty({0, 3})},
                 {"transposed", torch::randn({2, 5}).t()}};
  state.ema = {{"layer.weight", torch::randn({3, 4})}};
  state.optimizer = {{"exp_avg.layer.weight", torch::randn({3, 4})}, {"step", torch::tensor(step)}};
  state.summary = {step, 1, 12, "spec-digest", "plan-digest"};
  state.spec_json = R"({"name":"x"})";
  return state;
}

void expect_equal(const std::map<std::string, at::Tensor>& a, const std::map<std::string, at::Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) {
    ASSERT_TRUE(b.contains(name)) << name;
    EXPECT_EQ(tensor.scalar_type(), b.at(name).scalar_type()) << name;
    EXPECT_TRUE(torch::equal(tensor, b.at(name))) << name;
  }
}

TEST(TrainState, FilesHoldEveryBit) {
  testing::TempDir dir;
  const TrainState written = some_state();
  write_files(dir.path(), written);
  const TrainState read = read_files(dir.path());
  expect_equal(written.model, read.model);
  expect_equal(written.ema, read.ema);
  expect_equal(written.optimizer, read.optimizer);
  EXPECT_EQ(read.summary.step, 3);
  EXPECT_EQ(read.summary.samples, 12);
  EXPECT_EQ(read.summary.spec_digest, "spec-digest");
  EXPECT_EQ(nlohmann::json::parse(read.spec_json).at("name"), "x");
}

TEST(TrainState, WithoutEmaThereIsNoEmaFile) {
  testing::TempDir dir;
  TrainState state = some_state();
  state.ema.clear();
  write_files(dir.path(), state);
  EXPECT_FALSE(fs::exists(dir / "ema.safetensors"));
  EXPECT_TRUE(read_files(dir.path()).ema.empty());
}

TEST(TrainState, DamagedFilesAreNamed) {
  testing::TempDir dir;
  write_files(dir.path(), some_state());
  std::ofstream(dir / "state.json") << "{";
  try {
    read_files(dir.path());
    FAIL() << "a broken state.json was read";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr((dir / "state.json").string()));
  }
  fs::resize_file(dir / "model.safetensors", fs::file_size(dir / "model.safetensors") - 1);
  try {
    read_files(dir.path());
    FAIL() << "a truncated model.safetensors was read";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr((dir / "model.safetensors").string()));
  }
}

TEST(Snapshot, IsACopyAndReusesMemory) {
  TrainState live = some_state();
  TrainState first = snapshot(live);
  const void* memory = first.model.at("layer.weight").data_ptr();
  const at::Tensor before = live.model.at("layer.weight").clone();
  live.model.at("layer.weight").add_(1);
  EXPECT_TRUE(torch::equal(first.model.at("layer.weight"), before));
  const TrainState second = snapshot(live, std::move(first));
  EXPECT_EQ(second.model.at("layer.weight").data_ptr(), memory);
  EXPECT_TRUE(torch::equal(second.model.at("layer.weight"), live.model.at("layer.weight")));
}

TEST(BackgroundWriter, WritesWhatWasGivenAndTellsInOrder) {
  testing::TempDir dir;
  std::vector<std::int64_t> told;
  {
    BackgroundWriter writer({dir / "checkpoints", 7, 2},
                            [&](const WriteResult& result) { told.push_back(result.step); });
    for (std::int64_t step = 1; step <= 4; ++step) {
      TrainState live = some_state(step);
      writer.write(live);
      live.model.at("layer.weight").zero_();
    }
    writer.flush();
    EXPECT_THAT(told, ::testing::ElementsAre(1, 2, 3, 4));
    expect_equal(read_files(dir / "checkpoints" / folder_name({4, 7})).model, some_state(4).model);
  }
  EXPECT_EQ(list(dir / "checkpoints").size(), 2U);
}

TEST(BackgroundWriter, AFailureIsToldAndThrownUntilOneSucceeds) {
  testing::TempDir dir;
  write_file_synced(dir / "checkpoints", "a file where the folder should be");
  std::vector<WriteResult> told;
  BackgroundWriter writer({dir / "checkpoints", 1, {}},
                          [&](const WriteResult& result) { told.push_back(result); });
  EXPECT_NO_THROW(writer.flush());
  writer.write(some_state(1));
  EXPECT_ANY_THROW(writer.flush());
  EXPECT_ANY_THROW(writer.flush());
  writer.retry();
  EXPECT_ANY_THROW(writer.flush());
  ASSERT_EQ(told.size(), 2U);
  EXPECT_THAT(told[1].problem, HasSubstr("the checkpoint of step 1 is not written"));
  EXPECT_THAT(told[1].problem, HasSubstr((dir / "checkpoints").string()));
  fs::remove(dir / "checkpoints");
  writer.retry();
  EXPECT_NO_THROW(writer.flush());
  expect_equal(read_files(dir / "checkpoints" / folder_name({1, 1})).model, some_state(1).model);
  writer.retry();
  writer.flush();
  EXPECT_EQ(told.size(), 3U) << "there is nothing to write again";
  EXPECT_EQ(told[2].problem, "");
  EXPECT_GT(told[2].bytes_needed, 0);
  EXPECT_GE(told[2].bytes_free, told[2].bytes_needed);
}

TEST(BackgroundWriter, TheNextWriteGoesOnAfterAFailure) {
  testing::TempDir dir;
  write_file_synced(dir / "checkpoints", "a file where the folder should be");
  BackgroundWriter writer({dir / "checkpoints", 1, {}}, nullptr);
  writer.write(some_state(1));
  EXPECT_ANY_THROW(writer.flush());
  fs::remove(dir / "checkpoints");
  writer.write(some_state(2));
  EXPECT_NO_THROW(writer.flush());
  EXPECT_EQ(verify(dir / "checkpoints" / folder_name({2, 1})).summary.step, 2);
}

TEST(BackgroundWriter, PreparedMemoryIsWhatTheFirstSnapshotUses) {
  TrainState live = some_state();
  SnapshotBuffer buffer;
  buffer.prepare(live);
  const void* memory = buffer.state().model.at("layer.weight").data_ptr();
  buffer.copy(live);
  buffer.wait();
  EXPECT_EQ(buffer.state().model.at("layer.weight").data_ptr(), memory);
  EXPECT_TRUE(torch::equal(buffer.state().model.at("transposed"), live.model.at("transposed")));
  EXPECT_TRUE(buffer.state().model.at("transposed").is_contiguous());
  live.optimizer.emplace("exp_avg.later", torch::ones({2}));
  live.ema.clear();
  buffer.copy(live);
  EXPECT_EQ(buffer.state().optimizer.size(), 3U);
  EXPECT_TRUE(buffer.state().ema.empty()) << "nothing of an earlier snapshot stays";
}

TEST(BackgroundWriter, AGenerationThatIsNotOursToKeepDeletesNothing) {
  testing::TempDir dir;
  BackgroundWriter writer({dir / "checkpoints", 1, {.keep_last = 1}}, nullptr);
  writer.write(some_state(1));
  writer.flush();
  writer.enter_generation(2, false);
  writer.write(some_state(2));
  writer.flush();
  EXPECT_EQ(list(dir / "checkpoints").size(), 2U);
  writer.enter_generation(3, true);
  writer.write(some_state(3));
  writer.flush();
  ASSERT_EQ(list(dir / "checkpoints").size(), 1U);
  EXPECT_EQ(list(dir / "checkpoints").front().filename(), folder_name({3, 3}));
}

}  // namespace
}  // namespace mdgen::checkpoint
