// determinism: strict: the number of ranks shows in no bit of weights or records.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>

#include "core/checkpoint/store.h"
#include "tests/support/temp_dir.h"
#include "tests/support/train_run.h"

namespace mdgen::train {
namespace {

using mdgen::testing::Backend;
using mdgen::testing::run_training;
using mdgen::testing::RunOptions;
using mdgen::testing::RunResult;
using ::testing::SizeIs;

// 12 virtual samples an epoch, 7 a step, micro-batches of 1: steps of 7 and 5 terms, unequal lengths.
class StrictTraining : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { std::signal(SIGPIPE, SIG_IGN); }

  v1::JobSpec spec(const std::string& name, std::vector<std::string> assignments = {}) {
    assignments.insert(assignments.begin(),
                       {"name=" + name, "determinism=strict", "epochs=3", "global_batch_size=7",
                        "train_repeat=4", "no_validate=false", "val_repeat=3", "print_freq=2"});
    return mdgen::testing::tiny_spec(data_, folder_.path(), assignments);
  }

  // The SHA-256 of the last checkpoint's tensors.
  std::vector<std::string> weights(const v1::JobSpec& spec) const {
    std::vector<std::string> notes;
    const auto found = checkpoint::newest_good(folder_ / spec.name() / "checkpoints", notes);
    std::vector<std::string> digests;
    for (const auto& file : found->manifest.files) {
      if (file.name.ends_with(".safetensors")) digests.push_back(file.name + " " + file.sha256);
    }
    return digests;
  }

  // metrics.jsonl without what a clock says.
  static std::vector<std::string> records(const v1::JobSpec& spec) {
    std::vector<std::string> lines;
    for (nlohmann::json line : mdgen::testing::lines_of(spec)) {
      for (auto entry = line.begin(); entry != line.end();) {
        const bool of_a_clock = entry.key().ends_with("dur") || entry.key().ends_with("seconds") ||
                                entry.key() == "tokens_per_second";
        entry = of_a_clock ? line.erase(entry) : std::next(entry);
      }
      lines.push_back(line.dump());
    }
    return lines;
  }

  // Runs it on one rank and on each backend, and compares every bit.
  void expect_same_bits(const std::string& name, const std::vector<std::string>& assignments,
                        const std::vector<Backend>& backends) {
    const v1::JobSpec one = spec(name, assignments);
    run_training(one);
    ASSERT_THAT(weights(one), SizeIs(3)) << name;
    for (const Backend& backend : backends) {
      const std::string which = name + "-" + mdgen::testing::name_of(backend);
      const v1::JobSpec several = spec(which, assignments);
      RunOptions options;
      options.backend = backend;
      run_training(several, options);
      EXPECT_EQ(weights(several), weights(one)) << which;
      EXPECT_EQ(records(several), records(one)) << which;
    }
  }

  mdgen::testing::TempDir folder_;
  mdgen::testing::SyntheticDataset data_ = mdgen::testing::make_synthetic_dataset(
      folder_ / "data",
      {.lengths = {5, 7, 11}, .frames = 8, .replicas = 3, .dtype = "<f2", .suffix = {}, .seed = 3});
};

TEST_F(StrictTraining, AnyNumberOfRanks_GivesTheSameBits) {
  expect_same_bits("plain", {},
                   {{"local", 2},
                    {"local", 3},
                    {"local", 4},
                    {"local", 5},
                    {"local", 6},
                    {"local", 7},
                    {"local", 9},
                    {"gloo", 2},
                    {"gloo", 3}});
}

TEST_F(StrictTraining, EveryPrecision_GivesTheSameBits) {
  for (const std::string precision : {"64-true", "bf16-mixed", "16-mixed", "bf16-true"}) {
    expect_same_bits(precision, {"precision=" + precision, "epochs=2"}, {{"local", 3}, {"gloo", 2}});
  }
}

TEST_F(StrictTraining, DropoutAndSeveralSamplesABatch_GiveTheSameBits) {
  expect_same_bits("dropout", {"dropout=0.3", "batch_size=2", "grad_checkpointing=true"},
                   {{"local", 2}, {"local", 3}, {"local", 4}});
}

TEST_F(StrictTraining, SamplesThatAreLeftOut_GiveTheSameBits) {
  // Half precision's NaN over the values of all replicas of a protein; headers and sizes stay.
  for (const std::string replica : {"_R1.npy", "_R2.npy", "_R3.npy"}) {
    std::fstream stream(data_.data_dir / (data_.names[1] + replica),
                        std::ios::in | std::ios::out | std::ios::binary | std::ios::ate);
    const long values = (static_cast<long>(stream.tellp()) - 128) / 2;
    stream.seekp(128);
    for (long i = 0; i < values; ++i) stream.write("\x00\x7e", 2);
  }
  expect_same_bits("bad", {"on_bad_sample=skip"}, {{"local", 2}, {"local", 5}, {"gloo", 3}});
}

TEST_F(StrictTraining, ItIsNotTheDefaultsSum) {
  const v1::JobSpec strict = spec("strict");
  const v1::JobSpec usual = spec("usual", {"determinism=default"});
  run_training(strict);
  run_training(usual);
  EXPECT_NE(weights(strict), weights(usual));
}

// What a kill that shrinks the group, or growth, comes down to: the run goes on with other ranks.
TEST_F(StrictTraining, AResumeOnOtherRanks_RepeatsTheUninterruptedRun) {
  const v1::JobSpec whole = spec("whole");
  run_training(whole);
  const v1::JobSpec broken = spec("broken", {"every_steps=2"});
  RunOptions first;
  first.backend = {"local", 4};
  first.stop_after = 3;
  first.stop_checkpoint = true;
  run_training(broken, first);
  RunOptions second;
  second.backend = {"local", 3};
  second.generation = 2;
  second.require_checkpoint = true;
  run_training(broken, second);
  EXPECT_EQ(weights(broken), weights(whole));
  EXPECT_EQ(mdgen::testing::curve_of(broken), mdgen::testing::curve_of(whole));
}

}  // namespace
}  // namespace mdgen::train
