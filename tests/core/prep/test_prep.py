"""mdgen-prep against mdtraj doing what the reference does, and against broken files."""

import os
import pathlib
import subprocess

import mdtraj
import numpy as np
import pytest

PREP = pathlib.Path(os.environ["MDGEN_BIN_DIR"]) / "mdgen-prep"
ADK = pathlib.Path(os.environ["MDGEN_ADK_DIR"])
SHARED = pathlib.Path(os.environ["MDGEN_SOURCE_DIR"]).parent / "shared" / "data" / "trajectories"

SIDE_CHAINS = {
    "ALA": "CB", "ARG": "CB CG CD NE CZ NH1 NH2", "ASN": "CB CG OD1 ND2", "ASP": "CB CG OD1 OD2", "CYS": "CB SG",
    "GLN": "CB CG CD OE1 NE2", "GLU": "CB CG CD OE1 OE2", "GLY": "", "HIS": "CB CG ND1 CD2 CE1 NE2",
    "ILE": "CB CG1 CG2 CD1", "LEU": "CB CG CD1 CD2", "LYS": "CB CG CD CE NZ", "MET": "CB CG SD CE",
    "PHE": "CB CG CD1 CD2 CE1 CE2 CZ", "PRO": "CB CG CD", "SER": "CB OG", "THR": "CB OG1 CG2",
    "TRP": "CB CG CD1 CD2 NE1 CE2 CE3 CZ2 CZ3 CH2", "TYR": "CB CG CD1 CD2 CE1 CE2 CZ OH", "VAL": "CB CG1 CG2",
}


def reference(traj, center):
    """Hydrogens off, superposed on frame 0, Å, in atom14 places."""
    traj = traj.atom_slice([atom.index for atom in traj.top.atoms if atom.element.symbol != "H"])
    traj.superpose(traj)
    xyz = traj.xyz.astype(np.float64) * 10
    if center:
        xyz -= xyz[0].mean(axis=0)
    out = np.zeros((traj.n_frames, traj.n_residues, 14, 3))
    for i, residue in enumerate(traj.top.residues):
        places = ["N", "CA", "C", "O"] + SIDE_CHAINS[residue.name].split()
        for atom in residue.atoms:
            if atom.name in places:
                out[:, i, places.index(atom.name)] = xyz[:, atom.index]
    return out


def prep(*words, ok=True):
    done = subprocess.run([PREP, *map(str, words)], capture_output=True, text=True)
    assert done.returncode == (0 if ok else 1), done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def adk():
    return mdtraj.load(ADK / "adk_dims.dcd", top=ADK / "adk.psf")


@pytest.fixture(scope="module")
def small():
    """A stretch of ADK without histidine, 12 frames: written with the names that mdtraj gives."""
    traj = mdtraj.load(ADK / "adk_dims.dcd", top=ADK / "adk.psf")[:12]
    return traj.atom_slice([atom.index for atom in traj.top.atoms if atom.residue.index < 20])


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
    assert [file.name for file in tmp_path.iterdir()] == ["adk.npy"]


@pytest.mark.parametrize("extension", ["xtc", "trr", "dcd", "pdb"])
@pytest.mark.parametrize("top", ["pdb", "gro"])
def test_every_format_gives_the_same_array(small, tmp_path, extension, top):
    small[0].save(str(tmp_path / f"top.{top}"))
    small.save(str(tmp_path / f"traj.{extension}"))
    prep("--top", tmp_path / f"top.{top}", "--traj", tmp_path / f"traj.{extension}", "--name", "small", "--outdir",
         tmp_path, "--dtype", "float32")
    tolerance = 1e-4 if extension in ("trr", "dcd") else 0.02  # XTC and PDB round the coordinates
    np.testing.assert_allclose(np.load(tmp_path / "small.npy"), reference(small, True), atol=tolerance, rtol=0)


@pytest.fixture
def raw(small, tmp_path):
    """Two entries in ATLAS's layout: a with three replicas, b with two."""
    for name, replicas in (("a", 3), ("b", 2)):
        folder = tmp_path / "raw" / name
        folder.mkdir(parents=True)
        small[0].save(str(folder / f"{name}.pdb"))
        for i in range(1, replicas + 1):
            small.save(str(folder / (f"{name}_prod_R{i}_fit.xtc" if i < 3 else f"{name}_R{i}.xtc")))
    return tmp_path / "raw"


def outputs(folder):
    return sorted(file.name for file in folder.iterdir()) if folder.exists() else []


