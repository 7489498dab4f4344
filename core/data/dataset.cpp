#include "core/data/dataset.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/data/draws.h"
#include "core/data/features.h"
#include "core/data/manifest.h"
#include "core/data/padding.h"
#include "core/data/window_reader.h"
#include "core/protein/residue_constants.h"
#include "core/transport/time_range.h"

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

// The sequence's point on its path; the models that only predict the sequence see none of it.
bool has_sequence_flow(const v1::ModelSpec& model) {
  return model.design() && !model.mpnn() && !model.dynamic_mpnn();
}

std::string sample_name(const v1::ManifestEntry& entry, const Window& window) {
  const std::int32_t replica = entry.replicas(window.replica).index();
  return replica > 0 ? entry.name() + "_R" + std::to_string(replica) : entry.name();
}

// A fault of the sample and not of the program or the machine.
bool is_bad_sample(const Error& error) {
  return error.code() == ErrorCode::kNotFound || error.code() == ErrorCode::kDataLoss ||
         error.code() == ErrorCode::kInvalidArgument;
}

// What was read of a sample. `context` residues before the crop come with it: pre-omega and phi of the first
// one need its predecessor.
struct Reading {
  DrawKey key;
  Window window;
  std::int32_t context = 0;
  at::Tensor atoms;  // (T, context + residues, 14, 3); T is 1 under copy_frames
};

MicroBatch samples_of(const std::vector<Reading>& readings) {
  MicroBatch samples;
  for (const Reading& reading : readings) samples.push_back(reading.key.sample);
  return samples;
}

}  // namespace

struct Dataset::State {
  v1::JobSpec spec;
  v1::Manifest manifest;
  int latent_channels;
  std::vector<at::Tensor> types;  // by entry

  WindowRules rules = window_rules(spec);
  SampleSizes sizes = sample_sizes(spec, manifest);
  PaddingRules padding = padding_rules(spec);
  transport::TimeRange times = transport::training_time_range(transport::path_type(spec.transport()),
                                                              transport::prediction_type(spec.transport()));

  std::int32_t crop() const { return rules.crop; }
  std::int64_t frames() const { return rules.num_frames; }
  AtomMasks masks() const { return spec.reference_compat() ? AtomMasks::kSequence : AtomMasks::kPresent; }
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
  Batch empty_batch(const MicroBatch& samples) const;
  Reading read(const DrawKey& key) const;
  std::vector<Reading> read_all(std::uint32_t epoch, const MicroBatch& samples,
                                std::vector<BadSample>& bad) const;
  at::Tensor types_of(std::uint32_t sample, const Window& window, std::int32_t context) const;
  void fill(Batch& batch, std::int64_t row, const Reading& reading) const;
  void fill_features(Batch& batch, std::int64_t row, const Reading& reading) const;
  void fill_atoms(Batch& batch, std::int64_t row, const Reading& reading) const;
  void fill_noise(Batch& batch, std::int64_t row, const DrawKey& key, const Window& window) const;
  void fill_simplex(Batch& batch, std::int64_t row, const DrawKey& key, const Window& window) const;
};

