"""mdgen-launch in a Slurm of the test's own (tests/support/slurm.py), with a trainer that only plays: srun, sbatch,
mpirun inside sbatch, and pre-emption. What waits for a requeued job to start again is in tests/e2e/test_slurm.py."""

import pathlib
import re
import shutil

import pytest
import slurm as slurm_support
from service import BIN, make_dataset, wait_for

pytestmark = pytest.mark.skipif(slurm_support.why_not() is not None, reason=str(slurm_support.why_not()))
GRACE = 60  # seconds that a pre-empted job has


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    with slurm_support.Slurm(tmp_path_factory.mktemp("slurm"), cpus=4, grace=GRACE) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """The programs, with the fake trainer in the real one's place."""
    folder = tmp_path_factory.mktemp("bin")
    for program in ("mdgenctl", "mdgen-launch", "mdgen-worker"):
        shutil.copy(BIN / program, folder / program)
    shutil.copy(BIN.parent / "tests" / "fake_trainer", folder / "mdgen-trainer")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    make_dataset(folder, "--proteins", 1, "--lengths", 5, "--frames", 4, "--replicas", 1)
    return folder


def flags(data, play, *more):
    return ["--train_split", data / "train.csv", "--val_split", data / "val.csv", "--data_dir", data / "data", "--atlas",
            "--num_frames", 2, "--max_steps", 5, "--num_workers", 0, "--run_name", play, *more]


@pytest.mark.parametrize("mpi", ["none", "pmix", "pmi2"])
def test_srun_gives_each_task_a_worker(slurm, programs, data, tmp_path, mpi):
    run = slurm.run("srun", "-n", 2, f"--mpi={mpi}", programs / "mdgen-launch", "train", *flags(data, "train"),
                    cwd=tmp_path)
    assert run.stdout.strip().splitlines()[-1].endswith(
        f" SUCCEEDED steps=5 loss=2->0.4 checkpoint={tmp_path}/workdir/train/checkpoints/fake")
    logs = {log.name: log.read_text() for log in (tmp_path / "workdir/train/logs").iterdir()}
    assert logs.keys() == {"rank-0.attempt-1.log", "rank-1.attempt-1.log"}
    assert not list((tmp_path / "workdir/train").glob(".mdgen-launch*"))


@pytest.mark.parametrize("mpi", ["none", "pmix"])
@pytest.mark.parametrize("play, more, status, text", [
    ("exit3", ("--max_restarts", "0"), 1, "exit status 3"),
    ("train", ("--workers.max", "5"), 2, "workers.max=5"),
])
def test_srun_tells_the_outcome(slurm, programs, data, tmp_path, mpi, play, more, status, text):
    run = slurm.run("srun", "-n", 2, f"--mpi={mpi}", programs / "mdgen-launch", "train", *flags(data, play, *more),
                    cwd=tmp_path, check=False)
    assert run.returncode == status, run.stdout + run.stderr
    assert text in run.stdout + run.stderr


def await_text(file, text, seconds=60):
    file = pathlib.Path(file)
    wait_for(lambda: file.exists() and text in file.read_text(), seconds, f"'{text}' in {file}")


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGTERM"])
def test_signal_to_the_step_checkpoints_and_is_75(slurm, programs, data, tmp_path, name):
    script = tmp_path / "job.sh"
    words = " ".join(map(str, [programs / "mdgen-launch", "train", *flags(data, "endless")]))
    script.write_text(f"#!/bin/bash\nsrun -n 2 {words}\necho srun=$?\n")
    job = slurm.sbatch("-n", 2, "-o", tmp_path / "out", script, cwd=tmp_path)
    await_text(tmp_path / "out", "step 1/5")
    slurm.signal(job, name)
    slurm.wait_for_state(job, {"COMPLETED", "FAILED"})
    out = (tmp_path / "out").read_text()
    assert "srun=75" in out, out
    assert re.search(r" CANCELLED steps=1 .*checkpoint=/", out), out


