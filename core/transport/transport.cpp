#include "core/transport/transport.h"

#include <cmath>
#include <numbers>
#include <sstream>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/transport/dirichlet.h"

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

// (B): mean over T and the mask's residues. logits (B, T, L, 20).
at::Tensor cross_entropy(const at::Tensor& logits, const SequenceTarget& sequence) {
  const at::Tensor types = sequence.types.unsqueeze(1).expand(logits.sizes().slice(0, 3)).unsqueeze(-1);
  const at::ScalarType exact = at::promote_types(logits.scalar_type(), at::kFloat);
  const at::Tensor losses = -at::log_softmax(logits.to(exact), -1).gather(-1, types).squeeze(-1);
  return masked_mean(losses, sequence.mask.unsqueeze(1).expand_as(losses));
}

// The latents with the sequence's state in every frame.
at::Tensor with_sequence(const at::Tensor& latents, const SequenceTarget& sequence) {
  std::vector<std::int64_t> shape = latents.sizes().vec();
  shape.back() = kResidueTypes;
  const at::Tensor state =
      sequence.alone ? at::zeros(shape, latents.options()) : sequence.simplex.unsqueeze(1).expand(shape);
  return at::cat({latents, state}, -1);
}

void require_shape(const at::Tensor& output, at::IntArrayRef shape) {
  if (output.sizes() == shape) return;
  std::ostringstream text;
  text << "the model gave " << output.sizes() << " where " << shape << " is due";
  throw Error(ErrorCode::kInternal, text.str());
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

at::Tensor Transport::continuous_loss(const at::Tensor& output, const at::Tensor& ut, const at::Tensor& x0,
                                      const Coefficient& sigma, const at::Tensor& mask) const {
  switch (prediction_) {
    case Prediction::kVelocity:
      return masked_mean((output - ut).square(), mask);
    case Prediction::kScore:
      return masked_mean((output * sigma.value + x0).square(), mask);
    case Prediction::kNoise:
      return masked_mean((output - x0).square(), mask);
  }
  throw Error(ErrorCode::kInternal, "unknown prediction");
}

Losses Transport::training_losses(
    const std::function<at::Tensor(const at::Tensor&, const at::Tensor&)>& model, const at::Tensor& x1,
    const at::Tensor& x0, const at::Tensor& t, const at::Tensor& mask,
    const std::optional<SequenceTarget>& sequence) const {
  if (sequence && prediction_ != Prediction::kVelocity) {
    throw Error(ErrorCode::kInvalidArgument, "design needs prediction velocity");
  }
  const at::Tensor time = t.view({-1, 1, 1, 1});
  const Coefficient a = alpha(path_, time);
  const Coefficient s = sigma(path_, time);
  Losses out;
  out.t = sequence && sequence->alone ? at::ones_like(t) : t;
  out.xt = a.value * x1 + s.value * x0;
  out.ut = a.derivative * x1 + s.derivative * x0;
  if (sequence) out.xt = with_sequence(out.xt, *sequence);
  out.output = model(out.xt, out.t);
  if (sequence && sequence->alone) {
    require_shape(out.output, {x1.size(0), 1, x1.size(2), kResidueTypes});
    out.logits = out.output;
    out.per_sample = out.discrete = cross_entropy(out.logits, *sequence);
    return out;
  }
  require_shape(out.output, out.xt.sizes());
  const std::int64_t channels = x1.size(-1);
  out.continuous = continuous_loss(out.output.narrow(-1, 0, channels), out.ut, x0, s, mask);
  out.per_sample = out.continuous;
  if (sequence) {
    out.logits = out.output.narrow(-1, channels, kResidueTypes);
    out.discrete = cross_entropy(out.logits, *sequence);
    out.per_sample = sequence->weight * out.discrete + (1 - sequence->weight) * out.continuous;
  }
  return out;
}

}  // namespace mdgen::transport
