"""Backbone angles and fluctuations of samples and data against mdtraj and SciPy, on adenylate kinase."""

import json
import os
import pathlib
import subprocess

import mdtraj
import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

PROGRAM = pathlib.Path(os.environ["MDGEN_BIN_DIR"]).parent / "tests" / "draw_samples"
BINS = 36
FRAMES = 16


@pytest.fixture(scope="module")
def adk():
    folder = pathlib.Path(os.environ["MDGEN_ADK_DIR"])
    whole = mdtraj.load(folder / "adk_dims.dcd", top=folder / "adk.psf")
    return whole.atom_slice(whole.top.select("name N CA C"))


def sequence_of(trajectory):
    codes = {"HSD": "H", "HSE": "H", "HSP": "H"}
    return "".join(r.code or codes[r.name] for r in trajectory.top.residues)


def save_data(trajectory, file):
    atom14 = np.zeros((len(trajectory), trajectory.n_residues, 14, 3), np.float32)
    atom14[:, :, :3] = trajectory.xyz.reshape(len(trajectory), -1, 3, 3) * 10
    np.save(file, atom14)


def standard_names(trajectory):
    for residue in trajectory.top.residues:
        residue.name = "HIS" if residue.name.startswith("HS") else residue.name
    return trajectory


def angles(*trajectories):
    """Counts by psi (rows) and phi (columns)."""
    counts = np.zeros((BINS, BINS))
    for one in trajectories:
        phi, psi = (np.degrees(f(one)[1]) for f in (mdtraj.compute_phi, mdtraj.compute_psi))
        edges = np.linspace(-180, 180, BINS + 1)
        counts += np.histogram2d(psi[:, 1:].ravel(), phi[:, :-1].ravel(), [edges, edges])[0]
    return counts


def rmsf(trajectory):
    """Superposed on the first frame, then around the mean, in Å."""
    ca = trajectory.atom_slice(trajectory.top.select("name CA"))
    ca.superpose(ca, 0)
    return np.sqrt(3 * np.mean((ca.xyz - ca.xyz.mean(0)) ** 2, axis=(0, 2))) * 10


def draw(run, data, sequence, interval=1, *file):
    command = [PROGRAM, run, data, "4ake_A", sequence, str(interval), *file]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def same_counts(histogram, expected):
    counts = np.array(histogram["counts"]).reshape(BINS, BINS)
    assert histogram["bins"] == BINS and histogram["total"] == counts.sum() == expected.sum()
    # Ångström of three digits and nanometres in float32: an angle at a cell's edge may fall on its other side.
    assert np.abs(counts - expected).sum() <= 0.01 * expected.sum()


def test_equal_to_mdtraj(tmp_path, adk):
    run, data = tmp_path / "run", tmp_path / "data"
    run.mkdir(), data.mkdir()
    save_data(adk, data / "4ake_A_R1.npy")
    part = adk[5:5 + 3 * FRAMES:3].atom_slice(adk.top.select("resid 20 to 83"))
    standard_names(part).save_pdb(run / "epoch7_4ake_A_R1.pdb")
    answer = draw(run, data, sequence_of(adk), 2)
    assert answer["samples"] == [{"file": "epoch7_4ake_A_R1.pdb", "name": "4ake_A_R1", "epoch": 7}]
    picture = answer["picture"]
    assert (picture["frames"], picture["residues"], picture["note"]) == (FRAMES, 64, "")
    sampled = angles(mdtraj.load(run / "epoch7_4ake_A_R1.pdb"))
    same_counts(picture["ramachandran"], sampled)
    np.testing.assert_allclose(picture["rmsf"], rmsf(part), atol=2e-3)

    starts = [0, 33, 67]  # 98 frames hold 3 windows of 31
    assert starts == [i * (98 - 31) // 2 for i in range(3)]
    windows = [adk[s:s + 31:2].atom_slice(adk.top.select("resid 20 to 83")) for s in starts]
    training = picture["training"]
    assert (training["source"], training["frames"]) == ("4ake_A_R1", 3 * FRAMES)
    same_counts(training["ramachandran"], angles(*windows))
    np.testing.assert_allclose(training["rmsf"], np.mean([rmsf(w) for w in windows], axis=0), atol=2e-3)
    expected = jensenshannon(sampled.ravel(), angles(*windows).ravel())
    assert picture["jensen_shannon"] == pytest.approx(expected, abs=5e-3) and 0.05 < expected < 0.8


def test_a_designed_sequence_has_the_data_of_the_whole_entry(tmp_path, adk):
    run, data = tmp_path / "run", tmp_path / "data"
    run.mkdir(), data.mkdir()
    save_data(adk, data / "4ake_A_R2.npy")
    part = standard_names(adk[:4].atom_slice(adk.top.select("resid 0 to 9")))
    for residue in part.top.residues:
        residue.name = "TRP"
    part.save_pdb(run / "epoch0_4ake_A_R2.pdb")
    picture = draw(run, data, sequence_of(adk))["picture"]
    assert "sequence is not that of 4ake_A" in picture["note"]
    assert picture["training"]["rmsf"] is None and len(picture["rmsf"]) == 10
    assert picture["training"]["ramachandran"]["total"] > picture["ramachandran"]["total"]


def test_without_data_and_with_damaged_samples(tmp_path, adk):
    run, data = tmp_path / "run", tmp_path / "data"
    run.mkdir(), data.mkdir()
    assert draw(run, data, "AAA") == {"samples": [], "picture": None}
    standard_names(adk[:3]).save_pdb(run / "epoch2_4ake_A_R1.pdb")
    (run / "epoch12_4ake_A_R1.pdb").write_text("MODEL 1\nATOM      1  CA  ALA A   1       1.000   2.000   oops\n")
    (run / "epochX_4ake.pdb").write_text("")
    (run / "epoch3_link.pdb").symlink_to("/etc/passwd")
    picture = draw(run, data, "AAA", 1, "epoch2_4ake_A_R1.pdb")
    assert [s["epoch"] for s in picture["samples"]] == [12, 2]
    assert "no such entry" in picture["picture"]["note"] and picture["picture"]["training"] is None
    for file, said in [("", "epoch12_4ake_A_R1.pdb: line 2"), ("epoch3_link.pdb", "no sample"), ("../../etc/passwd", "no sample")]:
        run_ = subprocess.run([PROGRAM, run, data, "4ake_A", "AAA", "1", file], capture_output=True, text=True)
        assert run_.returncode != 0 and said in run_.stderr, run_.stderr
