#include "core/checkpoint/portable.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/checkpoint/lightning.h"
#include "core/checkpoint/store.h"
#include "portable_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace mdgen::checkpoint {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::portable_of;
using testing::small_spec;

void expect_equal(const PortableTensors& a, const PortableTensors& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) {
    ASSERT_TRUE(b.contains(name)) << name;
    EXPECT_EQ(tensor.shape, b.at(name).shape) << name;
    EXPECT_TRUE(std::ranges::equal(tensor.data, b.at(name).data)) << name;
  }
}

struct PortableTest : ::testing::Test {
  testing::TempDir dir;
  const std::filesystem::path file = dir / "a.ckpt";
};

TEST_F(PortableTest, ThroughAFolderAndALightningFile_EverythingComesBack) {
  Portable original = portable_of(small_spec());
  original.optimizer["step.mask_to_emb.weight"] = testing::count(3);
  original.epoch_steps = 5;
  const auto folder = write_folder(original, dir / "own");
  write_lightning(read_portable(folder, Contents::kAll), file, Weights::kRaw);
  const Portable back = read_portable(file, Contents::kAll);
  EXPECT_THAT(own_misfits(back), IsEmpty());
  EXPECT_THAT(back.notes, IsEmpty());
  expect_equal(original.model, back.model);
  expect_equal(original.ema, back.ema);
  expect_equal(original.optimizer, back.optimizer);
  EXPECT_EQ(back.optimizer_steps, 40);
  EXPECT_EQ(back.epochs_done, 2);
  EXPECT_EQ(back.epoch_steps, 5);
  EXPECT_EQ(back.ema_decay, 0.999);
  EXPECT_TRUE(back.spec.reference_compat());
}

TEST_F(PortableTest, TiedNamesThatOurFileLeavesOut_AreWrittenAllTheSame) {
  v1::JobSpec spec = small_spec();
  spec.mutable_model()->set_hyena(true);
  Portable original = portable_of(spec);
  std::erase_if(original.model, [](const auto& entry) {
    return entry.first.ends_with(".3.freq") || entry.first.ends_with(".5.freq");
  });
  write_lightning(original, file, Weights::kRaw);
  const Portable back = read_portable(file, Contents::kAll);
  const std::string at = "layers.0.mha_t.filter_fn.implicit_filter.";
  EXPECT_TRUE(std::ranges::equal(back.model.at(at + "5.freq").data, original.model.at(at + "1.freq").data));
}

TEST_F(PortableTest, LossScale_GoesBothWays) {
  Portable original = portable_of(small_spec());
  original.optimizer["scaler.scale"] = testing::filled({}, 1024);
  original.optimizer["scaler.growth_tracker"] = testing::count(17);
  write_lightning(original, file, Weights::kRaw);
  expect_equal(original.optimizer, read_portable(file, Contents::kAll).optimizer);
}

TEST_F(PortableTest, ParameterWithoutMoments_HasNone) {
  Portable original = portable_of(small_spec());
  original.optimizer.erase("exp_avg.mask_to_emb.weight");
  original.optimizer.erase("exp_avg_sq.mask_to_emb.weight");
  EXPECT_THAT(own_misfits(original), IsEmpty());
  write_lightning(original, file, Weights::kRaw);
  expect_equal(original.optimizer, read_portable(file, Contents::kAll).optimizer);
}

TEST_F(PortableTest, RunFolder_GivesItsNewestGoodCheckpoint) {
  Portable original = portable_of(small_spec());
  write_folder(original, dir.path() / "run" / "checkpoints");
  original.optimizer_steps = 50;
  original.optimizer["step"] = testing::count(50);
  const auto newest = write_folder(original, dir.path() / "run" / "checkpoints");
  EXPECT_EQ(read_portable(dir / "run", Contents::kHeaders).optimizer_steps, 50);
  std::filesystem::remove(newest / "model.safetensors");
  EXPECT_EQ(read_portable(dir / "run", Contents::kHeaders).optimizer_steps, 40);
}

TEST_F(PortableTest, EqualSpec_Fits) {
  EXPECT_THAT(misfits(portable_of(small_spec()), small_spec()), IsEmpty());
}

