"""mdgen-prep against mdtraj doing what the reference does, and against broken files."""

import subprocess

import mdtraj
import numpy as np
import pytest

from prep_program import ADK, PREP, SHARED, SIDE_CHAINS, arrays, part_of_adk, prep, reference

@pytest.fixture(scope="module")
def adk():
    return mdtraj.load(ADK / "adk_dims.dcd", top=ADK / "adk.psf")


@pytest.fixture(scope="module")
def small():
    return part_of_adk()


def check_half(got, wanted, slack=1e-4):
    """Equal to float16 rounding: nearly all bits, and otherwise one step of float16 or the `slack` in Å."""
    assert got.dtype == wanted.dtype == np.float16 and got.shape == wanted.shape
    assert np.mean(got == wanted) > 0.99
    step = np.spacing(np.maximum(np.abs(got), np.abs(wanted)).astype(np.float16)).astype(np.float64)
    difference = np.abs(got.astype(np.float64) - wanted.astype(np.float64))
    assert np.all(difference <= np.maximum(step, slack)), difference.max()


@pytest.mark.parametrize("top", ["adk.psf", "adk_closed.pdb"])
@pytest.mark.parametrize("center", [True, False])
def test_adk_equals_the_references_procedure(adk, tmp_path, top, center):
    flags = [] if center else ["--no_center"]
    line = prep("--top", ADK / top, "--traj", ADK / "adk_dims.dcd", "--name", "adk", "--outdir", tmp_path, "--atlas",
                "--write_split", tmp_path / "adk.csv", "--dtype", "float32", *flags)
    assert "98 frames of 214 residues" in line and "frames/s" in line
    got = np.load(tmp_path / "adk_R1.npy")
    assert got.dtype == np.float32 and got.shape == (98, 214, 14, 3)
    np.testing.assert_allclose(got, reference(adk, center), atol=1e-4, rtol=0)
    letters = "".join(residue.code for residue in adk.top.residues)
    assert (tmp_path / "adk.csv").read_text() == f"name,seqres\nadk,{letters}\n"


def test_float16_stride_suffix_and_replica(adk, tmp_path):
    prep("--top", ADK / "adk.psf", "--traj", ADK / "adk_dims.dcd", "--name", "adk", "--outdir", tmp_path, "--atlas",
         "--replica", 2, "--stride", 10, "--suffix", "_i10")
    got = np.load(tmp_path / "adk_R2_i10.npy")
    assert got.dtype == np.float16
    check_half(got, reference(adk, True)[::10].astype(np.float16))


def test_without_atlas_the_file_has_no_replica(tmp_path):
    prep("--top", ADK / "adk.psf", "--traj", ADK / "adk_dims.dcd", "--name", "adk", "--outdir", tmp_path)
    assert arrays(tmp_path) == ["adk.npy"]


@pytest.mark.parametrize("extension", ["xtc", "trr", "dcd", "pdb"])
@pytest.mark.parametrize("top", ["pdb", "gro"])
def test_every_format_gives_the_same_array(small, tmp_path, extension, top):
    small[0].save(str(tmp_path / f"top.{top}"))
    small.save(str(tmp_path / f"traj.{extension}"))
    prep("--top", tmp_path / f"top.{top}", "--traj", tmp_path / f"traj.{extension}", "--name", "small", "--outdir",
         tmp_path, "--dtype", "float32")
    tolerance = 1e-4 if extension in ("trr", "dcd") else 0.02  # XTC and PDB round the coordinates
    np.testing.assert_allclose(np.load(tmp_path / "small.npy"), reference(small, True), atol=tolerance, rtol=0)


@pytest.mark.parametrize(
    "words",
    [
        ["--outdir", "o"],
        ["--sim_dir", "x"],
        ["--top", "x", "--outdir", "o", "--name", "n"],
        ["--top", "x", "--traj", "y", "--outdir", "o"],
        ["--top", "x", "--traj", "y", "--outdir", "o", "--name", "n", "--sim_dir", "z"],
        ["--sim_dir", "x", "--outdir", "o", "--dtype", "float64"],
        ["--sim_dir", "x", "--outdir", "o", "--stride", "0"],
        ["--sim_dir", "x", "--outdir", "o", "--name", "../n"],
        ["--sim_dir", "x", "--outdir", "o", "--name", "n", "--name", "n"],
        ["--sim_dir", "x", "--outdir", "o", "--unknown"],
    ],
)
def test_usage_errors_exit_with_2(words, tmp_path):
    assert subprocess.run([PREP, *words], capture_output=True, cwd=tmp_path).returncode == 2
    assert arrays(tmp_path) == []


