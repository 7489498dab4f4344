// What of the transport is plain numbers: who only plans and draws needs no tensors. No LibTorch.
#pragma once

#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::transport {

enum class PathType { kLinear, kGvp, kVp };
enum class Prediction { kVelocity, kScore, kNoise };

// By the spec's names; throws Error(kInvalidArgument) for another one.
PathType path_type(const v1::TransportSpec& spec);
Prediction prediction_type(const v1::TransportSpec& spec);

struct TimeRange {
  double begin = 0;
  double end = 1;
};
// Where training draws t: [0, 1] for Linear and GVP with velocity, [1e-3, 1 - 1e-3] for their score and
// noise, [0, 1 - 1e-5] for VP (reference: transport.py check_interval).
TimeRange training_time_range(PathType path, Prediction prediction);

// What a sampler integrates over: as in training, but for VP to 1 - 1e-3 (check_interval with eval).
TimeRange sampling_time_range(PathType path, Prediction prediction);

// A uniform draw in [0, 1) to a flow time in the range, in float32 as the step computes it.
float flow_time(const TimeRange& range, float uniform);

// Concentration of the true residue type in the sequence's Dirichlet path, 1 at t = 0 and alpha_max at t = 1;
// the other nineteen stay at 1 (Stark et al., "Dirichlet flow matching", 2024; reference: t_to_alpha).
double dirichlet_alpha(double t, double alpha_max);

}  // namespace mdgen::transport
