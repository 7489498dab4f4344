"""Makes a small data set of moving peptides, with ideal-like geometry and smoothly changing torsions.

    python synthetic_dataset.py OUT --proteins 3 --lengths 12,20,40 --frames 251 --replicas 3

writes OUT/data/synth0_R1.npy … (float16 or float32 [frames, residues, 14, 3], Å, superposed on frame 0),
OUT/train.csv with all proteins and OUT/val.csv with the first. `--replicas 0` writes one synth0.npy a protein,
as the layout without atlas has it. Needs numpy only; the same arguments give the same bytes.
"""

import argparse
import csv
import pathlib

import numpy as np

LETTERS = "ARNDCQEGHILKMFPSTWYV"

# Side-chain atoms after N, CA, C, O in atom14 order: (name, bonded to, angle in degrees, dihedral). A dihedral is
# "chi" plus an offset, seen from the atom two bonds before, or a constant.
CB = ("CB", "CA", 110.5, None)
CG = ("CG", "CB", 113.0, (1, 0))
RING6 = [CB, CG, ("CD1", "CG", 120, (2, 0)), ("CD2", "CG", 120, (2, 180)), ("CE1", "CD1", 120, 180),
         ("CE2", "CD2", 120, 180), ("CZ", "CE1", 120, 0)]
SIDE_CHAINS = {
    "A": [CB],
    "R": [CB, CG, ("CD", "CG", 111, (2, 0)), ("NE", "CD", 111, (3, 0)), ("CZ", "NE", 124, (4, 0)),
          ("NH1", "CZ", 120, 0), ("NH2", "CZ", 120, 180)],
    "N": [CB, CG, ("OD1", "CG", 120, (2, 0)), ("ND2", "CG", 117, (2, 180))],
    "D": [CB, CG, ("OD1", "CG", 118, (2, 0)), ("OD2", "CG", 118, (2, 180))],
    "C": [CB, ("SG", "CB", 114, (1, 0))],
    "Q": [CB, CG, ("CD", "CG", 112, (2, 0)), ("OE1", "CD", 120, (3, 0)), ("NE2", "CD", 117, (3, 180))],
    "E": [CB, CG, ("CD", "CG", 112, (2, 0)), ("OE1", "CD", 118, (3, 0)), ("OE2", "CD", 118, (3, 180))],
    "G": [],
    "H": [CB, CG, ("ND1", "CG", 122, (2, 0)), ("CD2", "CG", 131, (2, 180)), ("CE1", "ND1", 108, 180),
          ("NE2", "CD2", 108, 180)],
    "I": [CB, ("CG1", "CB", 111, (1, 0)), ("CG2", "CB", 111, (1, -120)), ("CD1", "CG1", 113, (2, 0))],
    "L": [CB, CG, ("CD1", "CG", 110, (2, 0)), ("CD2", "CG", 110, (2, 120))],
    "K": [CB, CG, ("CD", "CG", 111, (2, 0)), ("CE", "CD", 111, (3, 0)), ("NZ", "CE", 111, (4, 0))],
    "M": [CB, CG, ("SD", "CG", 113, (2, 0)), ("CE", "SD", 101, (3, 0))],
    "F": RING6,
    "P": [CB, ("CG", "CB", 104, (1, 0)), ("CD", "CG", 105, (2, 0))],
    "S": [CB, ("OG", "CB", 111, (1, 0))],
    "T": [CB, ("OG1", "CB", 109, (1, 0)), ("CG2", "CB", 111, (1, -120))],
    "W": [CB, CG, ("CD1", "CG", 127, (2, 0)), ("CD2", "CG", 127, (2, 180)), ("NE1", "CD1", 110, 180),
          ("CE2", "CD2", 107, 180), ("CE3", "CD2", 134, 0), ("CZ2", "CE2", 122, 180), ("CZ3", "CE3", 119, 180),
          ("CH2", "CZ2", 118, 0)],
    "Y": RING6 + [("OH", "CZ", 120, 180)],
    "V": [CB, ("CG1", "CB", 111, (1, 0)), ("CG2", "CB", 111, (1, 120))],
}


def place(a, b, c, length, angle, dihedral):
    """Points (T, 3) at `length` from c, with angle b-c-x and dihedral a-b-c-x in radians."""
    bc = (c - b) / np.linalg.norm(c - b, axis=-1, keepdims=True)
    normal = np.cross(b - a, bc)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    inner = np.cross(normal, bc)
    dihedral = np.broadcast_to(dihedral, len(c))[:, None]
    return c + length * (-np.cos(angle) * bc + np.sin(angle) * (np.cos(dihedral) * inner + np.sin(dihedral) * normal))


def wave(rng, frames, centre, amplitude):
    """One torsion in radians over time: slow, smooth, around `centre` degrees."""
    time = np.arange(frames)
    angle = centre + sum(
        amplitude / k * np.sin(2 * np.pi * k * time / 97.0 + rng.uniform(0, 2 * np.pi)) for k in (1, 2, 5)
    )
    return np.deg2rad(angle)


