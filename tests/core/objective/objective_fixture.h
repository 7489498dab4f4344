// A batch of random protein-like tensors, and the specs of the modes.
#pragma once

#include <torch/torch.h>

#include "core/data/batch.h"
#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::objective {

inline constexpr std::int64_t kBatch = 2;
inline constexpr std::int64_t kFrames = 5;

inline at::Tensor random_rotations(std::int64_t length) {
  const auto [q, r] = at::linalg_qr(at::randn({kBatch, kFrames, length, 3, 3}));
  return q * at::linalg_det(q).unsqueeze(-1).unsqueeze(-1);
}

// The second sample's last residue is padding.
inline data::Batch random_batch(std::int64_t length = 4) {
  at::manual_seed(9);
  data::Batch batch;
  batch.trans = 10 * at::randn({kBatch, kFrames, length, 3});
  batch.rots = random_rotations(length);
  batch.torsions = at::randn({kBatch, kFrames, length, 7, 2});
  batch.torsion_mask = (at::rand({kBatch, length, 7}) > 0.4).to(at::kFloat);
  batch.seqres = at::randint(0, 20, {kBatch, length});
  batch.mask = at::ones({kBatch, length});
  batch.mask[1][length - 1] = 0;
  batch.torsion_mask[1][length - 1].zero_();
  batch.simplex = at::softmax(at::randn({kBatch, length, 20}), -1);
  batch.atom37 = 10 * at::randn({kBatch, kFrames, length, 37, 3});
  batch.atom37_mask = (at::rand({kBatch, length, 37}) > 0.5).to(at::kFloat);
  return batch;
}

inline v1::JobSpec unconditional() {
  v1::JobSpec spec;
  spec.mutable_transport()->set_discrete_loss_weight(0.25);
  return spec;
}

inline v1::JobSpec forward_simulation() {
  v1::JobSpec spec = unconditional();
  spec.mutable_model()->set_sim_condition(true);
  return spec;
}

inline v1::JobSpec designing(v1::JobSpec spec) {
  spec.mutable_model()->set_design(true);
  spec.mutable_model()->set_prepend_ipa(true);
  return spec;
}

}  // namespace mdgen::objective
