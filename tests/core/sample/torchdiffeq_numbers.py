"""What torchdiffeq 0.2.5 makes of the problems in ode_test.cpp.

    pip install torch==2.11.0 torchdiffeq==0.2.5
    python torchdiffeq_numbers.py > torchdiffeq_numbers.h

The problem: B = 3 samples of 4 values, dx_bi/dt = -k_b x_bi + 5 cos(7 t + i), x_bi(t0) = 1 + b - 0.5 i, with
rates k_b = 0.5, 8 and 40. Tolerances are lists of one number, as MDGen passes them.
"""

import torch
from torchdiffeq import odeint

RATES = [0.5, 8.0, 40.0]


class Problem:
    def __init__(self, rates, dtype, start):
        self.rates = torch.tensor(rates, dtype=dtype)[:, None]
        self.phase = torch.arange(4, dtype=dtype)
        self.evaluations = self.accepted = self.rejected = 0
        b = torch.tensor([RATES.index(rate) for rate in rates], dtype=dtype)
        self.x0 = start * (1 + b[:, None] - 0.5 * self.phase)

    def __call__(self, t, x):
        self.evaluations += 1
        t = torch.ones_like(x[:, 0]) * t
        return -self.rates * x + 5 * torch.cos(7 * t[:, None] + self.phase)

    def callback_accept_step(self, t, x, step):
        self.accepted += 1

    def callback_reject_step(self, t, x, step):
        self.rejected += 1


def case(name, rates, dtype, t0, t1, method, rtol, atol, start=1.0, points=50):
    problem = Problem(rates, dtype, start)
    x = odeint(problem, problem.x0, torch.linspace(t0, t1, points), method=method, rtol=[rtol], atol=[atol])[-1]
    values = ", ".join(f"{value:.17g}" for value in x.flatten().tolist())
    print(f"// {len(rates)} of the samples, {dtype}, t = {t0} ... {t1}, {method}, rtol {rtol:g}, atol {atol:g}")
    print(f"inline const Expected k{name} = {{{problem.evaluations}, {problem.accepted}, {problem.rejected},")
    print(f"    {{{values}}}}};\n")


def main():
    f32, f64 = torch.float32, torch.float64
    print("// Made by torchdiffeq_numbers.py with torchdiffeq 0.2.5 and PyTorch", torch.__version__.split("+")[0])
    print("#pragma once\n\n#include <cstdint>\n#include <vector>\n\n")
    print("namespace mdgen::sample {\n")
    print("struct Expected {\n  std::int64_t evaluations, accepted, rejected;\n  std::vector<double> x;\n};\n")
    case("Batch", RATES, f32, 0, 1, "dopri5", 1e-3, 1e-6)
    case("BatchDouble", RATES, f64, 0, 1, "dopri5", 1e-3, 1e-6)
    case("BatchTight", RATES, f64, 0, 1, "dopri5", 1e-6, 1e-9)
    case("BatchInner", RATES, f32, 1e-3, 1 - 1e-3, "dopri5", 1e-3, 1e-6)
    case("BatchFromZero", RATES, f32, 0, 1, "dopri5", 1e-3, 1e-6, start=0.0)
    for i, rate in enumerate(RATES):
        case(f"Alone{i}", [rate], f32, 0, 1, "dopri5", 1e-3, 1e-6)
    case("Euler", RATES, f32, 0, 1, "euler", 1e-3, 1e-6)
    print("}  // namespace mdgen::sample")


main()
