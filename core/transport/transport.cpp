#include "core/transport/transport.h"

#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "core/base/error.h"

namespace mdgen::transport {
namespace {

// VP: the noise schedule's ends (reference: path.py VPCPlan).
constexpr double kBetaMin = 0.1;
constexpr double kBetaMax = 20.0;
constexpr double kHalfPi = std::numbers::pi / 2;

// log alpha of the VP path and its derivative.
Coefficient vp_log_alpha(const at::Tensor& t) {
  const at::Tensor rest = 1 - t;
  return {-0.25 * rest.square() * (kBetaMax - kBetaMin) - 0.5 * rest * kBetaMin,
          0.5 * rest * (kBetaMax - kBetaMin) + 0.5 * kBetaMin};
}

// alpha'/alpha, by the closed form of each path (reference: compute_d_alpha_alpha_ratio_t).
at::Tensor alpha_ratio(PathType path, const at::Tensor& t) {
  switch (path) {
    case PathType::kLinear:
      return 1 / t;
    case PathType::kGvp:
      return kHalfPi / at::tan(t * kHalfPi);
    case PathType::kVp:
      return vp_log_alpha(t).derivative;
  }
  throw Error(ErrorCode::kInternal, "unknown path type");
}

// What the score is multiplied with in the probability flow. VP: beta(t) / 2, which is also (log alpha)'.
at::Tensor score_factor(PathType path, const at::Tensor& t) {
  if (path == PathType::kVp) return vp_log_alpha(t).derivative;
  const Coefficient s = sigma(path, t);
  return alpha_ratio(path, t) * s.value.square() - s.value * s.derivative;
}

at::Tensor masked_mean(const at::Tensor& values, const at::Tensor& mask) {
  return (values * mask).flatten(1).sum(1) / mask.flatten(1).sum(1);
}

}  // namespace

Coefficient alpha(PathType path, const at::Tensor& t) {
  switch (path) {
    case PathType::kLinear:
      return {t, at::ones_like(t)};
    case PathType::kGvp:
      return {at::sin(t * kHalfPi), kHalfPi * at::cos(t * kHalfPi)};
    case PathType::kVp: {
      const Coefficient log_alpha = vp_log_alpha(t);
      const at::Tensor value = at::exp(log_alpha.value);
      return {value, value * log_alpha.derivative};
    }
  }
  throw Error(ErrorCode::kInternal, "unknown path type");
}

Coefficient sigma(PathType path, const at::Tensor& t) {
  switch (path) {
    case PathType::kLinear:
      return {1 - t, -at::ones_like(t)};
    case PathType::kGvp:
      return {at::cos(t * kHalfPi), -kHalfPi * at::sin(t * kHalfPi)};
    case PathType::kVp: {
      const Coefficient log_alpha = vp_log_alpha(t);
      const at::Tensor alpha_squared = at::exp(2 * log_alpha.value);
      const at::Tensor value = at::sqrt(1 - alpha_squared);
      return {value, alpha_squared * (2 * log_alpha.derivative) / (-2 * value)};
    }
  }
  throw Error(ErrorCode::kInternal, "unknown path type");
}

at::Tensor velocity_from_prediction(PathType path, Prediction prediction, const at::Tensor& output,
                                    const at::Tensor& x, const at::Tensor& t) {
  if (prediction == Prediction::kVelocity) return output;
  std::vector<std::int64_t> broadcast(static_cast<std::size_t>(x.dim()), 1);
  broadcast.front() = -1;
  const at::Tensor time = t.view(broadcast);
  const at::Tensor score = prediction == Prediction::kScore ? output : output / -sigma(path, time).value;
  return alpha_ratio(path, time) * x + score_factor(path, time) * score;
}

Transport::Transport(const v1::TransportSpec& spec) : Transport(path_type(spec), prediction_type(spec)) {}

at::Tensor Transport::flow_time(const at::Tensor& uniform) const {
  const TimeRange range = training_time_range(path_, prediction_);
  return uniform * (range.end - range.begin) + range.begin;
}

Losses Transport::training_losses(
    const std::function<at::Tensor(const at::Tensor&, const at::Tensor&)>& model, const at::Tensor& x1,
    const at::Tensor& x0, const at::Tensor& t, const at::Tensor& mask) const {
  const at::Tensor time = t.view({-1, 1, 1, 1});
  const Coefficient a = alpha(path_, time);
  const Coefficient s = sigma(path_, time);
  Losses out;
  out.t = t;
  out.xt = a.value * x1 + s.value * x0;
  out.ut = a.derivative * x1 + s.derivative * x0;
  out.output = model(out.xt, t);
  if (out.output.sizes() != x1.sizes()) {
    throw Error(ErrorCode::kInternal, "the model's output has another shape than the latents");
  }
  switch (prediction_) {
    case Prediction::kVelocity:
      out.per_sample = masked_mean((out.output - out.ut).square(), mask);
      break;
    case Prediction::kScore:
      out.per_sample = masked_mean((out.output * s.value + x0).square(), mask);
      break;
    case Prediction::kNoise:
      out.per_sample = masked_mean((out.output - x0).square(), mask);
      break;
  }
  return out;
}

}  // namespace mdgen::transport
