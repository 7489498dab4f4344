"""What a run got out of its time, and what it should have got. Pure. The law is derived in docs/recovery.md."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Outage:
    """From a fault to the first step after it."""

    detection: float
    recovery: float


@dataclasses.dataclass(frozen=True)
class Balance:
    goodput: float  # time in steps that count / time that the job should have run
    rate: float  # outages a second
    mean_outage: float  # seconds, detection + recovery
    law: float  # 1 - rate x mean outage

    def kept(self):
        return self.goodput >= 0.95 * self.law


def balance(step_seconds, wall_seconds, outages):
    """`step_seconds`: of each step of the effective chain, once."""
    rate = len(outages) / wall_seconds
    lost = sum(one.detection + one.recovery for one in outages)
    mean = lost / len(outages) if outages else 0.0
    return Balance(sum(step_seconds) / wall_seconds, rate, mean, 1 - rate * mean)


def outages(fault_times, recoveries):
    """Each recovery, (detected at, seconds until its first step), with the newest fault before it."""
    result = []
    for detected, recovery in recoveries:
        earlier = [at for at in fault_times if at <= detected]
        result.append(Outage(detected - max(earlier) if earlier else 0.0, recovery))
    return result
