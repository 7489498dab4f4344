#include "core/data/padding.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace mdgen::data {
namespace {

v1::JobSpec spec_of(const std::function<void(v1::JobSpec&)>& set) {
  v1::JobSpec spec;
  spec.mutable_data()->set_atlas(true);
  spec.mutable_data()->set_crop(100);
  spec.mutable_data()->set_padding("trimmed");
  set(spec);
  return spec;
}
v1::JobSpec spec_of_model(bool compat, const std::function<void(v1::ModelSpec&)>& set) {
  return spec_of([&](v1::JobSpec& spec) {
    spec.set_reference_compat(compat);
    set(*spec.mutable_model());
  });
}

std::int32_t padded(const v1::JobSpec& spec, const std::vector<std::int32_t>& proteins) {
  return padded_residues(padding_rules(spec), proteins);
}

TEST(Padding, Trimmed_IsTheLongestSampleRoundedUpToEightAndNeverBeyondCrop) {
  const v1::JobSpec spec = spec_of([](v1::JobSpec&) {});
  EXPECT_EQ(padded(spec, {1}), 8);
  EXPECT_EQ(padded(spec, {8}), 8);
  EXPECT_EQ(padded(spec, {9}), 16);
  EXPECT_EQ(padded(spec, {40, 9, 17}), 40);
  EXPECT_EQ(padded(spec, {95}), 96);
  EXPECT_EQ(padded(spec, {97}), 100);
  EXPECT_EQ(padded(spec, {12, 300}), 100);
}

TEST(Padding, Crop_IsAlwaysCrop) {
  const v1::JobSpec spec = spec_of([](v1::JobSpec& s) { s.mutable_data()->set_padding("crop"); });
  EXPECT_EQ(padded(spec, {9}), 100);
  EXPECT_EQ(padded(spec, {300, 2}), 100);
}

TEST(Padding, WithoutAtlas_NothingIsCroppedOrPadded) {
  const v1::JobSpec spec = spec_of([](v1::JobSpec& s) { s.mutable_data()->set_atlas(false); });
  EXPECT_EQ(padded(spec, {9}), 9);
  EXPECT_EQ(padded(spec, {300, 300}), 300);
  EXPECT_EQ(shown_residues(padding_rules(spec), 300), 300);
}

TEST(Padding, ASampleShowsItsProteinUpToCrop) {
  const PaddingRules rules = padding_rules(spec_of([](v1::JobSpec&) {}));
  EXPECT_EQ(shown_residues(rules, 9), 9);
  EXPECT_EQ(shown_residues(rules, 100), 100);
  EXPECT_EQ(shown_residues(rules, 101), 100);
}

TEST(Padding, WhereTheReferenceCountsIt_CompatibilityKeepsIt) {
  using Set = void (v1::ModelSpec::*)(bool);
  for (const Set set : {&v1::ModelSpec::set_supervise_all_torsions, &v1::ModelSpec::set_design,
                        &v1::ModelSpec::set_no_rope}) {
    const auto turn_on = [&](v1::ModelSpec& model) { (model.*set)(true); };
    EXPECT_EQ(padded(spec_of_model(true, turn_on), {9}), 100);
    EXPECT_EQ(padded(spec_of_model(false, turn_on), {9}), 16);
  }
  for (const char* method : {"dopri5", "euler"}) {
    const auto sampling = [&](bool compat) {
      return spec_of([&](v1::JobSpec& spec) {
        spec.set_reference_compat(compat);
        spec.mutable_loop()->set_inference_batches(1);
        spec.mutable_transport()->set_sampling_method(method);
      });
    };
    EXPECT_EQ(padded(sampling(true), {9}), std::string(method) == "dopri5" ? 100 : 16);
    EXPECT_EQ(padded(sampling(false), {9}), 16);
  }
  for (const Set set :
       {&v1::ModelSpec::set_sim_condition, &v1::ModelSpec::set_tps_condition, &v1::ModelSpec::set_inpainting,
        &v1::ModelSpec::set_hyena, &v1::ModelSpec::set_interleave_ipa, &v1::ModelSpec::set_abs_pos_emb}) {
    EXPECT_EQ(padded(spec_of_model(true, [&](v1::ModelSpec& model) { (model.*set)(true); }), {9}), 16);
  }
}

}  // namespace
}  // namespace mdgen::data
