"""A standing service: jobs submitted, followed, cancelled, resumed, broken."""

import json
import os
import signal
import urllib.error
import urllib.request

import numpy as np
import pytest

from service import Service, make_dataset, metrics, trainers_of, wait_for

SMALL = (
    "--sim_condition --prepend_ipa --atlas --num_frames 8 --crop 24 --embed_dim 32 --num_layers 1 --mha_heads 4 "
    "--ipa_heads 2 --ipa_head_dim 8 --ipa_qk 4 --ipa_v 4 --batch_size 2 --lr 1e-3 --epochs 1000 --val_repeat 2"
).split()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    make_dataset(folder, "--proteins", 3, "--lengths", "16,24,40", "--frames", 40, "--replicas", 3)
    return folder


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with Service(tmp_path_factory.mktemp("service"), workers=2) as running:
        yield running


def flags(data, name, steps, *more, work_dir, seed=1):
    return (
        f"--name {name} --seed {seed} --work_dir {work_dir} --train_split {data / 'train.csv'} "
        f"--val_split {data / 'val.csv'} --data_dir {data / 'data'} --max_steps {steps} --train_repeat 4 --global_batch_size 4"
    ).split() + SMALL + [str(word) for word in more]


def submit(service, data, name, steps, *more, workers=2, **options):
    work_dir = options.pop("work_dir", service.folder / "runs")
    return service.submit(
        "--set", f"workers.min={workers}", "--set", f"workers.max={workers}",
        "--", *flags(data, name, steps, *more, work_dir=work_dir, **options),
    )


def losses(status):
    return [(line["step"], line["loss"], line["grad_norm"]) for line in metrics(status["run_folder"])[0]]


@pytest.fixture(scope="module")
def uninterrupted(service, data):
    """The run that others are compared with: 60 steps by two workers."""
    return service.wait(submit(service, data, "uninterrupted", 60, "--every_steps", 20))


def test_a_job_runs_to_its_end(service, uninterrupted):
    status = uninterrupted
    assert status["state"] == "SUCCEEDED", status["message"]
    assert status["step"] == 60 and status["workers"] == 2 and status["restarts"] == 0
    steps, validations = metrics(status["run_folder"])
    assert [line["step"] for line in steps] == list(range(1, 61))
    assert all(line["samples"] == 4 for line in steps)
    assert {"step", "epoch", "loss", "grad_norm", "lr", "seconds", "samples"} <= steps[0].keys()
    assert validations and all(line["val_loss"] > 0 for line in validations)
    assert status["loss"] == steps[-1]["loss"]
    assert os.path.basename(status["checkpoint"]).startswith("step-000000060-g")


