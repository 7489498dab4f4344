"""mdgen-bench step on a small model: its JSON, its table, its refusals."""
import json
import os
import pathlib
import subprocess

import pytest

BENCH = pathlib.Path(os.environ["MDGEN_BIN_DIR"]) / "mdgen-bench"
TINY = ["--num_layers", "1", "--embed_dim", "16", "--mha_heads", "2", "--ipa_heads", "2", "--ipa_head_dim", "4",
        "--ipa_qk", "2", "--ipa_v", "2"]
PARTS = ("data", "forward", "backward", "all_reduce", "optimizer")


def bench(*words):
    return subprocess.run([BENCH, "step", *words], capture_output=True, text=True, timeout=100)


def measured(*words):
    done = bench("--json", "--threads", "1", "--B", "2", "--T", "6", "--L", "16", "--steps", "3", *TINY, *words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_reports_every_part(precision):
    result = measured("--precision", precision)
    assert 0 < result["seconds_per_step_min"] <= result["seconds_per_step"]
    for part in PARTS[1:]:
        assert 0 < result[part + "_seconds"] < 2 * result["seconds_per_step"]
    assert result["data_seconds"] >= 0
    assert result["tokens_per_second"] == pytest.approx(2 * 6 * 16 / result["seconds_per_step"])
    assert result["percent_of_ceiling"] == pytest.approx(
        100 * result["flop_per_step"] / result["seconds_per_step"] / result["gemm_ceiling_flops"])
    assert 50e6 < result["peak_memory_bytes"] < 50e9
    assert result["precision"] == precision and result["valid"] == 16


def test_padding_is_trimmed_as_in_a_job():
    whole, half, cropped = measured(), measured("--valid", "8"), measured("--valid", "8", "--padding", "crop")
    assert half["flop_per_step"] < 0.6 * whole["flop_per_step"]
    assert cropped["flop_per_step"] == whole["flop_per_step"]


def test_the_same_seed_gives_the_same_loss():
    assert measured()["loss"] == measured()["loss"]


def test_table():
    done = bench("--threads", "1", "--T", "4", "--L", "8", "--steps", "1", *TINY)
    assert done.returncode == 0, done.stderr
    for word in ("step", "forward", "all-reduce", "optimizer", "tokens/s", "matrix products"):
        assert word in done.stdout


@pytest.mark.parametrize("words, name", [(["--valid", "200"], "--valid 200"), (["--B", "0"], "--B"),
                                         (["--precision", "8-bit"], "optim.precision"),
                                         (["--device", "tpu"], "--device")])
def test_refusals_name_the_culprit(words, name):
    done = bench(*words)
    assert done.returncode == 2
    assert name in done.stderr
