"""mdgen-launch with the reference's own command line: locally and under Open MPI, from a data set to a checkpoint."""

import json
import math
import re
import subprocess

import pytest
from service import BIN, make_dataset, metrics
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

# The reference's command for ATLAS, word for word, then a small model and few steps.
REFERENCE = (
    "--sim_condition --train_split {data}/train.csv --val_split {data}/val.csv --data_dir {data}/data "
    "--num_frames 250 --batch_size 1 --prepend_ipa --crop 256 --val_repeat 25 --epochs 10000 --atlas --ckpt_freq 1 "
    "--wandb --run_name {name}"
)
SMALL = "--embed_dim 32 --num_layers 1 --mha_heads 4 --ipa_heads 2 --ipa_head_dim 8 --num_workers 1"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    make_dataset(folder, "--proteins", 4, "--lengths", "8,12", "--frames", 251, "--replicas", 3)
    return folder


def launch(prefix, data, folder, name, *more):
    command = [*prefix, "train", *REFERENCE.format(data=data, name=name).split(), *SMALL.split(), *more]
    return subprocess.run([str(word) for word in command], cwd=folder, capture_output=True, text=True, timeout=600)


def local(n):
    return [BIN / "mdgen-launch", "-n", n]


def mpirun(n):
    return ["mpirun", "-n", n, BIN / "mdgen-launch"]


def check_run(run, run_folder, steps, validates):
    """Everything that a finished run leaves; its losses."""
    assert run.returncode == 0, run.stdout + run.stderr
    last = run.stdout.strip().splitlines()[-1]
    match = re.fullmatch(rf"job \S+ SUCCEEDED steps={steps} loss=(\S+)->(\S+) checkpoint=(\S+)", last)
    assert match, run.stdout
    done, validations = metrics(run_folder)
    assert [line["step"] for line in done] == list(range(1, steps + 1))
    assert all(math.isfinite(line["loss"]) and math.isfinite(line["grad_norm"]) for line in done)
    assert bool(validations) == validates and all(math.isfinite(line["val_loss"]) for line in validations)
    assert float(match.group(2)) == pytest.approx(done[-1]["loss"], rel=1e-5)
    manifest = json.loads((run_folder / "checkpoints" / match.group(3).rsplit("/", 1)[1] / "manifest.json").read_text())
    assert manifest
    events = EventAccumulator(str(run_folder / "tensorboard"))
    events.Reload()
    assert events.Tags()["scalars"]
    return [line["loss"] for line in done]


def test_local_and_mpirun_run_the_reference_command(data, tmp_path):
    run = launch(local(2), data, tmp_path, "local", "--max_steps", "3")
    alone = check_run(run, tmp_path / "workdir/local", 3, validates=True)
    run = launch(mpirun(2), data, tmp_path, "mpi", "--max_steps", "3")
    spread = check_run(run, tmp_path / "workdir/mpi", 3, validates=True)
    assert spread == pytest.approx(alone, rel=1e-5)
    logs = {log.name: log.read_text() for log in (tmp_path / "workdir/mpi/logs").iterdir()}
    assert logs.keys() == {"rank-0.attempt-1.log", "rank-1.attempt-1.log"}
    assert all(f"rank {rank}: one of 2" in logs[f"rank-{rank}.attempt-1.log"] for rank in (0, 1))


def test_relaunch_goes_on_where_the_run_had_ended(data, tmp_path):
    folder = tmp_path / "workdir/again"
    first = check_run(launch(local(1), data, tmp_path, "again", "--max_steps", "2"), folder, 2, validates=False)
    both = check_run(launch(local(1), data, tmp_path, "again", "--max_steps", "3"), folder, 3, validates=False)
    assert both[:2] == first


def test_truncated_trajectory_fails_by_name_with_1(data, tmp_path):
    broken = tmp_path / "broken"
    subprocess.run(["cp", "-r", str(data), str(broken)], check=True)
    victim = broken / "data/synth0_R2.npy"
    victim.write_bytes(victim.read_bytes()[:-100])
    run = launch(local(1), broken, tmp_path, "broken", "--max_steps", "1")
    assert run.returncode == 1
    assert "synth0_R2.npy" in run.stdout
    assert not (tmp_path / "workdir/broken/checkpoints").exists()
