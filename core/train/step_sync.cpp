#include "core/train/step_sync.h"

#include <algorithm>
#include <array>
#include <span>

#include "core/train/failure.h"

namespace mdgen::train {
namespace {

// Halves of 32 bits are exact in float64 for up to 2^21 ranks.
constexpr std::uint64_t kLow = 0xFFFFFFFFULL;
constexpr std::size_t kOwn = 11;

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
  at::Tensor tensor = at::empty({static_cast<std::int64_t>(own.size() + batches.size())}, at::kDouble);
  std::copy(own.begin(), own.end(), tensor.data_ptr<double>());
  std::copy(batches.begin(), batches.end(), tensor.data_ptr<double>() + kOwn);
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
  return total;
}

}  // namespace mdgen::train
