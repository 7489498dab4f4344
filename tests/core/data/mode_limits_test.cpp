#include "core/data/mode_limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace mdgen::data {
namespace {

using ::testing::HasSubstr;

v1::JobSpec with(const std::function<void(v1::JobSpec&)>& set) {
  v1::JobSpec spec;
  spec.mutable_data()->set_crop(256);
  set(spec);
  return spec;
}

TEST(LengthProblem, AnyLengthSuitsTheModesThatPointAtNoResidue) {
  for (const bool atlas : {false, true}) {
    const v1::JobSpec spec = with([&](v1::JobSpec& s) {
      s.mutable_model()->set_tps_condition(true);
      s.mutable_model()->set_hyena(true);
      s.mutable_data()->set_atlas(atlas);
    });
    for (const std::int32_t residues : {1, 4, 300}) EXPECT_EQ(length_problem(spec, residues), "");
  }
}

TEST(LengthProblem, DesignInpaintingAndMpnnNeedFourResidues) {
  using Set = void (v1::ModelSpec::*)(bool);
  for (const Set set : {&v1::ModelSpec::set_design, &v1::ModelSpec::set_inpainting, &v1::ModelSpec::set_mpnn,
                        &v1::ModelSpec::set_dynamic_mpnn, &v1::ModelSpec::set_no_design_torsion}) {
    v1::JobSpec spec = with([&](v1::JobSpec& s) { (s.mutable_model()->*set)(true); });
    EXPECT_EQ(length_problem(spec, 4), "");
    EXPECT_EQ(length_problem(spec, 9), "");
    EXPECT_THAT(length_problem(spec, 3), HasSubstr("3 residues; "));
    EXPECT_THAT(length_problem(spec, 3), HasSubstr("needs at least 4"));
    spec.mutable_data()->set_atlas(true);
    EXPECT_THAT(length_problem(spec, 3), HasSubstr("3 residues (crop = 256); "));
    spec.mutable_data()->set_crop(2);
    EXPECT_THAT(length_problem(spec, 9), HasSubstr("9 residues (crop = 2); "));
  }
}

TEST(LengthProblem, DesignKeyFramesNeedsExactlyFour) {
  v1::JobSpec spec = with([](v1::JobSpec& s) { s.mutable_model()->set_design_key_frames(true); });
  EXPECT_EQ(length_problem(spec, 4), "");
  EXPECT_THAT(length_problem(spec, 5), HasSubstr("exactly 4"));
  spec.mutable_data()->set_atlas(true);
  EXPECT_THAT(length_problem(spec, 4), HasSubstr("exactly 4"));  // padded to 256
  spec.mutable_data()->set_crop(4);
  EXPECT_EQ(length_problem(spec, 9), "");
  EXPECT_THAT(length_problem(spec, 3), HasSubstr("exactly 4"));
}

TEST(LengthProblem, APositionTableHasCropRows) {
  v1::JobSpec spec = with([](v1::JobSpec& s) {
    s.mutable_model()->set_abs_pos_emb(true);
    s.mutable_data()->set_crop(4);
  });
  EXPECT_EQ(length_problem(spec, 4), "");
  EXPECT_THAT(length_problem(spec, 5), HasSubstr("abs_pos_emb has rows for crop = 4"));
  spec.mutable_data()->set_atlas(true);
  EXPECT_EQ(length_problem(spec, 5), "");
}

}  // namespace
}  // namespace mdgen::data
