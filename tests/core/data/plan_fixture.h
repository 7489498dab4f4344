// Random configurations of a plan, for property tests.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/data/plan.h"

namespace mdgen::data {

// Random numbers for test configurations only; the code under test has its own.
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::uint32_t between(std::uint32_t low, std::uint32_t high) {
    return low + static_cast<std::uint32_t>(engine_() % (high - low + 1));
  }
  bool coin() { return between(0, 1) == 1; }

 private:
  std::mt19937_64 engine_;
};

inline SampleSizes random_sizes(Random& random, std::uint32_t entries) {
  SampleSizes sizes{.residues = {}, .frames = 250, .width = 384};
  const std::uint32_t longest = random.between(1, 300);
  for (std::uint32_t i = 0; i < entries; ++i) {
    sizes.residues.push_back(static_cast<std::int32_t>(random.between(1, longest)));
  }
  return sizes;
}

inline PlanInputs random_inputs(Random& random) {
  PlanInputs inputs;
  inputs.seed = random.between(0, 1000000);
  inputs.items = random.between(1, 40);
  inputs.repeat = random.between(1, 4);
  inputs.global_batch_size = random.between(1, 50);
  inputs.batch_size = random.between(1, 9);
  inputs.epochs = random.between(1, 4);
  inputs.max_steps = random.coin() ? 0 : random.between(1, 30);
  inputs.order = random.coin() ? Order::kBucketed : Order::kShuffled;
  inputs.sizes = random_sizes(random, random.coin() ? inputs.items : 1);
  return inputs;
}

template <typename T>
std::vector<T> sorted(std::vector<T> values) {
  std::sort(values.begin(), values.end());
  return values;
}

inline std::vector<std::uint32_t> first_integers(std::uint32_t count) {
  std::vector<std::uint32_t> values(count);
  std::iota(values.begin(), values.end(), 0U);
  return values;
}

inline std::vector<std::uint32_t> flattened(const std::vector<MicroBatch>& batches) {
  std::vector<std::uint32_t> all;
  for (const MicroBatch& batch : batches) all.insert(all.end(), batch.begin(), batch.end());
  return all;
}

template <typename Action>
std::string message_of(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace mdgen::data
