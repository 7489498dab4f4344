"""Prints the numbers of schedule_test.cpp's LearningRate tests, from PyTorch: run it with the oracles' Python."""

import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

LR = 0.003


def rates(schedule, warmup, total, end):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    steps = total - warmup - 1
    cosine = schedule == "cosine"
    decay = CosineAnnealingLR(optimizer, steps, eta_min=end * LR) if cosine else LinearLR(optimizer, 1.0, end, steps)
    if warmup:
        rise = LinearLR(optimizer, 1 / warmup, 1.0, warmup - 1)
        decay = SequentialLR(optimizer, [rise, decay], [warmup])
    values = []
    for _ in range(total):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        decay.step()
    return values


for case in (("cosine", 3, 10, 0.1), ("linear", 3, 10, 0.1), ("cosine", 0, 6, 0.0), ("linear", 0, 6, 0.25)):
    print(*case, rates(*case))
