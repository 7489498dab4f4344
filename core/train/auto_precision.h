// optim.precision: auto is 32-true or bf16-mixed, whichever computes linear layers faster where the run
// begins. It is measured once per run, on rank 0 of the generation that starts it: the loop's state carries
// the choice to every rank, generation and checkpoint. The two have the same state (float32), so nothing else
// differs. A CPU's flags do not tell: with bf16 instructions switched off in its microcode or slow, float32
// wins.
#pragma once

#include <torch/torch.h>

#include <string>

#include "core/base/clock.h"

namespace mdgen::train {

// The best time of a linear layer's three products, casts included.
struct LinearSeconds {
  double float32 = 0;
  double bfloat16 = 0;
};

// "32-true" or "bf16-mixed". Half precision must win by a tenth to be worth its rounding.
std::string faster_precision(const LinearSeconds& seconds);

// Takes turns; some 0.1 s on two cores. Draws no random numbers.
LinearSeconds time_linears(at::Device device, const Clock& clock);

}  // namespace mdgen::train
