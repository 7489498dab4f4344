"""mdgen-sample on models with drawn weights: what it writes, what it depends on, what it refuses."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

import mdtraj
import numpy as np
import pytest
from synthetic_dataset import SIDE_CHAINS, make

BIN = pathlib.Path(os.environ["MDGEN_BIN_DIR"])
SAMPLE = BIN / "mdgen-sample"
WRITE_CHECKPOINT = BIN.parent / "tests" / "write_checkpoint"
FRAMES = 8  # that the models are trained with
SMALL = "--embed_dim 16 --num_layers 1 --mha_heads 2 --ipa_heads 2 --ipa_head_dim 4 --prepend_ipa --ema"
# A loose tolerance of the solver: these models' flows are no smooth ones.
QUICK = ["--rtol", 0.05, "--atol", 0.05, "--threads", 1]
MODELS = {
    "sim": "--sim_condition",
    "tps": "--tps_condition",
    "upsample": "--sim_condition --cond_interval 4",
    "design": "--inpainting --design --no_aa_emb --no_torsion --frame_interval 2 --sampling_method euler --ode_steps 5",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A data set of five tetrapeptides (one of them a residue longer) and a run folder of each kind of model."""
    folder = tmp_path_factory.mktemp("world")
    rows = make(folder, [4, 4, 5, 4, 4], 30, replicas=0, dtype="float32")
    for name, flags in MODELS.items():
        subprocess.run(
            [WRITE_CHECKPOINT, folder / "runs" / name, *f"{SMALL} {flags}".split(), "--num_frames", str(FRAMES), "--crop",
             "8", "--train_split", folder / "train.csv", "--val_split", folder / "train.csv", "--data_dir", folder / "data"],
            check=True, stdout=subprocess.DEVNULL)
    return folder, dict(rows)


def sample(world, verb, out, *flags, code=0, model=None):
    command = [SAMPLE, verb, "--ckpt", world[0] / "runs" / (model or verb), "--out_dir", out, *QUICK, *flags]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def upsample(world, out, *flags, **more):
    return sample(world, "upsample", out, "--suffix", "", *flags, **more)


def tps(world, out, *flags, **more):
    return sample(world, "tps", out, "--start_idx", 0, "--end_idx", -1, *flags, **more)


def names(sequence):
    return [name for letter in sequence for name in ["N", "CA", "C", "O"] + [atom[0] for atom in SIDE_CHAINS[letter]]]


def check_files(out, stem, sequence, frames):
    """XTC, PDB and .npy of one trajectory agree and are finite."""
    traj = mdtraj.load(out / f"{stem}.xtc", top=out / f"{stem}.pdb")
    assert traj.n_frames == frames and [atom.name for atom in traj.top.atoms] == names(sequence)
    assert np.isfinite(traj.xyz).all()
    atom14 = np.load(out / f"{stem}.npy")
    assert atom14.shape == (frames, len(sequence), 14, 3) and atom14.dtype == np.float32
    first = np.concatenate([atom14[0, i, : len(names(letter))] for i, letter in enumerate(sequence)])
    np.testing.assert_allclose(traj.xyz[0] * 10, first, atol=6e-3)
    np.testing.assert_allclose(mdtraj.load(out / f"{stem}.pdb").xyz[0] * 10, first, atol=6e-4)
    return atom14


def test_simulation_chains_its_rollouts(world, tmp_path):
    done = sample(world, "sim", tmp_path, "--num_rollouts", 3, "--xtc", "--npy", "--pdb_id", "synth0", "synth2",
                  "--time_step", 10)
    assert done.stdout.splitlines()[-1] == "samples: 2 done, 0 skipped, 0 failed"
    for name in ("synth0", "synth2"):
        chained = check_files(tmp_path, name, world[1][name], FRAMES + 2 * (FRAMES - 1))
        record = json.loads((tmp_path / f"{name}_metadata.json").read_text())
        assert len(record) == 1 and record[0]["name"] == name and record[0]["frames"] == 22
        assert record[0]["seed"] == 137 and record[0]["weights"] == "ema" and record[0]["step"] == 5
        assert "step-000000005-g0001" in record[0]["checkpoint"] and len(record[0]["evaluations"]) == 3
    np.testing.assert_allclose(mdtraj.load(tmp_path / "synth0.xtc", top=tmp_path / "synth0.pdb").time[:2], [0, 10])
    assert not (tmp_path / "synth1.pdb").exists()
    assert not list(tmp_path.glob("*.partial")) and not list(tmp_path.glob("*progress*"))

    # The original keeps each block's first frame, which shows the boundary again.
    kept = tmp_path / "kept"
    sample(world, "sim", kept, "--num_rollouts", 3, "--npy", "--pdb_id", "synth2", "--reference_compat")
    blocks = np.load(kept / "synth2.npy").reshape(3, FRAMES, 5, 14, 3)
    np.testing.assert_array_equal(np.concatenate([blocks[0], blocks[1, 1:], blocks[2, 1:]]), chained)


def test_more_rollouts_and_another_place_leave_the_simulation_alone(world, tmp_path):
    """The first block is the same whatever follows; a protein that is moved as a whole moves its simulation."""
    flags = ["--npy", "--pdb_id", "synth0", "--sampling_method", "euler", "--ode_steps", 10]
    sample(world, "sim", tmp_path / "one", "--num_rollouts", 1, *flags)
    sample(world, "sim", tmp_path / "two", "--num_rollouts", 2, *flags)
    one, two = (np.load(tmp_path / name / "synth0.npy") for name in ("one", "two"))
    np.testing.assert_array_equal(two[:FRAMES], one)

    turn, shift = np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]]), [30, -20, 10]
    data = tmp_path / "data"
    data.mkdir()
    atom14 = np.load(world[0] / "data/synth0.npy")
    present = np.abs(atom14).sum(-1, keepdims=True) > 0
    np.save(data / "synth0.npy", ((atom14 @ turn + shift) * present).astype(np.float32))
    sample(world, "sim", tmp_path / "moved", "--num_rollouts", 2, "--data_dir", data, *flags)
    moved = np.load(tmp_path / "moved" / "synth0.npy")
    present = np.abs(two).sum(-1) > 0
    difference = np.abs(moved[present] - (two @ turn + shift)[present])
    assert difference.mean() < 0.02 and difference.max() < 0.5  # of 40 Å, by rounding


def test_simulation_without_xtc_is_one_pdb_of_all_frames(world, tmp_path):
    sample(world, "sim", tmp_path, "--num_rollouts", 1, "--num_frames", 5, "--pdb_id", "synth1")
    traj = mdtraj.load(tmp_path / "synth1.pdb")
    assert traj.n_frames == 5 and [atom.name for atom in traj.top.atoms] == names(world[1]["synth1"])
    assert [residue.resSeq for residue in traj.top.residues] == [1, 2, 3, 4]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["synth1.pdb", "synth1_metadata.json"]


def test_a_sample_depends_on_the_seed_alone(world, tmp_path):
    def run(name, *flags):
        sample(world, "sim", tmp_path / name, "--num_rollouts", 2, "--npy", *flags)
        return {path.stem: np.load(path) for path in (tmp_path / name).glob("*.npy")}

    one = run("one")
    assert set(one) == {f"synth{i}" for i in range(5)}
    again = run("again")
    batched = run("batched", "--batch_size", 4)
    chosen = run("chosen", "--pdb_id", "synth3", "--chunk_idx", 1, "--n_chunks", 2)
    other = run("other", "--seed", 1, "--pdb_id", "synth3")
    assert set(chosen) == {"synth3"}
    for name, array in one.items():
        np.testing.assert_array_equal(again[name], array)
        np.testing.assert_allclose(batched[name], array, atol=1e-2)
    np.testing.assert_array_equal(chosen["synth3"], one["synth3"])
    assert np.abs(other["synth3"] - one["synth3"]).max() > 0.1


def test_averaged_weights_unless_raw_ones_are_asked_for(world, tmp_path):
    flags = ["--num_rollouts", 1, "--npy", "--pdb_id", "synth0"]
    arrays = {}
    for kind, more in {"default": [], "ema": ["--weights", "ema"], "raw": ["--weights", "raw"]}.items():
        done = sample(world, "sim", tmp_path / kind, *flags, *more)
        arrays[kind] = np.load(tmp_path / kind / "synth0.npy")
        used = json.loads((tmp_path / kind / "synth0_metadata.json").read_text())[0]["weights"]
        assert used == ("raw" if kind == "raw" else "ema")
        assert ("raw weights of" if kind == "raw" else "averaged weights of") in done.stderr
    np.testing.assert_array_equal(arrays["default"], arrays["ema"])
    assert np.abs(arrays["raw"] - arrays["ema"]).max() > 0.1


def test_checkpoints_are_found_verified_and_named(world, tmp_path):
    flags = ["--num_rollouts", 1, "--pdb_id", "synth0"]
    run = world[0] / "runs/sim"
    good = next((run / "checkpoints").glob("step-*"))
    sample(world, "sim", tmp_path / "a", *flags, "--ckpt", good)
    sample(world, "sim", tmp_path / "b", *flags, "--ckpt", run / "checkpoints")
    mine = tmp_path / "run"
    shutil.copytree(run, mine)
    newer = mine / "checkpoints" / "step-000000005-g0002"
    shutil.copytree(good, newer)
    with open(newer / "model.safetensors", "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x7f")
    done = sample(world, "sim", tmp_path / "c", *flags, "--ckpt", mine)
    assert "step-000000005-g0002" in done.stderr and "step-000000005-g0001, step 5" in done.stderr
    assert "model.safetensors" in sample(world, "sim", tmp_path / "d", *flags, "--ckpt", newer, code=1).stderr
    assert "no such file" in sample(world, "sim", tmp_path / "d", *flags, "--ckpt", tmp_path / "no", code=1).stderr
    assert "neither a checkpoint" in sample(world, "sim", tmp_path / "d", *flags, "--ckpt", tmp_path, code=1).stderr


def test_solver_options_matter(world, tmp_path):
    flags = ["--num_rollouts", 1, "--npy", "--pdb_id", "synth0"]
    arrays = []
    for i, more in enumerate([["--sampling_method", "euler", "--ode_steps", 5], ["--sampling_method", "euler", "--ode_steps", 9],
                              ["--sampling_method", "dopri5", "--rtol", 1e-3]]):
        sample(world, "sim", tmp_path / str(i), *flags, *more)
        arrays.append(np.load(tmp_path / str(i) / "synth0.npy"))
        record = json.loads((tmp_path / str(i) / "synth0_metadata.json").read_text())[0]
        assert record["sampling_method"] == more[1]
        if more[1] == "euler":
            assert record["evaluations"] == [more[3]] and record["ode_steps"] == more[3]
    assert np.abs(arrays[0] - arrays[1]).max() > 1e-3 and np.abs(arrays[1] - arrays[2]).max() > 1e-3


def test_a_bad_protein_does_not_end_the_run(world, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(world[0] / "data", data)
    (data / "synth1.npy").unlink()
    array = np.load(data / "synth3.npy")
    array[0, 2, 1] = np.nan
    np.save(data / "synth3.npy", array)
    out = tmp_path / "out"
    done = sample(world, "sim", out, "--num_rollouts", 1, "--data_dir", data, "--batch_size", 4, code=1)
    lines = done.stdout.splitlines()
    assert lines[-1] == "samples: 3 done, 0 skipped, 2 failed"
    assert any(line.startswith("synth1  FAILED") and "synth1.npy: no such file" in line for line in lines)
    assert any(line.startswith("synth3  FAILED") and "not finite" in line and "residue 3" in line for line in lines)
    assert {path.name for path in out.glob("*.pdb")} == {"synth0.pdb", "synth2.pdb", "synth4.pdb"}

    shutil.copy(world[0] / "data/synth1.npy", data)
    shutil.copy(world[0] / "data/synth3.npy", data)
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.pdb")}
    done = sample(world, "sim", out, "--num_rollouts", 1, "--data_dir", data)
    assert done.stdout.splitlines()[-1] == "samples: 2 done, 3 skipped, 0 failed"
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())

    # The same folder for other samples is refused by name, unless it is to be overwritten.
    done = sample(world, "sim", out, "--num_rollouts", 1, "--seed", 3, "--pdb_id", "synth0", code=1)
    assert "seed 137 (asked for: 3)" in done.stdout
    sample(world, "sim", out, "--num_rollouts", 1, "--seed", 3, "--pdb_id", "synth0", "--overwrite")


def test_paths_from_frame_to_frame(world, tmp_path):
    tps(world, tmp_path, "--num_batches", 2, "--batch_size", 2, "--npy", "--pdb_id", "synth0")
    arrays = [check_files(tmp_path, f"synth0_{i}", world[1]["synth0"], FRAMES) for i in range(4)]
    assert all(np.abs(arrays[0] - array).max() > 0.1 for array in arrays[1:])
    records = json.loads((tmp_path / "synth0_metadata.json").read_text())
    assert [record["path"] for record in records] == [str(tmp_path / f"synth0_{i}.pdb") for i in range(4)]
    assert all((record["start_idx"], record["end_idx"]) == (0, 29) for record in records)

    # The frames are really used: another start is another path; the batch is not.
    other = tmp_path / "other"
    sample(world, "tps", other, "--start_idx", 5, "--end_idx", -1, "--num_batches", 4, "--batch_size", 1, "--npy",
           "--pdb_id", "synth0")
    assert np.abs(np.load(other / "synth0_0.npy") - arrays[0]).max() > 0.1
    single = tmp_path / "single"
    tps(world, single, "--num_batches", 4, "--batch_size", 1, "--npy", "--pdb_id", "synth0")
    for i in range(4):
        np.testing.assert_allclose(np.load(single / f"synth0_{i}.npy"), arrays[i], atol=1e-2)


def test_endpoints_from_a_file_or_an_earlier_runs_metadata(world, tmp_path):
    (tmp_path / "e.json").write_text(json.dumps({"synth0": {"start_idx": [1, 2], "end_idx": 20}}))
    flags = ["--num_batches", 3, "--batch_size", 2, "--pdb_id", "synth0", "synth1"]
    done = sample(world, "tps", tmp_path / "a", "--endpoints", tmp_path / "e.json", *flags, code=1)
    assert "e.json has no frames for synth1" in done.stdout
    first = json.loads((tmp_path / "a/synth0_metadata.json").read_text())
    assert {record["start_idx"] for record in first} == {1, 2} and {record["end_idx"] for record in first} == {20}
    flags = ["--num_batches", 3, "--batch_size", 2, "--pdb_id", "synth0"]
    sample(world, "tps", tmp_path / "b", "--endpoints", tmp_path / "a", *flags)
    second = json.loads((tmp_path / "b/synth0_metadata.json").read_text())
    assert [record["start_idx"] for record in second] == [record["start_idx"] for record in first]
    done = sample(world, "tps", tmp_path / "c", "--start_idx", 0, "--end_idx", 30, *flags, code=1)
    assert "synth0.npy: end_idx 30: the array has 30 frames" in done.stdout


def test_an_interrupted_run_goes_on(world, tmp_path):
    flags = ["--num_batches", 40, "--batch_size", 2, "--npy", "--pdb_id", "synth0"]
    command = [SAMPLE, "tps", "--ckpt", world[0] / "runs/tps", "--out_dir", tmp_path, *QUICK, "--start_idx", 0, "--end_idx",
               -1, *flags]
    running = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (tmp_path / "synth0_progress.json").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == -signal.SIGINT
    assert not (tmp_path / "synth0_metadata.json").exists()
    finished = json.loads((tmp_path / "synth0_progress.json").read_text())
    assert 2 <= len(finished) < 80
    for record in finished:
        check_files(tmp_path, f"synth0_{record['sample']}", world[1]["synth0"], FRAMES)
    before = {record["path"]: os.stat(record["path"]).st_mtime_ns for record in finished}

    flags[1] = len(finished) // 2 + 2
    tps(world, tmp_path, *flags)
    assert all(os.stat(path).st_mtime_ns == when for path, when in before.items())
    records = json.loads((tmp_path / "synth0_metadata.json").read_text())
    assert [record["sample"] for record in records] == list(range(2 * flags[1]))
    whole = tmp_path / "whole"
    tps(world, whole, *flags)
    for record in records:
        name = f"synth0_{record['sample']}.npy"
        np.testing.assert_array_equal(np.load(whole / name), np.load(tmp_path / name))
    assert "1 skipped" in tps(world, tmp_path, *flags).stdout


def test_upsampling_uses_every_key_frame(world, tmp_path):
    """30 key frames, two in a block of eight frames: fifteen blocks; with one array of 5 the last block is short."""
    upsample(world, tmp_path / "a", "--npy", "--pdb_id", "synth0", "--batch_size", 4)
    check_files(tmp_path / "a", "synth0", world[1]["synth0"], 120)
    data = tmp_path / "data"
    data.mkdir()
    np.save(data / "synth2.npy", np.load(world[0] / "data/synth2.npy")[:5])
    upsample(world, tmp_path / "b", "--npy", "--pdb_id", "synth2", "--data_dir", data)
    atom14 = check_files(tmp_path / "b", "synth2", world[1]["synth2"], 20)
    record = json.loads((tmp_path / "b/synth2_metadata.json").read_text())[0]
    assert record["key_frames"] == 5 and record["frames"] == 20 and record["cond_interval"] == 4
    upsample(world, tmp_path / "c", "--npy", "--pdb_id", "synth2", "--data_dir", data, "--batch_size", 2)
    np.testing.assert_allclose(np.load(tmp_path / "c/synth2.npy"), atom14, atol=1e-2)


def test_design_makes_sequences_and_structures_that_agree(world, tmp_path):
    flags = ["--num_batches", 2, "--batch_size", 2, "--npy", "--pdb_id", "synth0"]
    sample(world, "design", tmp_path / "a", "--random_start_idx", *flags)
    records = json.loads((tmp_path / "a/synth0_metadata.json").read_text())
    letters = "ARNDCQEGHILKMFPSTWYV"
    given = world[1]["synth0"]
    for i, record in enumerate(records):
        by_frame = np.array(record["aa_out"])
        assert by_frame.shape == (FRAMES, 4) and 0 <= by_frame.min() and by_frame.max() < 20
        # 15 frames count, every second one of 30.
        assert 0 <= record["start_idx"] <= 7 and record["end_idx"] == record["start_idx"] + FRAMES
        designed = "".join(residue.code for residue in mdtraj.load(tmp_path / f"a/synth0_{i}.pdb").top.residues)
        assert designed[0] == given[0] and designed[3] == given[3] and set(designed) <= set(letters)
        check_files(tmp_path / "a", f"synth0_{i}", designed, FRAMES)
    assert len({record["start_idx"] for record in records}) > 1

    single = ["--num_batches", 4, "--batch_size", 1, *flags[4:]]
    sample(world, "design", tmp_path / "b", "--random_start_idx", *single)
    sample(world, "design", tmp_path / "c", "--endpoints", tmp_path / "a", *single)
    sample(world, "design", tmp_path / "d", "--start_idx", records[1]["start_idx"], *single)
    for i, record in enumerate(records):
        for other in ("b", "c"):
            np.testing.assert_allclose(np.load(tmp_path / other / f"synth0_{i}.npy"),
                                       np.load(tmp_path / f"a/synth0_{i}.npy"), atol=1e-2)
            again = json.loads((tmp_path / other / "synth0_metadata.json").read_text())[i]
            assert again["start_idx"] == record["start_idx"]
    np.testing.assert_allclose(np.load(tmp_path / "d/synth0_1.npy"), np.load(tmp_path / "a/synth0_1.npy"), atol=1e-2)
    done = sample(world, "design", tmp_path / "e", "--start_idx", 8, *single, code=1)
    assert "synth0.npy" in done.stdout and "start_idx 8" in done.stdout


def test_a_model_of_atoms_without_frames(world, tmp_path):
    flags = "--sim_condition --no_frames --embed_dim 16 --num_layers 1 --mha_heads 2 --num_frames 6"
    subprocess.run([WRITE_CHECKPOINT, tmp_path / "run", *flags.split(), "--train_split", world[0] / "train.csv",
                    "--val_split", world[0] / "train.csv", "--data_dir", world[0] / "data"], check=True,
                   stdout=subprocess.DEVNULL)
    done = sample(world, "sim", tmp_path / "out", "--ckpt", tmp_path / "run", "--num_rollouts", 2, "--xtc", "--npy",
                  "--no_frames", "--pdb_id", "synth0")
    check_files(tmp_path / "out", "synth0", world[1]["synth0"], 11)
    assert "raw weights of" in done.stderr  # trained without a moving average
    done = sample(world, "sim", tmp_path / "no", "--ckpt", tmp_path / "run", "--weights", "ema", code=2)
    assert "holds no moving average" in done.stderr


def test_lightning_files(world, tmp_path):
    """Exported for the reference, a checkpoint gives the same samples."""
    flags = ["--num_rollouts", 1, "--npy", "--pdb_id", "synth0"]
    for name, more in {"raw.ckpt": [], "ema.ckpt": ["--weights", "ema"]}.items():
        subprocess.run([BIN / "mdgenctl", "checkpoints", "export", world[0] / "runs/sim", "--out", tmp_path / name, *more],
                       check=True, stdout=subprocess.DEVNULL)

    def run(out, *more):
        sample(world, "sim", tmp_path / out, *flags, *more)
        return np.load(tmp_path / out / "synth0.npy")

    ema, raw = run("a"), run("b", "--weights", "raw")
    np.testing.assert_array_equal(run("c", "--ckpt", tmp_path / "raw.ckpt"), ema)
    np.testing.assert_array_equal(run("d", "--ckpt", tmp_path / "raw.ckpt", "--weights", "raw"), raw)
    np.testing.assert_array_equal(run("e", "--ckpt", tmp_path / "ema.ckpt"), ema)
    done = sample(world, "sim", tmp_path / "f", *flags, "--ckpt", tmp_path / "ema.ckpt", "--weights", "raw", code=2)
    assert "averaged weights alone" in done.stderr


def test_refusals_say_why(world, tmp_path):
    for verb, model, reason in [("sim", "tps", "without sim_condition"), ("tps", "sim", "without tps_condition"),
                                ("upsample", "sim", "without cond_interval"), ("design", "sim", "without inpainting"),
                                ("sim", "upsample", "with cond_interval")]:
        more = ["--start_idx", 0] if verb in ("tps", "design") else []
        more += ["--end_idx", 1] if verb == "tps" else []
        done = sample(world, verb, tmp_path, *more, code=2, model=model)
        assert reason in done.stderr and str(world[0] / "runs" / model) in done.stderr
    assert "--start_idx and --end_idx" in sample(world, "tps", tmp_path, code=2).stderr
    assert "--pdb_id nobody: not in the split" in sample(world, "sim", tmp_path, "--pdb_id", "nobody", code=2).stderr
    assert "did you mean --num_rollouts?" in sample(world, "sim", tmp_path, "--num_rollout", 1, code=2).stderr
    for words, code in [([], 2), (["simm"], 2), (["--help"], 0), (["--version"], 0), (["sim", "--help"], 0), (["sim"], 2)]:
        done = subprocess.run([SAMPLE, *words], capture_output=True, text=True)
        assert done.returncode == code, done.stderr
    assert "did you mean sim?" in subprocess.run([SAMPLE, "simm"], capture_output=True, text=True).stderr
    assert not list(tmp_path.iterdir())
