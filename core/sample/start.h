// What a sample starts from: the given frames at their places in time, and the noise of everything else.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/data/batch.h"
#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::sample {

// Which of the given frames stands at each time; kNotGiven where none does.
using Placement = std::vector<std::int64_t>;
inline constexpr std::int64_t kNotGiven = -1;

// Forward simulation: frame 0 at every time, as the reference has it (the model sees the first one alone).
Placement simulation_placement(std::int64_t num_frames);
// Interpolation: frame 0 at every time but the last, which has frame 1.
Placement interpolation_placement(std::int64_t num_frames);
// Upsampling: `keys` key frames at every `interval`-th time, keys x interval frames in all.
Placement upsampling_placement(std::int64_t keys, std::int64_t interval);
// Inpainting and design: frame t at time t.
Placement window_placement(std::int64_t num_frames);

// What is drawn for a sample is a pure function of these and of frame, residue and channel; so a sample
// depends neither on its batch nor on the order of sampling.
struct NoiseKey {
  std::uint64_t seed = 0;
  std::string name;          // of the protein: proteins get noise of their own
  std::uint32_t sample = 0;  // of the protein's samples
  std::uint32_t block = 0;   // of the sample's blocks in time: a rollout, or a stretch between key frames
};

// A batch of one sample on the CPU, from atom14 frames (F, L, 14, 3) in Å and residue types (L) int64; where
// nothing is given, identity rotations and zeros. With its noise and, under design, where the sequence's flow
// starts.
data::Batch make_start(const v1::JobSpec& spec, const at::Tensor& given, const at::Tensor& types,
                       const Placement& placement, const NoiseKey& key);

// Samples of equal frames and residues as one batch on `device`.
data::Batch stack(const std::vector<data::Batch>& samples, at::Device device);

// The seed of the draws of one protein.
std::uint64_t seed_of(const NoiseKey& key);

}  // namespace mdgen::sample
