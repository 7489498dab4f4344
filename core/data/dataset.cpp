#include "core/data/dataset.h"

#include <algorithm>
#include <limits>
#include <string>

#include "core/base/error.h"
#include "core/data/draws.h"
#include "core/data/features.h"
#include "core/data/manifest.h"
#include "core/data/window_reader.h"
#include "core/protein/residue_constants.h"

namespace mdgen::data {
namespace {

at::Tensor residue_types(const v1::ManifestEntry& entry) {
  at::Tensor types = at::empty({entry.residues()}, at::kLong);
  auto values = types.accessor<std::int64_t, 1>();
  for (std::int64_t i = 0; i < entry.residues(); ++i) {
    const int type = protein::residue_type(entry.seqres()[static_cast<std::size_t>(i)]);
    if (type < 0)
      throw Error(ErrorCode::kInvalidArgument, entry.name() + ": unknown residue letter '" +
                                                   entry.seqres()[static_cast<std::size_t>(i)] + "'");
    values[i] = type;
  }
  return types;
}

// Padding: identity frames, zeros elsewhere.
Batch empty_batch(std::int64_t b, std::int64_t t, std::int64_t l, std::int64_t c) {
  Batch batch;
  batch.trans = at::zeros({b, t, l, 3});
  batch.rots = at::eye(3).expand({b, t, l, 3, 3}).contiguous();
  batch.torsions = at::zeros({b, t, l, 7, 2});
  batch.torsion_mask = at::zeros({b, l, 7});
  batch.seqres = at::zeros({b, l}, at::kLong);
  batch.mask = at::zeros({b, l});
  batch.flow_time = at::zeros({b});
  batch.noise = at::zeros({b, t, l, c});
  return batch;
}

}  // namespace

struct Dataset::State {
  v1::JobSpec spec;
  v1::Manifest manifest;
  int latent_channels;
  std::vector<at::Tensor> types;  // by entry

  std::int32_t crop() const { return spec.data().atlas() ? spec.data().crop() : 0; }
  std::int64_t frames() const { return spec.data().num_frames(); }
  int entry_index(std::uint32_t virtual_sample) const {
    return static_cast<int>(virtual_sample % static_cast<std::uint32_t>(manifest.entries_size()));
  }
  const v1::ManifestEntry& entry(std::uint32_t virtual_sample) const {
    return manifest.entries(entry_index(virtual_sample));
  }
  std::int32_t window_residues(const v1::ManifestEntry& entry) const {
    return crop() > 0 ? std::min(crop(), entry.residues()) : entry.residues();
  }

  std::int64_t batch_length(const MicroBatch& samples) const;
  Features read_features(std::uint32_t sample, const Window& window) const;
  void fill(Batch& batch, std::int64_t row, const DrawKey& key) const;
};

std::int64_t Dataset::State::batch_length(const MicroBatch& samples) const {
  if (crop() > 0) return crop();
  const v1::ManifestEntry& first = entry(samples.front());
  for (const std::uint32_t sample : samples) {
    const v1::ManifestEntry& other = entry(sample);
    if (other.residues() != first.residues())
      throw Error(ErrorCode::kInvalidArgument,
                  first.name() + " (" + std::to_string(first.residues()) + " residues) and " + other.name() +
                      " (" + std::to_string(other.residues()) + ") cannot share a batch without atlas");
  }
  return first.residues();
}

// One residue before the crop is read with it: the first residue's pre-omega and phi need it.
Features Dataset::State::read_features(std::uint32_t sample, const Window& window) const {
  const v1::ManifestEntry& protein = entry(sample);
  const v1::Replica& replica = protein.replicas(window.replica);
  const std::int32_t context = window.crop_start > 0 ? 1 : 0;
  const Block block{.first_frame = window.frame_start,
                    .frames = frames(),
                    .first_residue = window.crop_start - context,
                    .residues = window_residues(protein) + context};
  const auto values = std::make_shared<std::vector<float>>(
      read_block(array_file(spec, replica), replica, protein.residues(), block));
  const at::Tensor atom14 = at::from_blob(
      values->data(), {block.frames, block.residues, 14, 3}, [values](void*) {}, at::kFloat);
  const at::Tensor& types = this->types[static_cast<std::size_t>(entry_index(sample))];
  return make_features(atom14, types.narrow(0, block.first_residue, block.residues), context);
}

void Dataset::State::fill(Batch& batch, std::int64_t row, const DrawKey& key) const {
  const v1::ManifestEntry& protein = entry(key.sample);
  const Window window = draw_window(key, protein, spec.data().num_frames(), crop());
  const float flow_time = draw_flow_time(key);
  const std::int64_t residues = window_residues(protein);

  const Features features = read_features(key.sample, window);
  batch.trans[row].narrow(1, 0, residues).copy_(features.trans);
  batch.rots[row].narrow(1, 0, residues).copy_(features.rots);
  batch.torsions[row].narrow(1, 0, residues).copy_(features.torsions);
  batch.torsion_mask[row].narrow(0, 0, residues).copy_(features.torsion_mask);
  batch.seqres[row]
      .narrow(0, 0, residues)
      .copy_(types[static_cast<std::size_t>(entry_index(key.sample))].narrow(0, window.crop_start, residues));
  batch.mask[row].narrow(0, 0, residues).fill_(1);
  batch.flow_time[row] = flow_time;

  const std::int64_t length = batch.noise.size(2);
  const auto channels = static_cast<std::size_t>(latent_channels);
  float* noise = batch.noise[row].data_ptr<float>();
  for (std::int64_t frame = 0; frame < frames(); ++frame) {
    for (std::int64_t residue = 0; residue < residues; ++residue) {
      float* out = noise + (frame * length + residue) * latent_channels;
      draw_noise(key, frame, static_cast<std::int32_t>(window.crop_start + residue), {out, channels});
    }
  }
  batch.sample_hashes.push_back(sample_hash(key, window, flow_time));
  batch.tokens += frames() * residues;
}

Dataset::Dataset(const v1::JobSpec& resolved, const v1::Manifest& manifest, int latent_channels)
    : state_(std::make_unique<State>(resolved, manifest, latent_channels)) {
  if (manifest.entries_size() == 0)
    throw Error(ErrorCode::kInvalidArgument, "a data set without entries cannot be read");
  for (const v1::ManifestEntry& entry : manifest.entries()) state_->types.push_back(residue_types(entry));
}

Dataset::~Dataset() = default;

Batch Dataset::load(std::int64_t epoch, const MicroBatch& samples) const {
  if (samples.empty() || epoch < 0 || epoch > std::numeric_limits<std::uint32_t>::max())
    throw Error(ErrorCode::kInternal,
                "load: " + std::to_string(samples.size()) + " samples of epoch " + std::to_string(epoch));
  const at::NoGradGuard no_grad;
  Batch batch = empty_batch(static_cast<std::int64_t>(samples.size()), state_->frames(),
                            state_->batch_length(samples), state_->latent_channels);
  for (std::size_t row = 0; row < samples.size(); ++row) {
    state_->fill(
        batch, static_cast<std::int64_t>(row),
        {.seed = state_->spec.seed(), .epoch = static_cast<std::uint32_t>(epoch), .sample = samples[row]});
  }
  return batch;
}

double Dataset::cost(std::uint32_t virtual_sample) const {
  return static_cast<double>(state_->batch_length({virtual_sample})) * static_cast<double>(state_->frames());
}

}  // namespace mdgen::data
