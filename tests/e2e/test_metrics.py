"""What a run says of itself while it runs: /metrics scraped by a real Prometheus, alert rules and the Grafana board
against it, TensorBoard's files, stragglers by name."""

import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse
import urllib.request

import pytest
from service import FINAL, SOURCE, Program, Service, make_dataset, metrics, trainers_of, wait_for
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

PROMETHEUS = SOURCE / "deploy/prometheus"
BOARD = SOURCE / "deploy/grafana/mdgen.json"

SMALL = (
    "--sim_condition --atlas --num_frames 4 --crop 16 --embed_dim 16 --num_layers 1 --mha_heads 2 --batch_size 1 "
    "--lr 1e-3 --epochs 100000 --train_repeat 8 --global_batch_size 4 --no_validate --ckpt_freq 100000"
).split()

needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("promtool") is None,
    reason="prometheus and promtool are not installed (deploy/locks/debian-tests.txt)",
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    make_dataset(folder, "--proteins", 3, "--lengths", "8,12,16", "--frames", 20, "--replicas", 3)
    return folder


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with Service(tmp_path_factory.mktemp("service"), workers=3, coordinator_flags=["--allow_inject"]) as running:
        yield running


@pytest.fixture(autouse=True)
def free_workers(service):
    yield
    for job in json.loads(service.ctl("list", "-o", "json").stdout)["jobs"]:
        if job["state"] not in FINAL:
            service.ctl("cancel", job["id"], "--grace", "0")
            wait_for(lambda: service.status(job["id"])["state"] in FINAL, 60, "the job is cancelled")


def submit(service, data, name, steps, *more, workers=2, every=40):
    words = (
        f"--name {name} --work_dir {service.folder / 'runs'} --train_split {data / 'train.csv'} "
        f"--val_split {data / 'val.csv'} --data_dir {data / 'data'} --max_steps {steps} --every_steps {every}"
    ).split()
    settings = [f"workers.min={workers}", f"workers.max={workers}", "threads_per_worker=1", "recovery.timeout_scale=0.3"]
    return service.submit(
        *[word for one in settings for word in ("--set", one)], "--", *words, *SMALL, *[str(word) for word in more]
    )


def get(url):
    with urllib.request.urlopen(url, timeout=20) as answer:
        return answer.read().decode()


def series(text):
    """{(name, frozenset of labels): value} of the text format."""
    found = {}
    for line in text.splitlines():
        match = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if line.startswith("#") or not match:
            continue
        labels = frozenset(re.findall(r'(\w+)="([^"]*)"', match.group(2) or ""))
        found[match.group(1), labels] = float(match.group(3))
    return found


def value(found, name, **labels):
    return found[name, frozenset(labels.items())]


class Prometheus:
    """A Prometheus of the test's own, with the rules that are delivered."""

    def __init__(self, folder, target):
        folder.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        config = (PROMETHEUS / "prometheus.yml").read_text()
        config = config.replace("127.0.0.1:8080", target).replace("15s", "1s")
        (folder / "prometheus.yml").write_text(config)
        shutil.copy(PROMETHEUS / "alerts.yaml", folder)
        self.url = f"http://127.0.0.1:{port}"
        self.program = Program(
            ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}",
             f"--web.listen-address=127.0.0.1:{port}"],
            folder,
            "prometheus",
        )
        wait_for(self.is_ready, 30, "Prometheus is ready")

    def is_ready(self):
        try:
            return "eady" in get(self.url + "/-/ready")
        except OSError:
            assert self.program.process.poll() is None, self.program.err.read_text()[-2000:]
            return False

    def query(self, expression):
        answer = json.loads(get(f"{self.url}/api/v1/query?" + urllib.parse.urlencode({"query": expression})))
        assert answer["status"] == "success", answer
        return answer["data"]["result"]

    def number(self, expression):
        result = self.query(expression)
        return float(result[0]["value"][1]) if result else None


@pytest.fixture(scope="module")
def prometheus(service, tmp_path_factory):
    running = Prometheus(tmp_path_factory.mktemp("prometheus") / "run", service.http)
    yield running
    running.program.stop()


