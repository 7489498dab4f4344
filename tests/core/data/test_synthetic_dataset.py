"""The Python synthetic data set is what it says: reproducible, right-handed, with peptide geometry."""

import csv
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import synthetic_dataset


def run(out, *arguments):
    command = [sys.executable, synthetic_dataset.__file__, str(out), *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def test_command_line_writes_what_was_asked(tmp_path):
    run(tmp_path, "--proteins", "3", "--lengths", "4,21", "--frames", "5", "--replicas", "2", "--suffix", "_i40")
    rows = list(csv.DictReader(open(tmp_path / "train.csv")))
    assert [(row["name"], len(row["seqres"])) for row in rows] == [("synth0", 4), ("synth1", 21), ("synth2", 4)]
    assert len(list(csv.DictReader(open(tmp_path / "val.csv")))) == 1
    files = sorted(path.name for path in (tmp_path / "data").iterdir())
    assert files == [f"synth{p}_R{r}_i40.npy" for p in range(3) for r in (1, 2)]
    array = np.load(tmp_path / "data" / "synth1_R2_i40.npy")
    assert array.dtype == np.dtype("<f2") and array.shape == (5, 21, 14, 3)


def test_without_replicas_there_is_one_file(tmp_path):
    run(tmp_path, "--lengths", "4", "--frames", "3", "--replicas", "0", "--dtype", "float32")
    assert np.load(tmp_path / "data" / "synth0.npy").dtype == np.dtype("<f4")


def test_same_arguments_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        run(tmp_path / name, "--lengths", "6", "--frames", "4", "--replicas", "1")
    read = lambda name: pathlib.Path(tmp_path / name / "data" / "synth0_R1.npy").read_bytes()
    assert read("a") == read("b")


def test_geometry():
    sequence = "ARNDCQEGHILKMFPSTWYV"
    atoms = synthetic_dataset.trajectory(1, sequence, 20)
    n, ca, c, cb = (atoms[:, :, k] for k in (0, 1, 2, 4))
    distance = lambda a, b: np.linalg.norm(a - b, axis=-1)
    assert distance(n, ca) == pytest.approx(1.458, abs=1e-6)
    assert distance(ca, c) == pytest.approx(1.525, abs=1e-6)
    assert distance(c[:, :-1], n[:, 1:]) == pytest.approx(1.329, abs=1e-6)
    has_cb = np.array([letter != "G" for letter in sequence])
    volume = np.einsum("tlx,tlx->tl", np.cross(n - ca, c - ca), cb - ca)[:, has_cb]
    assert volume == pytest.approx(2.51, abs=0.1)  # L-amino acids
    steps = distance(atoms[1:], atoms[:-1])
    assert 0.005 < steps.mean() < 0.5
    assert np.abs(atoms).max() < 40
