"""mdgen-prep on molecules that are broken across the periodic box, against mdtraj."""

import mdtraj
import numpy as np
import pytest

from prep_program import arrays, part_of_adk, prep, reference

CELLS = {"box": ([4.0, 4.5, 5.0], [90, 90, 90]), "dodecahedron": ([4.5, 4.5, 4.5], [60, 60, 90]),
         "skewed": ([4.0, 4.5, 5.0], [75, 80, 70])}


@pytest.fixture(scope="module")
def whole():
    return part_of_adk()


def in_cell(traj, lengths, angles):
    """The same with every atom put into the cell on its own: in pieces where the molecule crosses a face."""
    wrapped = traj[:]
    wrapped.unitcell_lengths = np.tile(lengths, (traj.n_frames, 1)).astype(np.float32)
    wrapped.unitcell_angles = np.tile(angles, (traj.n_frames, 1)).astype(np.float32)
    moving = np.linspace(0, 3, traj.n_frames)[:, None, None]  # each frame broken elsewhere
    vectors = wrapped.unitcell_vectors.astype(np.float64)
    fractions = np.einsum("fai,fij->faj", traj.xyz + moving, np.linalg.inv(vectors))
    wrapped.xyz = np.einsum("fai,fij->faj", fractions - np.floor(fractions), vectors)
    return wrapped


def run(folder, broken, extension, *words, ok=True, top=None):
    (broken[0] if top is None else top).save(str(folder / "top.pdb"))
    broken.save(str(folder / f"traj.{extension}"))
    return prep("--top", folder / "top.pdb", "--traj", folder / f"traj.{extension}", "--name", "x", "--outdir",
                folder / "out", "--dtype", "float32", *words, ok=ok)


@pytest.mark.parametrize("extension", ["xtc", "dcd", "trr"])
@pytest.mark.parametrize("cell", CELLS)
def test_unwrap_mends_what_mdtraj_mends(whole, tmp_path, cell, extension):
    broken = in_cell(whole, *CELLS[cell])
    run(tmp_path, broken, extension, "--unwrap")
    got = np.load(tmp_path / "out" / "x.npy")
    tolerance = 0.03 if extension == "xtc" else 5e-4  # XTC rounds the broken coordinates to 0.01 Å
    np.testing.assert_allclose(got, reference(whole, True), atol=tolerance, rtol=0)
    np.testing.assert_allclose(got, reference(broken.make_molecules_whole(inplace=False), True), atol=tolerance, rtol=0)


@pytest.mark.parametrize("cell", CELLS)
def test_broken_images_are_refused_by_frame_and_residues(whole, tmp_path, cell):
    log = run(tmp_path, in_cell(whole, *CELLS[cell]), "xtc", ok=False)
    assert "traj.xtc: frame 0: broken periodic images: residue" in log and "--unwrap mends it" in log
    assert arrays(tmp_path / "out") == []


def test_without_a_cell_the_reason_is_said(whole, tmp_path):
    broken = in_cell(whole, *CELLS["box"])
    broken.unitcell_vectors = None
    for words in ([], ["--unwrap"]):
        log = run(tmp_path, broken, "dcd", *words, ok=False, top=whole[0])
        assert "frame 0: residue" in log and "no unit cell" in log


def test_whole_molecules_are_the_same_bits(whole, tmp_path):
    boxed = whole[:]
    boxed.unitcell_lengths = np.full((whole.n_frames, 3), 9, np.float32)
    boxed.unitcell_angles = np.full((whole.n_frames, 3), 90, np.float32)
    run(tmp_path, boxed, "xtc")
    first = (tmp_path / "out" / "x.npy").read_bytes()
    run(tmp_path, boxed, "xtc", "--unwrap")
    assert (tmp_path / "out" / "x.npy").read_bytes() == first


def test_missing_residues_are_a_gap_and_not_a_broken_image(whole, tmp_path):
    gapped = whole.atom_slice([a.index for a in whole.top.atoms if not 6 <= a.residue.index <= 12])
    gapped.unitcell_lengths = np.full((whole.n_frames, 3), 4, np.float32)
    gapped.unitcell_angles = np.full((whole.n_frames, 3), 90, np.float32)
    run(tmp_path, gapped, "xtc", top=gapped[0])
    np.testing.assert_allclose(np.load(tmp_path / "out" / "x.npy"), reference(gapped, True), atol=0.02, rtol=0)
    report = (tmp_path / "out" / "report.json").read_text()
    assert "gap in the chain between" in report
    broken = in_cell(gapped, *CELLS["skewed"])
    run(tmp_path, broken, "dcd", "--unwrap", top=gapped[0])
    np.testing.assert_allclose(np.load(tmp_path / "out" / "x.npy"), reference(gapped, True), atol=5e-4, rtol=0)
