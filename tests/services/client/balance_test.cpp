#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/files.h"
#include "core/config/json.h"
#include "fake_world.h"
#include "tests/support/temp_dir.h"

namespace mdgen::client {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

struct BalanceVerb : ::testing::Test {
  testing::TempDir dir;
  FakeWorld fake;

  BalanceVerb() {
    fake.world.current_folder = dir.path();
    std::string csv = "name,seqres\n";
    for (const int residues : {8, 16, 8, 16}) {
      csv += "p" + std::to_string(csv.size()) + "," + std::string(static_cast<std::size_t>(residues), 'A') +
             "\n";
    }
    write_file_synced(dir / "split.csv", csv);
  }

  // One step of four samples on two ranks.
  config::Json rows(const std::string& batch_size) {
    const int code =
        fake.run({"balance", "-o", "json", "--split", "split.csv", "--ranks", "2", "--samples", "2",
                  "--batch_size", batch_size, "--set", "crop=16", "--set", "num_frames=10"});
    EXPECT_EQ(code, 0) << fake.err.str();
    return config::Json::parse(fake.out.str());
  }
};

constexpr double kWork16 = 16 * (8 * 384 + 10 + 16);
constexpr double kWork8 = 8 * (8 * 384 + 10 + 8);

TEST_F(BalanceVerb, TwoSamplesAMicroBatch_OneRankHasTheLong) {
  const config::Json found = rows("2");
  ASSERT_EQ(found.size(), 4U);
  const config::Json& crop = found[0];
  EXPECT_EQ(crop["padding"], "crop");
  EXPECT_DOUBLE_EQ(crop["max_over_mean"], 1);
  EXPECT_DOUBLE_EQ(crop["residues_over_real"], 64.0 / 48);
  EXPECT_DOUBLE_EQ(crop["time_over_crop"], 1);
  const config::Json& by_length = found[2];
  EXPECT_EQ(by_length["cut"], "by length");
  EXPECT_DOUBLE_EQ(by_length["max_over_mean"], 2 * kWork16 / (kWork16 + kWork8));
  EXPECT_DOUBLE_EQ(by_length["residues_over_real"], 1);
  EXPECT_DOUBLE_EQ(by_length["time_over_crop"], 1);
  EXPECT_DOUBLE_EQ(by_length["micro_batches_a_step"], 2);
  EXPECT_EQ(found[3]["order"], "bucketed");
}

TEST_F(BalanceVerb, OneSampleAMicroBatch_BothRanksHaveALongAndAShort) {
  const config::Json by_length = rows("1")[2];
  EXPECT_DOUBLE_EQ(by_length["max_over_mean"], 1);
  EXPECT_DOUBLE_EQ(by_length["time_over_crop"], (kWork16 + kWork8) / (2 * kWork16));
  EXPECT_DOUBLE_EQ(by_length["micro_batches_a_step"], 4);
}

TEST_F(BalanceVerb, ComparesRanksAndBatchSizesInATable) {
  EXPECT_EQ(fake.run({"balance", "--split", "split.csv"}), 0) << fake.err.str();
  EXPECT_THAT(fake.out.str(), AllOf(HasSubstr("| ranks | batch_size | padding | order | cut | max/mean |"),
                                    HasSubstr("\n| 8 | 1 | crop | shuffled | in order |"),
                                    HasSubstr("\n| 64 | 4 | trimmed | bucketed | by length |")));
}

TEST_F(BalanceVerb, TakesASpec) {
  write_file_synced(dir / "job.yaml",
                    "name: a\nworkers: {max: 3}\noptim: {batch_size: 2, accumulate_grad: 5}\n"
                    "data: {train_split: split.csv, data_dir: d, atlas: true, num_frames: 5}\n"
                    "model: {sim_condition: true}\nloop: {no_validate: true}\n");
  EXPECT_EQ(fake.run({"balance", "-f", "job.yaml", "--batch_size", "2", "--", "--crop", "8"}), 0)
      << fake.err.str();
  EXPECT_THAT(fake.out.str(), HasSubstr("| 3 | 2 | crop | shuffled | in order |"));
}

TEST_F(BalanceVerb, WhatCannotBeBalanced_IsRefused) {
  EXPECT_EQ(fake.run({"balance", "--split", "split.csv", "--set", "overfit=true"}), kExitUsage);
  EXPECT_THAT(fake.err.str(), HasSubstr("there is nothing to balance"));
  EXPECT_EQ(fake.run({"balance", "--split", "none.csv"}), kExitUsage);
  EXPECT_THAT(fake.err.str(), HasSubstr("none.csv"));
}

}  // namespace
}  // namespace mdgen::client
