// What the data flags and the modes change in a batch.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <span>

#include "core/base/error.h"
#include "core/format/npy.h"
#include "core/format/safetensors.h"
#include "core/protein/residue_constants.h"
#include "core/transport/time_range.h"
#include "data_fixture.h"

namespace mdgen::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// The array of one replica as it lies in the file.
at::Tensor array_of(const DataFixture& data, const std::string& name) {
  const std::filesystem::path file = data.made.data_dir / name;
  const format::NpyHeader header = format::read_npy_header(file);
  at::Tensor values = at::empty(header.shape, header.dtype == "<f2" ? at::kHalf : at::kFloat);
  std::ifstream in(file, std::ios::binary);
  in.seekg(static_cast<std::streamoff>(header.data_offset));
  in.read(static_cast<char*>(values.data_ptr()), static_cast<std::streamsize>(values.nbytes()));
  return values.to(at::kFloat);
}

void rewrite(const std::filesystem::path& file, const at::Tensor& atom14) {
  const at::Tensor values = atom14.contiguous();
  format::write_npy(
      file, "<f4", values.sizes(),
      std::as_bytes(std::span(values.data_ptr<float>(), static_cast<std::size_t>(values.numel()))));
}

at::Tensor ca_of(const at::Tensor& atom14) { return atom14.select(2, 1); }

TEST(DatasetModes, FrameInterval_TakesEveryNthFrame) {
  DataFixture data({.lengths = {12}, .frames = 23, .replicas = 0}, 4);
  const at::Tensor all = array_of(data, "synth0.npy");
  data.spec.mutable_data()->set_frame_interval(5);  // frames 0, 5, 10, 15, 20
  std::set<std::int64_t> starts;
  for (std::uint32_t sample = 0; sample < 40; ++sample) {
    const Window w = data.window(0, sample);
    starts.insert(w.frame_start);
    const at::Tensor expected = ca_of(all).slice(0, w.frame_start * 5, w.frame_start * 5 + 16, 5);
    EXPECT_TRUE(at::equal(data.dataset().load(0, {sample}).trans[0], expected)) << w.frame_start;
  }
  EXPECT_THAT(starts, ElementsAre(0, 1));
}

TEST(DatasetModes, OverfitFrame_StartsAtTheFirstFrame) {
  DataFixture data({.lengths = {12}, .frames = 23, .replicas = 0});
  const at::Tensor first = ca_of(array_of(data, "synth0.npy")).narrow(0, 0, 6);
  data.spec.mutable_data()->set_overfit_frame(true);
  for (std::uint32_t sample = 0; sample < 10; ++sample)
    EXPECT_TRUE(at::equal(data.dataset().load(0, {sample}).trans[0], first));
}

TEST(DatasetModes, CopyFrames_RepeatsTheWindowsFirstFrame) {
  DataFixture data({.lengths = {12}, .frames = 23});
  for (std::uint32_t sample = 0; sample < 5; ++sample) {
    data.spec.mutable_data()->set_copy_frames(false);
    const Batch moving = data.dataset().load(0, {sample});
    data.spec.mutable_data()->set_copy_frames(true);
    const Batch copied = data.dataset().load(0, {sample});
    EXPECT_FALSE(at::equal(moving.trans[0][0], moving.trans[0][1]));
    for (const auto& [got, from] : {std::pair{copied.trans, moving.trans},
                                    {copied.rots, moving.rots},
                                    {copied.torsions, moving.torsions}})
      EXPECT_TRUE(at::equal(got, from.narrow(1, 0, 1).expand_as(from)));
    EXPECT_TRUE(at::equal(copied.noise, moving.noise));
    EXPECT_EQ(copied.tokens, moving.tokens);
    EXPECT_EQ(copied.sample_hashes, moving.sample_hashes);
  }
}

TEST(DatasetModes, ReferenceCompat_NeverDrawsTheLastWindow) {
  DataFixture data({.lengths = {12}, .frames = 8}, 6);  // windows start at 0, 1 and 2
  const auto starts = [&] {
    std::set<std::int64_t> seen;
    for (std::uint32_t sample = 0; sample < 200; ++sample) seen.insert(data.window(0, sample).frame_start);
    return seen;
  };
  EXPECT_THAT(starts(), ElementsAre(0, 1, 2));
  data.spec.set_reference_compat(true);
  EXPECT_THAT(starts(), ElementsAre(0, 1));
  data.spec.mutable_data()->set_num_frames(8);  // the reference fails here
  EXPECT_THAT(starts(), ElementsAre(0));
  EXPECT_EQ(data.dataset().load(0, {0}).trans.size(1), 8);
}

