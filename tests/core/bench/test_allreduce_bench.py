"""mdgen-bench allreduce with few bytes: its JSON, its table, its refusals."""
import json
import os
import pathlib
import re
import subprocess

import pytest

BENCH = pathlib.Path(os.environ["MDGEN_BIN_DIR"]) / "mdgen-bench"


def bench(*words):
    return subprocess.run([BENCH, "allreduce", *words], capture_output=True, text=True, timeout=100)


def measured(*words):
    done = bench("--json", "--rounds", "3", *words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("ranks", [2, 3])
def test_bandwidths_of_each_bucket_size(ranks):
    result = measured("--ranks", str(ranks), "--mbytes", "2.5", "--bucket_mbytes", "0.3,1,8")
    assert result["ranks"] == ranks and result["backend"] == "gloo" and result["rounds"] == 3
    assert result["bytes"] == 2.5 * 2**20 and result["parameters"] == 10
    assert [bucket["bucket_mbytes"] for bucket in result["buckets"]] == [0.3, 1, 8]
    for bucket in result["buckets"]:
        assert 0 < bucket["seconds_min"] <= bucket["seconds"] <= bucket["seconds_max"]
        assert bucket["algorithm_bytes_per_second"] == pytest.approx(result["bytes"] / bucket["seconds"])
        assert bucket["bus_bytes_per_second"] == pytest.approx(
            bucket["algorithm_bytes_per_second"] * 2 * (ranks - 1) / ranks)


def test_the_gradients_are_those_of_the_model():
    small = measured("--embed_dim", "32", "--bucket_mbytes", "1")
    large = measured("--embed_dim", "64", "--bucket_mbytes", "1")
    assert small["parameters"] == large["parameters"] > 100
    assert small["bytes"] < large["bytes"]


def test_table():
    done = bench("--mbytes", "1", "--rounds", "1", "--bucket_mbytes", "1,4")
    assert done.returncode == 0, done.stderr
    assert "2 ranks over Gloo" in done.stdout and "bus, MB/s" in done.stdout
    assert len(re.findall(r"^ +[14] +\d", done.stdout, re.M)) == 2


@pytest.mark.parametrize("words, name", [(["--ranks", "1"], "--ranks"), (["--bucket_mbytes", "1,0"], "--bucket_mbytes"),
                                         (["--mbytes", "-1"], "--mbytes"), (["--rnks", "2"], "--rnks"),
                                         (["--embed_dim", "7"], "embed_dim")])
def test_refusals_name_the_culprit(words, name):
    done = bench(*words)
    assert done.returncode == 2
    assert name in done.stderr