def backbone(rng, length, frames):
    """N, CA, C, O of each residue: dictionaries of (T, 3)."""
    degrees = np.deg2rad
    n = np.zeros((frames, 3))
    ca = n + [1.458, 0, 0]
    c = ca + 1.525 * np.array([-np.cos(degrees(111.0)), np.sin(degrees(111.0)), 0])
    residues = []
    for i in range(length):
        psi = wave(rng, frames, rng.choice([-45.0, 130.0], p=[0.8, 0.2]), 8)
        residues.append({"N": n, "CA": ca, "C": c, "O": place(n, ca, c, 1.231, degrees(120.1), psi + np.pi)})
        phi = wave(rng, frames, -63, 8)
        omega = wave(rng, frames, 180, 2)
        next_n = place(n, ca, c, 1.329, degrees(117.2), psi)
        next_ca = place(ca, c, next_n, 1.458, degrees(121.7), omega)
        n, ca, c = next_n, next_ca, place(c, next_n, next_ca, 1.525, degrees(111.0), phi)
    return residues


def add_side_chain(rng, atoms, letter, frames):
    chi = {k: wave(rng, frames, rng.choice([-60.0, 60.0, 180.0]), 20) for k in range(1, 5)}
    parent = {"CA": "N", "C": "CA"}
    for name, bonded, angle, dihedral in SIDE_CHAINS[letter]:
        if name == "CB":
            atoms[name] = place(atoms["C"], atoms["N"], atoms["CA"], 1.53, np.deg2rad(angle), np.deg2rad(-122.5))
        else:
            torsion = np.deg2rad(dihedral) if np.isscalar(dihedral) else chi[dihedral[0]] + np.deg2rad(dihedral[1])
            before = parent[bonded]
            atoms[name] = place(atoms[parent[before]], atoms[before], atoms[bonded], 1.45, np.deg2rad(angle), torsion)
        parent[name] = bonded


def superpose(atom14, present):
    """Each frame onto the first, which is centred (Kabsch)."""
    points = atom14[:, present]
    points = points - points.mean(axis=1, keepdims=True)
    u, _, vt = np.linalg.svd(np.einsum("tni,nj->tij", points, points[0]))
    u[:, :, 2] *= np.sign(np.linalg.det(u @ vt))[:, None]
    moved = np.zeros_like(atom14)
    moved[:, present] = points @ (u @ vt)
    return moved


def trajectory(seed, sequence, frames):
    """(frames, residues, 14, 3) in Å; atoms that a residue lacks are 0."""
    rng = np.random.default_rng(seed)
    atom14 = np.zeros((frames, len(sequence), 14, 3))
    present = np.zeros((len(sequence), 14), dtype=bool)
    for i, (letter, atoms) in enumerate(zip(sequence, backbone(rng, len(sequence), frames))):
        add_side_chain(rng, atoms, letter, frames)
        for k, name in enumerate(["N", "CA", "C", "O"] + [atom[0] for atom in SIDE_CHAINS[letter]]):
            atom14[:, i, k] = atoms[name]
            present[i, k] = True
    return superpose(atom14, present)


def make(out, lengths, frames, proteins=None, replicas=3, dtype="float16", suffix="", seed=0):
    """Writes the data set; returns [(name, sequence)]."""
    data = pathlib.Path(out) / "data"
    data.mkdir(parents=True, exist_ok=True)
    rows = []
    for p in range(len(lengths) if proteins is None else proteins):
        rng = np.random.default_rng([seed, p])
        letters = "".join(rng.permutation(list(LETTERS)))
        length = lengths[p % len(lengths)]
        name, sequence = f"synth{p}", (letters * (length // 20 + 1))[:length]
        rows.append((name, sequence))
        for r in range(1, replicas + 1) if replicas else [0]:
            array = trajectory([seed, p, r], sequence, frames).astype("<" + np.dtype(dtype).str[1:])
            np.save(data / f"{name}{f'_R{r}' if r else ''}{suffix}.npy", array)
    for split, chosen in (("train.csv", rows), ("val.csv", rows[:1])):
        with open(pathlib.Path(out) / split, "w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([("name", "seqres"), *chosen])
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--proteins", type=int, help="default: one a length")
    parser.add_argument("--lengths", default="12,20,40", help="residues, taken in turn")
    parser.add_argument("--frames", type=int, default=251)
    parser.add_argument("--replicas", type=int, default=3, help="0: the layout without atlas")
    parser.add_argument("--dtype", choices=["float16", "float32"], default="float16")
    parser.add_argument("--suffix", default="")
    parser.add_argument("--seed", type=int, default=0)
    options = vars(parser.parse_args())
    options["lengths"] = [int(length) for length in options["lengths"].split(",")]
    for name, sequence in make(**options):
        print(name, len(sequence))


if __name__ == "__main__":
    main()
