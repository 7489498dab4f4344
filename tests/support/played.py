"""mdgen-launch with a trainer that only plays (tests/services/worker/fake_trainer.cpp): what happens is the run's name."""

import os
import pathlib
import subprocess

from service import BIN

FAKE_TRAINER = BIN.parent / "tests" / "fake_trainer"


class Launch:
    def __init__(self, place, play, *options, slots=2, prefix=(), environment=None):
        data = place / "data"
        self.place = place
        self.run_folder = place / "work" / "workdir" / play
        local = [] if prefix else ["-n", slots]
        command = [*prefix, BIN / "mdgen-launch", *local, "--trainer", FAKE_TRAINER, "train", "--train_split",
                   data / "train.csv", "--val_split", data / "val.csv", "--data_dir", data / "data", "--atlas",
                   "--num_frames", 2, "--max_steps", 5, "--run_name", play, *options]
        self.process = subprocess.Popen(
            [str(word) for word in command], cwd=place / "work", text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=True,
            env={**os.environ, "TMPDIR": str(place / "tmp"), **(environment or {})})

    def await_line(self, text):
        for line in self.process.stdout:
            if text in line:
                return line
        raise AssertionError(f"no line with '{text}'; {self.process.stderr.read()}")

    def end(self, status):
        out, err = self.process.communicate(timeout=60)
        assert self.process.returncode == status, out + err
        assert not list((self.place / "tmp").glob("mdgen-launch-*")), "its state folder is left"
        return out, err


def children(pid):
    listing = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout
    return [int(child) for child in listing.split()]


def gone(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def summary(out):
    return out.strip().splitlines()[-1]
