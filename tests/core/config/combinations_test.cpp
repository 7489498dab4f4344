#include "core/config/combinations.h"

#include <ostream>

#include "spec_fixture.h"

namespace mdgen::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Words = std::vector<std::string>;

JobSpec with(const Words& flags) {
  JobSpec spec = default_spec();
  apply_flags(spec, flags);
  return spec;
}

struct Case {
  Words flags;
  const char* text;
};
void PrintTo(const Case& example, std::ostream* out) {
  for (const std::string& flag : example.flags) *out << flag << " ";
}

class RefusedTest : public ::testing::TestWithParam<Case> {};

TEST_P(RefusedTest, WithTheReason) {
  EXPECT_THAT(refused_combinations(with(GetParam().flags)), ElementsAre(HasSubstr(GetParam().text)));
  JobSpec spec = minimal_spec();
  apply_flags(spec, GetParam().flags);
  EXPECT_THAT(error_of(ErrorCode::kInvalidArgument, [&] { resolve(spec, "/b"); }),
              HasSubstr(GetParam().text));
}

INSTANTIATE_TEST_SUITE_P(
    Each, RefusedTest,
    ::testing::Values(
        Case{{"--design"}, "model.design needs model.prepend_ipa"},
        Case{{"--design", "--prepend_ipa", "--prediction", "score"}, "prediction = velocity, not score"},
        Case{{"--mpnn", "--prepend_ipa"}, "model.mpnn and model.dynamic_mpnn need model.design"},
        Case{{"--dynamic_mpnn", "--prepend_ipa"}, "need model.design"},
        Case{{"--mpnn", "--dynamic_mpnn", "--design", "--prepend_ipa"}, "exclude each other: one sees"},
        Case{{"--design_key_frames", "--num_frames", "1"}, "num_frames of at least 2"},
        Case{{"--design", "--prepend_ipa", "--alpha_max", "1"}, "transport.alpha_max must be above 1"},
        Case{{"--design", "--prepend_ipa", "--discrete_loss_weight", "1.5"}, "must be from 0 to 1"},
        Case{{"--design", "--prepend_ipa", "--dirichlet_flow_temp", "0"}, "must be above 0"},
        Case{{"--no_frames", "--tps_condition"}, "not with model.tps_condition, which the reference ignores"},
        Case{{"--no_frames", "--inpainting"}, "not with model.inpainting"},
        Case{{"--no_frames", "--cond_interval", "4", "--sim_condition"}, "not with model.cond_interval"},
        Case{{"--no_frames", "--prepend_ipa", "--interleave_ipa", "--sim_condition"},
             "leaves no frames for model.prepend_ipa, model.interleave_ipa"},
        Case{{"--no_frames", "--atlas"}, "excludes data.atlas"},
        Case{{"--supervise_all_torsions", "--supervise_no_torsions"}, "exclude each other"}));

TEST(RefusedCombinations, AreAllNamedAtOnce) {
  const auto texts = refused_combinations(with({"--no_frames", "--design", "--mpnn"}));
  EXPECT_THAT(texts, ElementsAre(HasSubstr("needs model.prepend_ipa"), HasSubstr("not with model.mpnn"),
                                 HasSubstr("excludes model.design")));
}

// The original README's five training commands and the combinations of the reference tensors.
TEST(RefusedCombinations, LetTheReferencesOwnThrough) {
  const std::vector<Words> good = {
      {},
      {"--sim_condition", "--prepend_ipa", "--abs_pos_emb"},
      {"--tps_condition", "--prepend_ipa", "--abs_pos_emb"},
      {"--sim_condition", "--tps_condition", "--prepend_ipa", "--cond_interval", "3"},
      {"--sim_condition", "--prepend_ipa", "--abs_pos_emb", "--cond_interval", "100", "--num_frames", "1000"},
      {"--inpainting", "--prepend_ipa", "--abs_pos_emb", "--design", "--no_aa_emb", "--no_torsion"},
      {"--sim_condition", "--prepend_ipa", "--atlas"},
      {"--sim_condition", "--design", "--prepend_ipa", "--design_key_frames", "--no_design_torsion"},
      {"--dynamic_mpnn", "--design", "--prepend_ipa", "--no_aa_emb"},
      {"--mpnn", "--design", "--prepend_ipa", "--no_aa_emb"},
      {"--design", "--prepend_ipa"},
      {"--sim_condition", "--no_frames"},
      {"--sim_condition", "--prepend_ipa", "--no_offsets", "--supervise_all_torsions"}};
  for (const Words& flags : good) {
    EXPECT_THAT(refused_combinations(with(flags)), IsEmpty()) << ::testing::PrintToString(flags);
    EXPECT_THAT(idle_flags(with(flags)), IsEmpty()) << ::testing::PrintToString(flags);
  }
}

class IdleTest : public ::testing::TestWithParam<Case> {};

TEST_P(IdleTest, IsSaid) {
  EXPECT_THAT(idle_flags(with(GetParam().flags)), ElementsAre(HasSubstr(GetParam().text)));
}

INSTANTIATE_TEST_SUITE_P(
    Each, IdleTest,
    ::testing::Values(
        Case{{"--no_frames", "--no_offsets", "--no_torsion"},
             "neither frames nor torsions: model.no_torsion, model.no_offsets"},
        Case{{"--mpnn", "--design", "--prepend_ipa", "--supervise_no_torsions"}, "the sequence's alone"},
        Case{{"--no_torsion", "--no_design_torsion"}, "no effect under model.no_torsion"},
        Case{{"--no_aa_emb"}, "no effect without model.prepend_ipa"},
        Case{{"--cond_interval", "50"}, "gives the first frame only"},
        Case{{"--alpha_max", "4"}, "transport.alpha_max has no effect without model.design"},
        Case{{"--discrete_loss_weight", "1"}, "discrete_loss_weight has no effect without model.design"},
        Case{{"--dirichlet_flow_temp", "0.5"}, "dirichlet_flow_temp has no effect without model.design"},
        Case{{"--allow_nan_cfactor"}, "allow_nan_cfactor has no effect without model.design"},
        Case{{"--alpha_max", "4", "--mpnn", "--design", "--prepend_ipa"}, "no effect with mpnn"}));

// These act on frames and torsions whether the sequence is generated or not.
TEST(IdleFlags, LeaveOutWhatActsWithoutDesign) {
  EXPECT_THAT(idle_flags(with({"--design_key_frames", "--no_design_torsion"})), IsEmpty());
}

}  // namespace
}  // namespace mdgen::config
