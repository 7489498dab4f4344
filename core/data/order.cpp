#include "core/data/order.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/base/error.h"
#include "core/base/philox.h"
#include "core/data/draws.h"

namespace mdgen::data {
namespace {

constexpr std::int32_t kBucketResidues = 32;

enum class Draw : std::uint32_t { kSamples = 0, kSteps = 1, kShortStep = 2 };

std::uint32_t uniform(std::uint64_t seed, std::int64_t epoch, Draw draw, std::uint32_t below) {
  const std::uint32_t kind = static_cast<std::uint32_t>(DrawKind::kEpochOrder) << 24;
  const PhiloxCounter words = philox4x32(
      {static_cast<std::uint32_t>(epoch), below, kind, static_cast<std::uint32_t>(draw)}, philox_key(seed));
  return static_cast<std::uint32_t>(uniform_below(words[0], words[1], below));
}

// Fisher and Yates.
std::vector<std::uint32_t> permutation(std::uint64_t seed, std::int64_t epoch, Draw draw,
                                       std::uint32_t count) {
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0U);
  for (std::uint32_t remaining = count; remaining > 1; --remaining) {
    std::swap(order[remaining - 1], order[uniform(seed, epoch, draw, remaining)]);
  }
  return order;
}

// Stable, by counting.
std::vector<std::uint32_t> sorted_into_buckets(const std::vector<std::uint32_t>& order,
                                               const SampleSizes& sizes) {
  const auto bucket = [&](std::uint32_t sample) {
    return static_cast<std::size_t>((sizes.of(sample) + kBucketResidues - 1) / kBucketResidues);
  };
  const std::int32_t longest = *std::max_element(sizes.residues.begin(), sizes.residues.end());
  std::vector<std::size_t> begin(static_cast<std::size_t>(longest / kBucketResidues) + 3);
  for (const std::uint32_t sample : order) ++begin[bucket(sample) + 1];
  std::partial_sum(begin.begin(), begin.end(), begin.begin());
  std::vector<std::uint32_t> sorted(order.size());
  for (const std::uint32_t sample : order) sorted[begin[bucket(sample)]++] = sample;
  return sorted;
}

}  // namespace

std::vector<std::uint32_t> epoch_order(std::uint64_t seed, std::int64_t epoch, std::uint32_t count) {
  return permutation(seed, epoch, Draw::kSamples, count);
}

std::vector<std::uint32_t> bucketed_order(std::uint64_t seed, std::int64_t epoch, std::uint32_t count,
                                          const SampleSizes& sizes, std::uint32_t step_size) {
  if (step_size == 0) throw Error(ErrorCode::kInternal, "bucketed_order: steps of 0 samples");
  std::vector<std::uint32_t> sorted = sorted_into_buckets(epoch_order(seed, epoch, count), sizes);
  const std::uint32_t steps = count / step_size;
  const auto at = [&](std::uint64_t place) { return sorted.begin() + static_cast<std::ptrdiff_t>(place); };
  if (const std::uint32_t rest = count % step_size; rest > 0) {
    const std::uint64_t place = std::uint64_t{uniform(seed, epoch, Draw::kShortStep, steps + 1)} * step_size;
    std::rotate(at(place), at(place + rest), sorted.end());
  }
  std::vector<std::uint32_t> order;
  order.reserve(count);
  for (const std::uint32_t step : permutation(seed, epoch, Draw::kSteps, steps)) {
    const std::uint64_t begin = std::uint64_t{step} * step_size;
    order.insert(order.end(), at(begin), at(begin + step_size));
  }
  order.insert(order.end(), at(std::uint64_t{steps} * step_size), sorted.end());
  return order;
}

}  // namespace mdgen::data
