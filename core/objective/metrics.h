// What the reference logs of a batch (wrapper.py general_step).
#pragma once

#include <torch/torch.h>

#include "core/transport/transport.h"

namespace mdgen::objective {

// Means over the batch: scalars without a graph, on its device; undefined where the mode has no such thing.
// Named as the reference's, but for the prefix "iter_", "train_" or "val_".
struct BatchMeans {
  at::Tensor loss;
  at::Tensor time;             // flow time the model was asked at
  at::Tensor loss_continuous;  // under design, but not for a sequence alone
  at::Tensor loss_discrete;    // under design, as are the two below
  // Share of tokens whose most probable type is the true one: between a sample's first and last residue,
  // which for a tetrapeptide is the designed ones; and of those two. NaN when there is no such residue.
  at::Tensor category_pred_design_aa_recovery;
  at::Tensor category_pred_cond_aa_recovery;
};

// `types` (B, L) are the true ones; `mask` (B, L) is 0 on padding, which counts nowhere (the reference has it
// count: its last residue is the crop's last).
BatchMeans batch_means(const transport::Losses& losses, const at::Tensor& types, const at::Tensor& mask);

}  // namespace mdgen::objective
