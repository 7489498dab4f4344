"""Cα distances, clashes and fluctuations against NumPy and mdtraj."""

import os
import pathlib
import subprocess

import mdtraj
import numpy as np
import pytest
from synthetic_dataset import LETTERS, SIDE_CHAINS, trajectory

PROGRAM = pathlib.Path(os.environ["MDGEN_BIN_DIR"]).parent / "tests" / "measure_quality"
RADII = {"C": 1.7, "N": 1.55, "O": 1.52, "S": 1.8}


def measure(folder, atom14, sequence):
    np.save(folder / "t.npy", atom14.astype(np.float32))
    text = subprocess.run([PROGRAM, folder / "t.npy", sequence], capture_output=True, text=True, check=True).stdout
    return {line.split()[0]: np.array(line.split()[1:], dtype=float) for line in text.splitlines()}


def rmsf(ca):
    """By mdtraj: superposed on the first frame, then around the mean, in Å."""
    top = mdtraj.Topology()
    chain = top.add_chain()
    for _ in range(ca.shape[1]):
        top.add_atom("CA", mdtraj.element.carbon, top.add_residue("ALA", chain))
    traj = mdtraj.Trajectory(ca / 10, top)
    traj.superpose(traj[0])
    return np.sqrt(3 * np.mean((traj.xyz - traj.xyz.mean(0)) ** 2, axis=(0, 2))) * 10


def clashes(atom14, sequence):
    atoms = []
    for i, letter in enumerate(sequence):
        names = ["N", "CA", "C", "O"] + [atom[0] for atom in SIDE_CHAINS[letter]]
        atoms += [(i, k, name) for k, name in enumerate(names)]
    residue = np.array([atom[0] for atom in atoms])
    radius = np.array([RADII[atom[2][0]] for atom in atoms])
    sulphur = np.array([atom[2] == "SG" for atom in atoms])
    counts = []
    for frame in atom14.astype(np.float32).astype(np.float64):
        xyz = frame[residue, [atom[1] for atom in atoms]]
        distance = np.linalg.norm(xyz[:, None] - xyz[None], axis=-1)
        close = distance < radius[:, None] + radius[None] - 1.5
        close &= (residue[None] - residue[:, None] >= 2) & ~(sulphur[:, None] & sulphur[None])
        counts.append(close.sum())
    return np.mean(counts)


@pytest.mark.parametrize("squeeze, noise", [(1.0, 0.0), (0.9, 0.1), (0.5, 0.3), (1.15, 0.2)])
def test_equal_to_numpy_and_mdtraj(tmp_path, squeeze, noise):
    sequence = (LETTERS * 2)[:33]
    atom14 = trajectory([3, 1], sequence, 20) * squeeze
    atom14 += np.random.default_rng(5).normal(size=atom14.shape) * noise
    got = measure(tmp_path, atom14, sequence)
    ca = atom14[:, :, 1].astype(np.float32).astype(np.float64)
    apart = np.linalg.norm(np.diff(ca, axis=1), axis=-1)
    assert got["validity"] == pytest.approx(np.mean(np.abs(apart - 3.8) <= 0.4), abs=1e-12)
    assert got["unbroken"] == pytest.approx(np.mean(np.all(apart < 4.5, axis=1)), abs=1e-12)
    assert got["clashes"] == pytest.approx(clashes(atom14, sequence), abs=1e-9)
    np.testing.assert_allclose(got["rmsf"], rmsf(ca), atol=2e-3)


def test_the_cases_are_what_they_should_be(tmp_path):
    """Good geometry is valid and without clashes between far residues; half the size is neither."""
    sequence = "ADEFGIKLAVPQS"
    atom14 = trajectory([3, 1], sequence, 10)
    good = measure(tmp_path, atom14, sequence)
    assert good["validity"] == 1 and good["unbroken"] == 1
    bad = measure(tmp_path, atom14 * 0.4, sequence)
    assert bad["validity"] == 0 and bad["clashes"] > good["clashes"] and bad["clashes"] > 10


def test_fluctuations_of_a_real_trajectory(tmp_path):
    adk = pathlib.Path(os.environ["MDGEN_ADK_DIR"])
    traj = mdtraj.load(adk / "adk_dims.dcd", top=adk / "adk.psf")
    ca = traj.xyz[:, traj.top.select("name CA")] * 10
    atom14 = np.zeros((*ca.shape[:2], 14, 3))
    atom14[:, :, 1] = ca
    got = measure(tmp_path, atom14, "G" * ca.shape[1])
    np.testing.assert_allclose(got["rmsf"], rmsf(ca), atol=5e-3)
    assert got["rmsf"].max() > 5
