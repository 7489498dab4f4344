#include "core/data/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>
#include <span>

#include "core/base/error.h"
#include "core/data/features.h"
#include "core/format/npy.h"
#include "core/format/safetensors.h"
#include "core/protein/residue_constants.h"
#include "data_fixture.h"

namespace mdgen::data {
namespace {

using ::testing::HasSubstr;

at::Tensor golden(const format::SafetensorsFile& file, const std::string& name) {
  const format::TensorInfo& info = file.tensors().at(name);
  const auto dtype = info.dtype == "I64" ? at::kLong : at::kFloat;
  return at::from_blob(const_cast<std::byte*>(file.bytes(name).data()), info.shape, dtype).clone();
}

void expect_close(const at::Tensor& got, const at::Tensor& expected, double tolerance) {
  ASSERT_EQ(got.sizes(), expected.sizes());
  EXPECT_LE((got - expected).abs().max().item<double>(), tolerance);
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::vector<at::Tensor> tensors(const Batch& b) {
  return {b.trans, b.rots, b.torsions, b.torsion_mask, b.seqres, b.mask, b.flow_time, b.noise};
}

std::string letters(const at::Tensor& types) {
  std::string sequence;
  for (std::int64_t i = 0; i < types.size(0); ++i)
    sequence += protein::kResidueLetters[static_cast<std::size_t>(types[i].item<std::int64_t>())];
  return sequence;
}

void write_array(const std::filesystem::path& file, const at::Tensor& atom14) {
  const at::Tensor values = atom14.contiguous();
  format::write_npy(
      file, "<f4", values.sizes(),
      std::as_bytes(std::span(values.data_ptr<float>(), static_cast<std::size_t>(values.numel()))));
}

// The reference's own frames and torsions for a real conformation of all twenty residues.
TEST(Dataset, GoldenGeometry_FromArrayToFeatures) {
  const format::SafetensorsFile file(std::filesystem::path(MDGEN_SOURCE_DIR) /
                                     "tests/golden/geometry.safetensors");
  const at::Tensor types = golden(file, "seqres");
  const at::Tensor torsion_mask = golden(file, "torsion_mask");
  testing::TempDir folder;
  write_array(folder / "g.npy", golden(file, "atom14"));
  std::ofstream(folder / "g.csv") << "name,seqres\ng," << letters(types) << "\n";
  v1::JobSpec spec;
  spec.mutable_data()->set_train_split(folder / "g.csv");
  spec.mutable_data()->set_data_dir(folder.path());
  spec.mutable_data()->set_num_frames(3);
  spec.mutable_loop()->set_no_validate(true);
  const Batch batch = Dataset(spec, build_manifest(spec).manifest.train(), kChannels).load(0, {0});

  expect_close(batch.trans[0], golden(file, "frames.trans"), 0);
  expect_close(batch.rots[0], golden(file, "frames.rots"), 2e-6);
  EXPECT_TRUE(at::equal(batch.seqres[0], types));
  EXPECT_TRUE(at::equal(batch.mask[0], at::ones({20})));
  EXPECT_TRUE(at::equal(batch.torsion_mask[0], torsion_mask[0]));
  const at::Tensor defined = torsion_mask.unsqueeze(-1);
  expect_close(batch.torsions[0] * defined, golden(file, "torsions") * defined, 2e-5);
}

// A whole batch of the reference's loader, padding included.
TEST(Dataset, GoldenBatch_FromArraysToBatch) {
  const format::SafetensorsFile file(std::filesystem::path(MDGEN_SOURCE_DIR) /
                                     "tests/golden/sim.safetensors");
  const at::Tensor atom14 = golden(file, "batch.atom14");
  const at::Tensor mask = golden(file, "batch.mask");
  const at::Tensor types = golden(file, "batch.seqres");

  testing::TempDir folder;
  std::ofstream split(folder / "g.csv");
  split << "name,seqres\n";
  for (std::int64_t b = 0; b < atom14.size(0); ++b) {
    const auto residues = mask[b].sum().item<std::int64_t>();
    const std::string name = "g" + std::to_string(b);
    split << name << ',' << letters(types[b].narrow(0, 0, residues)) << '\n';
    write_array(folder / (name + "_R1.npy"), atom14[b].narrow(1, 0, residues));
  }
  split.close();
  v1::JobSpec spec;
  spec.mutable_data()->set_train_split(folder / "g.csv");
  spec.mutable_data()->set_data_dir(folder.path());
  spec.mutable_data()->set_num_frames(static_cast<std::int32_t>(atom14.size(1)));
  spec.mutable_data()->set_crop(static_cast<std::int32_t>(atom14.size(2)));
  spec.mutable_data()->set_atlas(true);
  spec.mutable_loop()->set_no_validate(true);
  const Batch batch = Dataset(spec, build_manifest(spec).manifest.train(), kChannels).load(0, {0, 1});

  EXPECT_TRUE(at::equal(batch.mask, mask));
  EXPECT_TRUE(at::equal(batch.seqres, types));
  EXPECT_TRUE(at::equal(batch.torsion_mask, golden(file, "batch.torsion_mask")));
  expect_close(batch.trans, golden(file, "batch.trans"), 0);
  expect_close(batch.rots, golden(file, "batch.rots"), 2e-6);
  const at::Tensor defined = batch.torsion_mask.unsqueeze(1).unsqueeze(-1);
  expect_close(batch.torsions * defined, golden(file, "batch.torsions") * defined, 2e-5);
  EXPECT_EQ(batch.noise.sizes(), golden(file, "draw.x0").sizes());
}

TEST(Dataset, SyntheticTorsions_ComeBack) {
  const DataFixture data({.lengths = {12, 20}, .dtype = "<f4"});
  for (const std::uint32_t sample : {0U, 1U, 2U, 3U, 4U, 5U}) {
    const Batch batch = data.dataset().load(2, {sample});
    const Window w = data.window(2, sample);
    const std::uint64_t seed = data.replica_seed(sample, w);
    double worst = 0;
    std::int64_t checked = 0;
    for (std::int64_t l = 0; l < batch.mask.sum().item<std::int64_t>(); ++l) {
      for (std::int64_t k = 0; k < 7; ++k) {
        if (batch.torsion_mask[0][l][k].item<float>() == 0) continue;
        for (std::int64_t t = 0; t < 6; ++t, ++checked) {
          const double angle =
              testing::synthetic_torsion(seed, w.crop_start + static_cast<int>(l), static_cast<int>(k),
                                         static_cast<int>(w.frame_start + t));
          const at::Tensor got = batch.torsions[0][t][l][k];
          worst = std::max(worst, std::abs(got[0].item<double>() - std::sin(angle)));
          worst = std::max(worst, std::abs(got[1].item<double>() - std::cos(angle)));
        }
      }
    }
    EXPECT_LT(worst, 2e-3);  // the tables' ideal chi frames have three digits
    EXPECT_GT(checked, 6 * 12 * 3);
  }
}

TEST(Dataset, Crop_KeepsWhatTheWholeProteinGives) {
  const DataFixture cropped({.lengths = {20}}, 6, 7);
  const DataFixture whole({.lengths = {20}}, 6, 20);
  std::set<int> starts;
  for (std::uint32_t sample = 0; sample < 12; ++sample) {
    const Batch part = cropped.dataset().load(0, {sample});
    const Batch all = whole.dataset().load(0, {sample});
    const Window w = cropped.window(0, sample);
    ASSERT_EQ(w.frame_start, whole.window(0, sample).frame_start);
    const auto same = [&](const at::Tensor& a, const at::Tensor& b, std::int64_t dim) {
      return at::equal(a, b.narrow(dim, w.crop_start, 7));
    };
    EXPECT_TRUE(same(part.trans, all.trans, 2));
    EXPECT_TRUE(same(part.rots, all.rots, 2));
    EXPECT_TRUE(same(part.torsions, all.torsions, 2));
    EXPECT_TRUE(same(part.torsion_mask, all.torsion_mask, 1));
    EXPECT_TRUE(same(part.seqres, all.seqres, 1));
    EXPECT_TRUE(same(part.noise, all.noise, 2));
    EXPECT_TRUE(at::equal(part.flow_time, all.flow_time));
    EXPECT_EQ(part.torsion_mask[0][0][1].item<float>(), w.crop_start > 0 ? 1 : 0);  // phi needs a predecessor
    starts.insert(w.crop_start);
  }
  EXPECT_GT(starts.size(), 3U);
}

TEST(Dataset, ShorterThanCrop_IsPadded) {
  const DataFixture data({.lengths = {12}}, 6, 15);
  const Batch batch = data.dataset().load(0, {0});
  EXPECT_EQ(batch.trans.sizes(), (at::IntArrayRef{1, 6, 15, 3}));
  EXPECT_EQ(batch.rots.sizes(), (at::IntArrayRef{1, 6, 15, 3, 3}));
  EXPECT_EQ(batch.torsions.sizes(), (at::IntArrayRef{1, 6, 15, 7, 2}));
  EXPECT_EQ(batch.torsion_mask.sizes(), (at::IntArrayRef{1, 15, 7}));
  EXPECT_EQ(batch.seqres.sizes(), (at::IntArrayRef{1, 15}));
  EXPECT_EQ(batch.noise.sizes(), (at::IntArrayRef{1, 6, 15, kChannels}));
  EXPECT_EQ(batch.flow_time.sizes(), (at::IntArrayRef{1}));
  EXPECT_TRUE(at::equal(batch.mask[0], at::cat({at::ones({12}), at::zeros({3})})));
  EXPECT_TRUE(at::equal(batch.rots.narrow(2, 12, 3), at::eye(3).expand({1, 6, 3, 3, 3})));
  for (const at::Tensor& padded :
       {batch.trans.narrow(2, 12, 3), batch.torsions.narrow(2, 12, 3), batch.torsion_mask.narrow(1, 12, 3),
        batch.noise.narrow(2, 12, 3), batch.seqres.narrow(1, 12, 3)})
    EXPECT_EQ(padded.count_nonzero().item<std::int64_t>(), 0);
  EXPECT_GT(batch.noise.narrow(2, 11, 1).abs().min().item<float>(), 0);
  EXPECT_EQ(batch.tokens, 6 * 12);
}

TEST(Dataset, Noise_IsIndexedByFrameInTheWindowAndResidueInTheProtein) {
  const DataFixture data({.lengths = {20}}, 6, 7);
  const Batch batch = data.dataset().load(3, {5});
  const DrawKey key{.seed = 137, .epoch = 3, .sample = 5};
  const Window w = data.window(3, 5);
  std::vector<float> expected(kChannels);
  for (std::int64_t t = 0; t < 6; ++t) {
    for (std::int32_t l = 0; l < 7; ++l) {
      draw_noise(key, t, w.crop_start + l, expected);
      const at::Tensor row = batch.noise[0][t][l];
      EXPECT_TRUE(std::equal(expected.begin(), expected.end(), row.data_ptr<float>()));
    }
  }
  EXPECT_EQ(batch.flow_time[0].item<float>(), draw_flow_time(key));
  EXPECT_EQ(batch.sample_hashes, std::vector<std::uint64_t>{sample_hash(key, w, draw_flow_time(key))});
}

TEST(Dataset, Sample_IsTheSameInAnyBatch) {
  const DataFixture data({.lengths = {12, 20, 31}});
  const Dataset dataset = data.dataset();
  const Batch together = dataset.load(1, {7, 2, 9, 4, 2});
  const MicroBatch order = {7, 2, 9, 4, 2};
  std::int64_t tokens = 0;
  for (std::size_t row = 0; row < order.size(); ++row) {
    const Batch alone = dataset.load(1, {order[row]});
    const auto a = tensors(together);
    const auto b = tensors(alone);
    for (std::size_t i = 0; i < a.size(); ++i)
      EXPECT_TRUE(at::equal(a[i][static_cast<std::int64_t>(row)], b[i][0]))
          << "row " << row << ", tensor " << i;
    EXPECT_EQ(together.sample_hashes[row], alone.sample_hashes[0]);
    tokens += alone.tokens;
  }
  EXPECT_EQ(together.tokens, tokens);
  EXPECT_EQ(together.sample_hashes[1], together.sample_hashes[4]);
}

TEST(Dataset, EpochsDiffer_ValidationDoesNot) {
  const DataFixture data;
  const Dataset dataset = data.dataset();
  EXPECT_FALSE(at::equal(dataset.load(0, {0}).noise, dataset.load(1, {0}).noise));
  EXPECT_TRUE(
      at::equal(dataset.load(kValidationEpoch, {0}).noise, dataset.load(kValidationEpoch, {0}).noise));
}

TEST(Dataset, HalfPrecision_IsWidened) {
  const DataFixture half({.dtype = "<f2"});
  const DataFixture full({.dtype = "<f4"});
  const at::Tensor a = half.dataset().load(0, {0}).trans;
  const at::Tensor b = full.dataset().load(0, {0}).trans;
  EXPECT_TRUE(at::equal(a, b.to(at::kHalf).to(at::kFloat)));
  EXPECT_EQ(a.scalar_type(), at::kFloat);
}

// The same proteins, some stored in float16 and some in float32.
TEST(Dataset, MixedPrecision_IsWidenedWhereItIsHalf) {
  const DataFixture half({.lengths = {12, 20}, .replicas = 1, .dtype = "<f2"});
  const DataFixture full({.lengths = {12, 20}, .replicas = 1, .dtype = "<f4"});
  DataFixture mixed({.lengths = {12, 20}, .replicas = 1, .dtype = "<f2"});
  std::filesystem::copy_file(full.made.data_dir / "synth1_R1.npy", mixed.made.data_dir / "synth1_R1.npy",
                             std::filesystem::copy_options::overwrite_existing);
  mixed.manifest = build_manifest(mixed.spec).manifest.train();
  const auto got = tensors(mixed.dataset().load(0, {0, 1, 2}));
  const auto halves = tensors(half.dataset().load(0, {0, 1, 2}));
  const auto floats = tensors(full.dataset().load(0, {0, 1, 2}));
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_TRUE(at::equal(got[i][0], halves[i][0])) << i;
    EXPECT_TRUE(at::equal(got[i][1], floats[i][1])) << i;
    EXPECT_TRUE(at::equal(got[i][2], halves[i][2])) << i;
  }
  EXPECT_FALSE(at::equal(halves[0], floats[0]));
}

// Buffers are used again: what one batch leaves in them does not get into the next.
TEST(Dataset, BatchesBeforeIt_LeaveASampleAlone) {
  const DataFixture data({.lengths = {40, 12, 20}}, 6, 25);
  const Dataset used = data.dataset();
  for (std::uint32_t i = 0; i < 9; ++i) used.load(3, {i, i + 1});
  for (std::uint32_t i = 0; i < 6; ++i) {
    const auto got = tensors(used.load(1, {i}));
    const auto expected = tensors(data.dataset().load(1, {i}));
    for (std::size_t k = 0; k < got.size(); ++k) EXPECT_TRUE(at::equal(got[k], expected[k])) << i << ' ' << k;
  }
}

TEST(Dataset, WithoutAtlas_NoCropAndEqualLengthsOnly) {
  const DataFixture data({.lengths = {12, 20}, .replicas = 0}, 6, 7);
  const Dataset dataset = data.dataset();
  EXPECT_EQ(dataset.load(0, {1}).trans.size(2), 20);
  EXPECT_EQ(dataset.load(0, {0, 2}).trans.size(2), 12);
  EXPECT_THAT(message_of([&] {
                dataset.load(0, {0, 1});
              }),
              HasSubstr("synth0 (12 residues) and synth1 (20) cannot share a batch without atlas"));
}

TEST(Dataset, BadFile_IsNamed) {
  const DataFixture data({.lengths = {12}, .frames = 6, .replicas = 1});
  const std::filesystem::path file = data.made.data_dir / "synth0_R1.npy";
  const Dataset dataset = data.dataset();
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 2);
  EXPECT_THAT(message_of([&] { dataset.load(0, {0}); }), HasSubstr(file.string() + ": truncated"));
  std::filesystem::remove(file);
  EXPECT_THAT(message_of([&] { dataset.load(0, {0}); }), HasSubstr(file.string() + ": cannot open"));
}

TEST(Dataset, BadSample_IsLeftOutAndListedUnderSkip) {
  DataFixture data({.lengths = {12, 20, 14}, .frames = 6, .replicas = 1});
  const std::filesystem::path missing = data.made.data_dir / "synth1_R1.npy";
  const std::filesystem::path not_finite = data.made.data_dir / "synth2_R1.npy";
  std::filesystem::remove(missing);
  std::fstream(not_finite, std::ios::in | std::ios::out | std::ios::binary).seekp(128).write("\0\x7c", 2);
  data.manifest.mutable_entries(2)->mutable_replicas(0)->set_mtime_ns(0);  // not compared
  EXPECT_THAT(message_of([&] { data.dataset().load(0, {0, 1, 3}); }), HasSubstr("synth1_R1.npy"));
  data.spec.mutable_data()->set_on_bad_sample("fail");
  EXPECT_THAT(message_of([&] { data.dataset().load(0, {0, 1, 3}); }), HasSubstr("synth1_R1.npy"));

  data.spec.mutable_data()->set_on_bad_sample("skip");
  const Dataset dataset = data.dataset();
  const Batch whole = dataset.load(0, {0, 3});
  EXPECT_TRUE(whole.bad_samples.empty());
  const Batch batch = dataset.load(0, {4, 0, 2, 3});
  ASSERT_EQ(batch.bad_samples.size(), 2U);
  EXPECT_EQ(batch.bad_samples[0].virtual_sample, 4U);
  EXPECT_THAT(batch.bad_samples[0].reason, HasSubstr(missing.string() + ": cannot open"));
  EXPECT_EQ(batch.bad_samples[1].virtual_sample, 2U);
  EXPECT_THAT(batch.bad_samples[1].reason,
              HasSubstr(not_finite.string() + ": a coordinate is not finite in frame 0, residue 1"));
  const auto got = tensors(batch);
  const auto expected = tensors(whole);
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_TRUE(at::equal(got[i], expected[i])) << i;
  EXPECT_EQ(batch.names, whole.names);
  EXPECT_EQ(batch.sample_hashes, whole.sample_hashes);
  EXPECT_EQ(batch.tokens, whole.tokens);
}

TEST(Dataset, OnlyBadSamples_GiveABatchOfNone) {
  DataFixture data({.lengths = {12}, .frames = 6, .replicas = 1});
  data.spec.mutable_data()->set_on_bad_sample("skip");
  std::filesystem::remove(data.made.data_dir / "synth0_R1.npy");
  const Batch batch = data.dataset().load(0, {0, 1});
  EXPECT_EQ(batch.bad_samples.size(), 2U);
  EXPECT_TRUE(batch.names.empty());
  EXPECT_TRUE(batch.sample_hashes.empty());
  EXPECT_EQ(batch.tokens, 0);
}

TEST(Dataset, BadArguments_Throw) {
  const DataFixture data;
  EXPECT_THAT(message_of([&] { data.dataset().load(0, {}); }), HasSubstr("0 samples"));
  EXPECT_THAT(message_of([&] { data.dataset().load(-1, {0}); }), HasSubstr("epoch -1"));
  EXPECT_THAT(message_of([&] { Dataset(data.spec, {}, kChannels); }), HasSubstr("without entries"));
}

}  // namespace
}  // namespace mdgen::data
