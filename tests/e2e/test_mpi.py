"""backend: mpi from a command line to a checkpoint: trainers, children of agents, add their gradients by MPI."""

import subprocess

import pytest
from service import BIN, Service, make_dataset, metrics

SMALL = (
    "--sim_condition --prepend_ipa --atlas --num_frames 4 --crop 24 --embed_dim 32 --num_layers 1 --mha_heads 4 "
    "--ipa_heads 2 --ipa_head_dim 8 --ipa_qk 4 --ipa_v 4 --batch_size 1 --global_batch_size 5 --lr 1e-3 "
    "--val_repeat 2 --train_repeat 4 --epochs 1000 --max_steps 8 --num_workers 1"
).split()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    make_dataset(folder, "--proteins", 3, "--lengths", "10,16,30", "--frames", 20, "--replicas", 3)
    return folder


def flags(data, name, *more):
    return ["--run_name", name, "--train_split", data / "train.csv", "--val_split", data / "val.csv",
            "--data_dir", data / "data", *SMALL, *more]


def curve(run_folder):
    return [(line["step"], line["loss"], line["grad_norm"]) for line in metrics(run_folder)[0]]


def launch(prefix, folder, data, name, *more):
    run = subprocess.run(
        [str(word) for word in [*prefix, "train", *flags(data, name, *more)]], cwd=folder, capture_output=True,
        text=True, timeout=300,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "SUCCEEDED" in run.stdout.strip().splitlines()[-1], run.stdout
    return curve(folder / "workdir" / name)


def test_mpi_trains_as_gloo_does_with_and_without_mpirun(data, tmp_path):
    mpirun = ["mpirun", "--oversubscribe", "-n", "4", BIN / "mdgen-launch"]
    local = [BIN / "mdgen-launch", "-n", "4"]
    gloo = launch(mpirun, tmp_path, data, "gloo", "--backend", "gloo")
    assert len(gloo) == 8
    for name, prefix in (("mpi", mpirun), ("mpi-local", local)):
        # Both add the same numbers in another order.
        for mine, theirs in zip(launch(prefix, tmp_path, data, name, "--backend", "mpi"), gloo, strict=True):
            assert mine == pytest.approx(theirs, rel=1e-4)


def test_under_strict_the_backend_shows_in_no_bit(data, tmp_path):
    local = [BIN / "mdgen-launch", "-n"]
    strict = ("--determinism", "strict", "--backend")
    gloo = launch([*local, "2"], tmp_path, data, "gloo", *strict, "gloo")
    assert launch([*local, "3"], tmp_path, data, "mpi", *strict, "mpi") == gloo


def test_a_pool_runs_one_mpi_job_after_the_other(data, tmp_path):
    """Each job's trainers are new processes with a PMIx server of their own."""
    with Service(tmp_path, workers=2) as service:
        for name in ("first", "second"):
            job = service.submit("--set", "workers.min=2", "--set", "workers.max=2", "--", *flags(
                data, name, "--backend", "mpi", "--work_dir", tmp_path / "runs"))
            status = service.wait(job)
            assert status["state"] == "SUCCEEDED", status["message"]
    assert curve(tmp_path / "runs/first") == curve(tmp_path / "runs/second")