class AbsentAtoms : public ::testing::Test {
 protected:
  // Lysines, of which the third lacks its CG (atom14 position 5) in one frame and the fourth its O.
  AbsentAtoms() : data_({.lengths = {5}, .frames = 6, .replicas = 0, .dtype = "<f4"}) {
    at::Tensor atoms = at::tensor(testing::synthetic_peptide("KKKKK", 6, 3)).view({6, 5, 14, 3});
    atoms += 30;
    atoms *= at::ne(atoms, 30);  // atoms that a residue lacks stay zeros
    whole_ = atoms.clone();
    atoms[4][2][5] = 0;
    atoms.select(1, 3).select(1, 3).zero_();
    damaged_ = atoms;
    data_.manifest.mutable_entries(0)->set_seqres("KKKKK");
  }
  Batch batch(const at::Tensor& atoms) {
    rewrite(data_.made.data_dir / "synth0.npy", atoms);
    data_.manifest.mutable_entries(0)->mutable_replicas(0)->set_bytes(
        static_cast<std::int64_t>(std::filesystem::file_size(data_.made.data_dir / "synth0.npy")));
    data_.manifest.mutable_entries(0)->mutable_replicas(0)->set_mtime_ns(0);  // not compared
    return data_.dataset().load(0, {0});
  }
  DataFixture data_;
  at::Tensor whole_;
  at::Tensor damaged_;
};

TEST_F(AbsentAtoms, LeaveTheMaskOfTheirAnglesEmpty) {
  const Batch whole = batch(whole_);
  const Batch damaged = batch(damaged_);
  at::Tensor expected = whole.torsion_mask.clone();
  for (const int chi : {3, 4, 5, 6}) expected[0][2][chi] = 0;  // CG is in all four
  expected[0][3][2] = 0;                                       // psi is measured to O
  EXPECT_EQ(whole.torsion_mask[0][2].sum().item<float>(), 7);
  EXPECT_TRUE(at::equal(damaged.torsion_mask, expected));
  EXPECT_TRUE(at::equal(damaged.torsions[0].select(1, 2).narrow(1, 3, 4), at::zeros({6, 4, 2})));
  EXPECT_TRUE(at::equal(damaged.torsions * expected.view({1, 1, 5, 7, 1}),
                        whole.torsions * expected.view({1, 1, 5, 7, 1})));
  EXPECT_TRUE(at::equal(damaged.trans, whole.trans));
}

TEST_F(AbsentAtoms, UnderReferenceCompat_AreTrainedOn) {
  data_.spec.set_reference_compat(true);
  const Batch whole = batch(whole_);
  const Batch damaged = batch(damaged_);
  EXPECT_TRUE(at::equal(damaged.torsion_mask, whole.torsion_mask));
  EXPECT_FALSE(at::equal(damaged.torsions, whole.torsions));
}

TEST_F(AbsentAtoms, UnderNoFrames_LeaveTheAtomMaskEmpty) {
  data_.spec.mutable_model()->set_no_frames(true);
  const std::int64_t cg = 5;  // in atom37
  const std::int64_t o = 4;
  const Batch whole = batch(whole_);
  const Batch damaged = batch(damaged_);
  at::Tensor expected = whole.atom37_mask.clone();
  EXPECT_EQ(expected[0][2].sum().item<float>(), 9);
  expected[0][2][cg] = 0;
  expected[0][3][o] = 0;
  EXPECT_TRUE(at::equal(damaged.atom37_mask, expected));
  data_.spec.set_reference_compat(true);
  EXPECT_TRUE(at::equal(batch(damaged_).atom37_mask, whole.atom37_mask));
}

TEST_F(AbsentAtoms, AbsentBackbone_IsRefused) {
  damaged_.select(1, 1).select(1, 0).zero_();
  EXPECT_THAT(message_of([&] { batch(damaged_); }),
              HasSubstr("no N, CA or C (all zeros) in frame 0, residue 2"));
  data_.spec.mutable_model()->set_no_frames(true);
  EXPECT_THAT(message_of([&] { batch(damaged_); }), HasSubstr("no N, CA or C"));
}

at::Tensor golden(const format::SafetensorsFile& file, const std::string& name) {
  const format::TensorInfo& info = file.tensors().at(name);
  const auto dtype = info.dtype == "I64" ? at::kLong : at::kFloat;
  return at::from_blob(const_cast<std::byte*>(file.bytes(name).data()), info.shape, dtype).clone();
}

