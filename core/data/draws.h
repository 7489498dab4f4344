// Every random draw of a sample, as a pure function of (seed, epoch, virtual sample, kind; frame, residue,
// channel) through Philox. No LibTorch. Integers and uniforms are exact everywhere; normals come from
// Box-Muller in float32.
//
// Counter layout: word 0 = epoch, word 1 = virtual sample, word 2 = kind << 24 | frame (24 bits),
// word 3 = residue number << 12 | channel / 4. Where a kind has no frame, residue or channel they are 0; the
// window's second counter has word 3 = 1.
#pragma once

#include <cstdint>
#include <span>

#include "mdgen/v1/manifest.pb.h"

namespace mdgen::data {

// Validation draws do not depend on the epoch: the same windows, t and noise each time.
inline constexpr std::uint32_t kValidationEpoch = 0xFFFFFFFF;

enum class DrawKind : std::uint32_t { kWindow = 1, kFlowTime = 2, kNoise = 3, kEpochOrder = 4, kInit = 5 };

struct DrawKey {
  std::uint64_t seed = 0;
  std::uint32_t epoch = 0;
  std::uint32_t sample = 0;  // virtual sample
};

// What of an entry one sample shows.
struct Window {
  std::int32_t replica = 0;  // position in ManifestEntry.replicas
  std::int64_t frame_start =
      0;  // 0 … frames - num_frames, both included (the reference's B6 leaves the last one out)
  std::int32_t crop_start = 0;  // first residue; 0 unless residues > crop
};

// `crop` 0: no cropping (non-ATLAS). Throws Error(kInvalidArgument) naming the file when it has too few
// frames.
Window draw_window(const DrawKey& key, const v1::ManifestEntry& entry, std::int32_t num_frames,
                   std::int32_t crop);

// Uniform in [0, 1).
float draw_flow_time(const DrawKey& key);

// Standard normals for one frame and residue: out[c] for c < channels. `residue` is the number in the
// protein, not in the crop, so that cropping and padding leave a residue's noise alone.
void draw_noise(const DrawKey& key, std::int64_t frame, std::int32_t residue, std::span<float> out);

// 40-bit hash of (virtual sample, epoch, window, flow time): what the ledger sums to prove which samples were
// used.
std::uint64_t sample_hash(const DrawKey& key, const Window& window, float flow_time);

}  // namespace mdgen::data