@needs_prometheus
def test_the_rules_are_good_and_fire_when_they_should():
    for words in (["check", "rules", "alerts.yaml"], ["check", "config", "prometheus.yml"], ["test", "rules", "alerts_test.yaml"]):
        run = subprocess.run(["promtool", *words], cwd=PROMETHEUS, capture_output=True, text=True)
        assert run.returncode == 0, run.stdout + run.stderr
    rules = set(re.findall(r"alert: (\w+)", (PROMETHEUS / "alerts.yaml").read_text()))
    tested = set(re.findall(r"alertname: (\w+)", (PROMETHEUS / "alerts_test.yaml").read_text()))
    assert rules == tested


def test_status_and_metrics_jsonl_say_where_the_time_went(service, data):
    job = submit(service, data, "times", 60)
    status = service.wait(job)
    assert status["state"] == "SUCCEEDED", status["message"]
    assert status["progress"] == 1
    assert status["total_epochs"] == status["epoch"] + 1 > 1
    assert status["grad_norm"] > 0 and status["lr"] == pytest.approx(1e-3)
    assert status["samples_per_second"] == pytest.approx(4 / status["step_seconds"], rel=0.5)
    assert 0 < status["ceiling_ratio"] < 1
    assert 0 < status["goodput_ratio"] <= 1
    assert status["checkpoint_persist_seconds"] > 0
    steps, _ = metrics(status["run_folder"])
    parts = ("data", "forward", "backward", "reduce", "optimizer")
    for line in steps:
        assert 0 < sum(line[f"{part}_seconds"] for part in parts) <= line["seconds"]
    assert [line["step"] for line in steps if line["checkpoint_seconds"] > 0] == [41]
    assert steps[0]["flops"] > 1e6


