"""Runs mdgen-prep, and does what the reference does, with mdtraj."""

import os
import pathlib
import subprocess

import mdtraj
import numpy as np

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


def arrays(folder):
    """The names of what is in an output folder, but for the report and the records."""
    names = sorted(file.name for file in folder.iterdir()) if folder.exists() else []
    return [name for name in names if name not in ("report.json", ".mdgen-prep")]


def part_of_adk():
    """A stretch of ADK without histidine, 12 frames: written with the names that mdtraj gives."""
    traj = mdtraj.load(ADK / "adk_dims.dcd", top=ADK / "adk.psf")[:12]
    return traj.atom_slice([atom.index for atom in traj.top.atoms if atom.residue.index < 20])
