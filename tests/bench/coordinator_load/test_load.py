"""mdgen-load with few ranks: all that the full measurement does, in a few seconds. Values are not judged."""

import json
import os
import subprocess

import pytest

PROGRAM = os.path.join(os.environ["MDGEN_BIN_DIR"], "mdgen-load")


def load(*flags):
    return subprocess.run([PROGRAM, *flags], capture_output=True, text=True, timeout=100)


@pytest.mark.parametrize("backend", ["nccl", "gloo"])
def test_no_heartbeat_is_lost_and_no_call_fails(backend, tmp_path):
    done = load("--ranks", "24", "--jobs", "2", "--entries", "12", "--beat", "0.1", "--step", "0.05",
                "--checkpoint_every", "4", "--measure", "1.5", "--arrivals", "0", "--backend", backend,
                "--patience", "60", "--folder", str(tmp_path), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    [run] = json.loads(done.stdout)
    assert run["good"] and run["lost_heartbeats"] == 0 and run["failed_rpcs"] == 0 and not run["problems"]
    assert set(run["phases"]) == {"start", "steady", "restart", "stop"}
    assert run["assignments"] == 48, "24 ranks, and again after the crash"
    assert run["assignment_bytes"] / run["assignments"] < 20_000, "the manifest is not in it"
    calls = {name: phase["calls"] for name, phase in run["phases"].items()}
    posts = {"nccl": 24, "gloo": 72}[backend]
    assert calls["start"]["register"]["count"] == 24
    for phase in ("start", "restart"):
        assert calls[phase]["exchange"]["count"] == calls[phase]["rendezvous"]["count"] == posts
    for call in ("beat", "step", "checkpoint"):
        seen = calls["steady"][call]
        assert seen["count"] > 0 and 0 < seen["p50_ms"] <= seen["p99_ms"] <= seen["max_ms"]
    assert calls["steady"]["beat"]["count"] >= 24 * 5
    assert run["phases"]["steady"]["coordinator_cores"] >= 0 and run["resident_bytes"] > 0
    assert not list(tmp_path.iterdir()), "its folder is removed"


def test_what_cannot_be_is_refused(tmp_path):
    odd = load("--ranks", "10", "--jobs", "3", "--folder", str(tmp_path))
    assert odd.returncode == 1 and "10 ranks cannot be 3 equal jobs" in odd.stderr
    none = load("--ranks", "2", "--jobs", "1", "--coordinator", "/nowhere/mdgen-coordinator", "--folder", str(tmp_path))
    assert none.returncode == 1 and "/nowhere/mdgen-coordinator" in none.stderr
    assert load("--nonsense").returncode == 2
