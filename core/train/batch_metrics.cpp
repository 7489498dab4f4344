#include "core/train/batch_metrics.h"

#include <cmath>
#include <limits>

namespace mdgen::train {

const char* quantity_name(Quantity quantity) {
  static constexpr std::array<const char*, kQuantities> kNames = {"loss",
                                                                  "time",
                                                                  "model_dur",
                                                                  "general_step_dur",
                                                                  "dur",
                                                                  "loss_continuous",
                                                                  "loss_discrete",
                                                                  "category_pred_design_aa_recovery",
                                                                  "category_pred_cond_aa_recovery"};
  return kNames.at(static_cast<std::size_t>(quantity));
}

BatchMetrics::BatchMetrics() { values_.fill(std::numeric_limits<double>::quiet_NaN()); }

void BatchMeans::add(const BatchMetrics& batch) {
  ++batches_;
  for (std::size_t i = 0; i < kQuantities; ++i) {
    const double value = batch[static_cast<Quantity>(i)];
    if (std::isnan(value)) continue;
    sums_[i] += value;
    ++counts_[i];
  }
}

void BatchMeans::add(const BatchMeans& other) {
  batches_ += other.batches_;
  for (std::size_t i = 0; i < kQuantities; ++i) {
    sums_[i] += other.sums_[i];
    counts_[i] += other.counts_[i];
  }
}

NamedMeans BatchMeans::means() const {
  NamedMeans means;
  for (std::size_t i = 0; i < kQuantities; ++i) {
    if (counts_[i] == 0) continue;
    means.emplace_back(quantity_name(static_cast<Quantity>(i)), sums_[i] / static_cast<double>(counts_[i]));
  }
  return means;
}

std::array<double, BatchMeans::kWords> BatchMeans::pack() const {
  std::array<double, kWords> words{};
  for (std::size_t i = 0; i < kQuantities; ++i) {
    words[2 * i] = sums_[i];
    words[2 * i + 1] = static_cast<double>(counts_[i]);
  }
  words.back() = static_cast<double>(batches_);
  return words;
}

BatchMeans BatchMeans::unpack(std::span<const double, kWords> words) {
  BatchMeans means;
  for (std::size_t i = 0; i < kQuantities; ++i) {
    means.sums_[i] = words[2 * i];
    means.counts_[i] = static_cast<std::int64_t>(words[2 * i + 1]);
  }
  means.batches_ = static_cast<std::int64_t>(words.back());
  return means;
}

}  // namespace mdgen::train
