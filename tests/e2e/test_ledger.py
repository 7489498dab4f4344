"""The ledger of real runs: proved from outside, through losses, and broken by mistakes in the trainer's data path."""

import json
import os
import re
import shutil
import signal
import time

import numpy as np
import pytest
from service import Service, make_dataset, metrics, trainers_of, wait_for

SMALL = (
    "--sim_condition --atlas --num_frames 4 --crop 16 --embed_dim 16 --num_layers 1 --mha_heads 2 --batch_size 2 "
    "--lr 1e-3 --epochs 100000 --train_repeat 4 --global_batch_size 4 --no_validate"
).split()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    make_dataset(folder, "--proteins", 3, "--lengths", "8,12,16", "--frames", 20, "--replicas", 3)
    return folder


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with Service(tmp_path_factory.mktemp("service"), workers=2) as running:
        yield running


def submit(service, data, name, steps, *more):
    words = (
        f"--name {name} --work_dir {service.folder / 'runs'} --train_split {data / 'train.csv'} "
        f"--val_split {data / 'val.csv'} --data_dir {data / 'data'} --max_steps {steps}"
    ).split()
    return service.submit(
        "--set", "workers.min=2", "--set", "workers.max=2", "--", *words, *SMALL, *[str(word) for word in more]
    )


def ended(service, job, state="SUCCEEDED"):
    status = service.wait(job)
    assert status["state"] == state, status["message"]
    return status


def verify(service, job):
    """(exit code, the last line's numbers, all lines)"""
    run = service.ctl("ledger", "verify", job)
    lines = run.stdout.splitlines()
    assert lines, run.stderr
    last = re.fullmatch(
        r"ledger: steps=(\d+) samples=(\d+) repeats=(\d+) gaps=(\d+) rollbacks=(\d+) (OK|BROKEN)", lines[-1]
    )
    assert last, run.stdout
    names = ("steps", "samples", "repeats", "gaps", "rollbacks")
    numbers = dict(zip(names, map(int, last.groups()[:5])), ok=last.group(6) == "OK")
    assert (run.returncode == 0) == numbers["ok"] and run.returncode in (0, 1)
    return run.returncode, numbers, lines


def assert_whole(service, job, steps, samples=None):
    code, numbers, lines = verify(service, job)
    assert code == 0, lines
    assert numbers["steps"] == steps and numbers["repeats"] == 0 and numbers["gaps"] == 0
    if samples is not None:
        assert numbers["samples"] == samples
    return numbers


def test_a_whole_run_is_proved_from_the_coordinator_and_from_its_folder(service, data):
    status = ended(service, submit(service, data, "whole", 30))
    assert_whole(service, status["id"], 30, samples=120)
    assert_whole(service, status["run_folder"], 30, samples=120)
    assert status["lost_steps"] == 0 and status["bad_samples"] == 0

    run = service.ctl("ledger", "show", status["id"], "-o", "json")
    records = json.loads(run.stdout)["records"]
    assert [record["kind"] for record in records] == ["start", "range"]
    assert (records[1]["first_step"], records[1]["last_step"], records[1]["samples"]) == (1, 30, 120)
    assert service.ctl("ledger", "verify", "nobody").returncode == 1
    assert service.ctl("ledger", "verify", status["id"], address="127.0.0.1:1").returncode == 4


def test_a_running_job_is_verified_up_to_its_last_step(service, data):
    job = submit(service, data, "running", 100000)
    service.wait(job, condition=lambda status: status["step"] >= 20)
    code, numbers, lines = verify(service, job)
    assert code == 0, lines
    assert numbers["steps"] >= 20
    service.ctl("cancel", job, "--grace", 0)
    ended(service, job, "CANCELLED")


def kill_between_checkpoints(service, folder, every):
    """Ends all trainers where their run has steps to lose: one is stopped first, so that nothing moves meanwhile."""
    trainers = [pid for worker in service.workers for pid in trainers_of(worker)]
    trainer = trainers[1]

    def between():
        os.kill(trainer, signal.SIGSTOP)
        known = -1
        while known != (known := len(metrics(folder)[0])):
            time.sleep(0.2)
        if 0 < known % every < every - 1:
            return True
        os.kill(trainer, signal.SIGCONT)
        return None

    wait_for(between, 60, "a moment between two checkpoints")
    for pid in trainers:
        os.kill(pid, signal.SIGKILL)


def test_ranks_that_are_all_killed_are_a_rollback_and_nothing_is_used_twice(service, data):
    job = submit(service, data, "killed", 300, "--every_steps", 50, "--ckpt_freq", 1000)
    folder = service.wait(job, condition=lambda status: status["step"] >= 60)["run_folder"]
    kill_between_checkpoints(service, folder, 50)
    status = ended(service, job)
    numbers = assert_whole(service, job, 300, samples=1200)
    rollback = [
        record
        for record in json.loads(service.ctl("ledger", "show", job, "-o", "json").stdout)["records"]
        if record["kind"] == "rollback"
    ]
    assert numbers["rollbacks"] == len(rollback) == 1
    assert rollback[0]["cause"] == "TrainerKilled"
    assert status["lost_steps"] == rollback[0]["from"] - rollback[0]["to"] > 0
    assert f"lost steps    {status['lost_steps']}" in service.ctl("status", job).stdout
    assert_whole(service, status["run_folder"], 300, samples=1200)


