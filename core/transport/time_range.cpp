#include "core/transport/time_range.h"

#include <string>

#include "core/base/error.h"

namespace mdgen::transport {
namespace {

constexpr double kVpMargin = 1e-5;
constexpr double kScoreMargin = 1e-3;
constexpr double kSamplingMargin = 1e-3;

}  // namespace

PathType path_type(const v1::TransportSpec& spec) {
  const std::string& name = spec.path_type();
  if (name == "Linear") return PathType::kLinear;
  if (name == "GVP" || name.empty()) return PathType::kGvp;
  if (name == "VP") return PathType::kVp;
  throw Error(ErrorCode::kInvalidArgument, "path_type " + name + ": must be Linear, GVP or VP");
}

Prediction prediction_type(const v1::TransportSpec& spec) {
  const std::string& name = spec.prediction();
  if (name == "velocity" || name.empty()) return Prediction::kVelocity;
  if (name == "score") return Prediction::kScore;
  if (name == "noise") return Prediction::kNoise;
  throw Error(ErrorCode::kInvalidArgument, "prediction " + name + ": must be velocity, score or noise");
}

TimeRange training_time_range(PathType path, Prediction prediction) {
  if (path == PathType::kVp) return {0, 1 - kVpMargin};
  if (prediction == Prediction::kVelocity) return {0, 1};
  return {kScoreMargin, 1 - kScoreMargin};
}

TimeRange sampling_time_range(PathType path, Prediction prediction) {
  if (path == PathType::kVp) return {0, 1 - kSamplingMargin};
  if (prediction == Prediction::kVelocity) return {0, 1};
  return {kSamplingMargin, 1 - kSamplingMargin};
}

float flow_time(const TimeRange& range, float uniform) {
  return uniform * static_cast<float>(range.end - range.begin) + static_cast<float>(range.begin);
}

double dirichlet_alpha(double t, double alpha_max) { return 1 + t * (alpha_max - 1); }

}  // namespace mdgen::transport
