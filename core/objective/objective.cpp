#include "core/objective/objective.h"

#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/model/latent_layout.h"
#include "core/objective/conditioning.h"

namespace mdgen::objective {
namespace {

using protein::Rigid;

Rigid frames_at(const Rigid& frames, std::int64_t frame) {
  return {frames.rots.narrow(1, frame, 1), frames.trans.narrow(1, frame, 1)};
}

void require_residues(const v1::ModelSpec& spec, std::int64_t residues, std::int64_t frames) {
  const auto fail = [&](const std::string& needs) {
    throw Error(ErrorCode::kInvalidArgument, needs + "; the batch has " + std::to_string(frames) +
                                                 " frames of " + std::to_string(residues) + " residues");
  };
  const auto key_frames = static_cast<std::int64_t>(kKeyFrameResidues.size());
  if (spec.design_key_frames() && (residues != key_frames || frames < 2)) {
    fail("design_key_frames needs at least 2 frames of " + std::to_string(key_frames) + " residues");
  }
  const bool points_at_residues =
      spec.design() || spec.inpainting() || spec.mpnn() || spec.dynamic_mpnn() || spec.no_design_torsion();
  if (points_at_residues && residues <= kGivenResidues.back()) {
    fail("design, inpainting, mpnn, dynamic_mpnn and no_design_torsion need at least " +
         std::to_string(kGivenResidues.back() + 1) + " residues");
  }
}

// Designed residues show their neighbours' frames where the model sees frames.
Rigid key_frames_hidden(const Rigid& frames) {
  const auto hide = [](const at::Tensor& tensor) {
    const at::Tensor source = at::tensor(at::ArrayRef<std::int64_t>(kKeyFrameResidues),
                                         at::dtype(at::kLong).device(tensor.device()));
    at::Tensor hidden = tensor.clone();
    for (const std::int64_t frame : {std::int64_t{0}, tensor.size(1) - 1}) {
      hidden.select(1, frame).copy_(tensor.select(1, frame).index_select(1, source));
    }
    return hidden;
  };
  return {hide(frames.rots), hide(frames.trans)};
}

at::Tensor torsion_channels(const v1::ModelSpec& spec, const at::Tensor& torsions) {
  if (spec.no_torsion()) return at::zeros_like(torsions).flatten(3);
  if (!spec.no_design_torsion()) return torsions.flatten(3);
  at::Tensor kept = torsions.clone();
  for (const std::int64_t residue : kDesignedResidues) kept.select(2, residue).zero_();
  return kept.flatten(3);
}

at::Tensor frame_latents(const v1::ModelSpec& spec, const Rigid& frames, const at::Tensor& torsions) {
  std::vector<at::Tensor> parts = {spec.no_offsets() ? protein::to_tensor_7(frames)
                                                     : protein::offsets(frames_at(frames, 0), frames)};
  if (model::latent_layout(spec).second_offsets.size > 0) {
    parts.push_back(protein::offsets(frames_at(frames, frames.trans.size(1) - 1), frames));
  }
  parts.push_back(torsion_channels(spec, torsions));
  return at::cat(parts, -1);
}

void prepare_frames(const data::Batch& batch, const v1::ModelSpec& spec, Prepared& out) {
  const std::int64_t frames = batch.trans.size(1);
  require_residues(spec, batch.trans.size(2), frames);
  out.frames = {batch.rots, batch.trans};
  if (spec.design_key_frames()) out.frames = key_frames_hidden(out.frames);
  out.latents = frame_latents(spec, out.frames, batch.torsions);
  const auto end = [&](std::int64_t frame) {
    return Rigid{out.frames.rots.select(1, frame), out.frames.trans.select(1, frame)};
  };
  out.conditioning.start_frames = end(0);
  out.conditioning.end_frames = end(frames - 1);
}

transport::SequenceTarget sequence_target(const data::Batch& batch, const v1::JobSpec& resolved) {
  const bool alone = resolved.model().mpnn() || resolved.model().dynamic_mpnn();
  return {.types = batch.seqres,
          .mask = resolved.reference_compat() ? at::ones_like(batch.mask) : batch.mask,
          .simplex = alone ? at::Tensor() : batch.simplex,
          .weight = resolved.transport().discrete_loss_weight(),
          .alone = alone};
}

}  // namespace

int latent_channels(const v1::ModelSpec& spec) { return model::latent_layout(spec).continuous(); }

Prepared prepare(const data::Batch& batch, const v1::JobSpec& resolved) {
  const torch::NoGradGuard no_grad;
  const v1::ModelSpec& spec = resolved.model();
  Prepared out;
  if (spec.no_frames()) {
    out.latents = batch.atom37.flatten(3);
  } else {
    prepare_frames(batch, spec, out);
  }
  const std::int64_t frames = out.latents.size(1);
  out.loss_mask = supervised_channels(spec, batch, /*on_padding=*/resolved.reference_compat())
                      .unsqueeze(1)
                      .expand({-1, frames, -1, -1});
  if (spec.design()) out.sequence = sequence_target(batch, resolved);

  model::Conditioning& given = out.conditioning;
  given.mask = batch.mask.unsqueeze(1).expand({-1, frames, -1});
  given.x_cond_mask = given_tokens(spec, out.latents.sizes().slice(0, 3), out.latents.device());
  given.x_cond = at::where(given.x_cond_mask.unsqueeze(-1) == 1, out.latents, 0.0);
  given.aatype = visible_types(spec, batch.seqres);
  given.dropout_key = batch.dropout_key;
  given.first_residue = batch.first_residue;
  given.bias_token_position = batch.untrimmed_residues;
  return out;
}

transport::Losses training_losses(model::LatentModel& model, const transport::Transport& transport,
                                  const Prepared& prepared, const at::Tensor& t, const at::Tensor& x0) {
  const auto predict = [&](const at::Tensor& xt, const at::Tensor& time) {
    return model->forward(xt, time, prepared.conditioning);
  };
  return transport.training_losses(predict, prepared.latents, x0, t, prepared.loss_mask, prepared.sequence);
}

}  // namespace mdgen::objective
