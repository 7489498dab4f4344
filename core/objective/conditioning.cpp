#include "core/objective/conditioning.h"

#include "core/model/latent_layout.h"
#include "core/objective/objective.h"

namespace mdgen::objective {
namespace {

at::Tensor supervised_torsions(const v1::ModelSpec& spec, const data::Batch& batch, bool on_padding) {
  const at::Tensor present = batch.torsion_mask.repeat_interleave(2, -1);
  if (spec.supervise_all_torsions()) {
    return on_padding ? at::ones_like(present) : batch.mask.unsqueeze(-1).expand_as(present);
  }
  return spec.supervise_no_torsions() ? at::zeros_like(present) : present;
}

}  // namespace

at::Tensor given_tokens(const v1::ModelSpec& spec, at::IntArrayRef tokens, at::Device device) {
  at::Tensor given = at::zeros(tokens, at::dtype(at::kLong).device(device));
  if (spec.sim_condition() || spec.tps_condition()) given.select(1, 0).fill_(1);
  if (spec.tps_condition()) given.select(1, -1).fill_(1);
  if (spec.has_cond_interval()) given.slice(1, 0, std::nullopt, spec.cond_interval()).fill_(1);
  if (spec.inpainting() || spec.dynamic_mpnn() || spec.mpnn()) {
    for (const std::int64_t residue : kGivenResidues) given.select(2, residue).fill_(1);
  }
  return given;
}

at::Tensor visible_types(const v1::ModelSpec& spec, const at::Tensor& types) {
  if (!spec.design()) return types;
  at::Tensor visible = types.clone();
  for (const std::int64_t residue : kDesignedResidues) visible.select(1, residue).fill_(kHiddenType);
  return visible;
}

at::Tensor supervised_channels(const v1::ModelSpec& spec, const data::Batch& batch, bool on_padding) {
  if (spec.no_frames()) return batch.atom37_mask.repeat_interleave(3, -1);
  const model::LatentLayout layout = model::latent_layout(spec);
  const int frame_channels = layout.offsets.size + layout.second_offsets.size;
  return at::cat({batch.mask.unsqueeze(-1).expand({-1, -1, frame_channels}),
                  supervised_torsions(spec, batch, on_padding)},
                 -1);
}

}  // namespace mdgen::objective
