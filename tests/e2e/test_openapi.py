"""The running coordinator, with access control, does what docs/openapi.yaml says, in the eyes of schemathesis."""

import json
import os
import pathlib
import ssl
import subprocess
import urllib.request

import pytest

from service import SOURCE, Service, make_dataset, wait_for

CACHE = pathlib.Path(os.environ.get("MDGEN_CACHE", pathlib.Path.home() / ".cache/mdgen"))
SCHEMATHESIS = CACHE / "schemathesis/bin/schemathesis"

# A specification, and pages and filters, have rules that a schema does not tell; what breaks them is 400.
BEYOND_SCHEMAS = ("SubmitJob", "ListJobs", "ResumeJob", "UpdateJob")

pytestmark = pytest.mark.skipif(not SCHEMATHESIS.exists(), reason="needs deploy/bootstrap --tests (schemathesis)")


def spec(folder, name):
    return {
        "name": name, "work_dir": str(folder / "runs"), "max_steps": 5,
        "data": {
            "train_split": str(folder / "train.csv"), "val_split": str(folder / "val.csv"),
            "data_dir": str(folder / "data"), "atlas": True, "num_frames": 8, "crop": 16,
        },
        "model": {"sim_condition": True, "embed_dim": 16, "num_layers": 1, "mha_heads": 2},
    }


def call(service, method, path, content=None):
    token = getattr(service, "token", None)
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(
        f"{'https' if token else 'http'}://{service.http}{path}", method=method,
        data=None if content is None else json.dumps(content).encode(), headers=headers,
    )
    context = ssl._create_unverified_context() if token else None
    with urllib.request.urlopen(request, timeout=10, context=context) as reply:
        return json.load(reply)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("openapi")
    make_dataset(folder, "--proteins", 1, "--lengths", 16, "--frames", 40, "--replicas", 3)
    token = folder / "token"
    token.write_text("0123456789abcdef" * 4)
    token.chmod(0o600)
    with Service(folder, coordinator_flags=("--token_file", token)) as running:
        running.token = token.read_text()
        yield running


def job(service, name):
    """A queued job with metrics, a log and a checkpoint's folder."""
    made = call(service, "POST", "/v1/jobs", {"spec": spec(service.folder, name)})
    wait_for(lambda: call(service, "GET", f"/v1/jobs/{made['id']}")["state"] == "QUEUED", 30, "queued")
    run = pathlib.Path(made["run_folder"])
    (run / "metrics.jsonl").write_text('{"step": 1, "loss": 0.5, "lr": null}\n{"step": 2, "loss": 0.25}\n')
    (run / "logs/rank-0.attempt-1.log").write_text("2026-01-31T12:00:00.000Z I trainer: a step\n")
    (run / "checkpoints/step-000000002-g0001").mkdir(parents=True)
    return made["id"]


def configuration(service):
    looked_at, changed, removed = (job(service, name) for name in ("looked-at", "changed", "removed"))
    call(service, "POST", f"/v1/jobs/{removed}/cancel", {"grace_seconds": 0})
    lines = []
    for operation in ("GetJob", "ListEvents", "GetMetrics", "ListCheckpoints", "GetLogs", "GetSamples"):
        lines += ["[[operations]]", f'include-operation-id = "{operation}"', f'parameters = {{ id = "{looked_at}" }}']
    for operation in ("CancelJob", "PauseJob", "ResumeJob", "UpdateJob", "RetryJob"):
        lines += ["[[operations]]", f'include-operation-id = "{operation}"', f'parameters = {{ id = "{changed}" }}']
    lines += ["[[operations]]", 'include-operation-id = "DeleteJob"', f'parameters = {{ id = "{removed}" }}']
    for operation in BEYOND_SCHEMAS:
        lines += [
            "[[operations]]", f'include-operation-id = "{operation}"',
            'checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "401", "403", "404", "409", "429"]',
        ]
    return "\n".join(lines) + "\n", looked_at


def test_the_server_keeps_to_its_document(service, tmp_path):
    settings, looked_at = configuration(service)
    (tmp_path / "schemathesis.toml").write_text(settings)
    run = subprocess.run(
        [
            SCHEMATHESIS, "--config-file", tmp_path / "schemathesis.toml", "run", SOURCE / "docs/openapi.yaml",
            "--url", f"https://{service.http}", "--tls-verify", "false", "-H", f"Authorization: Bearer {service.token}",
            "--checks", "all", "--max-time", "40", "--max-examples", "30",
            "--seed", "1",
        ],
        capture_output=True, text=True, timeout=170, cwd=tmp_path,
    )
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    # The jobs were really there: answers of every kind, not only "not found".
    assert call(service, "GET", f"/v1/jobs/{looked_at}")["state"] == "QUEUED"
    assert service.coordinator.process.poll() is None


def test_the_document_is_the_programs_own():
    program = pathlib.Path(os.environ["MDGEN_BIN_DIR"]) / "mdgen-coordinator"
    printed = subprocess.run([program, "--openapi"], capture_output=True, text=True, check=True).stdout
    assert printed == (SOURCE / "docs/openapi.yaml").read_text()
