#include "core/data/draws.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>
#include <string>

#include "core/base/error.h"
#include "core/base/philox.h"

namespace mdgen::data {
namespace {

constexpr std::int64_t kMaxFrames = std::int64_t{1} << 24;
constexpr std::int32_t kMaxResidues = 1 << 20;
constexpr std::size_t kMaxChannels = 4 << 12;

PhiloxCounter draw(const DrawKey& key, DrawKind kind, std::uint32_t frame, std::uint32_t last) {
  return philox4x32({key.epoch, key.sample, static_cast<std::uint32_t>(kind) << 24 | frame, last},
                    philox_key(key.seed));
}

// Uniform in (0, 1]: small values keep all 32 bits, so that the tails reach 6.6 standard deviations.
float open_uniform(std::uint32_t word) { return static_cast<float>(word) * 0x1.0p-32F + 0x1.0p-33F; }

void box_muller(std::uint32_t radius_word, std::uint32_t angle_word, float* pair) {
  const float radius = std::sqrt(-2.0F * std::log(open_uniform(radius_word)));
  const float angle = 2.0F * std::numbers::pi_v<float> * uniform_float(angle_word);
  pair[0] = radius * std::cos(angle);
  pair[1] = radius * std::sin(angle);
}

}  // namespace

Window draw_window(const DrawKey& key, const v1::ManifestEntry& entry, std::int32_t num_frames,
                   std::int32_t crop) {
  if (entry.replicas_size() == 0) {
    throw Error(ErrorCode::kInvalidArgument, entry.name() + ": no replica present");
  }
  const PhiloxCounter first = draw(key, DrawKind::kWindow, 0, 0);
  Window window;
  window.replica = static_cast<std::int32_t>(
      uniform_below(first[0], first[1], static_cast<std::uint64_t>(entry.replicas_size())));
  const v1::Replica& replica = entry.replicas(window.replica);
  if (num_frames < 1 || replica.frames() < num_frames) {
    throw Error(ErrorCode::kInvalidArgument, replica.file() + ": " + std::to_string(replica.frames()) +
                                                 " frames, num_frames is " + std::to_string(num_frames));
  }
  const auto starts = static_cast<std::uint64_t>(replica.frames() - num_frames) + 1;
  window.frame_start = static_cast<std::int64_t>(uniform_below(first[2], first[3], starts));
  if (crop > 0 && entry.residues() > crop) {
    const PhiloxCounter second = draw(key, DrawKind::kWindow, 0, 1);
    const auto crops = static_cast<std::uint64_t>(entry.residues() - crop) + 1;
    window.crop_start = static_cast<std::int32_t>(uniform_below(second[0], second[1], crops));
  }
  return window;
}

float draw_flow_time(const DrawKey& key) { return uniform_float(draw(key, DrawKind::kFlowTime, 0, 0)[0]); }

void draw_noise(const DrawKey& key, std::int64_t frame, std::int32_t residue, std::span<float> out) {
  if (frame < 0 || frame >= kMaxFrames || residue < 0 || residue >= kMaxResidues ||
      out.size() > kMaxChannels) {
    throw Error(ErrorCode::kInternal, "draw_noise: frame " + std::to_string(frame) + ", residue " +
                                          std::to_string(residue) + " or " + std::to_string(out.size()) +
                                          " channels do not fit the counter");
  }
  for (std::size_t channel = 0; channel < out.size(); channel += 4) {
    const auto last = static_cast<std::uint32_t>(residue) << 12 | static_cast<std::uint32_t>(channel / 4);
    const PhiloxCounter words = draw(key, DrawKind::kNoise, static_cast<std::uint32_t>(frame), last);
    float normals[4];
    box_muller(words[0], words[1], normals);
    box_muller(words[2], words[3], normals + 2);
    std::copy_n(normals, std::min<std::size_t>(4, out.size() - channel), &out[channel]);
  }
}

std::uint64_t sample_hash(const DrawKey& key, const Window& window, float flow_time) {
  PhiloxCounter words = philox4x32({key.epoch, key.sample, static_cast<std::uint32_t>(window.replica),
                                    static_cast<std::uint32_t>(window.crop_start)},
                                   philox_key(static_cast<std::uint64_t>(window.frame_start)));
  words[0] ^= std::bit_cast<std::uint32_t>(flow_time);
  words = philox4x32(words, philox_key(0));
  return static_cast<std::uint64_t>(words[1] & 0xFFU) << 32 | words[0];
}

}  // namespace mdgen::data
