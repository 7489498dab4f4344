"""A batch job under Slurm (tests/support/slurm.py) with the real trainer: pre-empted, requeued, and gone on with as if
nothing had been. The tests marked `long` (make test-long) wait as long as Slurm does; the others ask it not to."""

import os
import re
import subprocess

import pytest
import slurm as slurm_support
from service import BIN, make_dataset, metrics, wait_for

pytestmark = pytest.mark.skipif(slurm_support.why_not() is not None, reason=str(slurm_support.why_not()))

SMALL = (
    "--sim_condition --prepend_ipa --atlas --num_frames 8 --crop 24 --embed_dim 32 --num_layers 1 --mha_heads 4 "
    "--ipa_heads 2 --ipa_head_dim 8 --ipa_qk 4 --ipa_v 4 --batch_size 2 --lr 1e-3 --epochs 1000 --no_validate "
    "--train_repeat 4 --num_workers 1 --threads_per_worker 1 --seed 1 --workers.max 2 --every_steps 100000"
).split()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    make_dataset(folder, "--proteins", 3, "--lengths", "16,24,40", "--frames", 40, "--replicas", 3)
    return folder


def flags(data, folder, name, steps):
    return [*SMALL, "--train_split", data / "train.csv", "--val_split", data / "val.csv", "--data_dir", data / "data",
            "--work_dir", folder / "runs", "--run_name", name, "--max_steps", steps]


class BatchJob:
    """One that mdgenctl has submitted."""

    def __init__(self, slurm, data, folder, name, steps, *options):
        (folder / "runs").mkdir(exist_ok=True)
        self.slurm = slurm
        self.run_folder = folder / "runs" / name
        run = slurm.run(BIN / "mdgenctl", "submit", "--launcher", "slurm", "--slurm", "cpus-per-task=1", *options, "--",
                        *flags(data, folder, name, steps), cwd=folder)
        self.number = run.stdout.splitlines()[0]
        self.output = folder / "runs" / f"{name}.slurm-{self.number}.out"

    def said(self):
        return self.output.read_text() if self.output.exists() else ""

    def await_step(self, step):
        def steps():
            found = [int(number) for number in re.findall(r"^step (\d+)/", self.said(), re.M)]
            return found and found[-1] >= step

        wait_for(steps, 120, f"step {step} of {self.number}")

    def preempt(self, urgent_words=("--wrap", "true")):
        """A job comes that needs all; returns when this one waits to start again."""
        urgent = self.slurm.sbatch("-n", self.slurm.cpus, "-p", "urgent", "-o", "/dev/null", *urgent_words,
                                   cwd=self.run_folder)
        again = self.slurm.wait_for_state(self.number, {"PENDING", "COMPLETED", "FAILED"})
        assert again["JobState"] == "PENDING" and again["Restarts"] == "1", self.said()
        self.slurm.wait_for_state(urgent, {"COMPLETED"})

    def do_not_wait(self):
        """Not for two minutes, as Slurm does; the node needs a moment to forget that it has ended this job."""
        self.slurm.run("scontrol", "update", f"JobId={self.number}", "StartTime=now+5")

    def end(self, seconds=180):
        ended = self.slurm.wait_for_state(self.number, {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT"}, seconds)
        assert ended["JobState"] == "COMPLETED", self.said()
        return ended


def losses(run_folder):
    return [(line["step"], line["loss"]) for line in metrics(run_folder)[0]]


def check_that_nothing_was_lost(job, data, folder, steps):
    """The checkpoint's step is the last that was done; the curve is that of a run that nobody interrupted."""
    stopped = re.search(r" CANCELLED steps=(\d+) .*checkpoint=\S+/step-0*(\d+)-g\d+", job.said())
    assert stopped and stopped.group(1) == stopped.group(2), job.said()
    assert f" SUCCEEDED steps={steps} " in job.said()
    alone = [BIN / "mdgen-launch", "-n", 2, "train", *flags(data, folder, "alone", steps)]
    subprocess.run([str(word) for word in alone], check=True, capture_output=True, timeout=300,
                   env={name: value for name, value in os.environ.items() if not name.startswith("SLURM")})
    assert losses(job.run_folder) == losses(folder / "runs/alone")


def test_a_preempted_job_goes_on_where_it_stopped(data, tmp_path):
    with slurm_support.Slurm(tmp_path / "slurm", cpus=2, grace=60) as slurm:
        job = BatchJob(slurm, data, tmp_path, "preempted", 300)
        job.await_step(5)
        job.preempt()
        job.do_not_wait()
        job.end()
        check_that_nothing_was_lost(job, data, tmp_path, 300)


@pytest.mark.long
def test_a_job_that_is_requeued_at_once_goes_on_in_its_own_time(data, tmp_path):
    """Without a time of grace Slurm requeues it itself and waits for KillWait only."""
    with slurm_support.Slurm(tmp_path / "slurm", cpus=2, grace=0) as slurm:
        job = BatchJob(slurm, data, tmp_path, "requeued", 300)
        job.await_step(5)
        job.preempt()
        job.end(400)
        check_that_nothing_was_lost(job, data, tmp_path, 300)


@pytest.mark.long
def test_a_job_that_runs_out_of_time_goes_on(data, tmp_path):
    with slurm_support.Slurm(tmp_path / "slurm", cpus=2) as slurm:
        job = BatchJob(slurm, data, tmp_path, "late", 20000, "--slurm", "time=1", "--slurm", "signal=USR1@30")
        job.await_step(1)
        again = slurm.wait_for_state(job.number, {"PENDING", "COMPLETED", "FAILED", "TIMEOUT"}, 200)
        assert again["JobState"] == "PENDING" and again["Restarts"] == "1", job.said()
        done = losses(job.run_folder)
        job.do_not_wait()
        wait_for(lambda: len(losses(job.run_folder)) > len(done), 120, "the job goes on")
        steps = [step for step, _ in losses(job.run_folder)]
        assert steps == list(range(1, len(steps) + 1))
        slurm.run("scancel", job.number)
