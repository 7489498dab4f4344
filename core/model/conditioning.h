// What the model is given beside the noisy latents and the flow time.
#pragma once

#include <torch/torch.h>

#include <cstdint>

#include "core/protein/rigid.h"

namespace mdgen::model {

struct Conditioning {
  at::Tensor mask;              // (B, T, L) float32, the same in all frames
  protein::Rigid start_frames;  // (B, L)
  protein::Rigid end_frames;    // (B, L)
  at::Tensor x_cond;            // (B, T, L, C), without the channels of the residue types
  at::Tensor x_cond_mask;       // (B, T, L) int64
  at::Tensor aatype;            // (B, L) int64; 20 is "hidden"
  // What dropout's draws are keyed by, so that they depend neither on padding nor on who computes the sample.
  // Read in training with dropout alone, and then refused when undefined.
  at::Tensor dropout_key;    // (B) int64
  at::Tensor first_residue;  // (B) int64: the number in the protein of the sample's first residue
  // Rotary position of the bias token in the attention along residues, L or more; 0: L. The reference puts it
  // after the padding, so trimming the padding must not move it.
  std::int64_t bias_token_position = 0;
};

}  // namespace mdgen::model
