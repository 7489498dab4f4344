#include "core/sample/start.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/config/spec.h"

namespace mdgen::sample {
namespace {

using ::testing::ElementsAre;

constexpr std::int64_t kResidues = 5;

v1::JobSpec spec() {
  v1::JobSpec spec = config::default_spec();
  spec.mutable_model()->set_sim_condition(true);
  return spec;
}

// Frames of residues whose atoms lie where those of a protein could.
at::Tensor frames(std::int64_t count) {
  torch::manual_seed(7);
  const at::Tensor ca = at::arange(kResidues).view({1, kResidues, 1, 1}) * 3.8;
  return ca + torch::randn({count, kResidues, 14, 3});
}

at::Tensor types() { return torch::tensor({0, 5, 11, 17, 7}, at::kLong); }

TEST(Placement, IsWhatTheTasksAre) {
  EXPECT_THAT(simulation_placement(3), ElementsAre(0, 0, 0));
  EXPECT_THAT(interpolation_placement(4), ElementsAre(0, 0, 0, 1));
  EXPECT_THAT(upsampling_placement(2, 3), ElementsAre(0, -1, -1, 1, -1, -1));
  EXPECT_THAT(window_placement(3), ElementsAre(0, 1, 2));
}

TEST(MakeStart, GivenFramesStandAtTheirPlaces) {
  const at::Tensor given = frames(2);
  const data::Batch all = make_start(spec(), given, types(), window_placement(2), {});
  const data::Batch keys = make_start(spec(), given, types(), upsampling_placement(2, 3), {});
  EXPECT_EQ(keys.trans.sizes().vec(), std::vector<std::int64_t>({1, 6, kResidues, 3}));
  for (std::int64_t t = 0; t < 6; ++t) {
    if (t % 3 == 0) {
      EXPECT_TRUE(at::equal(keys.trans[0][t], all.trans[0][t / 3]));
      EXPECT_TRUE(at::equal(keys.rots[0][t], all.rots[0][t / 3]));
      EXPECT_TRUE(at::equal(keys.torsions[0][t], all.torsions[0][t / 3]));
    } else {
      EXPECT_TRUE(at::equal(keys.trans[0][t], at::zeros({kResidues, 3})));
      EXPECT_TRUE(at::equal(keys.rots[0][t], at::eye(3).expand({kResidues, 3, 3})));
      EXPECT_TRUE(at::equal(keys.torsions[0][t], at::zeros({kResidues, 7, 2})));
    }
  }
  EXPECT_TRUE(at::equal(keys.seqres[0], types()));
  EXPECT_TRUE(at::equal(keys.mask, at::ones({1, kResidues})));
}

TEST(MakeStart, NoiseIsOfSeedNameSampleBlockAndPlace) {
  const at::Tensor given = frames(1);
  const auto noise = [&](const NoiseKey& key, std::int64_t length) {
    return make_start(spec(), given, types(), simulation_placement(length), key).noise;
  };
  const NoiseKey key{.seed = 3, .name = "a", .sample = 1, .block = 2};
  const at::Tensor base = noise(key, 4);
  EXPECT_TRUE(at::equal(base, noise(key, 4)));
  EXPECT_TRUE(at::equal(base, noise(key, 9).narrow(1, 0, 4)));
  NoiseKey other = key;
  other.seed = 4;
  EXPECT_FALSE(at::equal(base, noise(other, 4)));
  other = key;
  other.name = "b";
  EXPECT_FALSE(at::equal(base, noise(other, 4)));
  other = key;
  other.sample = 2;
  EXPECT_FALSE(at::equal(base, noise(other, 4)));
  other = key;
  other.block = 1;
  EXPECT_FALSE(at::equal(base, noise(other, 4)));

  const at::Tensor many = noise(key, 400);
  EXPECT_NEAR(many.mean().item<double>(), 0, 0.02);
  EXPECT_NEAR(many.std().item<double>(), 1, 0.02);
}

TEST(MakeStart, FramesThatDoNotFitAreRefused) {
  EXPECT_THROW(make_start(spec(), frames(1), types(), window_placement(2), {}), Error);
  EXPECT_THROW(make_start(spec(), frames(1), types().narrow(0, 0, 3), window_placement(1), {}), Error);
}

TEST(Stack, PutsSamplesSideBySide) {
  const data::Batch a = make_start(spec(), frames(1), types(), simulation_placement(3), {.name = "a"});
  const data::Batch b = make_start(spec(), frames(1) + 1, types(), simulation_placement(3), {.name = "b"});
  const data::Batch both = stack({a, b}, at::kCPU);
  EXPECT_THAT(both.names, ElementsAre("a", "b"));
  EXPECT_TRUE(at::equal(both.trans[1], b.trans[0]));
  EXPECT_TRUE(at::equal(both.noise[0], a.noise[0]));
  EXPECT_FALSE(both.atom37.defined());
}

}  // namespace
}  // namespace mdgen::sample
