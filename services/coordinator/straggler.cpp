#include "services/coordinator/straggler.h"

#include <algorithm>

namespace mdgen::coordinator {
namespace {

double lower_median(std::span<const double> seconds) {
  std::vector<double> known;
  std::copy_if(seconds.begin(), seconds.end(), std::back_inserter(known), [](double one) { return one > 0; });
  if (known.size() < 2) return 0;
  const auto middle = known.begin() + static_cast<std::ptrdiff_t>((known.size() - 1) / 2);
  std::nth_element(known.begin(), middle, known.end());
  return *middle;
}

}  // namespace

std::vector<int> StragglerWatch::look(std::span<const double> compute_seconds) {
  if (ranks_.size() != compute_seconds.size()) ranks_.assign(compute_seconds.size(), {});
  median_ = lower_median(compute_seconds);
  std::vector<int> found;
  for (std::size_t i = 0; i < ranks_.size(); ++i) {
    auto& [slowness, looks] = ranks_[i];
    slowness.ratio = median_ > 0 ? compute_seconds[i] / median_ : 0;
    const bool other = slowness.straggler ? slowness.ratio < kWell : slowness.ratio > kSlow;
    looks = other ? looks + 1 : 0;
    if (looks < kLooks) continue;
    looks = 0;
    slowness.straggler = !slowness.straggler;
    if (slowness.straggler) found.push_back(static_cast<int>(i));
  }
  return found;
}

Slowness StragglerWatch::of(int rank) const {
  const auto at = static_cast<std::size_t>(rank);
  return rank >= 0 && at < ranks_.size() ? ranks_[at].slowness : Slowness{};
}

}  // namespace mdgen::coordinator
