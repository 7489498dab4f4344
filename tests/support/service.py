"""A coordinator and workers of a test's own, on loopback and ephemeral ports."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

BIN = pathlib.Path(os.environ["MDGEN_BIN_DIR"])
SOURCE = pathlib.Path(os.environ["MDGEN_SOURCE_DIR"])
FINAL = {"SUCCEEDED", "FAILED", "CANCELLED"}


def wait_for(condition, seconds, what):
    """Polls until condition() is true and returns its value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"after {seconds} s still not: {what}"
        time.sleep(0.05)


class Program:
    """A program in the background, with its output in files."""

    def __init__(self, arguments, folder, name, environment=None):
        self.out = pathlib.Path(folder) / f"{name}.out"
        self.err = pathlib.Path(folder) / f"{name}.err"
        with open(self.out, "w") as out, open(self.err, "w") as err:
            self.process = subprocess.Popen(
                [str(a) for a in arguments],
                stdout=out,
                stderr=err,
                start_new_session=True,
                env={**os.environ, **(environment or {})},
            )

    def ready_line(self, pattern, seconds=30):
        def look():
            match = re.search(pattern, self.out.read_text(), re.M)
            assert match or self.process.poll() is None, f"ended early: {self.err.read_text()[-2000:]}"
            return match

        return wait_for(look, seconds, f"a line {pattern} in {self.out}")

    def send_signal(self, number):
        if self.process.poll() is None:
            self.process.send_signal(number)

    def stop(self, how=signal.SIGTERM, seconds=20):
        self.send_signal(how)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(seconds)
            raise


class Service:
    """`with Service(tmp_path, workers=2) as service:`"""

    def __init__(self, folder, workers=0, coordinator_flags=(), worker_flags=(), environment=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.wanted = workers
        self.coordinator_flags = coordinator_flags
        self.worker_flags = worker_flags
        self.environment = environment  # of the workers
        self.workers = []
        self.starts = 0

    def __enter__(self):
        self.start_coordinator()
        for _ in range(self.wanted):
            self.add_worker()
        return self

    def __exit__(self, *_):
        for worker in self.workers:  # no trainer need checkpoint any more: a second signal ends an agent at once
            worker.send_signal(signal.SIGTERM)
            worker.send_signal(signal.SIGTERM)
        for program in self.workers + [self.coordinator]:
            program.stop()

    def start_coordinator(self, listen="127.0.0.1:0", http="127.0.0.1:0"):
        self.starts += 1
        self.coordinator = Program(
            [
                BIN / "mdgen-coordinator", "--listen", listen, "--http", http,
                "--state_dir", self.folder / "state", *self.coordinator_flags,
            ],
            self.folder,
            f"coordinator-{self.starts}",
        )
        ready = self.coordinator.ready_line(r"^ready grpc=(\S+) http=(\S+)$")
        self.address, self.http = ready.group(1), ready.group(2)

    def add_worker(self, environment=None, prefix=()):
        worker = Program(
            [*prefix, BIN / "mdgen-worker", "--coordinator", self.address, "--device", "cpu", *self.worker_flags],
            self.folder,
            f"worker-{len(self.workers)}",
            environment or self.environment,
        )
        worker.ready_line(r"^ready worker=\S+$")
        self.workers.append(worker)
        return worker

    def ctl(self, *arguments, address=None, timeout=60):
        return subprocess.run(
            [str(BIN / "mdgenctl"), "--address", address or self.address, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=self.folder,
        )

    def submit(self, *arguments):
        run = self.ctl("submit", "-o", "json", *arguments)
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout)["id"]

    def status(self, job):
        run = self.ctl("status", job, "-o", "json")
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout)

    def wait(self, job, seconds=120, condition=lambda status: status["state"] in FINAL):
        def look():
            status = self.status(job)
            if condition(status):
                return status
            assert status["state"] not in FINAL, f"ended: {status['state']} {status['reason']}: {status['message']}"
            return None

        return wait_for(look, seconds, f"job {job} where it was waited for; now {self.status(job)}")


def trainers_of(worker):
    """Process ids of the trainers that an agent has started."""
    listing = subprocess.run(["pgrep", "-P", str(worker.process.pid)], capture_output=True, text=True).stdout
    return [int(pid) for pid in listing.split()]


def metrics(run_folder):
    """metrics.jsonl: (steps, validations)."""
    lines = [json.loads(line) for line in (pathlib.Path(run_folder) / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if "loss" in line], [line for line in lines if "val_loss" in line]


def make_dataset(folder, *arguments):
    """Synthetic proteins: data/, train.csv and val.csv in `folder`."""
    subprocess.run(
        [sys.executable, SOURCE / "tests/support/synthetic_dataset.py", folder, *map(str, arguments)], check=True
    )
