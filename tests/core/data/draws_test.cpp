#include "core/data/draws.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <numbers>
#include <numeric>
#include <set>
#include <vector>

#include "core/base/error.h"
#include "core/base/philox.h"
#include "core/data/normal_kernel.h"

namespace mdgen::data {
namespace {

using ::testing::HasSubstr;

v1::ManifestEntry entry(std::int32_t residues, const std::vector<std::int64_t>& frames) {
  v1::ManifestEntry entry;
  entry.set_name("p");
  entry.set_residues(residues);
  for (const std::int64_t n : frames) {
    v1::Replica* replica = entry.add_replicas();
    replica->set_file("p_R" + std::to_string(entry.replicas_size()) + ".npy");
    replica->set_frames(n);
  }
  return entry;
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

double chi_squared(const std::vector<int>& counts, int trials) {
  const double expected = static_cast<double>(trials) / static_cast<double>(counts.size());
  double sum = 0;
  for (const int count : counts) sum += (count - expected) * (count - expected) / expected;
  return sum;
}

TEST(DrawWindow, ReplicaFrameAndCropAreUniformAndReachBothEnds) {
  const auto protein = entry(14, {20, 20, 20});
  constexpr int kTrials = 30000;
  std::vector<int> replicas(3);
  std::vector<int> frames(11);  // 0 … 20 - 10, both included
  std::vector<int> crops(5);    // 0 … 14 - 10
  std::vector<int> joint(3 * 11);
  for (std::uint32_t i = 0; i < kTrials; ++i) {
    const Window w = draw_window({.seed = 7, .epoch = i / 100, .sample = i % 100}, protein,
                                 {.num_frames = 10, .crop = 10});
    ++replicas.at(static_cast<std::size_t>(w.replica));
    ++frames.at(static_cast<std::size_t>(w.frame_start));
    ++crops.at(static_cast<std::size_t>(w.crop_start));
    ++joint.at(static_cast<std::size_t>(w.replica * 11 + w.frame_start));
  }
  EXPECT_LT(chi_squared(replicas, kTrials), 13.8);  // p = 0.001 at 2, 10, 4, 32 degrees of freedom
  EXPECT_LT(chi_squared(frames, kTrials), 29.6);
  EXPECT_LT(chi_squared(crops, kTrials), 18.5);
  EXPECT_LT(chi_squared(joint, kTrials), 62.5);
}

TEST(DrawWindow, NoRoom_StartsAtZero) {
  for (std::uint32_t sample = 0; sample < 100; ++sample) {
    const Window exact =
        draw_window({.seed = 1, .sample = sample}, entry(8, {10}), {.num_frames = 10, .crop = 8});
    EXPECT_EQ(exact.frame_start, 0);
    EXPECT_EQ(exact.crop_start, 0);
    EXPECT_EQ(draw_window({.seed = 1, .sample = sample}, entry(80, {10}), {.num_frames = 10}).crop_start, 0);
    EXPECT_EQ(
        draw_window({.seed = 1, .sample = sample}, entry(8, {10}), {.num_frames = 10, .crop = 64}).crop_start,
        0);
  }
}

TEST(DrawWindow, ReplicasOfDifferentLength_StayInside) {
  const auto protein = entry(8, {10, 30});
  std::set<std::int64_t> starts;
  for (std::uint32_t sample = 0; sample < 2000; ++sample) {
    const Window w = draw_window({.seed = 1, .sample = sample}, protein, {.num_frames = 10});
    ASSERT_LE(w.frame_start + 10, protein.replicas(w.replica).frames());
    starts.insert(w.frame_start);
  }
  EXPECT_EQ(*starts.rbegin(), 20);
}

TEST(DrawWindow, TooFewFramesOrNoReplica_NamesIt) {
  EXPECT_THAT(message_of([] { draw_window({}, entry(8, {9}), {.num_frames = 10}); }),
              HasSubstr("p_R1.npy: 9 frames, num_frames is 10"));
  EXPECT_THAT(message_of([] { draw_window({}, entry(8, {}), {.num_frames = 10}); }),
              HasSubstr("p: no replica present"));
}

TEST(DrawFlowTime, IsUniform) {
  constexpr int kTrials = 20000;
  std::vector<int> counts(20);
  for (std::uint32_t i = 0; i < kTrials; ++i) {
    const float t = draw_flow_time({.seed = 3, .epoch = 1, .sample = i});
    ASSERT_GE(t, 0.0F);
    ASSERT_LT(t, 1.0F);
    ++counts[static_cast<std::size_t>(t * 20)];
  }
  EXPECT_LT(chi_squared(counts, kTrials), 43.8);  // 19 degrees of freedom
}

TEST(DrawNoise, IsStandardNormalWithTails) {
  constexpr int kChannels = 21;
  constexpr int kResidues = 250;
  constexpr int kFrames = 200;
  constexpr double kCount = 1.0 * kFrames * kResidues * kChannels;
  double sum = 0, squares = 0, cubes = 0, fourths = 0, along_channels = 0;
  int beyond3 = 0, beyond4 = 0, inside = 0;
  float largest = 0;
  std::vector<float> values(kChannels);
  for (int frame = 0; frame < kFrames; ++frame) {
    for (int residue = 0; residue < kResidues; ++residue) {
      draw_noise({.seed = 137, .epoch = 2, .sample = 9}, frame, residue, values);
      for (int c = 0; c < kChannels; ++c) {
        const double x = values[static_cast<std::size_t>(c)];
        sum += x;
        squares += x * x;
        cubes += x * x * x;
        fourths += x * x * x * x;
        if (c > 0) along_channels += x * values[static_cast<std::size_t>(c - 1)];
        beyond3 += std::abs(x) > 3;
        beyond4 += std::abs(x) > 4;
        inside += std::abs(x) < 0.674489750196082;
        largest = std::max(largest, std::abs(values[static_cast<std::size_t>(c)]));
      }
    }
  }
  const double sigma = 1 / std::sqrt(kCount);  // tolerances are 5 standard errors
  EXPECT_NEAR(sum / kCount, 0, 5 * sigma);
  EXPECT_NEAR(squares / kCount, 1, 5 * sigma * std::sqrt(2.0));
  EXPECT_NEAR(cubes / kCount, 0, 5 * sigma * std::sqrt(15.0));
  EXPECT_NEAR(fourths / kCount, 3, 5 * sigma * std::sqrt(96.0));
  EXPECT_NEAR(along_channels / kCount, 0, 5 * sigma);
  EXPECT_NEAR(inside / kCount, 0.5, 5 * sigma * 0.5);
  EXPECT_NEAR(beyond3, kCount * 2.69980e-3, 5 * std::sqrt(kCount * 2.7e-3));
  EXPECT_NEAR(beyond4, kCount * 6.33425e-5, 5 * std::sqrt(kCount * 6.4e-5));
  EXPECT_GT(largest, 4.5F);
}

TEST(DrawNoise, FewerChannelsAreAPrefix) {
  std::vector<float> many(21);
  draw_noise({.seed = 5}, 3, 4, many);
  for (std::size_t channels = 0; channels < many.size(); ++channels) {
    std::vector<float> few(channels);
    draw_noise({.seed = 5}, 3, 4, few);
    EXPECT_TRUE(std::equal(few.begin(), few.end(), many.begin()));
  }
}

TEST(DrawNoise, EveryPartOfTheKeyCounts) {
  const auto first = [](DrawKey key, std::int64_t frame, std::int32_t residue) {
    std::vector<float> out(8);
    draw_noise(key, frame, residue, out);
    return out;
  };
  const DrawKey key{.seed = 1, .epoch = 2, .sample = 3};
  const std::set<std::vector<float>> all{
      first(key, 4, 5),
      first({.seed = 9, .epoch = 2, .sample = 3}, 4, 5),
      first({.seed = 1 + (std::uint64_t{1} << 32), .epoch = 2, .sample = 3}, 4, 5),
      first({.seed = 1, .epoch = 9, .sample = 3}, 4, 5),
      first({.seed = 1, .epoch = 2, .sample = 9}, 4, 5),
      first(key, 9, 5),
      first(key, 4, 9),
  };
  EXPECT_EQ(all.size(), 7U);
}

// The formula by the C library, one counter after the other.
TEST(DrawNoise, IsBoxMullerOfPhilox) {
  const DrawKey key{.seed = 137, .epoch = 2, .sample = 9};
  std::vector<float> got(20);
  double worst = 0;
  for (std::int32_t residue = 0; residue < 4000; ++residue) {
    draw_noise(key, 5, residue, got);
    for (std::uint32_t group = 0; group < 5; ++group) {
      const PhiloxCounter words = philox4x32(
          {2, 9, 3U << 24 | 5U, static_cast<std::uint32_t>(residue) << 12 | group}, philox_key(137));
      for (std::size_t pair = 0; pair < 2; ++pair) {
        const float u = static_cast<float>(words[2 * pair]) * 0x1.0p-32F + 0x1.0p-33F;
        const float angle = 2.0F * std::numbers::pi_v<float> * uniform_float(words[2 * pair + 1]);
        const double radius = std::sqrt(-2 * std::log(static_cast<double>(u)));
        const double expected[] = {radius * std::cos(static_cast<double>(angle)),
                                   radius * std::sin(static_cast<double>(angle))};
        for (std::size_t k = 0; k < 2; ++k)
          worst = std::max(worst, std::abs(got[4 * group + 2 * pair + k] / expected[k] - 1));
      }
    }
  }
  EXPECT_LT(worst, 2.5e-7);
}

// Radius words at both ends of their range reach both ends of the logarithm.
TEST(DrawNoise, IsTheSameWithAndWithoutWideInstructions) {
  std::vector<std::uint32_t> last_words(100003);
  std::iota(last_words.begin(), last_words.end(), 0xFFFF0000U);
  std::vector<float> wide(4 * last_words.size());
  std::vector<float> portable(wide.size());
  philox_normals({1, 2}, {3, 4, 5, 0}, last_words, wide.data());
  philox_normals_portable({1, 2}, {3, 4, 5, 0}, last_words, portable.data());
  EXPECT_EQ(std::memcmp(wide.data(), portable.data(), wide.size() * sizeof(float)), 0)
      << normal_kernel_name();
}

TEST(DrawNoise, BlockIsItsRows) {
  const DrawKey key{.seed = 5, .epoch = 1, .sample = 8};
  for (const std::int64_t channels : {1, 4, 21, 111}) {
    const NoiseBlock block{.first_frame = 2,
                           .frames = 3,
                           .first_residue = 7,
                           .residues = 9,
                           .channels = channels,
                           .frame_stride = 10 * channels};
    std::vector<float> values(static_cast<std::size_t>(3 * 10 * channels), 0.5F);
    draw_noise(key, block, values.data());
    std::vector<float> row(static_cast<std::size_t>(channels));
    for (std::int64_t frame = 0; frame < 3; ++frame) {
      const auto at = [&](std::int64_t residue) {
        return values.begin() + (frame * 10 + residue) * channels;
      };
      for (std::int32_t residue = 0; residue < 9; ++residue) {
        draw_noise(key, 2 + frame, 7 + residue, row);
        EXPECT_TRUE(std::equal(row.begin(), row.end(), at(residue)));
      }
      EXPECT_TRUE(std::all_of(at(9), at(10), [](float x) { return x == 0.5F; }));
    }
  }
}

TEST(DrawNoise, OutsideTheCounter_Throws) {
  std::vector<float> out(4);
  EXPECT_THAT(message_of([&] { draw_noise({}, 1 << 24, 0, out); }), HasSubstr("frame 16777216"));
  EXPECT_THAT(message_of([&] { draw_noise({}, 0, 1 << 20, out); }), HasSubstr("residue 1048576"));
}

TEST(SampleHash, HasFortyBitsAndSeesEveryField) {
  const DrawKey key{.seed = 1, .epoch = 2, .sample = 3};
  const Window w{.replica = 1, .frame_start = 2, .crop_start = 3};
  const std::set<std::uint64_t> all{
      sample_hash(key, w, 0.5F),
      sample_hash({.seed = 1, .epoch = 9, .sample = 3}, w, 0.5F),
      sample_hash({.seed = 1, .epoch = 2, .sample = 9}, w, 0.5F),
      sample_hash(key, {.replica = 2, .frame_start = 2, .crop_start = 3}, 0.5F),
      sample_hash(key, {.replica = 1, .frame_start = 9, .crop_start = 3}, 0.5F),
      sample_hash(key, {.replica = 1, .frame_start = 2, .crop_start = 9}, 0.5F),
      sample_hash(key, w, std::nextafter(0.5F, 1.0F)),
  };
  EXPECT_EQ(all.size(), 7U);
  std::uint64_t bits = 0;
  std::set<std::uint64_t> many;
  for (std::uint32_t sample = 0; sample < 20000; ++sample) {
    const std::uint64_t hash = sample_hash({.sample = sample}, w, 0.5F);
    bits |= hash;
    many.insert(hash);
  }
  EXPECT_EQ(bits, (std::uint64_t{1} << 40) - 1);
  EXPECT_GE(many.size(), 19999U);
}

// A change of these values changes every later sample of a resumed run: it needs a new plan version.
TEST(Draws, GoldenValues) {
  const DrawKey key{.seed = 137, .epoch = 3, .sample = 41};
  const Window w = draw_window(key, entry(300, {1001, 1002, 1003}), {.num_frames = 250, .crop = 256});
  EXPECT_EQ(w.replica, 1);
  EXPECT_EQ(w.frame_start, 143);
  EXPECT_EQ(w.crop_start, 7);
  EXPECT_EQ(draw_flow_time(key), 0x1.af6f66p-1F);
  EXPECT_EQ(sample_hash(key, w, draw_flow_time(key)), 0x4A82F08EFBU);
  std::vector<float> noise(6);
  draw_noise(key, 17, 255, noise);
  const std::vector<float> expected{-0.768661976F, 0.163953826F,  -1.813223F,
                                    -1.08710122F,  -0.454731971F, 0.812511861F};
  for (std::size_t i = 0; i < noise.size(); ++i) EXPECT_EQ(noise[i], expected[i]);
}

}  // namespace
}  // namespace mdgen::data
