"""mdgen-bench checkpoint on a small model: its JSON, its table, its refusals."""
import json
import os
import pathlib
import subprocess

import pytest

BENCH = pathlib.Path(os.environ["MDGEN_BIN_DIR"]) / "mdgen-bench"
TINY = ["--num_layers", "1", "--embed_dim", "16", "--mha_heads", "2", "--ipa_heads", "2", "--ipa_head_dim", "4",
        "--ipa_qk", "2", "--ipa_v", "2"]
TIMES = ("plain_copy", "fresh_copy", "blocked", "durable", "persist", "verify", "read", "load", "restore")


def bench(*words):
    return subprocess.run([BENCH, "checkpoint", *words], capture_output=True, text=True, timeout=100)


def measured(folder, *words):
    done = bench("--json", "--threads", "1", "--rounds", "3", "--dir", str(folder), *TINY, *words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_reports_every_part_and_leaves_nothing(tmp_path):
    result = measured(tmp_path)
    assert result["rounds"] == 3 and result["dir"] == str(tmp_path)
    for name in TIMES:
        assert 0 < result[f"{name}_seconds_min"] <= result[f"{name}_seconds"] <= result[f"{name}_seconds_max"], name
    assert result["blocked_seconds_min"] <= result["blocked_seconds_first"] <= result["blocked_seconds_max"]
    for part in ("verify", "read", "load"):
        assert result[f"{part}_seconds_max"] < result["restore_seconds_max"]
    assert result["restore_seconds_min"] >= sum(result[f"{part}_seconds_min"] for part in ("verify", "read", "load"))
    assert result["write_bytes_per_second"] == pytest.approx(result["file_bytes"] / result["durable_seconds"])
    assert result["restore_bytes_per_second"] == pytest.approx(result["file_bytes"] / result["restore_seconds"])
    assert result["bytes"] < result["file_bytes"] < 2 * result["bytes"] + 100_000
    assert not list(tmp_path.iterdir())


def test_the_state_is_weights_moments_and_average(tmp_path):
    whole, without = measured(tmp_path), measured(tmp_path, "--ema=false")
    assert without["bytes"] == pytest.approx(0.75 * whole["bytes"], rel=0.02)
    assert without["tensors"] < whole["tensors"]


def test_half_precision_weights_have_whole_masters(tmp_path):
    assert measured(tmp_path, "--precision", "bf16-true")["bytes"] == measured(tmp_path)["bytes"]


def test_table(tmp_path):
    done = bench("--threads", "1", "--rounds", "1", "--dir", str(tmp_path), *TINY)
    assert done.returncode == 0, done.stderr
    for word in ("the step waits", "fsynced", "read back", "restore", "MB/s"):
        assert word in done.stdout


def test_a_disk_that_cannot_be_written_is_named(tmp_path):
    done = bench("--rounds", "1", "--dir", "/proc", *TINY)
    assert done.returncode == 1
    assert "/proc" in done.stderr


@pytest.mark.parametrize("words, name", [(["--dir", "/nowhere"], "/nowhere"), (["--rounds", "0"], "--rounds"),
                                         (["--rouns", "2"], "--rouns"), (["--precision", "8-bit"], "optim.precision")])
def test_refusals_name_the_culprit(words, name):
    done = bench(*words)
    assert done.returncode == 2
    assert name in done.stderr