@needs_prometheus
def test_prometheus_scrapes_what_the_status_says(service, data, prometheus):
    job = submit(service, data, "scraped", 100000, "--every_steps", 20)
    service.wait(job, condition=lambda status: status["state"] == "RUNNING" and status["checkpoint_step"] >= 40)
    assert trainers_of(service.workers[0]) or trainers_of(service.workers[1])
    victim = next(worker for worker in service.workers if trainers_of(worker))
    subprocess.run(["kill", "-KILL", *map(str, trainers_of(victim))], check=True)
    status = service.wait(job, condition=lambda status: status["restarts"] == 1 and status["state"] == "RUNNING" and status["checkpoint_step"] >= 100)

    text = get(f"http://{service.http}/metrics")
    check = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert check.returncode == 0 and check.stdout + check.stderr == "", check.stdout + check.stderr

    found = series(text)
    now = service.status(job)
    assert value(found, "mdgen_jobs", state="RUNNING") == 1
    assert value(found, "mdgen_workers", state="BUSY") == 2
    assert value(found, "mdgen_job_workers", job=job) == 2
    assert status["step"] <= value(found, "mdgen_step", job=job) <= now["step"]
    assert value(found, "mdgen_job_restarts_total", job=job, reason="TrainerKilled") == 1
    assert value(found, "mdgen_recovery_seconds_count", phase="total") == 1
    detected = value(found, "mdgen_recovery_seconds_sum", phase="total") - value(found, "mdgen_recovery_seconds_sum", phase="detect")
    assert detected == pytest.approx(status["recovery_seconds"], rel=1e-6)
    assert value(found, "mdgen_lost_steps_total") == status["lost_steps"] == 0
    counted = value(found, "mdgen_step_duration_seconds_count", job=job, phase="total")
    # Steps that the survivors hold and the killed rank had not reported are in the ledger alone.
    assert value(found, "mdgen_step", job=job) - 2 <= counted <= value(found, "mdgen_step", job=job)
    whole = value(found, "mdgen_step_duration_seconds_sum", job=job, phase="total")
    parts = sum(
        value(found, "mdgen_step_duration_seconds_sum", job=job, phase=phase)
        for phase in ("data", "forward", "backward", "reduce", "optimizer")
    )
    assert 0.5 * whole < parts <= whole
    assert abs(value(found, "mdgen_checkpoint_last_timestamp_seconds", job=job) - time.time()) < 60
    assert value(found, "mdgen_checkpoint_free_bytes", job=job) > value(found, "mdgen_checkpoint_needed_bytes", job=job) > 0

    def scored():
        text = get(f"http://{service.http}/metrics")
        return {labels for name, labels in series(text) if name == "mdgen_straggler_score"}

    ranks = {frozenset({("job", job), ("rank", str(rank))}) for rank in (0, 1)}
    wait_for(lambda: scored() == ranks, 20, "each rank is compared with the others")

    steps = f'mdgen_step{{job="{job}"}}'
    wait_for(lambda: (prometheus.number(steps) or 0) >= now["step"], 30, "Prometheus has scraped the newest steps")
    assert prometheus.number("up{job='mdgen'}") == 1
    before = service.status(job)["samples_per_second"]
    rate = wait_for(lambda: prometheus.number(f'rate(mdgen_samples_total{{job="{job}"}}[10s])'), 30, "two scrapes")
    assert rate == pytest.approx(before, rel=0.9), "the load of the machine varies"

    rules = json.loads(get(prometheus.url + "/api/v1/rules"))["data"]["groups"][0]["rules"]
    assert len(rules) >= 10 and all(rule["health"] in ("ok", "unknown") for rule in rules), rules

    board = json.loads(BOARD.read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    assert len(queries) > 20
    for query in queries:
        query = query.replace("$__rate_interval", "10s").replace("[1h]", "[1m]").replace("$job", ".*")
        has_data = wait_for(lambda: prometheus.query(query) or "mdgen_val_loss" in query, 30, f"data for {query}")
        assert has_data
    assert prometheus.query("count by (job) (mdgen_job_info)")

    assert service.ctl("cancel", job).returncode == 0
    service.wait(job)
    found = series(get(f"http://{service.http}/metrics"))
    assert value(found, "mdgen_jobs_ended_total", state="CANCELLED") == 1
    assert value(found, "mdgen_tokens_per_second", job=job) == 0


def test_the_slow_rank_is_named(service, data):
    job = submit(service, data, "slow", 100000, workers=3)
    service.wait(job, condition=lambda status: status["state"] == "RUNNING" and status["step"] >= 30)
    assert service.ctl("inject", job, "--rank", 1, "slow", "--seconds", "0.4").returncode == 0
    status = service.wait(job, 90, condition=lambda status: any(" is slow: " in text for text in status["warnings"]))
    named = [text for text in status["warnings"] if " is slow: " in text]
    assert [text.split()[:2] for text in named] == [["rank", "1"]], named
    assert socket.gethostname() in named[0]
    found = series(get(f"http://{service.http}/metrics"))
    assert value(found, "mdgen_straggler", job=job, rank="1") == 1
    assert value(found, "mdgen_straggler", job=job, rank="0") == value(found, "mdgen_straggler", job=job, rank="2") == 0
    assert value(found, "mdgen_straggler_score", job=job, rank="1") > 1.25
    assert "is slow" in service.coordinator.err.read_text() + service.coordinator.out.read_text()
    assert service.ctl("cancel", job, "--grace", "0").returncode == 0
    service.wait(job)


def tensorboard_losses(run_folder):
    events = EventAccumulator(str(pathlib.Path(run_folder) / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    return [(point.step, point.value) for point in events.Scalars("loss")]


def test_tensorboard_has_each_step_once_after_a_recovery_and_a_rollback(service, data):
    job = submit(service, data, "curves", 400, "--wandb")
    wait = lambda step: service.wait(job, condition=lambda status: status["state"] == "RUNNING" and status["step"] >= step)
    wait(90)
    busy = [worker for worker in service.workers if trainers_of(worker)]
    subprocess.run(["kill", "-KILL", *map(str, trainers_of(busy[0]))], check=True)
    wait(200)
    every = [str(pid) for worker in service.workers for pid in trainers_of(worker)]
    subprocess.run(["kill", "-KILL", *every], check=True)
    status = service.wait(job)
    assert status["state"] == "SUCCEEDED", status["message"]
    assert status["restarts"] == 2 and status["lost_steps"] > 0
    steps, _ = metrics(status["run_folder"])
    losses = tensorboard_losses(status["run_folder"])
    assert [step for step, _ in losses] == list(range(1, 401)) == [line["step"] for line in steps]
    assert [loss for _, loss in losses] == pytest.approx([line["loss"] for line in steps], rel=1e-6)
