// A small model with every gate open, and batches for it.
#pragma once

#include <torch/torch.h>

#include "core/data/batch.h"
#include "core/model/latent_model.h"
#include "core/protein/rigid.h"
#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::sample {

inline v1::JobSpec small_spec() {
  v1::JobSpec spec;
  v1::ModelSpec& model = *spec.mutable_model();
  model.set_sim_condition(true);
  model.set_prepend_ipa(true);
  model.set_embed_dim(16);
  model.set_num_layers(1);
  model.set_mha_heads(2);
  model.set_ipa_heads(2);
  model.set_ipa_head_dim(4);
  model.set_ipa_qk(2);
  model.set_ipa_v(2);
  model.set_time_multiplier(100);
  spec.mutable_data()->set_num_frames(3);
  spec.mutable_data()->set_crop(8);
  v1::TransportSpec& transport = *spec.mutable_transport();
  transport.set_path_type("GVP");
  transport.set_prediction("velocity");
  transport.set_sampling_method("dopri5");
  transport.set_ode_error_norm("sample");
  transport.set_ode_rtol(1e-3);
  transport.set_ode_atol(1e-6);
  transport.set_ode_steps(49);
  transport.set_alpha_max(8);
  transport.set_dirichlet_flow_temp(1);
  return spec;
}

inline model::LatentModel open_model(const v1::JobSpec& spec) {
  model::LatentModel model(model::model_config(spec));
  const torch::NoGradGuard no_grad;
  at::manual_seed(4);
  for (const at::Tensor& parameter : model->parameters()) parameter.normal_(0, 0.08);
  model->eval();
  return model;
}

// `samples` of `residues`, `channels` of noise.
inline data::Batch small_batch(std::int64_t samples, std::int64_t residues, std::int64_t channels = 21) {
  constexpr std::int64_t kFrames = 3;
  at::manual_seed(11);
  data::Batch batch;
  batch.trans = 5 * at::randn({samples, kFrames, residues, 3});
  batch.rots = protein::quat_to_rot(at::randn({samples, kFrames, residues, 4}));
  const at::Tensor angles = 3 * at::randn({samples, kFrames, residues, 7});
  batch.torsions = at::stack({angles.sin(), angles.cos()}, -1);
  batch.torsion_mask = at::ones({samples, residues, 7});
  batch.seqres = at::randint(0, 20, {samples, residues});
  batch.mask = at::ones({samples, residues});
  batch.noise = at::randn({samples, kFrames, residues, channels});
  return batch;
}

// Sample `i` alone.
inline data::Batch alone(const data::Batch& all, std::int64_t i) {
  data::Batch batch;
  batch.trans = all.trans.narrow(0, i, 1);
  batch.rots = all.rots.narrow(0, i, 1);
  batch.torsions = all.torsions.narrow(0, i, 1);
  batch.torsion_mask = all.torsion_mask.narrow(0, i, 1);
  batch.seqres = all.seqres.narrow(0, i, 1);
  batch.mask = all.mask.narrow(0, i, 1);
  batch.noise = all.noise.narrow(0, i, 1);
  return batch;
}

}  // namespace mdgen::sample
