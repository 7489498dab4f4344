#include "core/train/step_sync.h"

#include <algorithm>
#include <array>
#include <span>

#include "core/base/sum_tree.h"
#include "core/train/failure.h"

namespace mdgen::train {
namespace {

// Halves of 32 bits are exact in float64 for up to 2^21 ranks.
constexpr std::uint64_t kLow = 0xFFFFFFFFULL;
constexpr std::size_t kOwn = 11;

// A row for every micro-batch of the step, zero but for this rank's: adding over ranks fills them all,
// exactly.
constexpr std::size_t kRow = 1 + BatchMeans::kWords;

void put_shards(const StepTally& mine, double* rows) {
  std::fill(rows, rows + static_cast<std::size_t>(mine.shard_count) * kRow, 0.0);
  for (const ShardTally& shard : mine.shards) {
    double* row = rows + static_cast<std::size_t>(shard.number) * kRow;
    const auto batches = shard.batches.pack();
    row[0] = shard.loss_sum;
    std::copy(batches.begin(), batches.end(), row + 1);
  }
}

void add_shards(const double* rows, std::int64_t count, StepTally& total) {
  std::array<double, kRow> sums{};
  std::vector<double> column(static_cast<std::size_t>(count));
  for (std::size_t word = 0; word < kRow; ++word) {
    for (std::size_t row = 0; row < column.size(); ++row) column[row] = rows[row * kRow + word];
    sums[word] = tree_sum(column);
  }
  total.loss_sum = sums[0];
  total.batches =
      BatchMeans::unpack(std::span<const double, BatchMeans::kWords>(sums.data() + 1, BatchMeans::kWords));
}

}  // namespace

StepTally reduce_tally(comm::Collective& collective, at::Device device, std::int64_t step,
                       const StepTally& mine) {
  const std::array<double, kOwn> own{mine.loss_sum,
                                     static_cast<double>(mine.samples),
                                     static_cast<double>(mine.tokens),
                                     static_cast<double>(mine.nonfinite),
                                     static_cast<double>(mine.stop_votes),
                                     static_cast<double>(mine.checkpoint_votes),
                                     static_cast<double>(mine.hash_sum & kLow),
                                     static_cast<double>(mine.hash_sum >> 32U),
                                     static_cast<double>(step),
                                     static_cast<double>(mine.bad),
                                     static_cast<double>(mine.end_votes)};
  const auto batches = mine.batches.pack();
  const std::size_t rows = kOwn + batches.size();
  at::Tensor tensor = at::empty(
      {static_cast<std::int64_t>(rows + static_cast<std::size_t>(mine.shard_count) * kRow)}, at::kDouble);
  std::copy(own.begin(), own.end(), tensor.data_ptr<double>());
  std::copy(batches.begin(), batches.end(), tensor.data_ptr<double>() + kOwn);
  put_shards(mine, tensor.data_ptr<double>() + rows);
  tensor = tensor.to(device);
  collective.all_reduce(tensor);
  tensor = tensor.cpu();
  const double* sum = tensor.data_ptr<double>();

  if (sum[8] != static_cast<double>(step) * collective.world_size()) {
    throw RunFailure(ErrorCode::kInternal, "RanksOutOfStep",
                     "rank " + std::to_string(collective.rank()) + " is in step " + std::to_string(step) +
                         ", but the mean over " + std::to_string(collective.world_size()) + " ranks is " +
                         std::to_string(sum[8] / collective.world_size()));
  }
  StepTally total;
  total.loss_sum = sum[0];
  total.samples = static_cast<std::int64_t>(sum[1]);
  total.bad = static_cast<std::int64_t>(sum[9]);
  total.tokens = static_cast<std::int64_t>(sum[2]);
  total.nonfinite = static_cast<std::int64_t>(sum[3]);
  total.stop_votes = static_cast<std::int64_t>(sum[4]);
  total.checkpoint_votes = static_cast<std::int64_t>(sum[5]);
  total.end_votes = static_cast<std::int64_t>(sum[10]);
  total.hash_sum = static_cast<std::uint64_t>(sum[6]) + (static_cast<std::uint64_t>(sum[7]) << 32U);
  total.batches =
      BatchMeans::unpack(std::span<const double, BatchMeans::kWords>(sum + kOwn, BatchMeans::kWords));
  if (mine.shard_count > 0) add_shards(sum + rows, mine.shard_count, total);
  return total;
}

}  // namespace mdgen::train
