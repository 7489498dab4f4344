#include "core/objective/objective.h"

#include "core/protein/rigid.h"

namespace mdgen::objective {
namespace {

constexpr int kFrameChannels = 7;     // quaternion, translation
constexpr int kTorsionChannels = 14;  // sine and cosine of seven angles

// (B, T, L): 1 where the model is given the latents themselves.
at::Tensor conditioned_tokens(const at::Tensor& latents, const v1::ModelSpec& spec) {
  at::Tensor given =
      at::zeros({latents.size(0), latents.size(1), latents.size(2)}, latents.options().dtype(at::kLong));
  if (spec.sim_condition()) given.select(1, 0).fill_(1);
  return given;
}

at::Tensor channel_mask(const data::Batch& batch, std::int64_t frames) {
  const at::Tensor of_frames = batch.mask.unsqueeze(-1).expand({-1, -1, kFrameChannels});
  const at::Tensor of_torsions = batch.torsion_mask.repeat_interleave(2, -1);
  return at::cat({of_frames, of_torsions}, -1).unsqueeze(1).expand({-1, frames, -1, -1});
}

}  // namespace

int latent_channels(const v1::ModelSpec&) { return kFrameChannels + kTorsionChannels; }

Prepared prepare(const data::Batch& batch, const v1::ModelSpec& spec) {
  const torch::NoGradGuard no_grad;
  const std::int64_t frames = batch.trans.size(1);
  const protein::Rigid all{batch.rots, batch.trans};
  const protein::Rigid first{batch.rots.narrow(1, 0, 1), batch.trans.narrow(1, 0, 1)};

  Prepared out;
  out.latents = at::cat({protein::offsets(first, all), batch.torsions.flatten(3)}, -1);
  out.loss_mask = channel_mask(batch, frames);
  model::Conditioning& given = out.conditioning;
  given.mask = batch.mask.unsqueeze(1).expand({-1, frames, -1});
  given.start_frames = {batch.rots.select(1, 0), batch.trans.select(1, 0)};
  given.end_frames = {batch.rots.select(1, frames - 1), batch.trans.select(1, frames - 1)};
  given.x_cond_mask = conditioned_tokens(out.latents, spec);
  given.x_cond = at::where(given.x_cond_mask.unsqueeze(-1) == 1, out.latents, 0.0);
  given.aatype = batch.seqres;
  return out;
}

transport::Losses training_losses(model::LatentModel& model, const transport::Transport& transport,
                                  const Prepared& prepared, const at::Tensor& t, const at::Tensor& x0) {
  const auto predict = [&](const at::Tensor& xt, const at::Tensor& time) {
    return model->forward(xt, time, prepared.conditioning);
  };
  return transport.training_losses(predict, prepared.latents, x0, t, prepared.loss_mask);
}

}  // namespace mdgen::objective
