"""Breaking runs from outside and judging what is left of them."""

import datetime
import hashlib
import json
import os
import pathlib
import re
import time

from service import metrics, wait_for

LEDGER = re.compile(r"ledger: steps=(\d+) samples=(\d+) repeats=(\d+) gaps=(\d+) rollbacks=(\d+) (OK|BROKEN)")


def curve(status):
    """What a step leaves behind: (step, loss, gradient norm), in order."""
    return [(line["step"], line["loss"], line["grad_norm"]) for line in metrics(status["run_folder"])[0]]


def weights(status):
    """SHA-256 of the final weights (and of their moving average, if there is one)."""
    folder = pathlib.Path(status["checkpoint"])
    return {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in ("model.safetensors", "ema.safetensors")
        if (folder / name).exists()
    }


def ledger(service, job):
    """The last line of `ledger verify`: numbers by name, and `ok`."""
    run = service.ctl("ledger", "verify", job, timeout=300)
    last = LEDGER.fullmatch((run.stdout.splitlines() or [""])[-1])
    assert last, run.stdout + run.stderr
    assert (run.returncode == 0) == (last.group(6) == "OK")
    names = ("steps", "samples", "repeats", "gaps", "rollbacks")
    return dict(zip(names, map(int, last.groups()[:5])), ok=last.group(6) == "OK", text=run.stdout)


def seconds_of(time_text):
    """An RFC 3339 time as seconds since 1970."""
    whole, _, fraction = time_text.rstrip("Z").partition(".")
    moment = datetime.datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=datetime.timezone.utc)
    return moment.timestamp() + float("0." + (fraction or "0"))


def parent_of(pid):
    """A process's parent; 0 when it has gone."""
    try:
        return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


class Ranks:
    """The processes behind a job's ranks, from what each wrote to its log."""

    STARTED = re.compile(r"rank (\d+): one of .*, generation (\d+): .*, process (\d+)")

    def __init__(self, service, status):
        self.service = service
        self.logs = pathlib.Path(status["run_folder"]) / "logs"

    def trainer(self, rank):
        """The process id of the rank in its newest generation, or None."""
        newest = (0, None)
        for log in self.logs.glob("rank-*.attempt-*.log"):
            for found, generation, pid in self.STARTED.findall(log.read_text(errors="replace")):
                if int(found) == rank:
                    newest = max(newest, (int(generation), int(pid)))
        return newest[1]

    def agent(self, rank):
        """The worker of the service that holds the rank."""
        pid = parent_of(self.trainer(rank))
        return next(worker for worker in self.service.workers if worker.process.pid == pid)

    def alive(self, ranks):
        return all(parent_of(self.trainer(rank) or 0) > 0 for rank in ranks)


class Timeline:
    """A table of what faults cost: fault -> detected in -> recovered in -> steps lost."""

    def __init__(self):
        self.rows = []

    def add(self, fault, at, status, recovery=-1):
        one = status["recoveries"][recovery]
        detected = seconds_of(one["detected_at"]) - at
        self.rows.append((fault, detected, one["total_seconds"], one["lost_steps"], one["source"]))
        return detected, one["total_seconds"]

    def text(self):
        lines = [f"{'fault':<34} {'detected in':>12} {'recovered in':>13} {'steps lost':>11}  from"]
        for fault, detected, recovered, lost, source in self.rows:
            lines.append(f"{fault:<34} {detected:>10.2f} s {recovered:>11.2f} s {lost:>11}  {source}")
        return "\n".join(lines)
