#include "core/model/hyena.h"

#include <ATen/autocast_mode.h>

#include <cmath>
#include <numbers>
#include <string>

#include "core/base/error.h"

namespace mdgen::model {
namespace {

constexpr std::int64_t kStreams = 3;  // two gates and the values
constexpr std::int64_t kFilterWidth = 64;
constexpr std::int64_t kPositionFeatures = 3;
constexpr double kLowestFrequency = 1e-4;
constexpr double kDecayTarget = 1e-2;
constexpr double kFastDecay = 0.3;
constexpr double kSlowDecay = 1.5;

torch::nn::Sequential filter_network(std::int64_t dim) {
  using torch::nn::Linear;
  const Sine sine(kFilterWidth);  // one module at three places
  return torch::nn::Sequential(Linear(kPositionFeatures, kFilterWidth), sine,
                               Linear(kFilterWidth, kFilterWidth), sine, Linear(kFilterWidth, kFilterWidth),
                               sine, Linear(torch::nn::LinearOptions(kFilterWidth, dim).bias(false)));
}

torch::nn::Conv1d short_filter(std::int64_t channels) {
  return torch::nn::Conv1d(torch::nn::Conv1dOptions(channels, channels, kShortFilterTaps)
                               .padding(kShortFilterTaps - 1)
                               .groups(channels));
}

}  // namespace

at::Tensor filter_positions(std::int64_t length) {
  const at::Tensor place = at::linspace(0, 1, length, at::kFloat);
  const at::Tensor angle = at::arange(length, at::kFloat) *
                           (kLowestFrequency * 2 * std::numbers::pi / static_cast<double>(length));
  return at::stack({place, angle.cos(), -angle.sin()}, -1).unsqueeze(0);
}

at::Tensor long_convolution(const at::Tensor& u, const at::Tensor& taps, bool backwards) {
  const std::int64_t frames = u.size(-1);
  const at::ScalarType type =
      at::promote_types(at::promote_types(u.scalar_type(), taps.scalar_type()), at::kFloat);
  const at::Tensor product = at::fft_rfft(u.to(type), 2 * frames) * at::fft_rfft(taps.to(type), 2 * frames);
  return at::fft_irfft(product, 2 * frames).narrow(-1, backwards ? frames - 1 : 0, frames);
}

SineImpl::SineImpl(std::int64_t dim) { freq_ = register_parameter("freq", at::ones({1, dim})); }

FilterPositionsImpl::FilterPositionsImpl(std::int64_t length) {
  z_ = register_parameter("z", filter_positions(length));
  t_ = register_buffer("t", at::linspace(0, 1, length, at::kFloat).view({1, length, 1}));
}

FilterDecayImpl::FilterDecayImpl(std::int64_t dim) {
  const double slowest = std::log(kDecayTarget) / kSlowDecay;
  const double fastest = std::log(kDecayTarget) / kFastDecay;
  deltas_ = register_buffer("deltas", at::linspace(slowest, fastest, dim, at::kFloat).view({1, 1, dim}));
}

HyenaFilterImpl::HyenaFilterImpl(std::int64_t dim, std::int64_t length)
    : pos_emb_(length), implicit_filter_(filter_network(dim)), modulation_(dim) {
  bias_ = register_parameter("bias", at::zeros({dim}));
  register_module("pos_emb", pos_emb_);
  register_module("implicit_filter", implicit_filter_);
  register_module("modulation", modulation_);
}

at::Tensor HyenaFilterImpl::forward(std::int64_t taps) {
  // In half precision neighbouring taps would lie at the same place.
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
  const at::Tensor h = implicit_filter_->forward(pos_emb_->z(taps));
  return modulation_(pos_emb_->t(taps), h).squeeze(0).t();
}

HyenaOperatorImpl::HyenaOperatorImpl(std::int64_t dim, std::int64_t length, bool backwards)
    : length_(length),
      backwards_(backwards),
      in_proj_(dim, kStreams * dim),
      out_proj_(dim, dim),
      short_filter_(short_filter(kStreams * dim)),
      filter_fn_(dim, length) {
  register_module("in_proj", in_proj_);
  register_module("out_proj", out_proj_);
  register_module("short_filter", short_filter_);
  register_module("filter_fn", filter_fn_);
}

at::Tensor HyenaOperatorImpl::forward(const at::Tensor& x) {
  const std::int64_t frames = x.size(1);
  if (frames > length_) {
    throw Error(ErrorCode::kInvalidArgument, std::to_string(frames) +
                                                 " frames in a sample, but hyena's filter has " +
                                                 std::to_string(length_) + " taps (num_frames)");
  }
  const at::Tensor streams = short_filter_(in_proj_(x).transpose(1, 2)).narrow(-1, 0, frames);
  const auto parts = streams.chunk(kStreams, 1);
  const at::Tensor gated = parts[2] * parts[1];
  const at::Tensor mixed = long_convolution(gated, filter_fn_(frames), backwards_).to(gated.scalar_type());
  const at::Tensor y = at::addcmul(mixed, gated, filter_fn_->bias().unsqueeze(-1));
  return out_proj_((y * parts[0]).transpose(1, 2));
}

}  // namespace mdgen::model
