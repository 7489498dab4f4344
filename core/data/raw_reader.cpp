#include "core/data/raw_reader.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "core/base/error.h"
#include "core/data/manifest.h"
#include "core/data/padding.h"
#include "core/data/window_reader.h"
#include "core/protein/residue_constants.h"
#include "core/transport/time_range.h"

namespace mdgen::data {
namespace {

constexpr std::int64_t kResidueValues = std::int64_t{protein::kAtom14} * 3;
constexpr std::int64_t kSimplexValues = protein::kResidueTypes;

std::vector<std::uint8_t> residue_types(const v1::ManifestEntry& entry) {
  std::vector<std::uint8_t> types;
  for (const char letter : entry.seqres()) {
    const int type = protein::residue_type(letter);
    if (type < 0)
      throw Error(ErrorCode::kInvalidArgument,
                  entry.name() + ": unknown residue letter '" + std::string(1, letter) + "'");
    types.push_back(static_cast<std::uint8_t>(type));
  }
  return types;
}

// The sequence's point on its path; the models that only predict the sequence see none of it.
bool has_sequence_flow(const v1::ModelSpec& model) {
  return model.design() && !model.mpnn() && !model.dynamic_mpnn();
}

// A fault of the sample and not of the program or the machine.
bool is_bad_sample(const Error& error) {
  return error.code() == ErrorCode::kNotFound || error.code() == ErrorCode::kDataLoss ||
         error.code() == ErrorCode::kInvalidArgument;
}

std::string sample_name(const v1::ManifestEntry& entry, const Window& window) {
  const std::int32_t replica = entry.replicas(window.replica).index();
  return replica > 0 ? entry.name() + "_R" + std::to_string(replica) : entry.name();
}

}  // namespace

RawLayout raw_layout(std::int64_t rows, std::int64_t frames, std::int64_t residues, bool half,
                     bool has_simplex) {
  constexpr std::int64_t kAlignment = 64;
  RawLayout layout{
      .rows = rows, .frames = frames, .residues = residues, .half = half, .has_simplex = has_simplex};
  std::int64_t end = 0;
  const auto part = [&](std::int64_t bytes) {
    return std::exchange(end, end + (bytes + kAlignment - 1) / kAlignment * kAlignment);
  };
  layout.atoms = part(rows * frames * (1 + residues) * kResidueValues * (half ? 2 : 4));
  layout.types = part(rows * residues);
  layout.integers = part(rows * kRawIntegers * static_cast<std::int64_t>(sizeof(std::int64_t)));
  layout.flow_times = part(rows * static_cast<std::int64_t>(sizeof(float)));
  layout.simplex =
      part(has_simplex ? rows * residues * kSimplexValues * static_cast<std::int64_t>(sizeof(float)) : 0);
  layout.bytes = end;
  return layout;
}

struct RawReader::State {
  v1::JobSpec spec;
  v1::Manifest manifest;
  std::vector<std::vector<std::uint8_t>> types;  // by entry

  WindowRules rules = window_rules(spec);
  PaddingRules padding = padding_rules(spec);
  bool skips = spec.data().on_bad_sample() == "skip";
  bool needs_predecessor = !spec.model().no_frames();
  bool draws_simplex = has_sequence_flow(spec.model());
  transport::TimeRange times = transport::training_time_range(transport::path_type(spec.transport()),
                                                              transport::prediction_type(spec.transport()));

  std::size_t entry_index(std::uint32_t virtual_sample) const {
    return virtual_sample % static_cast<std::uint32_t>(manifest.entries_size());
  }
  const v1::ManifestEntry& entry(std::uint32_t virtual_sample) const {
    return manifest.entries(static_cast<int>(entry_index(virtual_sample)));
  }
  const v1::Replica& replica(const RawSample& sample) const {
    return entry(sample.key.sample).replicas(sample.window.replica);
  }
  bool has_predecessor(const RawSample& sample) const {
    return needs_predecessor && sample.window.crop_start > 0;
  }

  RawSample draw(const DrawKey& key) const;
  Block block(const RawSample& sample) const;
  std::vector<RawSample> draw_all(std::uint32_t epoch, const MicroBatch& samples,
                                  std::vector<BadSample>& bad) const;
  void fill(const RawBatch& batch, std::int64_t row, const RawSample& sample) const;
  void fill_atoms(const RawBatch& batch, std::int64_t row, const RawSample& sample) const;
  void fill_simplex(const RawBatch& batch, std::int64_t row, const RawSample& sample) const;

