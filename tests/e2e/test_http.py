"""HTTP and gRPC of a running coordinator: the documentation's examples, restarts, and clients that misbehave."""

import contextlib
import json
import pathlib
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from reflected import Reflected
from service import SOURCE, Service, make_dataset, wait_for
from test_openapi import call, spec


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("http")
    make_dataset(folder, "--proteins", 1, "--lengths", 16, "--frames", 40, "--replicas", 3)
    with Service(folder) as running:
        yield running


@pytest.fixture(scope="module")
def job(service):
    made = call(service, "POST", "/v1/jobs", {"spec": spec(service.folder, "documented")})
    wait_for(lambda: call(service, "GET", f"/v1/jobs/{made['id']}")["state"] == "QUEUED", 30, "queued")
    run = pathlib.Path(made["run_folder"])
    (run / "metrics.jsonl").write_text('{"step": 1, "loss": 0.5}\n{"step": 2, "loss": 0.25}\n')
    (run / "logs/rank-0.attempt-1.log").write_text("first\nsecond\n")
    return made["id"]


def examples():
    blocks = re.findall(r"```sh\n(.*?)```", (SOURCE / "docs/api.md").read_text(), re.S)
    return [line for block in blocks for line in block.splitlines() if line.startswith("curl")]


def test_the_examples_of_the_documentation_work(service, job):
    other = call(service, "POST", "/v1/jobs", {"spec": spec(service.folder, "ended")})["id"]
    assert len(examples()) >= 6
    for line in examples():
        target = other if "cancel" in line else job
        run = subprocess.run(
            ["bash", "-c", line.replace("curl -s", "curl -sS --fail-with-body")],
            env={"PATH": "/usr/bin:/bin", "HTTP": service.http, "JOB": target}, capture_output=True, text=True,
            timeout=20,
        )
        assert run.returncode == 0, f"{line}\n{run.stdout}{run.stderr}"
        if "text/plain" in line:
            assert run.stdout == "first\nsecond\n"
        else:
            json.loads(run.stdout)


def test_a_log_goes_on_after_the_coordinator_was_killed(service, job):
    log = pathlib.Path(call(service, "GET", f"/v1/jobs/{job}")["run_folder"]) / "logs/rank-0.attempt-1.log"
    piece = call(service, "GET", f"/v1/jobs/{job}/logs?limit=16")
    assert (piece["text"], piece["next_offset"], piece["ended"]) == ("first\nsecond\n", 13, False)
    service.coordinator.stop(signal.SIGKILL)
    with log.open("a") as file:
        file.write("third\n")
    service.start_coordinator()
    piece = call(service, "GET", f"/v1/jobs/{job}/logs?offset={piece['next_offset']}")
    assert piece["text"] == "third\n"
    assert call(service, "GET", f"/v1/jobs/{job}/logs?tail_bytes=13")["text"] == "second\nthird\n"


def test_reflection_is_enough_to_call_everything(service, job):
    client = Reflected(service.address)
    assert {"mdgen.v1.JobService", "mdgen.v1.PoolService", "grpc.health.v1.Health"} <= client.services()
    jobs = client.service("mdgen.v1.JobService")
    assert jobs["GetJob"](id=job).job.id == job
    assert [list(one.values) for one in jobs["GetMetrics"](id=job, names=["loss"]).series] == [[0.5, 0.25]]
    for name in ("", "mdgen.v1.JobService", "mdgen.v1.PoolService", "mdgen.v1.WorkerService"):
        assert client.health(name) == 1


def connect(service):
    host, port = service.http.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=10)


def test_stalled_connections_stop_no_probe(service):
    with contextlib.ExitStack() as stack:
        for number in range(64):
            client = stack.enter_context(connect(service))
            client.sendall(b"GET /v1/jobs HTTP/1.1\r\nX: " if number % 2 else b"POST /v1/jobs HTTP/1.1\r\nContent-Length: 5\r\n\r\n{")
        begin = time.monotonic()
        for _ in range(20):
            assert call(service, "GET", "/healthz")["status"] == "SERVING"
            call(service, "GET", "/v1/jobs")
        assert time.monotonic() - begin < 10


def resident_bytes(program):
    text = pathlib.Path(f"/proc/{program.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text).group(1)) << 10


def test_streams_that_nobody_reads_cost_little_memory_and_no_time(service, job):
    log = pathlib.Path(call(service, "GET", f"/v1/jobs/{job}")["run_folder"]) / "logs/rank-1.attempt-1.log"
    log.write_text(("x" * 99 + "\n") * 640_000)
    jobs = Reflected(service.address).service("mdgen.v1.JobService")
    before = resident_bytes(service.coordinator)
    streams = [jobs["StreamLogs"](id=job, rank=1, follow=True) for _ in range(25)]
    streams += [jobs["WatchJob"](id=job) for _ in range(25)]
    for stream in streams:
        next(stream)
    begin = time.monotonic()
    for _ in range(20):
        assert service.status(job)["id"] == job
    assert time.monotonic() - begin < 15
    grown = resident_bytes(service.coordinator) - before
    assert grown < 100 << 20, f"{grown >> 20} MB for 25 times 64 MB of log"
    for stream in streams:
        stream.cancel()


def test_a_client_that_reads_slowly_holds_a_bounded_answer(service, job):
    before = resident_bytes(service.coordinator)
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            client = stack.enter_context(connect(service))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(f"GET /v1/jobs/{job}/logs?rank=1&limit=1048576 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        wait_for(lambda: call(service, "GET", "/healthz"), 5, "healthy")
        assert resident_bytes(service.coordinator) - before < 300 << 20


def test_what_makes_no_sense_is_refused_with_the_culprit(service):
    def refusal(method, path, content=None):
        with pytest.raises(urllib.error.HTTPError) as refused:
            call(service, method, path, content)
        return refused.value.code, json.load(refused.value)["error"]["message"]

    assert refusal("GET", "/v1/jobs/nobody")[0] == 404
    assert refusal("GET", "/v1/jobs?page_size=x") == (400, 'page_size: "x" is not a whole number')
    assert refusal("POST", "/v1/jobs", {"spec": {"optim": {"lr": "big"}}}) == (400, "spec.optim.lr: must be a number")
    status, message = refusal("POST", "/v1/jobs", {"spec": {"name": "a", "work_dir": "runs"}})
    assert status == 400 and message == 'work_dir: "runs" is relative; over HTTP paths must be absolute'


def test_it_says_that_it_stops(tmp_path):
    make_dataset(tmp_path, "--proteins", 1, "--lengths", 16, "--frames", 40, "--replicas", 3)
    with Service(tmp_path) as running:
        assert call(running, "GET", "/readyz")["status"] == "SERVING"
        begin = time.monotonic()
        assert running.coordinator.stop() == 0
        assert time.monotonic() - begin < 10