def test_a_folder_of_entries(raw, tmp_path):
    out = tmp_path / "out"
    log = prep("--sim_dir", raw, "--outdir", out, "--atlas", "--num_workers", 2, "--write_split", tmp_path / "s.csv")
    assert outputs(out) == ["a_R1.npy", "a_R2.npy", "a_R3.npy", "b_R1.npy", "b_R2.npy"]
    assert "b: 2 of 3 replicas" in log and "a: " not in log
    assert [line.split(",")[0] for line in (tmp_path / "s.csv").read_text().split()] == ["name", "a", "b"]
    again = tmp_path / "again"
    prep("--sim_dir", raw, "--outdir", again, "--atlas", "--split", tmp_path / "s.csv", "--name", "b")
    assert outputs(again) == ["b_R1.npy", "b_R2.npy"]
    assert (again / "b_R1.npy").read_bytes() == (out / "b_R1.npy").read_bytes()


def test_without_atlas_one_trajectory_an_entry(raw, small, tmp_path):
    small.save(str(raw / "a" / "a.xtc"))
    prep("--sim_dir", raw, "--outdir", tmp_path / "out", "--name", "a", "--suffix", "_x")
    assert outputs(tmp_path / "out") == ["a_x.npy"]


def test_existing_files_are_replaced_or_skipped(raw, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "a_R1.npy").write_bytes(b"old")
    prep("--sim_dir", raw, "--outdir", out, "--atlas", "--name", "a", "--skip_existing")
    assert (out / "a_R1.npy").read_bytes() == b"old" and len(outputs(out)) == 3
    prep("--sim_dir", raw, "--outdir", out, "--atlas", "--name", "a")
    assert np.load(out / "a_R1.npy").shape == np.load(out / "a_R2.npy").shape


@pytest.mark.parametrize("cut", [1, 17, 60, 200, 500])
def test_a_truncated_replica_fails_the_whole_entry(raw, tmp_path, cut):
    file = raw / "a" / "a_prod_R2_fit.xtc"
    file.write_bytes(file.read_bytes()[:-cut])
    out = tmp_path / "out"
    log = prep("--sim_dir", raw, "--outdir", out, "--atlas", "--write_split", tmp_path / "s.csv", ok=False)
    assert "a_prod_R2_fit.xtc: truncated: frame 11" in log
    assert outputs(out) == ["b_R1.npy", "b_R2.npy"]
    assert [line.split(",")[0] for line in (tmp_path / "s.csv").read_text().split()] == ["name", "b"]


def test_a_topology_of_another_molecule(raw, adk, tmp_path):
    adk[0].save(str(raw / "a" / "a.pdb"))
    log = prep("--sim_dir", raw, "--outdir", tmp_path / "out", "--atlas", "--name", "a", ok=False)
    assert "frame 0: " in log and "atoms, the topology has 3341" in log
    assert outputs(tmp_path / "out") == []


@pytest.mark.parametrize(
    "old, new, complaint",
    [
        ("MET A   1", "SEP A   1", "residues that are none of the twenty: SEP 1 (made from SER)"),
        ("ARG A   2", "ASH A   2", "residue ASH 2: atom 'CD' is none of its heavy atoms"),
        (" CB  ARG", " CA  ARG", "residue ARG 2: atom CA is there 2 times; residue ARG 2: atom CB is missing"),
        ("A  20", "B  20", "several chains"),
    ],
)
def test_bad_topologies_are_refused_by_name(raw, tmp_path, old, new, complaint):
    file = raw / "a" / "a.pdb"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    log = prep("--sim_dir", raw, "--outdir", tmp_path / "out", "--atlas", "--name", "a", ok=False)
    assert complaint in log and "a.pdb" in log
    assert outputs(tmp_path / "out") == []


def test_a_sequence_that_disagrees(raw, tmp_path):
    prep("--sim_dir", raw, "--outdir", tmp_path / "out", "--atlas", "--write_split", tmp_path / "splits" / "s.csv")
    rows = (tmp_path / "splits" / "s.csv").read_text()
    (tmp_path / "bad.csv").write_text(rows[:-2] + "\n")
    out = tmp_path / "other"
    log = prep("--sim_dir", raw, "--outdir", out, "--atlas", "--split", tmp_path / "bad.csv", ok=False)
    assert "20 residues, its sequence in the split has 19" in log
    assert all(name.startswith("a_") for name in outputs(out))


def test_missing_inputs(raw, tmp_path):
    assert "no replica" in prep("--sim_dir", raw, "--outdir", tmp_path / "out", "--name", "a", "--atlas",
                                "--suffix", "", "--split", empty_of_xtc(raw), ok=False)
    assert "no such folder" in prep("--sim_dir", tmp_path / "absent", "--outdir", tmp_path / "out", ok=False)


def empty_of_xtc(raw):
    for file in (raw / "a").glob("*.xtc"):
        file.unlink()
    split = raw.parent / "a.csv"
    split.write_text("name,seqres\na,MRIILLGAPGAGKGTQAQFI\n")
    return split


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
    assert outputs(tmp_path) == []


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
    assert "LRT 296, YPL 322 and 1 more YPL (--map" in log and outputs(tmp_path) == []


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
