#include "core/data/dataset.h"

#include "core/data/device_noise.h"
#include "core/data/features.h"
#include "core/data/padding.h"
#include "core/protein/residue_constants.h"

namespace mdgen::data {
namespace {

// The parts of a raw batch's bytes as tensors, samples only.
class RawParts {
 public:
  RawParts(const RawBatch& raw, const at::Tensor& bytes)
      : layout_(raw.layout), samples_(static_cast<std::int64_t>(raw.samples.size())), bytes_(bytes) {}

  at::Tensor atoms() const {
    return part(layout_.atoms, layout_.half ? at::kHalf : at::kFloat,
                {layout_.frames, 1 + layout_.residues, protein::kAtom14, 3});
  }
  at::Tensor types() const { return part(layout_.types, at::kByte, {layout_.residues}); }
  at::Tensor integer(RawInteger which) const {
    return part(layout_.integers, at::kLong, {kRawIntegers}).select(1, which).clone();
  }
  at::Tensor flow_times() const { return part(layout_.flow_times, at::kFloat, {}).clone(); }
  at::Tensor simplex() const {
    return part(layout_.simplex, at::kFloat, {layout_.residues, protein::kResidueTypes}).clone();
  }

 private:
  at::Tensor part(std::int64_t offset, at::ScalarType dtype, std::vector<std::int64_t> sizes) const {
    sizes.insert(sizes.begin(), samples_);
    const std::int64_t bytes =
        c10::multiply_integers(sizes) * static_cast<std::int64_t>(c10::elementSize(dtype));
    return bytes_.narrow(0, offset, bytes).view(dtype).view(sizes);
  }

  const RawLayout& layout_;
  std::int64_t samples_;
  const at::Tensor& bytes_;
};

// One frame's values for all frames, under copy_frames.
at::Tensor for_frames(const at::Tensor& values, std::int64_t frames) {
  if (values.size(1) == frames) return values.contiguous();
  std::vector<std::int64_t> sizes = values.sizes().vec();
  sizes[1] = frames;
  return values.expand(sizes).contiguous();
}

}  // namespace

struct Dataset::State {
  v1::JobSpec spec;
  std::int64_t latent_channels;
  RawReader reader;
  mutable BufferPool buffers{};
  PaddingRules padding = padding_rules(spec);
  SampleSizes sizes{};

  std::int64_t frames() const { return spec.data().num_frames(); }
  AtomMasks masks() const { return spec.reference_compat() ? AtomMasks::kSequence : AtomMasks::kPresent; }

  void add_features(const Positions& positions, Batch& batch) const;
  at::Tensor noise(const RawBatch& raw, const RawParts& parts, const Batch& batch) const;
};

void Dataset::State::add_features(const Positions& positions, Batch& batch) const {
  if (spec.model().no_frames()) {
    Atoms atoms = make_atoms(positions, masks());
    batch.atom37 = for_frames(atoms.positions, frames());
    batch.atom37_mask = std::move(atoms.mask);
    return;
  }
  Features features = make_features(positions, masks());
  batch.trans = for_frames(features.trans, frames());
  batch.rots = for_frames(features.rots, frames());
  batch.torsions = for_frames(features.torsions, frames());
  batch.torsion_mask = std::move(features.torsion_mask);
}

at::Tensor Dataset::State::noise(const RawBatch& raw, const RawParts& parts, const Batch& batch) const {
  const std::int64_t residues = raw.layout.residues;
  if (!batch.mask.is_cpu()) {
    return device_noise(spec.seed(), parts.integer(kRawEpoch), parts.integer(kRawSample), batch.first_residue,
                        frames(), residues, latent_channels)
        .mul_(batch.mask.unsqueeze(1).unsqueeze(-1));
  }
  at::Tensor noise = at::empty({batch.mask.size(0), frames(), residues, latent_channels});
  for (std::size_t i = 0; i < raw.samples.size(); ++i) {
    const RawSample& sample = raw.samples[i];
    at::Tensor row = noise[static_cast<std::int64_t>(i)];
    draw_noise(sample.key,
               {.frames = frames(),
                .first_residue = sample.window.crop_start,
                .residues = sample.residues,
                .channels = latent_channels,
                .frame_stride = residues * latent_channels},
               row.data_ptr<float>());
    row.narrow(1, sample.residues, residues - sample.residues).zero_();
  }
  return noise;
}

Dataset::Dataset(const v1::JobSpec& resolved, const v1::Manifest& manifest, int latent_channels)
    : state_(new State{.spec = resolved,
                       .latent_channels = latent_channels,
                       .reader = {resolved, manifest},
                       .sizes = sample_sizes(resolved, manifest)}) {}

Dataset::~Dataset() = default;

const RawReader& Dataset::reader() const { return state_->reader; }

Batch Dataset::features(const RawBatch& raw, const at::Tensor& bytes) const {
  const at::NoGradGuard no_grad;
  const RawParts parts(raw, bytes);
  Batch batch;
  const at::Tensor residues = parts.integer(kRawResidues);
  batch.mask = at::arange(raw.layout.residues, residues.options()).lt(residues.unsqueeze(-1)).to(at::kFloat);
  batch.seqres = parts.types().to(at::kLong);
  batch.first_residue = parts.integer(kRawFirstResidue);
  batch.dropout_key = parts.integer(kRawDropoutKey);
  batch.flow_time = parts.flow_times();
  batch.untrimmed_residues = state_->padding.crop;
  bool padded = false;
  for (const RawSample& sample : raw.samples) {
    padded |= sample.residues < raw.layout.residues;
    batch.names.push_back(sample.name);
    batch.sample_hashes.push_back(sample_hash(sample.key, sample.window, sample.flow_time));
    batch.tokens += state_->frames() * sample.residues;
  }
  batch.bad_samples = raw.bad_samples;
  if (raw.layout.has_simplex) batch.simplex = parts.simplex();
  batch.noise = state_->noise(raw, parts, batch);
  state_->add_features({.atoms = parts.atoms(),
                        .types = batch.seqres,
                        .mask = batch.mask,
                        .predecessor = parts.integer(kRawPredecessor).to(at::kFloat),
                        .padded = padded},
                       batch);
  return batch;
}

Batch Dataset::load(std::int64_t epoch, const MicroBatch& samples) const {
  RawBatch raw = state_->reader.read(epoch, samples, state_->buffers);
  if (raw.samples.empty()) {
    Batch none;
    none.bad_samples = std::move(raw.bad_samples);
    return none;
  }
  return features(raw, at::from_blob(raw.bytes.get(), {raw.layout.bytes}, at::kByte));
}

const SampleSizes& Dataset::sizes() const { return state_->sizes; }

}  // namespace mdgen::data
