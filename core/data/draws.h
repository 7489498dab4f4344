// Every random draw of a sample, as a pure function of (seed, epoch, virtual sample, kind; frame, residue,
// channel) through Philox. No LibTorch. Integers and uniforms are exact everywhere; normals are the same bits
// on every CPU (normal_kernel.h); Dirichlet draws come from gamma draws in float64.
//
// Counter layout: word 0 = epoch, word 1 = virtual sample, word 2 = kind << 24 | frame (24 bits),
// word 3 = residue number << 12 | channel / 4. Where a kind has no frame, residue or channel they are 0; the
// window's second counter has word 3 = 1. A Dirichlet draw has the attempt in place of the frame and the
// residue type in place of channel / 4.
#pragma once

#include <cstdint>
#include <span>

#include "mdgen/v1/job_spec.pb.h"
#include "mdgen/v1/manifest.pb.h"

namespace mdgen::data {

// Validation draws do not depend on the epoch: the same windows, t and noise each time.
inline constexpr std::uint32_t kValidationEpoch = 0xFFFFFFFF;

enum class DrawKind : std::uint32_t {
  kWindow = 1,
  kFlowTime = 2,
  kNoise = 3,
  kEpochOrder = 4,
  kInit = 5,
  kSimplex = 6,       // a point on the sequence's path
  kSimplexStart = 7,  // where sampling a sequence starts
  kDropout = 8,
};

struct DrawKey {
  std::uint64_t seed = 0;
  std::uint32_t epoch = 0;
  std::uint32_t sample = 0;  // virtual sample
};

// Which windows there are.
struct WindowRules {
  std::int32_t num_frames = 1;
  std::int32_t crop = 0;            // most residues; 0: all
  std::int32_t frame_interval = 1;  // of the file's frames, every N-th is there: 0, N, 2N …
  bool first_only = false;          // overfit_frame: the window starts at frame 0
  bool omit_last = false;           // the last window is left out unless it is the only one (B6)
};
WindowRules window_rules(const v1::JobSpec& resolved);

// How many of a file's frames are there.
std::int64_t frames_at_interval(std::int64_t frames, std::int32_t frame_interval);

// What of an entry one sample shows.
struct Window {
  std::int32_t replica = 0;      // position in ManifestEntry.replicas
  std::int64_t frame_start = 0;  // among the frames that are there; 0 … their number - num_frames
  std::int32_t crop_start = 0;   // first residue; 0 unless residues > crop
};

// Throws Error(kInvalidArgument) naming the file when it has too few frames.
Window draw_window(const DrawKey& key, const v1::ManifestEntry& entry, const WindowRules& rules);

// Uniform in [0, 1).
float draw_flow_time(const DrawKey& key);

// Which normals: `residues` from first_residue on, numbered in the protein and not in the crop, so that
// cropping and padding leave a residue's noise alone; frames numbered in the window.
struct NoiseBlock {
  std::int64_t first_frame = 0;
  std::int64_t frames = 0;
  std::int64_t first_residue = 0;
  std::int64_t residues = 0;
  std::int64_t channels = 0;
  std::int64_t frame_stride = 0;  // values in `out` from one frame to the next
};
// Standard normals (frames, residues, channels). device_noise.h has the same for other devices.
void draw_noise(const DrawKey& key, const NoiseBlock& block, float* out);
// Those of one frame and residue: out[c] for c < channels.
void draw_noise(const DrawKey& key, std::int64_t frame, std::int32_t residue, std::span<float> out);

// A point of the simplex, Dirichlet(1 + onehot(type) (alpha - 1)), for one residue (its number in the
// protein): out[c] for the twenty residue types. `alpha` > 0.
void draw_simplex(const DrawKey& key, std::int32_t residue, int type, double alpha, std::span<float, 20> out);
// The same with Dirichlet(1, …, 1), under a kind of its own.
void draw_simplex_start(const DrawKey& key, std::int32_t residue, std::span<float, 20> out);

// 63 bits: the key of all dropout masks of a sample.
std::int64_t draw_dropout_key(const DrawKey& key);

// 40-bit hash of (virtual sample, epoch, window, flow time): what the ledger sums to prove which samples were
// used.
std::uint64_t sample_hash(const DrawKey& key, const Window& window, float flow_time);

}  // namespace mdgen::data
