"""PDB, XTC and .npy files of a trajectory, read by mdtraj and NumPy."""

import os
import pathlib
import subprocess

import mdtraj
import numpy as np
import pytest
from synthetic_dataset import LETTERS, SIDE_CHAINS, trajectory

PROGRAM = pathlib.Path(os.environ["MDGEN_BIN_DIR"]).parent / "tests" / "write_structure"
CODES = dict(zip(LETTERS, "ALA ARG ASN ASP CYS GLN GLU GLY HIS ILE LEU LYS MET PHE PRO SER THR TRP TYR VAL".split()))


def write(folder, atom14, sequence, ok=True):
    np.save(folder / "t.npy", atom14.astype(np.float32))
    done = subprocess.run([PROGRAM, folder / "t.npy", sequence, folder], capture_output=True, text=True)
    assert done.returncode == (0 if ok else 1), done.stderr
    return done.stderr


def names(sequence):
    return [["N", "CA", "C", "O"] + [atom[0] for atom in SIDE_CHAINS[letter]] for letter in sequence]


def flat(atom14, sequence):
    """(T, atoms, 3) of the atoms that the sequence has."""
    return np.concatenate([atom14[:, i, : len(atoms)] for i, atoms in enumerate(names(sequence))], axis=1)


def check_topology(top, sequence):
    assert [chain.chain_id for chain in top.chains] == ["A"]
    assert [residue.name for residue in top.residues] == [CODES[letter] for letter in sequence]
    assert [residue.resSeq for residue in top.residues] == list(range(1, len(sequence) + 1))
    assert [atom.name for atom in top.atoms] == [name for atoms in names(sequence) for name in atoms]
    assert [atom.element.symbol for atom in top.atoms] == [name[0] for atoms in names(sequence) for name in atoms]


# One residue, nine atoms or fewer (XTC keeps those uncompressed), a tetrapeptide, all kinds of residues twice.
@pytest.mark.parametrize("sequence", ["G", "GG", "FLRH", LETTERS * 2])
def test_mdtraj_reads_what_was_written(tmp_path, sequence):
    atom14 = trajectory([1, 2], sequence, 12).astype(np.float32)
    atom14 += np.linspace(0, 30, 12, dtype=np.float32)[:, None, None, None]  # so that superposing has to do
    write(tmp_path, atom14, sequence)
    wanted = flat(atom14, sequence)

    models = mdtraj.load(tmp_path / "all.pdb")
    check_topology(models.top, sequence)
    np.testing.assert_allclose(models.xyz * 10, wanted, atol=6e-4)

    traj = mdtraj.load(tmp_path / "all.xtc", top=tmp_path / "one.pdb")
    check_topology(traj.top, sequence)
    assert traj.n_frames == 12 and traj.unitcell_lengths is None
    np.testing.assert_allclose(traj.time, 2.5 * np.arange(12))
    superposed = mdtraj.Trajectory(wanted / 10, traj.top)
    superposed.superpose(superposed)
    np.testing.assert_allclose(traj.xyz, superposed.xyz, atol=6e-4)
    np.testing.assert_allclose(traj.xyz[0] * 10, wanted[0], atol=6e-3)

    one = mdtraj.load(tmp_path / "one.pdb")
    assert one.n_frames == 1
    np.testing.assert_allclose(one.xyz[0] * 10, wanted[0], atol=6e-4)
    np.testing.assert_array_equal(np.load(tmp_path / "all.npy"), atom14)
    assert not list(tmp_path.glob("*.partial"))


def test_an_atom_at_the_origin_stays(tmp_path):
    atom14 = trajectory([1, 2], "AG", 2)
    atom14 -= atom14[:, :1, 1:2]
    write(tmp_path, atom14, "AG")
    assert mdtraj.load(tmp_path / "all.pdb").n_atoms == 9


def test_columns_of_the_format(tmp_path):
    atom14 = np.zeros((2, 1, 14, 3))
    atom14[:, 0, :6] = np.arange(18).reshape(6, 3) * 100 - 900.5
    write(tmp_path, atom14, "C")
    lines = (tmp_path / "all.pdb").read_text().splitlines()
    assert lines[0] == "MODEL        1"
    assert lines[1] == "ATOM      1  N   CYS A   1    -900.500-800.500-700.500  1.00  0.00           N  "
    assert lines[6] == "ATOM      6  SG  CYS A   1     599.500 699.500 799.500  1.00  0.00           S  "
    assert lines[7] == "TER       7      CYS A   1"
    assert lines[8] == "ENDMDL" and lines[-2:] == ["ENDMDL", "END"]
    assert (tmp_path / "one.pdb").read_text().splitlines()[0].startswith("ATOM")


@pytest.mark.parametrize("value, text", [(-999.9996, "-999.999"), (10000, "10000.0"), (np.nan, "nan"), (np.inf, "inf")])
def test_what_does_not_fit_is_refused_and_leaves_nothing(tmp_path, value, text):
    atom14 = trajectory([1, 2], "AG", 3)
    atom14[2, 1, 2, 1] = value
    error = write(tmp_path, atom14, "AG", ok=False)
    assert "all.pdb: frame 2, C of GLY 2" in error and text in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.npy"]
