"""The five training commands of the reference's README, word for word after `mdgen-launch train`, on small data sets
in the folders that they name. What follows their words makes the model small and the run short."""

import math
import os
import pathlib
import subprocess

import pytest
from service import BIN, make_dataset, metrics

SOURCE = pathlib.Path(os.environ["MDGEN_SOURCE_DIR"])
COMMANDS = dict(
    line.split("\t")
    for line in (SOURCE / "tests/support/reference_commands.txt").read_text().splitlines()
    if not line.startswith("#")
)
SMALL = (
    "--max_steps 2 --val_batches 1 --embed_dim 16 --num_layers 1 --mha_heads 1 --ipa_heads 1 --ipa_head_dim 4 --ipa_qk 2 "
    "--ipa_v 2 --num_workers 1"
)
# The files of a split and a folder: what tests/support/synthetic_dataset.py makes, moved to where the commands look.
SETS = {
    "forward_simulation": ("splits/4AA_{}.csv", "data/4AA_data", ("--lengths", "4,4", "--frames", 1001), "_i100"),
    "interpolation": ("splits/4AA_{}.csv", "data/4AA_data", ("--lengths", "4,4", "--frames", 1001), "_i100"),
    "upsampling": ("splits/4AA_implicit_{}.csv", "data/4AA_data_implicit", ("--lengths", "4,4", "--frames", 1001), ""),
    "inpainting": ("splits/4AA_{}.csv", "data/4AA_data", ("--lengths", "4,4", "--frames", 1001), ""),
    "atlas": ("splits/atlas_{}.csv", "share/data_atlas", ("--lengths", "9,14", "--frames", 251), "_i40"),
}


def place(folder, name):
    """The data set where the command looks for it."""
    split, arrays, options, suffix = SETS[name]
    made = folder / "made"
    replicas = 3 if name == "atlas" else 0
    make_dataset(made, "--proteins", 2, *options, "--replicas", replicas)
    (folder / arrays).mkdir(parents=True)
    (folder / "splits").mkdir()
    for part in ("train", "val"):
        (made / f"{part}.csv").rename(folder / split.format(part))
    for array in (made / "data").iterdir():
        array.rename(folder / arrays / f"{array.stem}{suffix}.npy")


@pytest.mark.parametrize("name", COMMANDS)
def test_runs_verbatim(name, tmp_path):
    place(tmp_path, name)
    words = COMMANDS[name].replace("[NAME]", name).split()
    command = [BIN / "mdgen-launch", "-n", 1, "train", *words, *SMALL.split()]
    run = subprocess.run([str(word) for word in command], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "SUCCEEDED steps=2" in run.stdout.splitlines()[-1]
    steps, validations = metrics(tmp_path / "workdir" / name)
    assert [line["step"] for line in steps] == [1, 2]
    assert all(math.isfinite(line["loss"]) and line["grad_norm"] > 0 for line in steps)
    assert validations and all(math.isfinite(line["val_loss"]) for line in validations)
    assert list((tmp_path / "workdir" / name / "tensorboard").iterdir())
    assert list((tmp_path / "workdir" / name / "checkpoints").glob("step-*"))


def test_all_five_are_there():
    assert COMMANDS.keys() == SETS.keys()
