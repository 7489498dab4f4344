// What the reference logs of every batch (wrapper.py, general_step and log), and its means.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace mdgen::train {

enum class Quantity : std::size_t {
  kLoss,            // mean over the samples
  kTime,            // mean flow time
  kModelDur,        // seconds of the forward pass and the loss
  kGeneralStepDur,  // ... and of preparing the batch
  kDur,             // seconds since the batch before was logged
  // Under design only:
  kLossContinuous,
  kLossDiscrete,
  kCategoryPredDesign,  // fraction of residues 1 … L-2 whose most probable type is the true one
  kCategoryPredCond,    // the same for the first and the last residue
};
inline constexpr std::size_t kQuantities = 9;

// The reference's name, without "iter_", "train_" or "val_".
const char* quantity_name(Quantity quantity);

// One micro-batch; NaN where it has no such quantity.
class BatchMetrics {
 public:
  BatchMetrics();
  double& operator[](Quantity quantity) { return values_[static_cast<std::size_t>(quantity)]; }
  double operator[](Quantity quantity) const { return values_[static_cast<std::size_t>(quantity)]; }
  std::span<double, kQuantities> values() { return values_; }

 private:
  std::array<double, kQuantities> values_;
};

using NamedMeans = std::vector<std::pair<std::string, double>>;

// Sums over micro-batches, NaN left out (numpy.nanmean). A value type.
class BatchMeans {
 public:
  static constexpr std::size_t kWords = 2 * kQuantities + 1;

  void add(const BatchMetrics& batch);
  void add(const BatchMeans& other);
  std::int64_t batches() const { return batches_; }
  // By name, those that at least one batch had.
  NamedMeans means() const;

  // As float64 words that may be added over ranks: counts are exact.
  std::array<double, kWords> pack() const;
  static BatchMeans unpack(std::span<const double, kWords> words);

  bool operator==(const BatchMeans&) const = default;

 private:
  std::array<double, kQuantities> sums_{};
  std::array<std::int64_t, kQuantities> counts_{};
  std::int64_t batches_ = 0;
};

}  // namespace mdgen::train
