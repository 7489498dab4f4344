#include "core/sample/rebuild.h"

#include "core/model/latent_layout.h"
#include "core/protein/geometry.h"

namespace mdgen::sample {
namespace {

constexpr double kNoLength = 1e-12;

}  // namespace

at::Tensor torsions_of(const at::Tensor& channels, const v1::ModelSpec& spec) {
  const at::Tensor pairs = channels.unflatten(-1, {-1, 2});
  if (spec.oracle()) return pairs;
  const at::Tensor length = at::linalg_vector_norm(pairs, 2, {-1}, /*keepdim=*/true);
  const at::Tensor zero_angle = torch::tensor({0.0, 1.0}, pairs.options());
  return at::where(length > kNoLength, pairs / length, zero_angle);
}

at::Tensor rebuild_atom14(const at::Tensor& latents, const protein::Rigid& first, const at::Tensor& types,
                          const v1::ModelSpec& spec) {
  const model::LatentLayout layout = model::latent_layout(spec);
  const auto part = [&](const model::Channels& channels) {
    return latents.narrow(-1, channels.begin, channels.size);
  };
  const at::Tensor every_frame = types.unsqueeze(1).expand({-1, latents.size(1), -1});
  if (spec.no_frames()) {
    const at::Tensor atom37 = part(layout.atom37).unflatten(-1, {-1, 3}).flatten(0, 1);
    return protein::atom37_to_atom14(atom37, every_frame.flatten(0, 1)).unflatten(0, {latents.size(0), -1});
  }
  protein::Rigid frames = protein::from_tensor_7(part(layout.offsets));
  if (!spec.no_offsets()) frames = protein::compose(first, frames);
  const at::Tensor torsions = torsions_of(part(layout.torsions), spec);
  return protein::frames_torsions_to_atom14(frames, torsions, every_frame);
}

}  // namespace mdgen::sample
