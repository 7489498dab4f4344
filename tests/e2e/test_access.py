"""Who comes in: roles, certificates that change under way, the audit log, paths, and secrets that stay secret."""

import http.client
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
import warnings

import pytest
from certificates import Authority
from secrets_of import everything_about, processes_below
from service import BIN, FINAL, SOURCE, Program, make_dataset, trainers_of, wait_for

FAKE_TRAINER = BIN.parent / "tests" / "fake_trainer"  # for tests that train nothing
FLAGS = ["--atlas", "--num_frames", 4, "--crop", 8, "--embed_dim", 16, "--num_layers", 1, "--mha_heads", 2, "--batch_size", 1,
         "--sim_condition", "--no_validate"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    make_dataset(folder, "--proteins", 1, "--lengths", 5, "--frames", 8, "--replicas", 1)
    return folder


class Coordinator(Program):
    """With TLS and tokens on loopback; `tokens` has one of each role, `http` and `grpc` its ports."""

    def __init__(self, folder, *options, name="coordinator", http="127.0.0.1:0", roles=True, environment=None):
        self.folder, self.state = pathlib.Path(folder), pathlib.Path(folder) / "state"
        self.tokens = {}
        for role in ("viewer", "submitter", "admin", "worker") if roles else ():
            self.tokens[role] = self.add_token(f"the-{role}", "--role", role)
        super().__init__([BIN / "mdgen-coordinator", "--listen", "127.0.0.1:0", "--http", http, "--state_dir", self.state,
                          *options], folder, name, {"MDGEN_LOG": "trace", **(environment or {})})
        ready = self.ready_line(r"^ready grpc=127.0.0.1:(\d+) http=(\S*)$")
        self.address = f"127.0.0.1:{ready.group(1)}"
        self.http = ready.group(2)
        access = re.search(r"^access ca=(\S+)", self.out.read_text(), re.M)
        self.ca = pathlib.Path(access.group(1)) if access else None

    def token_command(self, *words, check=True):
        run = subprocess.run([BIN / "mdgen-coordinator", "token", *map(str, words), "--state_dir", str(self.state)],
                             capture_output=True, text=True, timeout=60)
        assert not check or run.returncode == 0, run.stderr
        return run

    def add_token(self, *words):
        return self.token_command("add", *words).stdout.strip()

    def environment(self, token):
        return {**{name: value for name, value in os.environ.items() if not name.startswith("MDGEN_T")},
                "MDGEN_CA": str(self.ca), **({"MDGEN_TOKEN": self.tokens.get(token, token)} if token else {})}

    def ctl(self, token, *words, check=False, environment=None):
        run = subprocess.run([BIN / "mdgenctl", "--address", self.address, *map(str, words)], capture_output=True, text=True,
                             timeout=60, env={**self.environment(token), **(environment or {})})
        assert not check or run.returncode == 0, run.stderr
        return run

    def worker(self, folder, *options, token="worker", name="worker", trainer=FAKE_TRAINER):
        return Program([BIN / "mdgen-worker", "--coordinator", self.address, "--connect_timeout", 20, "--trainer", trainer,
                        *options], folder, name, self.environment(token))

    def get(self, path, token=None, method="GET", body=None, context=None, headers=None):
        """(status, JSON or text)."""
        request = urllib.request.Request(f"https://{self.http}{path}", method=method, headers=dict(headers or {}),
                                         data=None if body is None else json.dumps(body).encode())
        if body is not None:
            request.add_header("Content-Type", "application/json")
        if token:
            request.add_header("Authorization", f"Bearer {self.tokens.get(token, token)}")
        try:
            with urllib.request.urlopen(request, timeout=20, context=context or self.trust()) as answer:
                status, text = answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read().decode()
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text

    def trust(self, certificate=None):
        context = ssl.create_default_context(cafile=str(self.ca))
        context.check_hostname = False  # a certificate that the coordinator made has its own name only
        if certificate:
            context.load_cert_chain(*map(str, certificate))
        return context

    def audit(self):
        return [json.loads(line) for line in (self.state / "audit.jsonl").read_text().splitlines()]


@pytest.fixture
def coordinator(tmp_path):
    program = Coordinator(tmp_path)
    yield program
    program.stop()


def submit_words(data, folder, name, *more):
    return ["submit", "-o", "json", "--", "--train_split", data / "train.csv", "--val_split", data / "val.csv", "--data_dir",
            data / "data", "--work_dir", folder / "runs", "--run_name", name, *FLAGS, "--max_steps", 100_000, *more]


def submit(coordinator, token, data, name="run", folder=None):
    run = coordinator.ctl(token, *submit_words(data, folder or coordinator.folder, name), check=True)
    return json.loads(run.stdout)["id"]


def test_roles_over_grpc(coordinator, data):
    refused = coordinator.ctl("viewer", *submit_words(data, coordinator.folder, "run"))
    assert refused.returncode == 1
    assert "SubmitJob needs the role submitter or admin; the-viewer is a viewer" in refused.stderr
    mine = submit(coordinator, "submitter", data)
    status = json.loads(coordinator.ctl("viewer", "status", mine, "-o", "json", check=True).stdout)
    assert status["owner"] == "the-submitter"
    theirs = submit(coordinator, "admin", data, "theirs")
    denied = coordinator.ctl("submitter", "cancel", theirs)
    assert denied.returncode == 1 and "the-admin" in denied.stderr
    assert coordinator.ctl("viewer", "cancel", mine).returncode == 1
    assert coordinator.ctl("worker", "list").returncode == 1, "a worker's token holds a slot and nothing else"
    coordinator.ctl("submitter", "cancel", mine, check=True)
    coordinator.ctl("admin", "cancel", theirs, check=True)
    lines = [(line["caller"], line["role"], line["method"], line["job"], line["code"]) for line in coordinator.audit()]
    assert lines == [
        ("the-viewer", "viewer", "SubmitJob", "", "PermissionDenied"),
        ("the-submitter", "submitter", "SubmitJob", mine, "OK"),
        ("the-admin", "admin", "SubmitJob", theirs, "OK"),
        ("the-submitter", "submitter", "CancelJob", theirs, "PermissionDenied"),
        ("the-viewer", "viewer", "CancelJob", mine, "PermissionDenied"),
        ("the-submitter", "submitter", "CancelJob", mine, "OK"),
        ("the-admin", "admin", "CancelJob", theirs, "OK"),
    ]
    assert all(re.fullmatch(r"ipv4:127\.0\.0\.1:\d+", line["peer"]) for line in coordinator.audit())
    assert (coordinator.state / "audit.jsonl").stat().st_mode & 0o777 == 0o600


def test_agents_need_a_workers_token(coordinator, tmp_path):
    good = coordinator.worker(tmp_path)
    good.ready_line(r"^ready worker=\S+$")
    for role in ("viewer", "submitter"):
        refused = coordinator.worker(tmp_path, token=role, name=role)
        assert refused.process.wait(20) == 1
        assert f"Connect needs the role worker or admin; the-{role} is a {role}" in refused.err.read_text()
    good.stop()


def test_roles_over_http(coordinator, data):
    assert coordinator.get("/healthz")[0] == 200
    assert coordinator.get("/readyz")[0] == 200
    assert coordinator.get("/v1/access") == (200, {"required": True})
    assert coordinator.get("/v1/access", "viewer") == (200, {"required": True, "name": "the-viewer", "role": "viewer"})
    assert coordinator.get("/")[0] == 200, "the dashboard's files hold no data"
    for path in ("/v1/jobs", "/metrics", "/v1/workers", "/v1/queue", "/v1/nothing"):
        status, answer = coordinator.get(path)
        assert status == 401 and answer["error"]["code"] == "Unauthenticated", path
        assert coordinator.get(path, "x" * 40)[0] == 401
        status, answer = coordinator.get(path, "worker")
        assert status == 403 and "the role viewer, submitter or admin" in answer["error"]["message"], path
    for path in ("/v1/jobs", "/metrics", "/v1/workers", "/v1/queue"):
        assert coordinator.get(path, "viewer")[0] == 200, path
    job = submit(coordinator, "admin", data)
    for token, wanted in ((None, 401), ("viewer", 403), ("submitter", 403), ("worker", 403), ("admin", 200)):
        status, answer = coordinator.get(f"/v1/jobs/{job}/cancel", token, "POST", {})
        assert status == wanted, (token, answer)
    assert [line["code"] for line in coordinator.audit() if line["method"] == "CancelJob"][-1] == "OK"
    assert all(line["peer"].startswith("127.0.0.1") for line in coordinator.audit() if line["method"] != "SubmitJob")


def test_http_on_another_address_is_never_plain(tmp_path):
    program = Coordinator(tmp_path, http="0.0.0.0:0", roles=False)
    port = int(program.http.rsplit(":", 1)[1])
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/healthz")
        connection.getresponse()
    program.http = f"127.0.0.1:{port}"
    assert program.get("/healthz")[0] == 200
    assert program.get("/v1/jobs")[0] == 401
    assert program.get("/v1/jobs", (program.state / "token").read_text().strip())[0] == 200
    for version, works in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)):
        context = program.trust()
        context.set_ciphers("DEFAULT@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of the version that is to be refused
            context.minimum_version = context.maximum_version = version
        try:
            with socket.create_connection(("127.0.0.1", port)) as raw, context.wrap_socket(raw):
                assert works, version
        except ssl.SSLError:
            assert not works, version
    program.stop()


def test_open_metrics(tmp_path):
    program = Coordinator(tmp_path, "--open_metrics")
    assert program.get("/metrics")[0] == 200 and program.get("/v1/jobs")[0] == 401
    program.stop()


def test_insecure_must_be_spelled_out_and_is_told_at_each_start(tmp_path):
    words = [BIN / "mdgen-coordinator", "--state_dir", tmp_path / "state", "--listen", "0.0.0.0:0", "--http", ""]
    refused = subprocess.run([*words, "--insecure", "--token_file", tmp_path / "token"], capture_output=True, text=True)
    assert refused.returncode == 2 and "--insecure is for a coordinator without" in refused.stderr
    program = Program([*words, "--insecure"], tmp_path, "open")
    port = program.ready_line(r"^ready grpc=0.0.0.0:(\d+)").group(1)
    assert "is open: who reaches it does as an admin" in program.err.read_text()
    run = subprocess.run([BIN / "mdgenctl", "--address", f"127.0.0.1:{port}", "list"], capture_output=True, text=True)
    program.stop()
    assert run.returncode == 0, run.stderr


def test_tokens_are_added_taken_away_and_expire_without_a_restart(coordinator):
    listing = coordinator.token_command("list").stdout
    assert "the-viewer" in listing and not any(token in listing for token in coordinator.tokens.values())
    stored = (coordinator.state / "tokens.yaml").read_text()
    assert not any(token in stored for token in coordinator.tokens.values())
    assert (coordinator.state / "tokens.yaml").stat().st_mode & 0o777 == 0o600
    coordinator.tokens["bob"] = coordinator.add_token("bob", "--role", "viewer", "--expires", "90d")
    wait_for(lambda: coordinator.ctl("bob", "list").returncode == 0, 10, "bob's token")
    coordinator.token_command("rm", "bob")
    coordinator.send_signal(signal.SIGHUP)
    wait_for(lambda: coordinator.ctl("bob", "list").returncode != 0, 10, "bob's end")
    assert "the token is not this coordinator's" in coordinator.ctl("bob", "list").stderr
    for words, status in ((["add", "x", "--role", "king"], 2), (["add", "a b", "--role", "viewer"], 2),
                          (["add", "x", "--expires", "2001-01-01"], 2), (["rm", "nobody"], 1),
                          (["add", "the-viewer", "--role", "admin"], 1)):
        assert coordinator.token_command(*words, check=False).returncode == status, words
    assert coordinator.process.poll() is None


# --- mutual TLS ---


class Certified:
    """A coordinator with certificates of an authority of its own, and clients that must have one."""

    def __init__(self, folder):
        self.authority, self.other = Authority(folder / "ca"), Authority(folder / "other", "other")
        self.server = self.authority.sign("coordinator.example.org", server=True)
        state = folder / "state"
        for name, role in (("alice", "submitter"), ("node1", "worker")):
            subprocess.run([BIN / "mdgen-coordinator", "token", "add", name, "--role", role, "--certificate",
                            f"{name}.example.org", "--state_dir", state], check=True, capture_output=True)
        self.coordinator = Coordinator(folder, "--tls_cert", self.server[0], "--tls_key", self.server[1], "--tls_client_ca",
                                       self.authority.certificate, roles=False)
        self.coordinator.ca = self.authority.certificate

    def ctl(self, certificate, *words):
        own = dict(zip(("MDGEN_CERT", "MDGEN_KEY"), map(str, certificate or ())))
        return self.coordinator.ctl(None, *words, environment=own)


@pytest.fixture
def certified(tmp_path):
    made = Certified(tmp_path)
    yield made
    made.coordinator.stop()


def test_certificates_of_clients(certified, data, tmp_path):
    alice = certified.authority.sign("alice.example.org")
    node = certified.authority.sign("node1.example.org")
    stranger = certified.authority.sign("stranger.example.org")
    expired = certified.authority.sign("alice.example.org", file="expired", expired=True)
    foreign = certified.other.sign("alice.example.org")
    assert certified.ctl(alice, "list").returncode == 0
    run = certified.ctl(stranger, "list")
    assert run.returncode == 1 and '"stranger.example.org" is not in this coordinator\'s tokens file' in run.stderr
    for name, certificate in (("none", None), ("expired", expired), ("of another authority", foreign)):
        run = certified.ctl(certificate, "list")
        assert run.returncode == 4, (name, run.stderr)
    run = certified.ctl(node, "list")
    assert run.returncode == 1 and "node1 is a worker" in run.stderr
    agent = certified.coordinator.worker(tmp_path, "--cert", node[0], "--key", node[1], token=None)
    agent.ready_line(r"^ready worker=\S+$")
    agent.stop()
    refused = certified.coordinator.worker(tmp_path, "--cert", alice[0], "--key", alice[1], token=None, name="wrong-role")
    assert refused.process.wait(20) == 1 and "alice is a submitter" in refused.err.read_text()
    half = certified.ctl(alice[:1], "list")
    assert half.returncode == 2 and "belong together" in half.stderr
    mixed = certified.ctl((alice[0], node[1]), "list")
    assert mixed.returncode == 2 and "is not the private key" in mixed.stderr


def test_certificates_of_clients_over_http(certified):
    get = certified.coordinator.get
    trust = certified.coordinator.trust
    alice = certified.authority.sign("alice.example.org")
    assert get("/v1/access", context=trust(alice)) == (200, {"required": True, "name": "alice", "role": "submitter"})
    assert get("/v1/jobs", context=trust(alice))[0] == 200
    assert get("/v1/jobs", context=trust(certified.authority.sign("stranger.example.org")))[0] == 401
    for certificate in (None, certified.authority.sign("alice.example.org", file="expired", expired=True),
                        certified.other.sign("alice.example.org")):
        with pytest.raises((urllib.error.URLError, ConnectionError, ssl.SSLError, http.client.HTTPException)):
            get("/v1/jobs", context=trust(certificate))


def serial_at(address, context):
    """The serial number of the certificate that a new connection is shown."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        context.set_alpn_protocols(["h2", "http/1.1"])
        with context.wrap_socket(raw, server_hostname=host) as connection:
            return connection.getpeercert()["serialNumber"]


def test_renewed_certificate_is_shown_to_new_connections_and_old_ones_live_on(certified, tmp_path):
    coordinator = certified.coordinator
    own = certified.authority.sign("node1.example.org")
    agent = coordinator.worker(tmp_path, "--cert", own[0], "--key", own[1], token=None)
    worker = agent.ready_line(r"^ready worker=(\S+)$").group(1)
    alice = certified.authority.sign("alice.example.org")
    before = {serial_at(address, coordinator.trust(alice)) for address in (coordinator.address, coordinator.http)}
    assert len(before) == 1
    renewed = certified.authority.sign("coordinator.example.org", file="renewed", server=True)
    os.replace(renewed[0], certified.server[0])  # for a moment without its key: the old pair is shown on
    assert serial_at(coordinator.http, coordinator.trust(alice)) in before
    os.replace(renewed[1], certified.server[1])
    coordinator.send_signal(signal.SIGHUP)
    wait_for(lambda: serial_at(coordinator.address, coordinator.trust(alice)) not in before, 10, "gRPC's new certificate")
    wait_for(lambda: serial_at(coordinator.http, coordinator.trust(alice)) not in before, 10, "HTTP's new certificate")
    assert certified.ctl(alice, "list").returncode == 0
    said = coordinator.err.read_text()
    assert "is lost" not in said and said.count(f"worker {worker} registered") == 1, "the agent's stream lives on"
    assert "is not the private key" in said or "new connections get the certificate" in said
    agent.stop()


def blocks_of(page):
    return re.findall(r"^```sh\n(.*?)^```", (SOURCE / "docs" / page).read_text(), re.M | re.S)


def test_commands_of_the_page(tmp_path):
    tokens, certificates = blocks_of("security.md")[:2]
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    for script in (tokens.replace("/var/lib/mdgen", "state"), certificates):
        run = subprocess.run(["bash", "-e"], input=script, text=True, cwd=tmp_path, env=environment, capture_output=True)
        assert run.returncode == 0, run.stderr
    assert "node-pool" in (tmp_path / "state/tokens.yaml").read_text()
    program = Coordinator(tmp_path, "--tls_cert", tmp_path / "server.crt", "--tls_key", tmp_path / "server.key")
    program.ca = tmp_path / "ca.crt"
    assert program.ctl("viewer", "list").returncode == 0
    with urllib.request.urlopen(f"https://{program.http}/healthz", context=ssl.create_default_context(
            cafile=str(program.ca)), timeout=20) as answer:
        assert answer.status == 200, "its name is the address's"
    program.stop()


# --- paths ---


def test_paths_outside_the_roots_are_refused_links_followed(tmp_path, data):
    program = Coordinator(tmp_path, "--run_root", tmp_path / "runs", "--data_root", data)
    (tmp_path / "runs").mkdir()
    (tmp_path / "elsewhere").mkdir()
    make_dataset(tmp_path / "elsewhere", "--proteins", 1, "--lengths", 5, "--frames", 8, "--replicas", 1)
    (tmp_path / "runs" / "link").symlink_to(tmp_path / "elsewhere")
    (data / "link.csv").unlink(missing_ok=True)
    (data / "link.csv").symlink_to(tmp_path / "elsewhere" / "train.csv")
    cases = [
        ("data.data_dir", ["--data_dir", tmp_path / "elsewhere" / "data"]),
        ("data.train_split", ["--train_split", "/etc/passwd"]),
        ("data.train_split", ["--train_split", data / "link.csv"]),
        ("data.val_split", ["--val_split", tmp_path / "runs" / "link" / "val.csv"]),
        ("checkpoint.ckpt", ["--ckpt", program.state / "coordinator.db"]),
        ("logging.teaching_ipa", ["--teaching_ipa", data / "out", "--prepend_ipa"]),
        ("work_dir", ["--work_dir", tmp_path / "elsewhere"]),
        ("work_dir", ["--work_dir", tmp_path / "runs" / "link"]),
        ("data.data_dir", ["--data_dir", str(data / "..") + "/" + data.name + "/../../../etc"]),
    ]
    for field, words in cases:
        run = program.ctl("submitter", *submit_words(data, tmp_path, "run", *words))
        assert run.returncode == 1 and field in run.stderr and "outside" in run.stderr, (words, run.stderr)
    for name in ("..", "a/b", "../x", ".hidden", "-rf", "a\nb", "$(id)", "x" * 300):
        run = program.ctl("submitter", *submit_words(data, tmp_path, name))
        assert run.returncode in (1, 2), (name, run.stderr)
    assert os.listdir(tmp_path / "runs") == ["link"], "nothing was made"
    good = submit(program, "submitter", data, "good")
    program.ctl("submitter", "cancel", good, check=True)
    # Who may write to a run folder cannot have the coordinator read its own secrets out.
    log = tmp_path / "runs" / "good" / "logs" / "rank-0.attempt-1.log"
    log.symlink_to(program.state / "tokens.yaml")
    run = program.ctl("viewer", "logs", good)
    assert run.returncode == 1 and "sha256" not in run.stdout + run.stderr, run.stdout
    assert "leads out of its folder" in run.stderr, run.stderr
    (data / "link.csv").unlink()
    program.stop()


# --- no shell ---


def test_batch_script_runs_nothing_of_what_a_spec_says(tmp_path, data):
    """The script is handed to a real shell, with programs of the test's own in place of Slurm's."""
    programs, found = tmp_path / "bin", tmp_path / "found"
    programs.mkdir()
    (programs / "srun").write_text(f'#!/bin/sh\nfor word; do spec=$word; done\ncp "$spec" {found}\n')
    (programs / "srun").chmod(0o755)
    hostile = ["$(touch BAD)", "`touch BAD`", "'; touch BAD; '", '"; touch BAD; "', "a\nEND_OF_SPEC\ntouch BAD\n", "a & touch BAD",
               "%s\\n", "#SBATCH --uid=0"]
    for number, text in enumerate(hostile):
        folder = tmp_path / f"case{number}"
        folder.mkdir()
        one_line = text.replace("\n", " ")
        words = [BIN / "mdgenctl", "submit", "--launcher", "slurm", "--print", "--slurm", f"comment={one_line}", "--",
                 "--train_split", data / "train.csv", "--val_split", data / "val.csv", "--data_dir", data / "data",
                 "--suffix", text, "--run_name", "run", "--work_dir", folder / one_line.replace("/", "_"), *FLAGS]
        run = subprocess.run([*map(str, words)], capture_output=True, text=True, cwd=folder)
        assert run.returncode == 0, run.stderr
        outcome = subprocess.run(["bash"], input=run.stdout, text=True, capture_output=True, cwd=folder,
                                 env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "SLURM_JOB_ID": "1",
                                      "SLURM_CPUS_PER_TASK": "1"})
        assert outcome.returncode == 0, (text, outcome.stderr)
        assert not list(tmp_path.rglob("BAD")), text
        check = subprocess.run([BIN / "mdgenctl", "validate", "-f", found, "-o", "json"], capture_output=True, text=True)
        assert check.returncode == 0, check.stderr
        assert json.loads(check.stdout)["data"]["suffix"] == text, "the spec came through as it was"
    refused = subprocess.run([BIN / "mdgenctl", "submit", "--launcher", "slurm", "--print", "--", "--train_split",
                              str(data / "train.csv"), "--val_split", str(data / "val.csv"), "--data_dir", str(data / "data"),
                              "--work_dir", "a\n#SBATCH --uid=0", "--run_name", "run"], capture_output=True, text=True)
    assert refused.returncode == 2 and "control characters" in refused.stderr


# --- secrets ---


def test_tokens_and_keys_are_nowhere_to_be_seen_during_a_run(tmp_path, data):
    program = Coordinator(tmp_path)
    agent = program.worker(tmp_path, trainer=BIN / "mdgen-trainer")
    agent.ready_line(r"^ready worker=\S+$")
    job = submit(program, "submitter", data)
    wait_for(lambda: json.loads(program.ctl("viewer", "status", job, "-o", "json").stdout)["step"] > 2, 120, "steps")
    secrets = [*program.tokens.values(), *key_lines(program.state / "tls.key")]
    trainers = trainers_of(agent)
    assert trainers
    for pid in [*processes_below(agent.process.pid), program.process.pid]:
        everything = everything_about(pid)
        assert not any(secret in everything for secret in secrets), pid
    assert not any(secret in pathlib.Path(f"/proc/{agent.process.pid}/cmdline").read_text() for secret in secrets)
    for pid in (program.process.pid, agent.process.pid):
        assert pathlib.Path(f"/proc/{pid}").stat().st_uid == 0
    answers = ""
    for path in ("/v1/access", "/v1/jobs", f"/v1/jobs/{job}", f"/v1/jobs/{job}/events", "/v1/workers", "/v1/queue", "/metrics",
                 f"/v1/jobs/{job}/logs?rank=0"):
        status, answer = program.get(path, "viewer")
        assert status == 200, (path, answer)
        answers += json.dumps(answer)
    program.ctl("submitter", "cancel", job, "--grace", 0, check=True)
    wait_for(lambda: json.loads(program.ctl("viewer", "status", job, "-o", "json").stdout)["state"] in FINAL, 30, "the end")
    agent.stop()
    program.stop()
    assert not any(secret in answers for secret in secrets)
    for file in tmp_path.rglob("*"):
        if not file.is_file() or file.name == "tls.key":
            continue
        content = file.read_bytes()
        assert not any(secret.encode() in content for secret in secrets), file


def key_lines(file):
    return [line for line in file.read_text().splitlines() if len(line) > 40]
