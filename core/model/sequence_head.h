// From tokens to residue types, for design (reference: latent_model.py forward, fc1 to emb_to_logits).
#pragma once

#include <torch/torch.h>

#include "core/model/linear.h"
#include "core/model/model_config.h"

namespace mdgen::model {

// Not a module: the reference's names have no prefix for it, so its owner registers the members.
struct SequenceHead {
  explicit SequenceHead(std::int64_t dim);

  // x (B, T, L, C) -> logits (B, L, 20): a residue has one type in all frames.
  at::Tensor forward(const at::Tensor& x);

  Linear fc1, fc2, fc3, emb_to_logits;
};

}  // namespace mdgen::model
