// What the training step is given.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/data/bad_sample.h"

namespace mdgen::data {

// One micro-batch. B samples, T frames, L residues (under atlas padded as core/data/padding.h says, padding
// with mask 0), C latent channels. B is 0 when every sample was bad: then only bad_samples is there.
struct Batch {
  at::Tensor trans;         // (B, T, L, 3) Å
  at::Tensor rots;          // (B, T, L, 3, 3); identity on padding
  at::Tensor torsions;      // (B, T, L, 7, 2); 0 on padding
  at::Tensor torsion_mask;  // (B, L, 7)
  at::Tensor seqres;        // (B, L) int64; 0 on padding
  at::Tensor mask;          // (B, L) float32
  at::Tensor flow_time;     // (B) uniform in [0, 1); transport maps it to its range
  at::Tensor noise;         // (B, T, L, C) standard normal; 0 on padding
  // Under no_frames these two are there, and trans, rots, torsions, torsion_mask are not; mask is as above.
  at::Tensor atom37;       // (B, T, L, 37, 3) Å
  at::Tensor atom37_mask;  // (B, L, 37)
  // Under design with a sequence flow: Dirichlet draws, points of the simplex; uniform (1/20) on padding.
  at::Tensor simplex;                        // (B, L, 20)
  at::Tensor dropout_key;                    // (B) int64, see draws.h
  at::Tensor first_residue;                  // (B) int64: the crop's start
  std::vector<std::string> names;            // (B): entry and replica, as "4ake_A_R1"
  std::vector<std::uint64_t> sample_hashes;  // (B), see draws.h
  std::int64_t tokens = 0;                   // frames x real residues, summed over samples
  // The residues that the batch has when padding is not trimmed, L or more: the attention's bias token has
  // this rotary position. 0: L.
  std::int64_t untrimmed_residues = 0;
  std::vector<BadSample> bad_samples;
};

}  // namespace mdgen::data