def test_another_job_goes_on_where_a_cancelled_one_stopped(service, data):
    job = submit(service, data, "resumed", 200)
    service.wait(job, condition=lambda status: status["step"] >= 20)
    assert service.ctl("cancel", job).returncode == 0
    at = ended(service, job, "CANCELLED")["step"]
    assert_whole(service, job, at)
    again = ended(service, submit(service, data, "resumed", 200, "--resume", "require"))
    assert_whole(service, again["id"], 200, samples=800)
    assert_whole(service, again["run_folder"], 200, samples=800)
    assert_whole(service, job, at)


def test_a_coordinator_that_knows_nothing_takes_the_ledger_from_the_run_folder(tmp_path, data):
    with Service(tmp_path, workers=2) as service:
        job = submit(service, data, "adopted", 200)
        service.wait(job, condition=lambda status: status["step"] >= 20)
        assert service.ctl("cancel", job).returncode == 0
        stopped = ended(service, job, "CANCELLED")
    shutil.rmtree(tmp_path / "state")
    with Service(tmp_path, workers=2) as service:
        again = ended(service, submit(service, data, "adopted", 200, "--resume", "require"))
        assert again["generation"] > stopped["generation"]
        assert_whole(service, again["id"], 200, samples=800)


def test_a_killed_coordinator_loses_no_step_however_long_it_is_away(tmp_path, data):
    with Service(tmp_path, workers=2) as service:
        job = submit(service, data, "outage", 1500)
        folder = service.wait(job, condition=lambda status: status["step"] >= 50)["run_folder"]
        address = service.address
        service.coordinator.stop(signal.SIGKILL)
        at = len(metrics(folder)[0])
        wait_for(lambda: len(metrics(folder)[0]) >= at + 200, 60, "200 steps without the coordinator")
        service.start_coordinator(listen=address)
        status = ended(service, job)
        assert status["restarts"] == 0
        numbers = assert_whole(service, job, 1500, samples=6000)
        assert numbers["rollbacks"] == 0


@pytest.mark.parametrize(
    "fault, found",
    [
        ("wrong_sample@8", r"as if step 8 had used sample \d+ \(\S+\) in place of \d+"),
        ("repeat_sample@8:1", r"as if step 8 had used sample \d+ \(\S+\) in place of \d+"),
        ("skip_sample@8", r"as if step 8 had used sample \d+ \(\S+\) in place of \d+"),
        ("wrong_window@8", r"other samples or draws than the plan's"),
        ("repeat_step@8", r"as if step 8 had used the samples of step 7"),
    ],
)
def test_a_mistake_in_the_data_path_breaks_the_ledger(tmp_path, data, fault, found):
    with Service(tmp_path) as service:
        for _ in range(2):
            service.add_worker({"MDGEN_TEST_FAULT": fault})
        status = ended(service, submit(service, data, "faulty", 12))
        steps, _ = metrics(status["run_folder"])
        assert [line["samples"] for line in steps] == [4] * 12, "the step itself sees nothing"
        code, numbers, lines = verify(service, status["id"])
        assert code == 1 and not numbers["ok"]
        assert "generation 1: steps 1 to 12" in lines[0] and re.search(found, lines[0]), lines
        if "as if" in found:
            assert numbers["repeats"] > 0 and numbers["gaps"] > 0
        assert "MDGEN_TEST_FAULT" in service.ctl("logs", status["id"]).stdout + service.ctl(
            "logs", status["id"], "--rank", 1
        ).stdout


def test_bad_samples_fail_the_job_or_are_left_out(tmp_path, service, data):
    spoiled = tmp_path / "data"
    make_dataset(spoiled, "--proteins", 3, "--lengths", "8,12,16", "--frames", 20, "--replicas", 3)
    files = sorted((spoiled / "data").glob("*.npy"))
    name = files[0].name.split("_R")[0]
    for file in files:
        if not file.name.startswith(name + "_R"):
            continue
        array = np.load(file, mmap_mode="r+")
        array[:, :, 0] = np.nan
        array.flush()
    status = ended(service, submit(service, spoiled, "refused", 30), "FAILED")
    assert status["reason"] == "DataLoss"
    assert name in status["message"] and "not finite" in status["message"] and "rank" in status["message"]

    status = ended(service, submit(service, spoiled, "skipped", 30, "--on_bad_sample", "skip"))
    assert status["bad_samples"] == 40, "4 of the 12 samples of each of 10 epochs"
    assert any(warning.startswith(f"left out: {name} ") for warning in status["warnings"])
    steps, _ = metrics(status["run_folder"])
    named = [sample for line in steps for sample in line.get("bad_samples", [])]
    assert len(named) == 40 and {sample[1] for sample in named} == {name}
    _, numbers, lines = verify(service, status["id"])
    assert numbers["ok"] and numbers["samples"] == 80, lines
    assert "bad_samples=40" in lines[-2]
    assert_whole(service, status["run_folder"], 30, samples=80)
