#include "core/data/device_noise.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/data/draws.h"

namespace mdgen::data {
namespace {

TEST(DeviceNoise, IsTheHostsToAFewUnitsInTheLastPlace) {
  const std::vector<DrawKey> keys = {
      {.seed = 0xFEDCBA9876543210, .epoch = 7, .sample = 3},
      {.seed = 0xFEDCBA9876543210, .epoch = kValidationEpoch, .sample = 0xFFFFFFF0}};
  const std::vector<std::int64_t> first_residues = {0, 1000};
  constexpr std::int64_t kFrames = 40, kResidues = 50, kChannels = 21;
  const auto longs = [](auto... values) { return at::tensor(std::vector<std::int64_t>{values...}); };
  const at::Tensor got =
      device_noise(keys[0].seed, longs(std::int64_t{keys[0].epoch}, std::int64_t{keys[1].epoch}),
                   longs(std::int64_t{keys[0].sample}, std::int64_t{keys[1].sample}),
                   at::tensor(first_residues), kFrames, kResidues, kChannels);
  at::Tensor expected = at::empty({2, kFrames, kResidues, kChannels});
  for (std::int64_t row = 0; row < 2; ++row)
    draw_noise(keys[static_cast<std::size_t>(row)],
               {.frames = kFrames,
                .first_residue = first_residues[static_cast<std::size_t>(row)],
                .residues = kResidues,
                .channels = kChannels,
                .frame_stride = kResidues * kChannels},
               expected[row].data_ptr<float>());
  ASSERT_EQ(got.sizes(), expected.sizes());
  ASSERT_TRUE(got.is_contiguous());
  constexpr double kUnit = 1.2e-7;
  const at::Tensor error = (got - expected).abs() / expected.abs();
  EXPECT_LE(error.max().item<double>(), 6 * kUnit);
  EXPECT_LE(error.mean().item<double>(), 0.5 * kUnit);
}

}  // namespace
}  // namespace mdgen::data
