"""Which faults come when. Pure: a seed gives one schedule."""

import dataclasses
import random

# Every fourth fault at most is a hang, whose bound is longer than anything else here takes.
WEIGHTS = {
    "kill-trainer": 6,
    "kill-agent": 3,
    "hang": 3,
    "slow": 2,
    "corrupt-checkpoint": 2,
    "partition": 2,
    "kill-coordinator": 3,
}
LARGEST_SHARE_OF_HANGS = 0.25


@dataclasses.dataclass(frozen=True)
class Fault:
    at: float  # seconds after the start
    kind: str
    victim: float  # 0 to 1: which of the ranks that there are then

    def rank(self, ranks):
        return min(int(self.victim * ranks), ranks - 1)


def schedule(seed, seconds, mean_interval, first=5.0, shortest=0.2):
    """Faults over so many seconds; pauses are exponential, at least `shortest` x the mean apart."""
    generator = random.Random(seed)
    faults = []
    at = first
    while at < seconds:
        kinds = dict(WEIGHTS)
        hangs = sum(fault.kind == "hang" for fault in faults)
        if hangs + 1 > LARGEST_SHARE_OF_HANGS * (len(faults) + 1):
            del kinds["hang"]
        kind = generator.choices(list(kinds), weights=list(kinds.values()))[0]
        faults.append(Fault(at, kind, generator.random()))
        least = shortest * mean_interval
        at += least + generator.expovariate(1 / (mean_interval - least))
    return faults