std::int64_t Dataset::State::batch_length(const MicroBatch& samples) const {
  if (padding.crop > 0) {
    std::vector<std::int32_t> residues;
    for (const std::uint32_t sample : samples) residues.push_back(entry(sample).residues());
    return padded_residues(padding, residues);
  }
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

// Padding: identity frames, uniform points of the simplex, zeros elsewhere.
Batch Dataset::State::empty_batch(const MicroBatch& samples) const {
  const auto b = static_cast<std::int64_t>(samples.size());
  const std::int64_t t = frames();
  const std::int64_t l = batch_length(samples);
  Batch batch;
  batch.untrimmed_residues = padding.crop;
  if (spec.model().no_frames()) {
    batch.atom37 = at::zeros({b, t, l, protein::kAtom37, 3});
    batch.atom37_mask = at::zeros({b, l, protein::kAtom37});
  } else {
    batch.trans = at::zeros({b, t, l, 3});
    batch.rots = at::eye(3).expand({b, t, l, 3, 3}).contiguous();
    batch.torsions = at::zeros({b, t, l, protein::kTorsions, 2});
    batch.torsion_mask = at::zeros({b, l, protein::kTorsions});
  }
  batch.seqres = at::zeros({b, l}, at::kLong);
  batch.mask = at::zeros({b, l});
  batch.flow_time = at::zeros({b});
  batch.noise = at::zeros({b, t, l, latent_channels});
  if (has_sequence_flow(spec.model()))
    batch.simplex = at::full({b, l, protein::kResidueTypes}, 1.0 / protein::kResidueTypes);
  batch.dropout_key = at::zeros({b}, at::kLong);
  batch.first_residue = at::zeros({b}, at::kLong);
  return batch;
}

Reading Dataset::State::read(const DrawKey& key) const {
  const v1::ManifestEntry& protein = entry(key.sample);
  const Window window = draw_window(key, protein, rules);
  const v1::Replica& replica = protein.replicas(window.replica);
  const std::int32_t context = window.crop_start > 0 && !spec.model().no_frames() ? 1 : 0;
  const Block block{.first_frame = window.frame_start * rules.frame_interval,
                    .frames = spec.data().copy_frames() ? 1 : frames(),
                    .first_residue = window.crop_start - context,
                    .residues = window_residues(protein) + context,
                    .frame_stride = rules.frame_interval};
  const auto values = std::make_shared<std::vector<float>>(
      read_block(array_file(spec, replica), replica, protein.residues(), block));
  return {key, window, context,
          at::from_blob(
              values->data(), {block.frames, block.residues, protein::kAtom14, 3}, [values](void*) {},
              at::kFloat)};
}

std::vector<Reading> Dataset::State::read_all(std::uint32_t epoch, const MicroBatch& samples,
                                              std::vector<BadSample>& bad) const {
  const bool skips = spec.data().on_bad_sample() == "skip";
  std::vector<Reading> readings;
  for (const std::uint32_t sample : samples) {
    try {
      readings.push_back(read({.seed = spec.seed(), .epoch = epoch, .sample = sample}));
    } catch (const Error& error) {
      if (!skips || !is_bad_sample(error)) throw;
      bad.push_back({sample, error.what()});
    }
  }
  return readings;
}

at::Tensor Dataset::State::types_of(std::uint32_t sample, const Window& window, std::int32_t context) const {
  return types[static_cast<std::size_t>(entry_index(sample))].narrow(
      0, window.crop_start - context, window_residues(entry(sample)) + context);
}

void Dataset::State::fill_features(Batch& batch, std::int64_t row, const Reading& reading) const {
  const at::Tensor types = types_of(reading.key.sample, reading.window, reading.context);
  const Features features = make_features(reading.atoms, types, reading.context, masks());
  const std::int64_t residues = features.trans.size(1);
  batch.trans[row].narrow(1, 0, residues).copy_(features.trans);
  batch.rots[row].narrow(1, 0, residues).copy_(features.rots);
  batch.torsions[row].narrow(1, 0, residues).copy_(features.torsions);
  batch.torsion_mask[row].narrow(0, 0, residues).copy_(features.torsion_mask);
}

void Dataset::State::fill_atoms(Batch& batch, std::int64_t row, const Reading& reading) const {
  const Atoms atoms = make_atoms(reading.atoms, types_of(reading.key.sample, reading.window, 0), masks());
  const std::int64_t residues = atoms.mask.size(0);
  batch.atom37[row].narrow(1, 0, residues).copy_(atoms.positions);
  batch.atom37_mask[row].narrow(0, 0, residues).copy_(atoms.mask);
}

void Dataset::State::fill_noise(Batch& batch, std::int64_t row, const DrawKey& key,
                                const Window& window) const {
  draw_noise(key,
             {.frames = frames(),
              .first_residue = window.crop_start,
              .residues = window_residues(entry(key.sample)),
              .channels = latent_channels,
              .frame_stride = batch.noise.stride(1)},
             batch.noise[row].data_ptr<float>());
}

void Dataset::State::fill_simplex(Batch& batch, std::int64_t row, const DrawKey& key,
                                  const Window& window) const {
  const at::Tensor residue_types = types_of(key.sample, window, 0);
  const auto type = residue_types.accessor<std::int64_t, 1>();
  const double alpha = transport::dirichlet_alpha(transport::flow_time(times, draw_flow_time(key)),
                                                  spec.transport().alpha_max());
  float* out = batch.simplex[row].data_ptr<float>();
  for (std::int64_t i = 0; i < residue_types.size(0); ++i, out += protein::kResidueTypes) {
    draw_simplex(key, static_cast<std::int32_t>(window.crop_start + i), static_cast<int>(type[i]), alpha,
                 std::span<float, protein::kResidueTypes>(out, protein::kResidueTypes));
  }
}

void Dataset::State::fill(Batch& batch, std::int64_t row, const Reading& reading) const {
  const DrawKey& key = reading.key;
  const Window& window = reading.window;
  const v1::ManifestEntry& protein = entry(key.sample);
  const float flow_time = draw_flow_time(key);
  const std::int64_t residues = window_residues(protein);

  if (spec.model().no_frames())
    fill_atoms(batch, row, reading);
  else
    fill_features(batch, row, reading);
  batch.seqres[row].narrow(0, 0, residues).copy_(types_of(key.sample, window, 0));
  batch.mask[row].narrow(0, 0, residues).fill_(1);
  batch.flow_time[row] = flow_time;
  fill_noise(batch, row, key, window);
  if (batch.simplex.defined()) fill_simplex(batch, row, key, window);
  batch.dropout_key[row] = draw_dropout_key(key);
  batch.first_residue[row] = window.crop_start;
  batch.names.push_back(sample_name(protein, window));
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
  std::vector<BadSample> bad;
  const std::vector<Reading> readings = state_->read_all(static_cast<std::uint32_t>(epoch), samples, bad);
  Batch batch = readings.empty() ? Batch{} : state_->empty_batch(samples_of(readings));
  for (std::size_t row = 0; row < readings.size(); ++row)
    state_->fill(batch, static_cast<std::int64_t>(row), readings[row]);
  batch.bad_samples = std::move(bad);
  return batch;
}

const SampleSizes& Dataset::sizes() const { return state_->sizes; }

}  // namespace mdgen::data