def test_a_stride_that_is_none_is_named(tmp_path):
    for wrong in ("0", "-1", "many"):
        done = subprocess.run([PREP, "--sim_dir", "x", "--outdir", "o", "--stride", wrong], capture_output=True,
                              text=True, cwd=tmp_path)
        assert f'--stride: "{wrong}" is not a number above 0' in done.stderr


def test_help_and_version():
    for flag in ("--help", "--version"):
        done = subprocess.run([PREP, flag], capture_output=True, text=True)
        assert done.returncode == 0 and "mdgen-prep" in done.stdout


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data/trajectories beside the clone")
@pytest.mark.parametrize("name", ["lysozyme_1am7", "nnqq_2olx", "p38_prody", "pf1_1hgv"])
def test_the_originals_own_output(tmp_path, name):
    prep("--sim_dir", SHARED, "--outdir", tmp_path, "--atlas", "--name", name, "--no_center", "--dtype", "float16")
    # mdtraj superposes in single precision: where frames differ by 12 Å (pf1) it misses the optimum by 0.0038 Å.
    slack = 4e-3 if name == "pf1_1hgv" else 3e-4
    check_half(np.load(tmp_path / f"{name}_R1.npy"), np.load(SHARED / name / "ref_atom14_f16.npy"), slack)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data/trajectories beside the clone")
def test_every_shared_trajectory_by_one_command(tmp_path):
    prep("--sim_dir", SHARED, "--outdir", tmp_path, "--atlas", "--write_split", tmp_path / "s.csv")
    rows = dict(row.split(",") for row in (tmp_path / "s.csv").read_text().split()[1:])
    assert sorted(rows) == sorted(folder.name for folder in SHARED.iterdir() if folder.is_dir())
    for name, letters in rows.items():
        array = np.load(tmp_path / f"{name}_R1.npy")
        assert array.shape[1] == len(letters) and np.all(np.isfinite(array)) and np.all(array[:, :, 1].any(axis=-1))


RHODOPSIN = SHARED / "rhodopsin_1u19"


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data/trajectories beside the clone")
def test_rhodopsins_modified_residues_are_refused_by_name(tmp_path):
    log = prep("--top", RHODOPSIN / "md_1u19.gro", "--traj", RHODOPSIN / "md_1u19.xtc", "--name", "r", "--outdir",
               tmp_path, ok=False)
    assert "LRT 296, YPL 322 and 1 more YPL (--map" in log and arrays(tmp_path) == []


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data/trajectories beside the clone")
def test_the_whole_of_rhodopsin(tmp_path):
    log = prep("--top", RHODOPSIN / "md_1u19.gro", "--traj", RHODOPSIN / "md_1u19.xtc", "--name", "r", "--outdir",
               tmp_path, "--map", "YPL=CYS", "--map", "LRT=LYS", "--dtype", "float32")
    for note in ("left out the caps: ACE 0", "ASH 83 to ASP", "GLH 122 to GLU", "LRT 296 to LYS",
                 "YPL 322 and 1 more YPL to CYS", "left out atoms of YPL 322: C1 OS C2"):
        assert note in log
    traj = mdtraj.load(RHODOPSIN / "md_1u19.xtc", top=RHODOPSIN / "md_1u19.gro")
    parents = {"ASH": "ASP", "GLH": "GLU", "LRT": "LYS", "YPL": "CYS"}
    for residue in traj.top.residues:
        residue.name = parents.get(residue.name, residue.name)
    kept = [atom.index for atom in traj.top.atoms if atom.residue.name != "ACE" and atom.name in
            ["N", "CA", "C", "O", "OXT"] + SIDE_CHAINS[atom.residue.name].split()]
    got = np.load(tmp_path / "r.npy")
    assert got.shape == (151, 348, 14, 3)
    np.testing.assert_allclose(got, reference(traj.atom_slice(kept), True), atol=3e-4, rtol=0)
