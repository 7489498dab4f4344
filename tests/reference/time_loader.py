"""Times the original's data set and mdgen-bench loader on the same arrays, in turns.

usage: time_loader.py --reference DIR [--bin build/bin] [--rounds N] [--residues N] [--frames N] [--crop N]

DIR: a checkout of the original, of which mdgen/dataset.py is used as it is (pandas is stubbed: the data set needs
a table by name of it). One thread each. Prints the milliseconds that a sample takes, by round, and the ratio of the
medians: reading alone, and reading with features and noise.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import types

os.environ["OMP_NUM_THREADS"] = "1"
sys.dont_write_bytecode = True

import numpy as np
import torch

import original

LETTERS = "ARNDCQEGHILKMFPSTWYV"


class Table:
    """What MDGenDataset uses of a pandas data frame."""

    def __init__(self, rows):
        self.index = list(rows)
        self.seqres = rows

    def __len__(self):
        return len(self.index)


def stub(name, **members):
    module = types.ModuleType(name)
    module.__dict__.update(members)
    sys.modules.setdefault(name, module)


def read_csv(file, index_col):
    lines = pathlib.Path(file).read_text().split()
    return Table(dict(line.split(",") for line in lines[1:]))


def make_set(folder, options):
    """Ideal peptides would do as well: the arithmetic does not look at the values."""
    generator = np.random.default_rng(1)
    rows = ["name,seqres"]
    for entry in range(options.entries):
        sequence = "".join(generator.choice(list(LETTERS), options.residues))
        values = generator.normal(scale=10, size=(options.frames, options.residues, 14, 3)).astype(np.float16)
        for replica in (1, 2, 3):
            np.save(folder / f"made{entry}_R{replica}.npy", values)
        rows.append(f"made{entry},{sequence}")
    (folder / "split.csv").write_text("\n".join(rows) + "\n")


def theirs(dataset, samples):
    begin = time.perf_counter()
    for index in range(samples):
        dataset[index]
    return (time.perf_counter() - begin) / samples * 1e3


def ours(options, folder):
    command = [options.bin / "mdgen-bench", "loader", "--json", "--threads", "1", "--samples", str(4 * options.samples),
               "--config", folder / "job.yaml"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=pathlib.Path, required=True)
    parser.add_argument("--bin", type=pathlib.Path, default=pathlib.Path("build/bin"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--entries", type=int, default=4)
    parser.add_argument("--residues", type=int, default=351)
    parser.add_argument("--frames", type=int, default=251)
    parser.add_argument("--crop", type=int, default=256)
    options = parser.parse_args()
    torch.set_num_threads(1)
    stub("pandas", read_csv=read_csv)
    original.load(options.reference)
    from mdgen.dataset import MDGenDataset

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        make_set(folder, options)
        (folder / "job.yaml").write_text(
            f"data: {{train_split: {folder}/split.csv, data_dir: {folder}, atlas: true, num_frames: {options.frames - 1},"
            f" crop: {options.crop}, num_workers: 0, train_repeat: 100}}\nmodel: {{sim_condition: true, prepend_ipa: true}}\n")
        args = argparse.Namespace(overfit=False, overfit_peptide=None, atlas=True, data_dir=str(folder), suffix="",
                                  frame_interval=None, num_frames=options.frames - 1, overfit_frame=False,
                                  copy_frames=False, no_frames=False, crop=options.crop)
        dataset = MDGenDataset(args, folder / "split.csv")
        theirs(dataset, options.samples)
        rounds = []
        for _ in range(options.rounds):
            theirs_ms, measured = theirs(dataset, options.samples), ours(options, folder)
            host = measured["host"]["mean_ms"]
            whole = host + measured["features"]["mean_ms"] + measured["noise"]["mean_ms"]
            rounds.append((theirs_ms, host, whole))
            print(f"original {theirs_ms:.1f} ms, host part {host:.2f} ms, with features and noise {whole:.1f} ms", flush=True)
        middle = [statistics.median(column) for column in zip(*rounds)]
        print(f"medians: original {middle[0]:.1f}, host part {middle[1]:.2f} ({middle[0] / middle[1]:.0f}x), "
              f"with features and noise {middle[2]:.1f} ({middle[0] / middle[2]:.1f}x)")


if __name__ == "__main__":
    main()