// The reference's atom37 of a real conformation of all twenty residues.
TEST(DatasetModes, NoFrames_GivesTheReferencesAtoms) {
  const format::SafetensorsFile file(std::filesystem::path(MDGEN_SOURCE_DIR) /
                                     "tests/golden/geometry.safetensors");
  DataFixture data({.lengths = {20}, .frames = 3, .replicas = 0}, 3);
  const at::Tensor types = golden(file, "seqres");
  std::string sequence;
  for (std::int64_t i = 0; i < types.size(0); ++i)
    sequence += protein::kResidueLetters[static_cast<std::size_t>(types[i].item<std::int64_t>())];
  std::ofstream(data.made.train_split) << "name,seqres\nsynth0," << sequence << "\n";
  rewrite(data.made.data_dir / "synth0.npy", golden(file, "atom14"));
  data.spec.mutable_model()->set_no_frames(true);
  for (const bool by_sequence : {false, true}) {
    data.spec.set_reference_compat(by_sequence);
    const Batch batch = Dataset(data.spec, build_manifest(data.spec).manifest.train(), 111).load(0, {0});
    EXPECT_TRUE(at::equal(batch.atom37[0], golden(file, "atom37")));
    EXPECT_TRUE(at::equal(batch.atom37_mask[0], golden(file, "atom37").ne(0).any(-1)[0].to(at::kFloat)));
    EXPECT_TRUE(at::equal(batch.mask, at::ones({1, 20})));
    EXPECT_EQ(batch.noise.sizes(), (at::IntArrayRef{1, 3, 20, 111}));
    for (const at::Tensor& absent : {batch.trans, batch.rots, batch.torsions, batch.torsion_mask})
      EXPECT_FALSE(absent.defined());
  }
}

TEST(DatasetModes, Simplex_IsThereForTheSequencesFlowOnly) {
  DataFixture data;
  const auto has_simplex = [&] { return data.dataset().load(0, {0}).simplex.defined(); };
  EXPECT_FALSE(has_simplex());
  data.spec.mutable_transport()->set_alpha_max(8);
  data.spec.mutable_model()->set_design(true);
  EXPECT_TRUE(has_simplex());
  data.spec.mutable_model()->set_mpnn(true);
  EXPECT_FALSE(has_simplex());
  data.spec.mutable_model()->set_mpnn(false);
  data.spec.mutable_model()->set_dynamic_mpnn(true);
  EXPECT_FALSE(has_simplex());
}

TEST(DatasetModes, Simplex_IsDrawnByResidueInTheProteinAtTheSamplesFlowTime) {
  DataFixture data({.lengths = {20, 9}}, 6, 12);
  data.spec.mutable_model()->set_design(true);
  data.spec.mutable_transport()->set_alpha_max(8);
  data.spec.mutable_transport()->set_path_type("VP");  // draws t in [0, 1 - 1e-5]
  const Batch batch = data.dataset().load(2, {4, 5});
  EXPECT_EQ(batch.simplex.sizes(), (at::IntArrayRef{2, 12, 20}));
  const DrawKey key{.seed = 137, .epoch = 2, .sample = 4};
  const Window w = data.window(2, 4);
  const transport::TimeRange range{0, 1 - 1e-5};
  const double alpha = 1 + 7.0 * transport::flow_time(range, draw_flow_time(key));
  for (std::int64_t l = 0; l < 12; ++l) {
    std::array<float, 20> expected{};
    draw_simplex(key, static_cast<std::int32_t>(w.crop_start + l), batch.seqres[0][l].item<int>(), alpha,
                 expected);
    EXPECT_TRUE(
        at::equal(batch.simplex[0][l], at::tensor(std::vector<float>(expected.begin(), expected.end()))));
  }
  EXPECT_TRUE(at::equal(batch.simplex[1].narrow(0, 9, 3), at::full({3, 20}, 0.05F)));  // padding
}

TEST(DatasetModes, NamesKeysAndFirstResidues) {
  const DataFixture data({.lengths = {20, 9}}, 6, 12);
  const Batch batch = data.dataset().load(2, {4, 5, 6});
  for (std::int64_t row = 0; row < 3; ++row) {
    const auto sample = static_cast<std::uint32_t>(4 + row);
    const Window w = data.window(2, sample);
    EXPECT_EQ(batch.names[static_cast<std::size_t>(row)],
              data.entry(sample).name() + "_R" + std::to_string(w.replica + 1));
    EXPECT_EQ(batch.first_residue[row].item<std::int64_t>(), w.crop_start);
    EXPECT_EQ(batch.dropout_key[row].item<std::int64_t>(),
              draw_dropout_key({.seed = 137, .epoch = 2, .sample = sample}));
  }
  const DataFixture whole({.lengths = {20}, .replicas = 0});
  EXPECT_EQ(whole.dataset().load(0, {0}).names, std::vector<std::string>{"synth0"});
}

TEST(DatasetModes, OverfitAndOverfitPeptide_ServeOneEntry) {
  DataFixture data({.lengths = {12, 20, 31}});
  data.spec.mutable_data()->set_overfit(true);
  data.spec.mutable_data()->set_train_repeat(1);
  data.manifest = build_manifest(data.spec).manifest.train();
  const Batch batch = data.dataset().load(0, {0, 1, 2});
  for (const std::string& name : batch.names) EXPECT_THAT(name, HasSubstr("synth0_R"));
  EXPECT_FALSE(at::equal(batch.noise[0], batch.noise[1]));
}

}  // namespace
}  // namespace mdgen::data
