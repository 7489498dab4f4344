"""mdgen-prep against the original's way to make the same arrays, on the same file, in turns.

    make bench-prep
    python tests/bench/prep_against_mdtraj.py [--top PDB --traj FILE] [--frames N] [--cores N] [--stride N …] [--rounds N]

The original's way (its scripts/prep_sims.py with --atlas): mdtraj loads the whole trajectory, takes the hydrogens off,
superposes, fills the array atom by atom in float16, and saves every stride-th frame. Its time is counted without
Python's start and imports, mdgen-prep's with everything. The trajectory is repeated up to --frames frames, each of
--cores entries has one, and the same cores are given to both. Frames are those of the trajectory, kept or not.
"""

import argparse
import multiprocessing
import os
import pathlib
import resource
import statistics
import subprocess
import tempfile
import time

os.environ["OMP_NUM_THREADS"] = "1"
import mdtraj  # noqa: E402
import numpy as np  # noqa: E402

SIDE_CHAINS = {
    "ALA": "CB", "ARG": "CB CG CD NE CZ NH1 NH2", "ASN": "CB CG OD1 ND2", "ASP": "CB CG OD1 OD2", "CYS": "CB SG",
    "GLN": "CB CG CD OE1 NE2", "GLU": "CB CG CD OE1 OE2", "GLY": "", "HIS": "CB CG ND1 CD2 CE1 NE2",
    "ILE": "CB CG1 CG2 CD1", "LEU": "CB CG CD1 CD2", "LYS": "CB CG CD CE NZ", "MET": "CB CG SD CE",
    "PHE": "CB CG CD1 CD2 CE1 CE2 CZ", "PRO": "CB CG CD", "SER": "CB OG", "THR": "CB OG1 CG2",
    "TRP": "CB CG CD1 CD2 NE1 CE2 CE3 CZ2 CZ3 CH2", "TYR": "CB CG CD1 CD2 CE1 CE2 CZ OH", "VAL": "CB CG1 CG2",
}
ATOM14 = {name: ["N", "CA", "C", "O"] + atoms.split() for name, atoms in SIDE_CHAINS.items()}


def by_mdtraj(folder, name, out, stride):
    """Returns the processor's seconds."""
    begin = time.process_time()
    traj = mdtraj.load(str(folder / name / f"{name}_R1.xtc"), top=str(folder / name / f"{name}.pdb"))
    traj.atom_slice([atom.index for atom in traj.top.atoms if atom.element.symbol != "H"], inplace=True)
    traj.superpose(traj)
    array = np.zeros((traj.n_frames, traj.n_residues, 14, 3), dtype=np.float16)
    for i, residue in enumerate(traj.top.residues):
        for atom in residue.atoms:
            if atom.name in ATOM14[residue.name]:
                array[:, i, ATOM14[residue.name].index(atom.name)] = traj.xyz[:, atom.index] * 10.0
    np.save(out / f"{name}_R1.npy", array[::stride])
    return time.process_time() - begin


def make_entries(words, raw):
    source = mdtraj.load(words.traj, top=words.top)
    for i in range(words.cores):
        folder = raw / f"e{i}"
        folder.mkdir()
        source[0].save(str(folder / f"e{i}.pdb"))
        source.save(str(folder / "once.xtc"))
        once = (folder / "once.xtc").read_bytes()
        (folder / "once.xtc").unlink()
        with open(folder / f"e{i}_R1.xtc", "wb") as file:
            for _ in range(-(-words.frames // source.n_frames)):
                file.write(once)
    return -(-words.frames // source.n_frames) * source.n_frames * words.cores, source


def mdtrajs_seconds(pool, raw, names, out, stride):
    """(wall, processor)"""
    begin = time.perf_counter()
    used = pool.starmap(by_mdtraj, [(raw, name, out, stride) for name in names])
    return time.perf_counter() - begin, sum(used)


def our_seconds(command):
    begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return time.perf_counter() - begin, used


def compare(words, stride, raw, out, pool, frames):
    names = [f"e{i}" for i in range(words.cores)]
    ours_out, theirs_out = out / "ours", out / "theirs"
    ours_out.mkdir(exist_ok=True)
    theirs_out.mkdir(exist_ok=True)
    command = [words.program, "--sim_dir", raw, "--outdir", ours_out, "--atlas", "--no_center", "--force", "--stride",
               str(stride), "--num_workers", str(words.cores)]
    theirs, ours = [], []
    for _ in range(words.rounds):
        theirs.append(mdtrajs_seconds(pool, raw, names, theirs_out, stride))
        ours.append(our_seconds(command))
    one, other = np.load(ours_out / "e0_R1.npy"), np.load(theirs_out / "e0_R1.npy")
    assert one.shape == other.shape and one.dtype == other.dtype
    apart = np.abs(one.astype(np.float64) - other.astype(np.float64)).max()
    print(f"stride {stride}, {words.cores} cores, median of {words.rounds} rounds in turns; arrays {np.mean(one == other):.2%} "
          f"the same bits, at most {apart:.3f} Å apart")
    for i, what in enumerate(("by the clock", "by processor time")):
        ratio = statistics.median(their[i] / our[i] for their, our in zip(theirs, ours))
        speeds = [frames / statistics.median(times[i] for times in all_times) for all_times in (theirs, ours)]
        print(f"  {what:18} mdtraj {speeds[0]:7.0f} frames/s, mdgen-prep {speeds[1]:7.0f} frames/s: {ratio:.1f}x", flush=True)


def main():
    cache = pathlib.Path(os.environ.get("MDGEN_CACHE", pathlib.Path.home() / ".cache" / "mdgen"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=pathlib.Path(__file__).parents[2] / "build" / "bin" / "mdgen-prep")
    parser.add_argument("--top", default=str(cache / "adk" / "adk.psf"))
    parser.add_argument("--traj", default=str(cache / "adk" / "adk_dims.dcd"))
    parser.add_argument("--frames", type=int, default=10_001)
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--stride", type=int, nargs="+", default=[1, 40])
    parser.add_argument("--rounds", type=int, default=5)
    words = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:words.cores])
    with tempfile.TemporaryDirectory() as folder, multiprocessing.Pool(words.cores) as pool:
        raw = pathlib.Path(folder, "raw")
        raw.mkdir()
        frames, source = make_entries(words, raw)
        print(f"{source.n_residues} residues, {source.n_atoms} atoms, {frames // words.cores} frames an entry")
        for stride in words.stride:
            compare(words, stride, raw, pathlib.Path(folder), pool, frames)


if __name__ == "__main__":
    main()
