#include "core/train/inference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "tests/support/temp_dir.h"
#include "tests/support/train_run.h"

namespace mdgen::train {
namespace {

namespace fs = std::filesystem;
using mdgen::testing::run_training;
using ::testing::ElementsAre;
using ::testing::StartsWith;

TEST(InferenceDueTest, EveryNthEpochOrInARunThatOnlyValidates) {
  v1::JobSpec spec;
  spec.mutable_loop()->set_designability_freq(3);
  EXPECT_FALSE(inference_due(spec, 2)) << "no batches are asked for";
  spec.mutable_loop()->set_inference_batches(1);
  EXPECT_FALSE(inference_due(spec, 0));
  EXPECT_TRUE(inference_due(spec, 2));
  EXPECT_TRUE(inference_due(spec, 5));
  spec.mutable_loop()->set_validate(true);
  EXPECT_TRUE(inference_due(spec, 0));
}

// 2 validation samples of one protein (7 residues, padded to 8), one a batch.
class InferenceTest : public ::testing::Test {
 protected:
  v1::JobSpec spec(const std::string& name, std::vector<std::string> assignments) {
    for (const char* assignment : {"no_validate=false", "val_repeat=2", "epochs=2", "inference_batches=1"}) {
      assignments.insert(assignments.begin(), assignment);
    }
    assignments.push_back("name=" + name);
    return mdgen::testing::tiny_spec(data_, folder_.path(), assignments);
  }
  std::vector<std::string> samples_of(const std::string& name) const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_ / name)) {
      if (entry.path().extension() == ".pdb") names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  // The values of every validation line that has one.
  std::vector<double> values_of(const std::string& name, const std::string& quantity) const {
    std::vector<double> values;
    std::ifstream lines(folder_ / name / "metrics.jsonl");
    for (std::string line; std::getline(lines, line);) {
      const nlohmann::json json = nlohmann::json::parse(line);
      if (json.contains(quantity) && json[quantity].is_number()) values.push_back(json[quantity]);
    }
    return values;
  }

  mdgen::testing::TempDir folder_;
  mdgen::testing::SyntheticDataset data_ = mdgen::testing::make_synthetic_dataset(
      folder_ / "data",
      {.lengths = {7, 11}, .frames = 8, .replicas = 3, .dtype = "<f2", .suffix = {}, .seed = 3});
};

TEST_F(InferenceTest, FirstBatch_IsWrittenAndMeasuredInTheEpochsThatAreDue) {
  run_training(spec("each", {}));
  EXPECT_THAT(samples_of("each"),
              ElementsAre(StartsWith("epoch0_" + data_.names[0]), StartsWith("epoch1_" + data_.names[0])));
  for (const char* name : {"val_sample_ca_validity", "val_sample_clashes", "val_sample_rmsf",
                           "val_sample_rmsf_correlation", "val_sample_evaluations"}) {
    const std::vector<double> values = values_of("each", name);
    ASSERT_EQ(values.size(), 2U) << name;
    EXPECT_TRUE(std::isfinite(values[1])) << name;
  }
  EXPECT_GT(values_of("each", "val_sample_rmsf")[0], 0);

  run_training(spec("second", {"designability_freq=2"}));
  EXPECT_THAT(samples_of("second"), ElementsAre(StartsWith("epoch1_")));
  EXPECT_EQ(values_of("second", "val_sample_rmsf").size(), 1U);
  // The draws are keyed: sampling changes neither training nor what is sampled later.
  EXPECT_EQ(values_of("second", "val_sample_rmsf")[0], values_of("each", "val_sample_rmsf")[1]);
}

TEST_F(InferenceTest, File_HoldsEveryFrameOfTheRealResidues) {
  run_training(spec("file", {"epochs=1"}));
  std::ifstream lines(folder_ / "file" / samples_of("file").at(0));
  int models = 0, calpha = 0;
  for (std::string line; std::getline(lines, line);) {
    models += line.starts_with("MODEL");
    calpha += line.starts_with("ATOM") && line.substr(12, 4) == " CA ";
  }
  EXPECT_EQ(models, 3);
  EXPECT_EQ(calpha, 3 * 7);
}

TEST_F(InferenceTest, TwoRanks_SampleTheSame) {
  run_training(spec("one", {"epochs=1", "inference_batches=2"}));
  run_training(spec("two", {"epochs=1", "inference_batches=2", "workers.max=2"}), {.backend = {"local", 2}});
  const double one = values_of("one", "val_sample_rmsf").at(0);
  EXPECT_NEAR(values_of("two", "val_sample_rmsf").at(0), one, 1e-4 * one);
}

// Micro-batches are cut by length here: which samples are in which does not depend on who computes them.
TEST_F(InferenceTest, MixedLengths_ValidationIsTheSameOnAnyNumberOfRanks) {
  std::vector<double> losses;
  std::vector<std::string> sampled;
  for (const int ranks : {1, 2, 3}) {
    const std::string name = "ranks" + std::to_string(ranks);
    v1::JobSpec mixed =
        spec(name, {"epochs=1", "lr=0", "crop=16", "batch_size=2", "val_split=" + data_.train_split.string(),
                    "val_repeat=3", "inference_batches=2", "workers.max=" + std::to_string(ranks)});
    mixed.mutable_data()->set_padding("trimmed");
    const auto result = run_training(mixed, {.backend = {"local", ranks}});
    ASSERT_EQ(result.observer.validations.size(), 1U);
    EXPECT_EQ(result.observer.validations[0].samples(), 6);
    losses.push_back(result.observer.validations[0].val_loss());
    if (ranks == 1) sampled = samples_of(name);
    EXPECT_EQ(samples_of(name), sampled);
  }
  EXPECT_EQ(losses[1], losses[0]);
  EXPECT_EQ(losses[2], losses[0]);
}

TEST_F(InferenceTest, SolverFlags_ReachTheSampler) {
  run_training(spec("euler", {"epochs=1", "sampling_method=euler", "ode_steps=5"}));
  EXPECT_THAT(values_of("euler", "val_sample_evaluations"), ElementsAre(5));
}

TEST_F(InferenceTest, FlowThatCannotBeFollowed_IsAWarning) {
  const v1::JobSpec strict = spec("strict", {"epochs=1", "ode_rtol=1e-20", "ode_atol=1e-25"});
  EXPECT_EQ(run_training(strict).finish.outcome(), v1::OUTCOME_COMPLETED);
  EXPECT_TRUE(samples_of("strict").empty());
  EXPECT_TRUE(values_of("strict", "val_sample_rmsf").empty());
}

}  // namespace
}  // namespace mdgen::train