  // Runs `action` for a sample; false, and listed, when it is bad and bad ones are skipped.
  template <typename Action>
  bool attempt(std::uint32_t sample, std::vector<BadSample>& bad, Action action) const {
    try {
      action();
      return true;
    } catch (const Error& error) {
      if (!skips || !is_bad_sample(error)) throw;
      bad.push_back({sample, error.what()});
      return false;
    }
  }
};

RawSample RawReader::State::draw(const DrawKey& key) const {
  const v1::ManifestEntry& protein = entry(key.sample);
  const Window window = draw_window(key, protein, rules);
  return {.key = key,
          .window = window,
          .flow_time = draw_flow_time(key),
          .residues = shown_residues(padding, protein.residues()),
          .name = sample_name(protein, window)};
}

Block RawReader::State::block(const RawSample& sample) const {
  const std::int32_t before = has_predecessor(sample) ? 1 : 0;
  return {.first_frame = sample.window.frame_start * rules.frame_interval,
          .frames = spec.data().copy_frames() ? 1 : rules.num_frames,
          .first_residue = sample.window.crop_start - before,
          .residues = sample.residues + before,
          .frame_stride = rules.frame_interval};
}

std::vector<RawSample> RawReader::State::draw_all(std::uint32_t epoch, const MicroBatch& samples,
                                                  std::vector<BadSample>& bad) const {
  std::vector<RawSample> drawn;
  for (const std::uint32_t sample : samples)
    attempt(sample, bad,
            [&] { drawn.push_back(draw({.seed = spec.seed(), .epoch = epoch, .sample = sample})); });
  return drawn;
}

void RawReader::State::fill_atoms(const RawBatch& batch, std::int64_t row, const RawSample& sample) const {
  const RawLayout& layout = batch.layout;
  const std::int64_t residue_bytes = kResidueValues * (layout.half ? 2 : 4);
  const std::int64_t frame_bytes = (1 + layout.residues) * residue_bytes;
  const Block part = block(sample);
  const std::int64_t before = (1 - (part.residues - sample.residues)) * residue_bytes;
  const std::int64_t after = before + part.residues * residue_bytes;
  std::byte* const first = batch.bytes.get() + layout.atoms + row * layout.frames * frame_bytes;

  const v1::ManifestEntry& protein = entry(sample.key.sample);
  const v1::Replica& file = replica(sample);
  const std::string path = array_file(spec, file);
  if (layout.half || file.dtype() != "<f2") {
    read_stored(path, file, protein.residues(), part, first + before, frame_bytes);
  } else {
    const std::vector<float> values = read_block(path, file, protein.residues(), part);
    for (std::int64_t frame = 0; frame < layout.frames; ++frame)
      std::memcpy(first + frame * frame_bytes + before,
                  &values[static_cast<std::size_t>(frame * (after - before)) / sizeof(float)],
                  static_cast<std::size_t>(after - before));
  }
  for (std::int64_t frame = 0; frame < layout.frames; ++frame) {
    std::byte* const begin = first + frame * frame_bytes;
    std::memset(begin, 0, static_cast<std::size_t>(before));
    std::memset(begin + after, 0, static_cast<std::size_t>(frame_bytes - after));
  }
}

void RawReader::State::fill_simplex(const RawBatch& batch, std::int64_t row, const RawSample& sample) const {
  const RawLayout& layout = batch.layout;
  const std::uint8_t* type =
      &types[entry_index(sample.key.sample)][static_cast<std::size_t>(sample.window.crop_start)];
  const double alpha =
      transport::dirichlet_alpha(transport::flow_time(times, sample.flow_time), spec.transport().alpha_max());
  auto* out =
      reinterpret_cast<float*>(batch.bytes.get() + layout.simplex) + row * layout.residues * kSimplexValues;
  for (std::int32_t i = 0; i < sample.residues; ++i, out += kSimplexValues)
    draw_simplex(sample.key, sample.window.crop_start + i, type[i], alpha,
                 std::span<float, protein::kResidueTypes>(out, protein::kResidueTypes));
  std::fill_n(out, (layout.residues - sample.residues) * kSimplexValues, 1.0F / protein::kResidueTypes);
}

void RawReader::State::fill(const RawBatch& batch, std::int64_t row, const RawSample& sample) const {
  fill_atoms(batch, row, sample);
  const RawLayout& layout = batch.layout;
  std::byte* const bytes = batch.bytes.get();
  const std::uint8_t* type =
      &types[entry_index(sample.key.sample)][static_cast<std::size_t>(sample.window.crop_start)];
  auto* shown = reinterpret_cast<std::uint8_t*>(bytes + layout.types) + row * layout.residues;
  std::fill(std::copy_n(type, sample.residues, shown), shown + layout.residues, std::uint8_t{0});
  auto* integers = reinterpret_cast<std::int64_t*>(bytes + layout.integers) + row * kRawIntegers;
  integers[kRawResidues] = sample.residues;
  integers[kRawPredecessor] = has_predecessor(sample) ? 1 : 0;
  integers[kRawFirstResidue] = sample.window.crop_start;
  integers[kRawEpoch] = sample.key.epoch;
  integers[kRawSample] = sample.key.sample;
  integers[kRawDropoutKey] = draw_dropout_key(sample.key);
  reinterpret_cast<float*>(bytes + layout.flow_times)[row] = sample.flow_time;
  if (layout.has_simplex) fill_simplex(batch, row, sample);
}

RawReader::RawReader(const v1::JobSpec& resolved, const v1::Manifest& manifest)
    : state_(std::make_unique<State>(resolved, manifest)) {
  if (manifest.entries_size() == 0)
    throw Error(ErrorCode::kInvalidArgument, "a data set without entries cannot be read");
  for (const v1::ManifestEntry& entry : manifest.entries()) state_->types.push_back(residue_types(entry));
}

RawReader::~RawReader() = default;

std::int64_t RawReader::batch_residues(const MicroBatch& samples) const {
  if (state_->padding.crop > 0) {
    std::vector<std::int32_t> residues;
    for (const std::uint32_t sample : samples) residues.push_back(state_->entry(sample).residues());
    return padded_residues(state_->padding, residues);
  }
  const v1::ManifestEntry& first = state_->entry(samples.front());
  for (const std::uint32_t sample : samples) {
    const v1::ManifestEntry& other = state_->entry(sample);
    if (other.residues() != first.residues())
      throw Error(ErrorCode::kInvalidArgument,
                  first.name() + " (" + std::to_string(first.residues()) + " residues) and " + other.name() +
                      " (" + std::to_string(other.residues()) + ") cannot share a batch without atlas");
  }
  return first.residues();
}

RawBatch RawReader::read(std::int64_t epoch, const MicroBatch& samples, BufferPool& buffers) const {
  if (samples.empty() || epoch < 0 || epoch > std::numeric_limits<std::uint32_t>::max())
    throw Error(ErrorCode::kInternal,
                "load: " + std::to_string(samples.size()) + " samples of epoch " + std::to_string(epoch));
  RawBatch batch;
  const std::int64_t residues = batch_residues(samples);
  std::vector<RawSample> drawn =
      state_->draw_all(static_cast<std::uint32_t>(epoch), samples, batch.bad_samples);
  if (drawn.empty()) return batch;
  const bool half = std::all_of(drawn.begin(), drawn.end(), [&](const RawSample& sample) {
    return state_->replica(sample).dtype() == "<f2";
  });
  batch.layout = raw_layout(static_cast<std::int64_t>(drawn.size()), state_->block(drawn.front()).frames,
                            residues, half, state_->draws_simplex);
  batch.bytes = buffers.take(static_cast<std::size_t>(batch.layout.bytes));
  for (RawSample& sample : drawn) {
    const auto row = static_cast<std::int64_t>(batch.samples.size());
    if (state_->attempt(sample.key.sample, batch.bad_samples, [&] { state_->fill(batch, row, sample); }))
      batch.samples.push_back(std::move(sample));
  }
  if (batch.samples.empty()) batch.bytes.reset();
  return batch;
}

void RawReader::read_ahead(std::int64_t epoch, const MicroBatch& samples) const noexcept {
  for (const std::uint32_t virtual_sample : samples) {
    try {
      const RawSample sample = state_->draw({.seed = state_->spec.seed(),
                                             .epoch = static_cast<std::uint32_t>(epoch),
                                             .sample = virtual_sample});
      const v1::Replica& file = state_->replica(sample);
      data::read_ahead(array_file(state_->spec, file), file, state_->entry(virtual_sample).residues(),
                       state_->block(sample));
    } catch (const std::exception&) {
      continue;  // read() says what is wrong
    }
  }
}

}  // namespace mdgen::data
