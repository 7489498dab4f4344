"""The programs' doors: a coordinator that others can reach takes TLS and a token, and nobody finds the token out."""

import json
import os
import pathlib
import re
import subprocess

import pytest
from secrets_of import everything_about, processes_below
from service import BIN, Program, make_dataset, wait_for

FAKE_TRAINER = BIN.parent / "tests" / "fake_trainer"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    make_dataset(folder, "--proteins", 1, "--lengths", 5, "--frames", 4, "--replicas", 1)
    return folder


class Coordinator(Program):
    def __init__(self, folder, *options, name="coordinator"):
        super().__init__([BIN / "mdgen-coordinator", "--listen", "0.0.0.0:0", "--http", "", "--state_dir",
                          folder / "state", *options], folder, name, {"MDGEN_LOG": "trace"})
        ready = self.ready_line(r"^access ca=(\S+) token_file=(\S+)\nready grpc=0.0.0.0:(\d+) http=$")
        self.ca, self.token_file = pathlib.Path(ready.group(1)), pathlib.Path(ready.group(2))
        self.address = f"127.0.0.1:{ready.group(3)}"
        self.token = self.token_file.read_text().strip()


def worker(coordinator, folder, name, *options, patience=60, environment=None):
    return Program([BIN / "mdgen-worker", "--coordinator", coordinator.address, "--trainer", FAKE_TRAINER,
                    "--connect_timeout", patience, *options], folder, name, {"MDGEN_LOG": "trace", **(environment or {})})


def ctl(coordinator, *arguments, environment=None):
    return subprocess.run([str(BIN / "mdgenctl"), "--address", coordinator.address, *map(str, arguments)],
                          capture_output=True, text=True, timeout=60, env={**os.environ, **(environment or {})})


@pytest.fixture
def coordinator(tmp_path):
    program = Coordinator(tmp_path)
    yield program
    program.stop()


def test_job_runs_and_the_token_is_nowhere_to_be_seen(coordinator, data, tmp_path):
    access = {"MDGEN_TOKEN": coordinator.token, "MDGEN_CA": str(coordinator.ca)}
    agent = worker(coordinator, tmp_path, "worker", environment=access)
    agent.ready_line(r"^ready worker=\S+$")
    run = ctl(coordinator, "submit", "-o", "json", "--", "--train_split", data / "train.csv", "--val_split",
              data / "val.csv", "--data_dir", data / "data", "--atlas", "--num_frames", 2, "--max_steps", 5, "--work_dir",
              tmp_path / "runs", "--run_name", "endless", environment=access)
    assert run.returncode == 0, run.stderr
    job = json.loads(run.stdout)["id"]
    log = tmp_path / "runs/endless/logs/rank-0.attempt-1.log"
    wait_for(lambda: log.exists() and "plays endless" in log.read_text(), 30, "the trainer")
    trainers = processes_below(agent.process.pid)
    assert trainers
    for pid in [*trainers, coordinator.process.pid]:
        assert coordinator.token not in everything_about(pid)
    assert coordinator.token not in pathlib.Path(f"/proc/{agent.process.pid}/cmdline").read_text()
    assert ctl(coordinator, "cancel", job, "--ca", coordinator.ca, "--token_file", coordinator.token_file).returncode == 0
    assert agent.stop() == 0
    for file in tmp_path.rglob("*"):
        if file.is_file() and file != coordinator.token_file:
            assert coordinator.token.encode() not in file.read_bytes(), file


def test_secrets_are_their_owners_alone(coordinator):
    for secret in (coordinator.token_file, coordinator.token_file.parent / "tls.key"):
        assert secret.stat().st_mode & 0o777 == 0o600
    assert re.fullmatch("[0-9a-f]{64}", coordinator.token)


def test_wrong_token_ends_an_agent_at_once_and_is_told(coordinator, tmp_path):
    wrong = "w" * 40
    agent = worker(coordinator, tmp_path, "worker", "--ca", coordinator.ca,
                   environment={"MDGEN_TOKEN": wrong})
    assert agent.process.wait(10) == 1
    said = agent.err.read_text()
    assert "the token is not this coordinator's" in said and wrong not in said
    run = ctl(coordinator, "list", "--ca", coordinator.ca, environment={"MDGEN_TOKEN": wrong})
    assert run.returncode == 1 and "the token is not this coordinator's" in run.stderr and wrong not in run.stderr
    assert coordinator.token not in coordinator.err.read_text() and wrong not in coordinator.err.read_text()


def test_no_token_ends_an_agent_at_once_and_is_told(coordinator, tmp_path):
    agent = worker(coordinator, tmp_path, "worker", "--ca", coordinator.ca)
    assert agent.process.wait(10) == 1
    assert "needs a token" in agent.err.read_text()
    run = ctl(coordinator, "list", "--ca", coordinator.ca)
    assert run.returncode == 1 and "needs a token" in run.stderr


def test_plain_clients_and_wrong_certificates_get_no_connection(coordinator, tmp_path):
    agent = worker(coordinator, tmp_path, "plain", patience=3)
    (tmp_path / "other").mkdir()
    other = Coordinator(tmp_path / "other")
    misled = worker(coordinator, tmp_path, "misled", "--ca", other.ca, "--token_file", other.token_file, patience=3)
    other.stop()
    assert agent.process.wait(20) == 1 and misled.process.wait(20) == 1
    assert "certificate verify failed" in misled.err.read_text()
    run = ctl(coordinator, "list")
    assert run.returncode == 4 and "if it uses TLS, --ca and --token_file must be given" in run.stderr
    run = ctl(coordinator, "list", environment={"MDGEN_TOKEN": coordinator.token})
    assert run.returncode == 2 and "not sent in clear text" in run.stderr and coordinator.token not in run.stderr


def test_clients_go_on_after_a_restart(tmp_path):
    first = Coordinator(tmp_path)
    first.stop()
    second = Coordinator(tmp_path, name="again")
    run = ctl(second, "list", "--ca", first.ca, environment={"MDGEN_TOKEN": first.token})
    second.stop()
    assert run.returncode == 0, run.stderr


def test_certificate_and_token_of_ones_own(tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                    "2", "-subj", "/CN=me", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout",
                    tmp_path / "key", "-out", tmp_path / "crt"], check=True, capture_output=True)
    (tmp_path / "token").write_text("0123456789abcdef\n")
    program = Coordinator(tmp_path, "--tls_cert", tmp_path / "crt", "--tls_key", tmp_path / "key", "--token_file",
                          tmp_path / "token")
    environment = {"MDGEN_TOKEN": "0123456789abcdef", "MDGEN_CA": str(tmp_path / "crt")}
    run = ctl(program, "list", environment=environment)
    assert run.returncode == 0, run.stderr
    program.stop()