TEST_F(PortableTest, OtherModesAndSizes_AreListedAllAtOnce) {
  v1::JobSpec other = small_spec();
  other.mutable_model()->set_sim_condition(false);
  other.mutable_model()->set_cond_interval(5);
  other.mutable_model()->set_embed_dim(32);
  other.mutable_transport()->set_prediction("noise");
  const std::vector<std::string> found = misfits(portable_of(small_spec()), other);
  EXPECT_THAT(found, Contains("model.sim_condition: the checkpoint has true, the job false"));
  EXPECT_THAT(found, Contains("model.cond_interval: the checkpoint has unset, the job 5"));
  EXPECT_THAT(found, Contains("model.embed_dim: the checkpoint has 16, the job 32"));
  EXPECT_THAT(found, Contains("transport.prediction: the checkpoint has velocity, the job noise"));
  EXPECT_THAT(found, Contains("weights: cond_to_emb.bias has shape (16), not (32)"));
  EXPECT_THAT(found, Contains("optimizer state: exp_avg.cond_to_emb.bias has shape (16), not (32)"));
}

TEST_F(PortableTest, DataRateAndLength_MayBeOthers) {
  v1::JobSpec other = small_spec();
  other.mutable_optim()->set_lr(0.5);
  other.mutable_optim()->set_batch_size(99);
  other.mutable_data()->set_train_split("/other.csv");
  other.mutable_data()->set_num_frames(7);
  other.mutable_loop()->set_epochs(3);
  EXPECT_THAT(misfits(portable_of(small_spec()), other), IsEmpty());
}

TEST_F(PortableTest, WhatTrainingNeeds_IsAskedFor) {
  Portable portable = portable_of(small_spec());
  portable.ema.clear();
  portable.optimizer.clear();
  v1::JobSpec spec = small_spec();
  spec.mutable_loop()->set_epochs(2);
  EXPECT_THAT(misfits(portable, spec),
              ElementsAre(HasSubstr("no moving average"), HasSubstr("no optimizer state"),
                          HasSubstr("2 epochs behind")));
  spec.mutable_loop()->set_validate(true);
  EXPECT_THAT(misfits(portable, spec), IsEmpty());
}

TEST_F(PortableTest, HyenaUnderTheOtherMathematics_IsRefused) {
  v1::JobSpec spec = small_spec();
  spec.mutable_model()->set_hyena(true);
  spec.set_reference_compat(true);
  const Portable portable = portable_of(spec);
  EXPECT_THAT(misfits(portable, spec), IsEmpty());
  spec.set_reference_compat(false);
  EXPECT_THAT(misfits(portable, spec), ElementsAre(HasSubstr("reference_compat")));
}

TEST_F(PortableTest, CheckStart_NamesTheFileAndEverything) {
  write_lightning(portable_of(small_spec()), file, Weights::kRaw);
  v1::JobSpec spec = small_spec();
  spec.set_work_dir(dir.path().string());
  spec.set_name("run");
  EXPECT_NO_THROW(check_start(spec));
  spec.mutable_checkpoint()->set_ckpt(file.string());
  EXPECT_NO_THROW(check_start(spec));
  spec.mutable_model()->set_num_layers(2);
  spec.mutable_model()->set_hyena(true);
  try {
    check_start(spec);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    for (const char* part :
         {"a.ckpt", "model.num_layers", "model.hyena", "missing layers.1.fc1.weight", "optimizer_states"})
      EXPECT_THAT(error.what(), HasSubstr(part));
  }
  spec.mutable_checkpoint()->set_ckpt((dir / "absent.ckpt").string());
  EXPECT_THROW(check_start(spec), Error);
}

TEST_F(PortableTest, CheckStart_OwnCheckpointsWin_SoTheFileNeedNotBeThereAnyMore) {
  v1::JobSpec spec = small_spec();
  spec.set_work_dir(dir.path().string());
  spec.set_name("run");
  spec.mutable_checkpoint()->set_ckpt((dir / "absent.ckpt").string());
  write_folder(portable_of(small_spec()), dir.path() / "run" / "checkpoints");
  EXPECT_NO_THROW(check_start(spec));
  spec.mutable_loop()->set_validate(true);  // what is named is validated
  EXPECT_THROW(check_start(spec), Error);
}

}  // namespace
}  // namespace mdgen::checkpoint
