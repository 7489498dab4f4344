"""make chaos: a job under random faults against the same job left alone.

Four workers under a supervisor train one job while trainers, agents and the coordinator are killed, trainers stopped,
slowed and cut off, and checkpoints damaged. It passes when the job succeeds, its ledger verifies, no step was lost, its
weights equal the quiet run's bit for bit, and its goodput is at least 0.95 of what the measured outages allow. Takes a
bit more than twice the minutes: the quiet run comes first.
"""

import argparse
import contextlib
import os
import pathlib
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
os.environ.setdefault("MDGEN_SOURCE_DIR", str(SOURCE))
os.environ.setdefault("MDGEN_BIN_DIR", str(SOURCE / "build" / "bin"))
sys.path.insert(0, str(SOURCE / "tests" / "support"))

from goodput import balance, outages  # noqa: E402
from pool import Pool  # noqa: E402
from recovery import ledger, seconds_of, weights  # noqa: E402
from schedule import schedule  # noqa: E402
from service import FINAL, make_dataset, metrics  # noqa: E402

MODEL = (
    "--sim_condition --atlas --num_frames 8 --crop 24 --embed_dim 32 --num_layers 1 --mha_heads 2 --batch_size 1 --lr 1e-3 "
    "--epochs 1000000 --train_repeat 8 --global_batch_size 8 --no_validate --every_steps 200 --ckpt_freq 1000000"
).split()
SETTINGS = ["threads_per_worker=1", "recovery.timeout_scale=0.3", "determinism=strict"]
CALIBRATION_STEPS = 100
SHARE_OF_TIME = 0.8  # of the minutes, in steps of the quiet run: the rest is for outages
PARTITION_SECONDS = 6
SLOW_SECONDS, SLOW_STEPS = 0.05, 20


def say(text):
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


class Chaos:
    def __init__(self, pool, data, options):
        self.pool = pool
        self.data = data
        self.options = options
        self.fault_times = []

    def submit(self, name, steps):
        words = (
            f"--name {name} --work_dir {self.pool.folder / 'runs'} --train_split {self.data / 'train.csv'} "
            f"--val_split {self.data / 'val.csv'} --data_dir {self.data / 'data'} --max_steps {steps}"
        ).split()
        settings = SETTINGS + [f"workers.min={max(self.options.workers // 2, 1)}", f"workers.max={self.options.workers}"]
        return self.pool.submit(*[word for one in settings for word in ("--set", one)], "--", *words, *MODEL)

    def step_seconds(self, run_folder):
        return [line["seconds"] for line in metrics(run_folder)[0]]

    def undisturbed(self, name, steps, seconds):
        status = self.pool.wait(self.submit(name, steps), seconds)
        if status["state"] != "SUCCEEDED":
            raise SystemExit(f"the {name} run ended {status['state']}: {status['reason']} {status['message']}")
        return status

    def commit(self, fault, job):
        """Carries a fault out; False when the job is not in a state to take it."""
        if fault.kind == "kill-agent":
            self.pool.kill_agent(fault.victim)
        elif fault.kind == "kill-coordinator":
            self.pool.restart_coordinator(pause=1)
        else:
            words = {
                "kill-trainer": ["kill"],
                "hang": ["hang"],
                "slow": ["slow", "--seconds", SLOW_SECONDS, "--steps", SLOW_STEPS],
                "corrupt-checkpoint": ["corrupt-checkpoint"],
                "partition": ["partition", "--seconds", PARTITION_SECONDS],
            }[fault.kind]
            ranks = max(self.pool.status(job)["workers"], 1)
            return self.pool.ctl("inject", job, "--rank", fault.rank(ranks), *words).returncode == 0
        return True

    def disturb(self, job, faults):
        """Until the job has ended; returns how many faults were committed."""
        begin = time.monotonic()
        committed = 0
        waiting = list(faults)
        while True:
            status = self.pool.status(job)
            if status["state"] in FINAL:
                return committed
            if time.monotonic() - begin > self.options.minutes * 60 * 3 + 120:
                say(f"gave up at step {status['step']}: {status['state']} {status['reason']} {status['message']}")
                return committed
            if waiting and time.monotonic() - begin >= waiting[0].at:
                at = time.time()
                if self.commit(waiting[0], job):
                    committed += 1
                    self.fault_times.append(at)
                    say(f"step {status['step']:>6}  {waiting[0].kind}")
                    waiting.pop(0)
            time.sleep(0.2)

    def run(self):
        step = min(self.step_seconds(self.undisturbed("calibration", CALIBRATION_STEPS, 300)["run_folder"]))
        steps = max(int(self.options.minutes * 60 * SHARE_OF_TIME / (1.3 * step)), CALIBRATION_STEPS)
        say(f"a step takes {step * 1000:.0f} ms: {steps} steps; first without faults")
        quiet = self.undisturbed("quiet", steps, self.options.minutes * 60 * 4)
        say(f"quiet run: {sum(self.step_seconds(quiet['run_folder'])):.0f} s in steps")
        job = self.submit("chaos", steps)
        self.pool.wait(job, 60, lambda status: status["state"] == "RUNNING" and status["step"] > 0)
        committed = self.disturb(job, schedule(self.options.seed, self.options.minutes * 60, self.options.mean_interval))
        return self.judge(self.pool.status(job), quiet, committed)

    def judge(self, status, quiet, committed):
        if status["state"] != "SUCCEEDED":
            say(f"{status['state']} {status['reason']}: {status['message']}")
        print(self.pool.ctl("describe", status["id"]).stdout)
        equal = bool(status["checkpoint"]) and weights(status) == weights(quiet)
        proof = ledger(self.pool, status["id"])
        wall = seconds_of(status["ended_at"] or status["transitions"][-1]["at"]) - seconds_of(status["started_at"])
        done = [(seconds_of(one["detected_at"]), one["total_seconds"]) for one in status["recoveries"] if one["complete"]]
        result = balance(self.step_seconds(status["run_folder"]), wall, outages(self.fault_times, done))
        say(f"rate {result.rate * 60:.2f} a minute x {result.mean_outage:.2f} s (detection + recovery)")
        good = (
            status["state"] == "SUCCEEDED" and equal and proof["ok"] and status["lost_steps"] == 0 and result.kept()
        )
        print(
            f"chaos: {'SUCCEEDED' if good else 'FAILED'} faults={committed} recoveries={status['recovery_count']} "
            f"lost_steps={status['lost_steps']} goodput={result.goodput:.2f} law={result.law:.2f} "
            f"weights={'equal' if equal else 'differ'} ledger={'OK' if proof['ok'] else 'BROKEN'}",
            flush=True,
        )
        return 0 if good else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--mean-interval", type=float, default=30, help="seconds between two faults")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--folder", help="where everything is written and kept (default: a temporary one)")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(options.folder or stack.enter_context(tempfile.TemporaryDirectory(prefix="mdgen-chaos-")))
        folder.mkdir(parents=True, exist_ok=True)
        make_dataset(folder / "data", "--proteins", 3, "--lengths", "16,20,24", "--frames", 40, "--replicas", 3)
        with Pool(folder / "service", options.workers) as pool:
            return Chaos(pool, folder / "data", options).run()


if __name__ == "__main__":
    sys.exit(main())
