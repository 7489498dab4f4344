"""From training to samples: each kind of model is trained for a few steps and then sampled from, with the commands of
docs/sampling.md."""

import json
import os
import re
import subprocess

import mdtraj
import numpy as np
import pytest
from service import BIN, SOURCE
from synthetic_dataset import make

SMALL = (
    "--embed_dim 16 --num_layers 1 --mha_heads 2 --ipa_heads 2 --ipa_head_dim 4 --prepend_ipa --abs_pos_emb --crop 4 "
    "--num_frames 8 --batch_size 2 --max_steps 2 --no_validate --num_workers 0 --work_dir runs --ema"
)
# The reference's modes, as its README trains them.
MODELS = {
    "forward": "--sim_condition",
    "paths": "--tps_condition",
    "upsampling": "--sim_condition --cond_interval 4",
    "inpainting": "--inpainting --design --sampling_method euler --frame_interval 2 --no_aa_emb --no_torsion",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample")
    make(folder, [4, 4], 24, replicas=0)
    for file in list((folder / "data").glob("*.npy")):
        np.save(file.with_name(file.stem + "_i100.npy"), np.load(file)[:6])
    for name, flags in MODELS.items():
        command = f"--run_name {name} --train_split train.csv --val_split train.csv --data_dir data {SMALL} {flags}"
        run = subprocess.run([BIN / "mdgen-launch", "-n", "1", "train", *command.split()], cwd=folder, capture_output=True,
                             text=True, timeout=300)
        assert run.returncode == 0, run.stdout + run.stderr
    return folder


def documented_commands():
    text = (SOURCE / "docs/sampling.md").read_text()
    block = re.search(r"```sh\n(.*?)```", text, re.S).group(1)
    return [line for line in block.splitlines() if line.startswith("mdgen-sample ")]


@pytest.fixture(scope="module")
def sampled(folder):
    commands = documented_commands()
    assert {command.split()[1] for command in commands} == {"sim", "tps", "upsample", "design"}
    for command in commands:
        run = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, timeout=300,
                             env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"})
        assert run.returncode == 0, f"{command}\n{run.stdout}{run.stderr}"
        assert run.stdout.splitlines()[-1] == "samples: 2 done, 0 skipped, 0 failed"
        assert "averaged weights" in run.stderr
    return folder / "out"


def records(folder, name):
    return json.loads((folder / f"{name}_metadata.json").read_text())


def trajectory(folder, stem, frames):
    traj = mdtraj.load(folder / f"{stem}.xtc", top=folder / f"{stem}.pdb")
    assert traj.n_frames == frames and traj.n_residues == 4 and np.isfinite(traj.xyz).all()
    return traj


def test_forward_simulation(sampled):
    for name in ("synth0", "synth1"):
        traj = trajectory(sampled / "forward", name, 8 + 7)
        atom14 = np.load(sampled / "forward" / f"{name}.npy")
        assert atom14.shape == (15, 4, 14, 3) and records(sampled / "forward", name)[0]["frames"] == 15
        # Two steps teach little, but residues have their bond lengths.
        ca = traj.top.select("name CA")
        n = traj.top.select("name N")
        apart = np.linalg.norm(traj.xyz[:, ca] - traj.xyz[:, n], axis=-1)
        np.testing.assert_allclose(apart, 0.146, atol=0.004)


def test_paths(sampled):
    for name in ("synth0", "synth1"):
        for i in range(4):
            trajectory(sampled / "paths", f"{name}_{i}", 8)
        assert {(record["start_idx"], record["end_idx"]) for record in records(sampled / "paths", name)} == {(0, 23)}


def test_upsampling(sampled):
    for name in ("synth0", "synth1"):
        trajectory(sampled / "upsampled", name, 24)
        assert records(sampled / "upsampled", name)[0]["key_frames"] == 6


def test_design(sampled):
    for name in ("synth0", "synth1"):
        for i, record in enumerate(records(sampled / "designed", name)):
            trajectory(sampled / "designed", f"{name}_{i}", 8)
            sequences = np.array(record["aa_out"])
            assert sequences.shape == (8, 4) and (sequences >= 0).all() and (sequences < 20).all()
            # Every second frame counts: windows start at 0 … 4 of 12 frames.
            assert 0 <= record["start_idx"] <= 4 and record["end_idx"] == record["start_idx"] + 8
            assert record["sampling_method"] == "euler"


def test_samples_are_a_data_set(folder, sampled):
    """The .npy files are what training reads."""
    command = (
        f"--run_name again --train_split train.csv --val_split train.csv --data_dir out/forward {SMALL} --sim_condition"
    )
    run = subprocess.run([BIN / "mdgen-launch", "-n", "1", "train", *command.split()], cwd=folder, capture_output=True,
                         text=True, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr
