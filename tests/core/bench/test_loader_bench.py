"""mdgen-bench loader on a small set: its JSON, its table, its refusals."""
import json
import os
import pathlib
import subprocess

import pytest

BENCH = pathlib.Path(os.environ["MDGEN_BIN_DIR"]) / "mdgen-bench"
SMALL = ["--entries", "2", "--frames", "9", "--residues", "20", "--crop", "12", "--samples", "6"]
TINY = ["--num_layers", "1", "--embed_dim", "16", "--mha_heads", "2", "--ipa_heads", "2", "--ipa_head_dim", "4",
        "--ipa_qk", "2", "--ipa_v", "2"]


def bench(*words):
    return subprocess.run([BENCH, *words], capture_output=True, text=True, timeout=100)


def measured(*words):
    done = bench("loader", "--json", "--threads", "1", *SMALL, *words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_reports_every_part(workers):
    result = measured("--num_workers", workers, "--batch_size", "2")
    assert result["samples"] == 6
    assert result["shape"] == "8 frames x 12 residues (float16)"
    # what a sample occupies, the residue before the window and the alignment included
    assert result["host"]["bytes_per_sample"] == pytest.approx(8 * 13 * 14 * 3 * 2, abs=64)
    for part in ("host", "features", "noise"):
        assert result[part]["samples_per_s"] > 0
    assert result["noise"]["kernel"] in ("portable", "avx2", "avx512")
    feed = result["feed"]
    assert feed["workers"] == int(workers)
    assert feed["samples_per_s"] == pytest.approx(6 / feed["seconds"])
    assert 0 <= feed["wait_share"] <= 1


def test_float32_has_twice_the_bytes():
    halves, floats = measured(), measured("--dtype", "float32")
    assert floats["host"]["bytes_per_sample"] == pytest.approx(2 * halves["host"]["bytes_per_sample"], abs=64)


def test_a_step_that_sleeps_hides_the_loader():
    feed = measured("--step", "sleep", "--step_ms", "40", "--num_workers", "1")["feed"]
    assert feed["seconds"] >= 6 * 0.04
    assert feed["wait_share"] < 0.5


def test_the_training_step():
    assert measured("--step", "train", "--num_workers", "1", *TINY)["feed"]["step"] == "train"


def test_table():
    done = bench("loader", "--threads", "1", *SMALL)
    assert done.returncode == 0, done.stderr
    for word in ("host: read and check", "features", "noise", "samples/s", "wait"):
        assert word in done.stdout


def test_refusals():
    assert bench("loder").returncode == 2
    assert "did you mean loader" in bench("loder").stderr
    unknown = bench("loader", "--num_wrkers", "2")
    assert unknown.returncode == 2
    assert "num_workers" in unknown.stderr
    assert bench("--help").returncode == 0
