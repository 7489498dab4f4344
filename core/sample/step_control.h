// How an adaptive solver of order 5 chooses its steps: plain numbers. No LibTorch.
//
// The rules are those of torchdiffeq 0.2.5 (misc.py): the first step after Hairer, Norsett and Wanner,
// Solving Ordinary Differential Equations I, II.4; later ones by the elementary controller with safety 0.9
// that grows a step at most tenfold, shrinks it at most to a fifth, and never shrinks it after success.
#pragma once

namespace mdgen::sample {

// Norms of the state and of the drift at the start, in units of the tolerance, to the step of the Euler
// probe.
double probe_step(double state_norm, double drift_norm);

// `curvature`: the norm of the change of the drift over the probe, divided by the probe.
double first_step(double probe, double drift_norm, double curvature);

// `error`: the norm of the step's error in units of the tolerance; the step counts when it is <= 1.
double next_step(double step, double error);

}  // namespace mdgen::sample
