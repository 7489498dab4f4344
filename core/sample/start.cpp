#include "core/sample/start.h"

#include <algorithm>
#include <numeric>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/data/draws.h"
#include "core/data/features.h"
#include "core/objective/objective.h"
#include "core/protein/residue_constants.h"

namespace mdgen::sample {
namespace {

constexpr std::int64_t kTypes = protein::kResidueTypes;

// `values` (F, …) at their places, `fill` elsewhere: (1, T, …).
at::Tensor place(const at::Tensor& values, const Placement& placement, const at::Tensor& fill) {
  std::vector<std::int64_t> sizes = values.sizes().vec();
  sizes[0] = static_cast<std::int64_t>(placement.size());
  at::Tensor placed = fill.expand(sizes).contiguous();
  for (std::size_t t = 0; t < placement.size(); ++t)
    if (placement[t] != kNotGiven) placed[static_cast<std::int64_t>(t)].copy_(values[placement[t]]);
  return placed.unsqueeze(0);
}

void place_frames(data::Batch& batch, const at::Tensor& given, const at::Tensor& types,
                  const Placement& placement, data::AtomMasks masks) {
  const data::Features features =
      data::make_features(data::whole_proteins(given.unsqueeze(0), types.unsqueeze(0)), masks);
  const at::Tensor zero = at::zeros({});
  batch.trans = place(features.trans[0], placement, zero);
  batch.rots = place(features.rots[0], placement, at::eye(3));
  batch.torsions = place(features.torsions[0], placement, zero);
  batch.torsion_mask = features.torsion_mask;
}

void place_atoms(data::Batch& batch, const at::Tensor& given, const at::Tensor& types,
                 const Placement& placement, data::AtomMasks masks) {
  const data::Atoms atoms =
      data::make_atoms(data::whole_proteins(given.unsqueeze(0), types.unsqueeze(0)), masks);
  batch.atom37 = place(atoms.positions[0], placement, at::zeros({}));
  batch.atom37_mask = atoms.mask;
}

void draw(data::Batch& batch, const v1::ModelSpec& model, std::int64_t frames, const NoiseKey& key) {
  const std::int64_t residues = batch.seqres.size(1);
  const auto channels = static_cast<std::int64_t>(objective::latent_channels(model));
  const data::DrawKey draws{.seed = seed_of(key), .epoch = key.block, .sample = key.sample};
  batch.noise = at::empty({1, frames, residues, channels});
  data::draw_noise(
      draws,
      {.frames = frames, .residues = residues, .channels = channels, .frame_stride = residues * channels},
      batch.noise.data_ptr<float>());
  if (!model.design()) return;
  batch.simplex = at::empty({1, residues, kTypes});
  float* point = batch.simplex.data_ptr<float>();
  for (std::int64_t residue = 0; residue < residues; ++residue, point += kTypes)
    data::draw_simplex_start(draws, static_cast<std::int32_t>(residue),
                             std::span<float, kTypes>(point, static_cast<std::size_t>(kTypes)));
}

}  // namespace

Placement simulation_placement(std::int64_t num_frames) {
  return Placement(static_cast<std::size_t>(num_frames), 0);
}

Placement interpolation_placement(std::int64_t num_frames) {
  Placement placement = simulation_placement(num_frames);
  placement.back() = 1;
  return placement;
}

Placement upsampling_placement(std::int64_t keys, std::int64_t interval) {
  Placement placement(static_cast<std::size_t>(keys * interval), kNotGiven);
  for (std::int64_t key = 0; key < keys; ++key) placement[static_cast<std::size_t>(key * interval)] = key;
  return placement;
}

Placement window_placement(std::int64_t num_frames) {
  Placement placement(static_cast<std::size_t>(num_frames));
  std::iota(placement.begin(), placement.end(), 0);
  return placement;
}

std::uint64_t seed_of(const NoiseKey& key) {
  const std::string hex = sha256_hex("mdgen-sample " + std::to_string(key.seed) + " " + key.name);
  return std::stoull(hex.substr(0, 16), nullptr, 16);
}

data::Batch make_start(const v1::JobSpec& spec, const at::Tensor& given, const at::Tensor& types,
                       const Placement& placement, const NoiseKey& key) {
  if (given.dim() != 4 || given.size(1) != types.size(0) || placement.empty() ||
      *std::max_element(placement.begin(), placement.end()) >= given.size(0))
    throw Error(ErrorCode::kInternal, key.name + ": the given frames do not fit their placement");
  const torch::NoGradGuard no_grad;
  const auto masks = spec.reference_compat() ? data::AtomMasks::kSequence : data::AtomMasks::kPresent;
  data::Batch batch;
  batch.seqres = types.unsqueeze(0);
  batch.mask = at::ones({1, types.size(0)});
  batch.flow_time = at::zeros({1});
  batch.first_residue = at::zeros({1}, at::kLong);
  batch.names = {key.name};
  if (spec.model().no_frames())
    place_atoms(batch, given, types, placement, masks);
  else
    place_frames(batch, given, types, placement, masks);
  draw(batch, spec.model(), static_cast<std::int64_t>(placement.size()), key);
  return batch;
}

data::Batch stack(const std::vector<data::Batch>& samples, at::Device device) {
  const auto joined = [&](at::Tensor data::Batch::*member) {
    std::vector<at::Tensor> parts;
    for (const data::Batch& sample : samples) parts.push_back(sample.*member);
    return parts.front().defined() ? at::cat(parts).to(device) : at::Tensor();
  };
  data::Batch batch;
  for (at::Tensor data::Batch::*member :
       {&data::Batch::trans, &data::Batch::rots, &data::Batch::torsions, &data::Batch::torsion_mask,
        &data::Batch::seqres, &data::Batch::mask, &data::Batch::flow_time, &data::Batch::noise,
        &data::Batch::atom37, &data::Batch::atom37_mask, &data::Batch::simplex, &data::Batch::first_residue})
    batch.*member = joined(member);
  for (const data::Batch& sample : samples)
    batch.names.insert(batch.names.end(), sample.names.begin(), sample.names.end());
  return batch;
}

}  // namespace mdgen::sample
