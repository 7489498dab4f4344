#include <algorithm>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/data/draws.h"
#include "core/data/normal_kernel.h"

namespace mdgen::data {
namespace {

constexpr std::int64_t kMaxFrames = std::int64_t{1} << 24;
constexpr std::int64_t kMaxResidues = 1 << 20;
constexpr std::int64_t kMaxChannels = 4 << 12;

void check(const NoiseBlock& block) {
  if (block.first_frame >= 0 && block.frames >= 0 && block.first_frame + block.frames <= kMaxFrames &&
      block.first_residue >= 0 && block.residues >= 0 &&
      block.first_residue + block.residues <= kMaxResidues && block.channels >= 0 &&
      block.channels <= kMaxChannels)
    return;
  throw Error(ErrorCode::kInternal, "draw_noise: frame " +
                                        std::to_string(block.first_frame + block.frames - 1) + ", residue " +
                                        std::to_string(block.first_residue + block.residues - 1) + " or " +
                                        std::to_string(block.channels) + " channels do not fit the counter");
}

// residue number << 12 | channel / 4, for the residues and channels of a frame.
std::vector<std::uint32_t> last_words(const NoiseBlock& block) {
  const std::int64_t groups = (block.channels + 3) / 4;
  std::vector<std::uint32_t> words;
  words.reserve(static_cast<std::size_t>(block.residues * groups));
  for (std::int64_t residue = 0; residue < block.residues; ++residue)
    for (std::int64_t group = 0; group < groups; ++group)
      words.push_back(static_cast<std::uint32_t>((block.first_residue + residue) << 12 | group));
  return words;
}

}  // namespace

void draw_noise(const DrawKey& key, const NoiseBlock& block, float* out) {
  check(block);
  const std::vector<std::uint32_t> words = last_words(block);
  std::vector<float> normals(kNormalsPerCounter * words.size());
  const std::int64_t drawn = (block.channels + 3) / 4 * 4;
  for (std::int64_t frame = 0; frame < block.frames; ++frame) {
    const auto third = static_cast<std::uint32_t>(DrawKind::kNoise) << 24 |
                       static_cast<std::uint32_t>(block.first_frame + frame);
    philox_normals(philox_key(key.seed), {key.epoch, key.sample, third, 0}, words, normals.data());
    float* row = out + frame * block.frame_stride;
    for (std::int64_t residue = 0; residue < block.residues; ++residue)
      std::copy_n(&normals[static_cast<std::size_t>(residue * drawn)], block.channels,
                  row + residue * block.channels);
  }
}

void draw_noise(const DrawKey& key, std::int64_t frame, std::int32_t residue, std::span<float> out) {
  draw_noise(key,
             {.first_frame = frame,
              .frames = 1,
              .first_residue = residue,
              .residues = 1,
              .channels = static_cast<std::int64_t>(out.size())},
             out.data());
}

}  // namespace mdgen::data
