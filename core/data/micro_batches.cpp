#include "core/data/micro_batches.h"

#include <algorithm>
#include <numeric>

#include "core/base/error.h"
#include "core/data/padding.h"

namespace mdgen::data {
namespace {

std::vector<std::int32_t> lengths_of(const std::vector<std::uint32_t>& samples, const SampleSizes& sizes) {
  std::vector<std::int32_t> lengths;
  lengths.reserve(samples.size());
  for (const std::uint32_t sample : samples) lengths.push_back(sizes.of(sample));
  return lengths;
}

// The most residues of a micro-batch of several samples.
std::int64_t most_residues(const std::vector<std::int32_t>& lengths, std::uint32_t batch_size) {
  const std::int64_t longest = *std::max_element(lengths.begin(), lengths.end());
  const std::int64_t sum = std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
  const std::int64_t all_longest = static_cast<std::int64_t>(lengths.size()) * longest;
  return (batch_size * sum + all_longest - 1) / all_longest * longest;
}

}  // namespace

SampleSizes sample_sizes(const v1::JobSpec& resolved, const v1::Manifest& manifest) {
  SampleSizes sizes;
  sizes.frames = resolved.data().num_frames();
  sizes.width = resolved.model().embed_dim();
  if (manifest.entries_size() == 0) return sizes;
  const PaddingRules rules = padding_rules(resolved);
  sizes.residues.clear();
  for (const v1::ManifestEntry& entry : manifest.entries()) {
    const std::int32_t residues = entry.residues();
    sizes.residues.push_back(padded_residues(rules, {&residues, 1}));
  }
  return sizes;
}

double micro_batch_cost(const SampleSizes& sizes, std::int64_t samples, std::int32_t residues) {
  const double frames = sizes.frames;
  return static_cast<double>(samples) * frames * residues * (8.0 * sizes.width + frames + residues);
}

double micro_batch_cost(const SampleSizes& sizes, const MicroBatch& batch) {
  const std::vector<std::int32_t> lengths = lengths_of(batch, sizes);
  return micro_batch_cost(sizes, static_cast<std::int64_t>(batch.size()),
                          *std::max_element(lengths.begin(), lengths.end()));
}

std::vector<MicroBatch> micro_batches(const std::vector<std::uint32_t>& samples, const SampleSizes& sizes,
                                      std::uint32_t batch_size) {
  if (batch_size == 0) throw Error(ErrorCode::kInvalidArgument, "batch_size must be at least 1, not 0");
  if (samples.empty()) return {};
  const std::vector<std::int32_t> lengths = lengths_of(samples, sizes);
  const std::int64_t most = most_residues(lengths, batch_size);
  std::vector<std::size_t> places(samples.size());
  std::iota(places.begin(), places.end(), std::size_t{0});
  std::stable_sort(places.begin(), places.end(),
                   [&](std::size_t a, std::size_t b) { return lengths[a] > lengths[b]; });

  std::vector<std::vector<std::size_t>> groups;
  std::int64_t longest = 0;  // of the last group
  for (const std::size_t place : places) {
    const bool fits = !groups.empty() && groups.back().size() < batch_size &&
                      static_cast<std::int64_t>(groups.back().size() + 1) * longest <= most;
    if (!fits) {
      groups.emplace_back();
      longest = lengths[place];
    }
    groups.back().push_back(place);
  }

  for (auto& group : groups) std::sort(group.begin(), group.end());
  std::sort(groups.begin(), groups.end());
  std::vector<MicroBatch> batches;
  for (const auto& group : groups) {
    MicroBatch& batch = batches.emplace_back();
    for (const std::size_t place : group) batch.push_back(samples[place]);
  }
  return batches;
}

}  // namespace mdgen::data
