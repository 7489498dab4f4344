"""What a person sees of the examination of a data set: through the real service, without a trainer."""

import json
import os
import pathlib
import subprocess

import numpy as np
import pytest

from service import BIN, Program, Service, make_dataset

SPEC = (
    "--sim_condition --atlas --num_frames 8 --crop 24 --embed_dim 32 --num_layers 1 --mha_heads 4 --batch_size 2 "
    "--epochs 1"
).split()


@pytest.fixture
def data(tmp_path):
    make_dataset(tmp_path, "--proteins", 3, "--lengths", "12,14,16", "--frames", 12, "--replicas", 3)
    return tmp_path


@pytest.fixture
def service(tmp_path):
    with Service(tmp_path / "service") as running:
        yield running


def submit(service, data, name, *more):
    return service.submit("--", "--name", name, "--work_dir", service.folder / "runs", "--train_split",
                          data / "train.csv", "--val_split", data / "val.csv", "--data_dir", data / "data", *SPEC, *more)


def add_agent(service):
    """An agent whose trainer could not do anything."""
    agent = Program([BIN / "mdgen-worker", "--coordinator", service.address, "--trainer", "/bin/false"],
                    service.folder, f"worker-{len(service.workers)}")
    agent.ready_line(r"^ready worker=\S+$")
    service.workers.append(agent)
    return agent


def spoil(data):
    """25 problems, of several kinds."""
    arrays = data / "data"
    (arrays / "synth0_R1.npy").write_bytes(b"")
    np.save(arrays / "synth0_R2.npy", np.load(arrays / "synth0_R2.npy").astype(">f4"))
    np.save(arrays / "synth1_R1.npy", np.load(arrays / "synth1_R1.npy")[:5])
    whole = (arrays / "synth2_R3.npy").read_bytes()
    (arrays / "synth2_R3.npy").write_bytes(whole[:-1])
    with open(data / "train.csv", "a") as split:
        split.write("lower,acde\n")
        for i in range(20):
            split.write(f"absent{i},ACDE\n")


def check_refused(data, status):
    assert (status["state"], status["reason"]) == ("FAILED", "InvalidDataset")
    lines = status["message"].splitlines()
    listed = pathlib.Path(status["run_folder"]) / "preflight.json"
    assert lines[0] == "the data set has 25 problems:"
    assert lines[-2:] == ["  and 5 more", f"The whole list is in {listed}"]
    problems = json.loads(listed.read_text())["problems"]
    assert len(problems) == 25
    assert [line.strip() for line in lines[1:-2]] == problems[:20]
    reasons = ("letter 'a' at residue 1 is in lower case", "synth0_R1.npy: empty", "synth0_R2.npy: big-endian",
               "synth1_R1.npy: 5 frames", "synth2_R3.npy: truncated", "(absent0): none of absent0_R1.npy, _R2, _R3")
    for problem, reason in zip(problems, reasons):
        assert reason in problem


def states(status):
    return [transition["state"] for transition in status["transitions"]]


def test_a_bad_data_set_is_refused_before_any_worker_is_used(service, data):
    spoil(data)
    job = submit(service, data, "bad")
    followed = service.ctl("watch", job)
    assert followed.returncode == 1 and "the data set has 25 problems" in followed.stdout
    check_refused(data, service.status(job))
    assert states(service.status(job)) == ["VALIDATING", "FAILED"]


def test_a_worker_examines_what_the_coordinator_may_not_see(service, data):
    here = service.wait(submit(service, data, "here"), condition=lambda job: job["state"] == "QUEUED")
    there = submit(service, data, "there", "--preflight", "worker")
    assert service.ctl("cancel", here["id"]).returncode == 0
    waiting = service.wait(there, condition=lambda job: job["reason"] == "Unsatisfiable")
    assert waiting["state"] == "VALIDATING"
    assert waiting["message"] == "the examination of the data set needs 1 free worker; the pool has 0, 0 of them free"

    agent = add_agent(service)
    done = service.wait(there, condition=lambda job: "QUEUED" in states(job))
    assert done["manifest_digest"] == here["manifest_digest"] and len(done["manifest_digest"]) == 64
    assert "examining the data set of" in agent.err.read_text()
    assert f"data digest   {done['manifest_digest']}" in service.ctl("status", there).stdout
    manifests = [json.loads((pathlib.Path(job["run_folder"]) / "manifest.json").read_text()) for job in (here, done)]
    assert manifests[0] == manifests[1]


def test_what_a_worker_finds_wrong_is_told_in_full(service, data):
    add_agent(service)
    spoil(data)
    job = submit(service, data, "bad", "--preflight", "worker")
    check_refused(data, service.wait(job))
    assert states(service.status(job)) == ["VALIDATING", "FAILED"]


def test_content_is_verified_on_demand(service, data):
    job = submit(service, data, "run")
    folder = pathlib.Path(service.wait(job, condition=lambda job: job["state"] == "QUEUED")["run_folder"])
    first = service.ctl("data", "verify", job)
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("arrays: 9, ") and "0 as recorded" in first.stdout and "recorded now" in first.stdout
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", folder / "data.sha256"], cwd=data / "data", check=True)
    again = json.loads(service.ctl("data", "verify", job, "-o", "json").stdout)
    assert (again["arrays"], again["as_recorded"], again["problems"]) == (9, 9, [])
    assert again["digest"] in first.stdout

    array = data / "data" / "synth1_R2.npy"
    times = array.stat()
    content = bytearray(array.read_bytes())
    content[1000] ^= 1
    array.write_bytes(content)
    os.utime(array, ns=(times.st_atime_ns, times.st_mtime_ns))
    changed = service.ctl("data", "verify", str(folder))
    assert changed.returncode == 1
    assert changed.stdout.startswith(f"BAD  {array}: SHA-256 ") and "8 as recorded" in changed.stdout
    assert subprocess.run(["sha256sum", "--check", "--status", folder / "data.sha256"], cwd=data / "data").returncode == 1