@pytest.mark.parametrize("direct", [True, False], ids=["", "with a trap"])
def test_mpirun_inside_sbatch(slurm, programs, data, tmp_path, direct):
    """Each rank has mpirun's number, not the batch script's; USR1 to the script ends the run with 75."""
    words = " ".join(map(str, [programs / "mdgen-launch", "train", *flags(data, "train" if direct else "endless")]))
    script = tmp_path / "job.sh"
    if direct:
        script.write_text(f"#!/bin/bash\nmpirun -n 2 {words}\necho mpirun=$?\n")
    else:
        script.write_text(f"#!/bin/bash\nmpirun -n 2 {words} &\nrun=$!\ntrap 'kill -USR1 $run' USR1\n"
                          "wait $run; status=$?\nwhile kill -0 $run 2>/dev/null; do wait $run; status=$?; done\n"
                          "echo mpirun=$status\n")
    job = slurm.sbatch("-n", 2, "-o", tmp_path / "out", script, cwd=tmp_path)
    if not direct:
        await_text(tmp_path / "out", "step 1/5")
        slurm.signal(job, "SIGUSR1", "--batch")
    slurm.wait_for_state(job, {"COMPLETED", "FAILED"})
    out = (tmp_path / "out").read_text()
    assert f"mpirun={0 if direct else 75}" in out, out
    assert " SUCCEEDED steps=5" in out if direct else " CANCELLED steps=1" in out


def submit(slurm, programs, data, tmp_path, play, *options):
    run = slurm.run(programs / "mdgenctl", "submit", "--launcher", "slurm", *options, "--", *flags(
        data, play, "--workers.max", 2, "--work_dir", tmp_path / "runs", "--threads_per_worker", 1), cwd=tmp_path)
    number = run.stdout.splitlines()[0]
    return number, tmp_path / f"runs/{play}.slurm-{number}.out"


def test_submitted_script_runs(slurm, programs, data, tmp_path):
    (tmp_path / "runs").mkdir()
    job, out = submit(slurm, programs, data, tmp_path, "train", "--slurm", "comment=a test")
    ended = slurm.wait_for_state(job, {"COMPLETED", "FAILED"})
    assert ended["ExitCode"] == "0:0" and ended["JobName"] == "train", out.read_text()
    assert ended["NumTasks"] == "2"
    assert " SUCCEEDED steps=5" in out.read_text()


def test_script_that_sbatch_refuses_is_1(slurm, programs, data, tmp_path):
    run = slurm.run(programs / "mdgenctl", "submit", "--launcher", "slurm", "--slurm", "partition=nowhere", "--",
                    *flags(data, "train"), cwd=tmp_path, check=False)
    assert run.returncode == 1 and "sbatch refused the job" in run.stderr and "partition" in run.stderr


def test_without_slurm_submit_is_1(slurm, programs, data, tmp_path):
    run = slurm.run(programs / "mdgenctl", "submit", "--launcher", "slurm", "--", *flags(data, "train"), cwd=tmp_path,
                    check=False, environment={"PATH": str(tmp_path)})
    assert run.returncode == 1 and "cannot run sbatch" in run.stderr


def test_preempted_job_checkpoints_and_is_requeued(slurm, programs, data, tmp_path):
    (tmp_path / "runs").mkdir()
    job, out = submit(slurm, programs, data, tmp_path, "endless", "--slurm", "partition=normal")
    await_text(out, "step 1/5")
    urgent = slurm.sbatch("-n", 4, "-p", "urgent", "-o", "/dev/null", "--wrap", "true", cwd=tmp_path)
    again = slurm.wait_for_state(job, {"PENDING"}, seconds=GRACE)
    assert again["Restarts"] == "1"
    assert re.search(r" CANCELLED steps=1 .*checkpoint=/", out.read_text()), out.read_text()
    assert "stopping with a checkpoint" in out.read_text()
    slurm.wait_for_state(urgent, {"COMPLETED"})
    slurm.run("scancel", job)