def test_follow_ends_with_the_jobs_outcome(service, data):
    run = service.ctl(
        "submit", "--follow", "--", *flags(data, "followed", 3, "--no_validate", work_dir=service.folder / "runs"),
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    assert "SUCCEEDED" in run.stdout + run.stderr


def test_every_checkpoint_on_disk_verifies(service, uninterrupted):
    run = service.ctl("checkpoints", "verify", uninterrupted["id"])
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.splitlines()[-1] == "checkpoints: 3 good, 0 bad"
    weights = os.path.join(uninterrupted["checkpoint"], "model.safetensors")
    with open(weights, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))
    run = service.ctl("checkpoints", "verify", uninterrupted["id"])
    assert run.returncode == 1
    assert run.stdout.splitlines()[-1] == "checkpoints: 2 good, 1 bad"
    assert "model.safetensors" in run.stdout
    with open(weights, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(last)


def test_http_says_what_the_cli_says(service, uninterrupted):
    def get(path):
        with urllib.request.urlopen(f"http://{service.http}{path}", timeout=10) as reply:
            assert reply.headers["Content-Type"].startswith("application/json") or path == "/healthz"
            return reply.read()

    get("/healthz")
    listed = json.loads(get("/v1/jobs"))["jobs"]
    assert uninterrupted["id"] in {job["id"] for job in listed}
    one = json.loads(get(f"/v1/jobs/{uninterrupted['id']}"))
    for key in ("id", "name", "state", "step", "loss", "checkpoint", "run_folder", "created_at", "ended_at"):
        assert one[key] == uninterrupted[key], key
    with pytest.raises(urllib.error.HTTPError) as missing:
        get("/v1/jobs/nosuchjob")
    assert missing.value.code == 404


def test_one_worker_gives_the_same_curve_to_float_tolerance(service, data, uninterrupted):
    alone = service.wait(submit(service, data, "alone", 20, workers=1))
    assert alone["workers"] == 1
    for (_, one, _), (_, two, _) in zip(losses(alone), losses(uninterrupted)):
        assert one == pytest.approx(two, rel=1e-4)


def test_a_killed_trainer_continues_bit_for_bit(service, data, uninterrupted):
    job = submit(service, data, "killed", 60, "--every_steps", 20)
    service.wait(job, condition=lambda status: status["step"] >= 25)
    victims = [pid for worker in service.workers for pid in trainers_of(worker)]
    assert len(victims) == 2
    os.kill(victims[0], signal.SIGKILL)
    status = service.wait(job)
    assert status["state"] == "SUCCEEDED", status["message"]
    assert status["restarts"] == 1
    assert losses(status) == losses(uninterrupted)


def test_cancel_then_resume_require_continues_bit_for_bit(service, data, uninterrupted):
    job = submit(service, data, "resumed", 60, "--every_steps", 1000)
    service.wait(job, condition=lambda status: status["step"] >= 10)
    assert service.ctl("cancel", job).returncode == 0
    cancelled = service.wait(job)
    assert cancelled["state"] == "CANCELLED"
    at = cancelled["step"]
    assert 10 <= at < 60
    assert os.path.basename(cancelled["checkpoint"]).startswith(f"step-{at:09d}-g"), "the checkpoint of the cancellation"

    again = service.wait(submit(service, data, "resumed", 60, "--every_steps", 1000, "--resume", "require"))
    assert again["state"] == "SUCCEEDED", again["message"]
    assert again["id"] != job
    assert losses(again) == losses(uninterrupted)


def test_cancel_without_grace_leaves_no_checkpoint(service, data):
    job = submit(service, data, "abrupt", 2000, "--every_steps", 0, "--ckpt_freq", 1000)
    service.wait(job, condition=lambda status: status["step"] >= 2)
    run = service.ctl("cancel", job, "--grace", 0)
    assert run.returncode == 0, run.stderr
    status = service.wait(job)
    assert status["state"] == "CANCELLED" and not status["checkpoint"]
    wait_for(lambda: not [pid for worker in service.workers for pid in trainers_of(worker)], 10, "no trainer left")

    words = flags(data, "abrupt", 2000, "--resume", "require", work_dir=service.folder / "runs")
    refused = service.ctl("submit", "--", *words)
    assert refused.returncode in (1, 2)
    assert "no checkpoint" in refused.stderr and "abrupt" in refused.stderr


def test_a_used_run_folder_is_refused_unless_resumed(service, data, uninterrupted):
    run = service.ctl("submit", "--", *flags(data, "uninterrupted", 60, work_dir=service.folder / "runs"))
    assert run.returncode in (1, 2)
    assert "uninterrupted" in run.stderr and "resume" in run.stderr


def test_logs_hold_what_the_trainer_said(service, uninterrupted):
    run = service.ctl("logs", uninterrupted["id"])
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip()
    log = os.path.join(uninterrupted["run_folder"], "logs", "rank-0.attempt-1.log")
    assert run.stdout == open(log).read()


@pytest.mark.parametrize(
    "words, said",
    [
        (["--num_frame", "8"], ["num_frame", "num_frames"]),
        (["--crop", "many"], ["crop", "many"]),
        (["--path-type", "Cubic"], ["path_type", "Cubic", "GVP"]),
        (["--precision", "8-bit"], ["optim.precision", "8-bit"]),
        (["--embed_dim", "30"], ["embed_dim", "30"]),
    ],
)
def test_a_wrong_spec_creates_nothing(service, data, words, said):
    before = service.ctl("list", "-o", "json").stdout
    run = service.ctl("submit", "--", *flags(data, "wrong", 3, *words, work_dir=service.folder / "runs"))
    assert run.returncode == 2
    for word in said:
        assert word in run.stderr
    assert service.ctl("list", "-o", "json").stdout == before
    assert not (service.folder / "runs" / "wrong").exists()


def test_a_flag_that_the_reference_never_reads_warns(service, data):
    run = service.ctl(
        "submit", "--dry-run", "--", *flags(data, "warned", 3, "--short_md", work_dir=service.folder / "runs")
    )
    assert run.returncode == 0, run.stderr
    assert "short_md" in run.stderr


def test_bad_data_fails_the_job_by_name(service, data, tmp_path):
    split = tmp_path / "split.csv"
    split.write_text("name,seqres\nnobody,ACDEF\n")
    words = flags(data, "bad-data", 3, work_dir=service.folder / "runs")
    words[words.index("--train_split") + 1] = str(split)
    status = service.wait(service.submit("--", *words))
    assert status["state"] == "FAILED"
    assert "nobody" in status["message"]


def test_connection_refused_has_its_own_exit_code(service):
    run = service.ctl("list", address="127.0.0.1:1")
    assert run.returncode == 4


def test_a_restarted_coordinator_still_lists_its_jobs_and_training_goes_on(tmp_path, data):
    with Service(tmp_path, workers=1) as service:
        done = service.wait(submit(service, data, "done", 3, "--no_validate", workers=1))
        live = submit(service, data, "live", 400, "--no_validate", workers=1)
        service.wait(live, condition=lambda status: status["step"] >= 5)
        address = service.address
        assert service.coordinator.stop() == 0
        service.start_coordinator(listen=address)
        assert service.status(done["id"])["state"] == "SUCCEEDED"
        status = service.wait(live)
        assert status["state"] == "SUCCEEDED", status["message"]
        assert status["restarts"] == 0
        assert [step for step, _, _ in losses(status)] == list(range(1, 401))


def test_a_lost_agent_is_replaced(tmp_path, data):
    with Service(tmp_path, workers=2) as service:
        job = submit(service, data, "agent", 200, "--every_steps", 10, "--no_validate")
        service.wait(job, condition=lambda status: status["step"] >= 15)
        victim = service.workers[0]
        orphans = trainers_of(victim)
        victim.process.kill()
        service.add_worker()
        status = service.wait(job)
        assert status["state"] == "SUCCEEDED", status["message"]
        assert status["restarts"] >= 1
        assert [step for step, _, _ in losses(status)] == list(range(1, 201))
        assert not [pid for pid in orphans if os.path.exists(f"/proc/{pid}")]


def test_validate_alone_reports_the_loss_and_trains_nothing(service, data):
    name = "validated"
    trained = service.wait(submit(service, data, name, 4))
    _, before = metrics(trained["run_folder"])
    status = service.wait(submit(service, data, name, 4, "--validate"))
    assert (status["state"], status["reason"]) == ("SUCCEEDED", "Validated"), status["message"]
    assert status["step"] == 4 and status["checkpoint"] == trained["checkpoint"]
    steps, validations = metrics(trained["run_folder"])
    assert len(steps) == 4, "nothing was trained and no line was lost"
    assert len(validations) == len(before) + 1
    assert validations[-1]["step"] == 4 and validations[-1]["val_loss"] == status["val_loss"]
    assert {"val_time", "val_dur", "val_count", "trainer_step", "iter_step", "lr"} <= validations[-1].keys()

    untrained = service.wait(submit(service, data, "untrained", 4, "--validate", workers=1))
    assert untrained["state"] == "SUCCEEDED", untrained["message"]
    assert untrained["step"] == 0 and not untrained["checkpoint"]
    assert untrained["val_loss"] > status["val_loss"]
    assert metrics(untrained["run_folder"])[0] == []


def test_a_val_freq_beyond_the_epoch_is_refused_with_the_numbers(service, data):
    status = service.wait(submit(service, data, "rare", 4, "--val_freq", 1000))
    assert status["state"] == "FAILED"
    assert "loop.val_freq = 1000 batches" in status["message"] and "an epoch has 3" in status["message"]


def test_teaching_ipa_is_read_by_numpy_from_every_rank(service, data, tmp_path):
    service.wait(submit(service, data, "teaching", 3, "--teaching_ipa", tmp_path, "--no_validate"))
    files = sorted(tmp_path.glob("*.npy"))
    assert len(files) == 3 * 4, "a file a sample"
    for file in files:
        values = np.load(file)
        assert values.dtype == np.float32 and values.ndim == 3
        assert values.shape[0] == 1 and values.shape[1] in (16, 24) and values.shape[2] == 32
        assert np.isfinite(values).all()
        assert 0 <= float(file.stem) <= 1 and file.stem == str(np.float32(file.stem))
