"""Runs that are broken and survive: what is lost (nothing), and how long it takes."""

import os
import pathlib
import signal
import time

import pytest
from memory_cgroup import MemoryCgroup
from recovery import Ranks, Timeline, curve, ledger, weights
from service import BIN, Program, Service, make_dataset, metrics, wait_for

STEPS = 160
BREAK_AT = 30

SMALL = (
    "--sim_condition --atlas --num_frames 4 --crop 16 --embed_dim 16 --num_layers 1 --mha_heads 2 --batch_size 1 "
    "--lr 1e-3 --epochs 100000 --train_repeat 8 --global_batch_size 4 --no_validate --every_steps 1000 --ckpt_freq 100000"
).split()

timeline = Timeline()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    make_dataset(folder, "--proteins", 3, "--lengths", "8,12,16", "--frames", 20, "--replicas", 3)
    return folder


@pytest.fixture(scope="module")
def service(tmp_path_factory, request):
    with Service(tmp_path_factory.mktemp("service"), workers=4, coordinator_flags=["--allow_inject"]) as running:
        yield running
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print("\n" + timeline.text())


def submit(service, data, name, *more, workers="4:4", steps=STEPS, sets=()):
    low, high = workers.split(":")
    words = (
        f"--name {name} --work_dir {service.folder / 'runs'} --train_split {data / 'train.csv'} "
        f"--val_split {data / 'val.csv'} --data_dir {data / 'data'} --max_steps {steps}"
    ).split()
    settings = [f"workers.min={low}", f"workers.max={high}", "threads_per_worker=1", "recovery.timeout_scale=0.3", *sets]
    return service.submit(
        *[word for one in settings for word in ("--set", one)], "--", *words, *SMALL, *[str(word) for word in more]
    )


def running(service, job, step=BREAK_AT):
    """Waits until the job is well on its way, with all its workers."""
    return service.wait(job, condition=lambda status: status["state"] == "RUNNING" and status["step"] >= step)


def full_pool(service, workers=4):
    service.workers = [worker for worker in service.workers if worker.process.poll() is None]
    while len(service.workers) < workers:
        service.add_worker()


@pytest.fixture(scope="module")
def quiet(service, data):
    """The run that nobody disturbs."""
    status = service.wait(submit(service, data, "quiet"))
    assert status["state"] == "SUCCEEDED", status["message"]
    assert status["restarts"] == 0
    return {"curve": curve(status), "weights": weights(status)}


def survived(service, job, quiet, same_bits=True):
    """The end of a run that kept a clean rank: nothing is lost, nothing is used twice, nothing differs."""
    status = service.wait(job)
    assert status["state"] == "SUCCEEDED", f"{status['reason']}: {status['message']}"
    proof = ledger(service, job)
    assert proof["ok"] and proof["rollbacks"] == 0, proof["text"]
    assert proof["steps"] == STEPS and proof["repeats"] == 0 and proof["gaps"] == 0
    assert status["lost_steps"] == 0
    if same_bits:
        assert curve(status) == quiet["curve"]
        assert weights(status) == quiet["weights"]
    else:
        for (step, loss, _), (expected_step, expected, _) in zip(curve(status), quiet["curve"], strict=True):
            assert step == expected_step and loss == pytest.approx(expected, rel=2e-2), step
    return status


def kill_trainer(service, status, rank, number=signal.SIGKILL):
    os.kill(Ranks(service, status).trainer(rank), number)


@pytest.mark.parametrize(
    "name, rank, number",
    [("killed", 2, signal.SIGKILL), ("killed-rank-0", 0, signal.SIGKILL), ("segfault", 1, signal.SIGSEGV)],
)
def test_a_trainer_that_dies_costs_no_step(service, data, quiet, name, rank, number):
    job = submit(service, data, name)
    before = running(service, job)
    survivors = [Ranks(service, before).trainer(other) for other in range(4) if other != rank]
    at = time.time()
    kill_trainer(service, before, rank, number)
    status = survived(service, job, quiet)
    one = status["recoveries"][-1]
    timeline.add(f"trainer {number.name}, rank {rank}", at, status)
    assert one["rank"] == rank and f"signal {int(number)}" in one["message"], one
    assert one["source"].startswith("memory"), one
    assert status["restarts"] == 1 and one["workers"] == 4
    logs = "".join(log.read_text() for log in (pathlib.Path(status["run_folder"]) / "logs").glob("*.log"))
    assert all(f"process {pid}" in logs for pid in survivors)
    assert len(list((pathlib.Path(status["run_folder"]) / "logs").glob("*.log"))) == 5, "only one process was started anew"
    assert "recoveries    1, the last in" in service.ctl("status", job).stdout
    text = service.ctl("describe", job).stdout
    assert "went on from memory of rank" in text and f"signal {int(number)}" in text
    assert "an agent without a beat" in text


def test_a_trainer_that_hangs_is_found_and_replaced(service, data, quiet):
    job = submit(service, data, "stopped")
    status = running(service, job)
    at = time.time()
    kill_trainer(service, status, 3, signal.SIGSTOP)
    status = survived(service, job, quiet)
    detected, _ = timeline.add("trainer SIGSTOP, rank 3", at, status)
    assert status["recoveries"][-1]["rank"] == 3, status["recoveries"][-1]
    assert detected < 10


def test_a_lost_agent_is_replaced_by_a_spare(service, data, quiet):
    full_pool(service, 5)
    job = submit(service, data, "agent-spare")
    status = running(service, job)
    at = time.time()
    Ranks(service, status).agent(1).send_signal(signal.SIGKILL)
    status = survived(service, job, quiet)
    detected, _ = timeline.add("agent SIGKILL, rank 1, with a spare", at, status)
    assert detected < 5
    assert status["recoveries"][-1]["workers"] == 4
    full_pool(service)


def test_a_lost_agent_without_a_spare_leaves_fewer(service, data, quiet):
    full_pool(service)
    job = submit(service, data, "agent-fewer", workers="2:4")
    status = running(service, job)
    at = time.time()
    Ranks(service, status).agent(0).send_signal(signal.SIGKILL)
    status = survived(service, job, quiet, same_bits=False)
    timeline.add("agent SIGKILL, rank 0, none spare", at, status)
    assert status["recoveries"][-1]["workers"] == 3
    assert curve(status)[: BREAK_AT - 1] == quiet["curve"][: BREAK_AT - 1]
    full_pool(service)


def test_all_trainers_gone_goes_on_from_the_newest_checkpoint(service, data, quiet):
    job = submit(service, data, "all-gone", "--every_steps", 20)
    status = running(service, job, 35)
    ranks = Ranks(service, status)
    pids = [ranks.trainer(rank) for rank in range(4)]
    done = len(metrics(status["run_folder"])[0])
    at = time.time()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    folders = (pathlib.Path(status["run_folder"]) / "checkpoints").glob("step-*")
    newest = max(int(folder.name.split("-")[1]) for folder in folders)
    status = service.wait(job)
    assert status["state"] == "SUCCEEDED", status["message"]
    timeline.add("all trainers SIGKILL", at, status)
    assert curve(status) == quiet["curve"] and weights(status) == quiet["weights"]
    proof = ledger(service, job)
    assert proof["ok"] and proof["rollbacks"] <= 1, proof["text"]
    assert int(status["recovery_count"]) >= 1 and status["recoveries"]
    assert status["lost_steps"] == sum(one["lost_steps"] for one in status["recoveries"])
    if done > newest:
        assert status["lost_steps"] > 0 and proof["rollbacks"] == 1, (done, newest, status["recoveries"])


def test_the_coordinator_dies_under_load_and_nothing_is_lost(service, data, quiet):
    job = submit(service, data, "coordinator")
    status = running(service, job)
    run_folder = status["run_folder"]
    follower = Program(
        [BIN / "mdgenctl", "--address", service.address, "logs", "-f", job], service.folder, "follower"
    )
    follower.ready_line("process")
    service.coordinator.stop(signal.SIGKILL)
    done = len(metrics(run_folder)[0])
    wait_for(lambda: len(metrics(run_folder)[0]) >= done + 10, 60, "training goes on without the coordinator")
    service.start_coordinator(listen=service.address)
    status = survived(service, job, quiet)
    assert status["restarts"] == 0 and not status["recoveries"], "nobody had to be replaced"
    assert follower.process.wait(60) == 0, follower.err.read_text()
    assert follower.out.read_text() == (pathlib.Path(run_folder) / "logs" / "rank-0.attempt-1.log").read_text()


def test_a_rank_that_dies_while_the_coordinator_is_away_is_replaced_when_it_is_back(service, data, quiet):
    job = submit(service, data, "both")
    status = running(service, job)
    service.coordinator.stop(signal.SIGKILL)
    at = time.time()
    kill_trainer(service, status, 2)
    time.sleep(1)  # the survivors hold their memory and wait
    service.start_coordinator(listen=service.address)
    status = survived(service, job, quiet)
    timeline.add("trainer and coordinator SIGKILL", at, status)


def test_pause_frees_the_workers_and_resume_takes_fewer(service, data, quiet):
    job = submit(service, data, "paused", workers="2:4")
    running(service, job)
    assert service.ctl("pause", job).returncode == 0
    paused = service.wait(job, condition=lambda status: status["state"] == "PAUSED")
    at = paused["step"]
    assert BREAK_AT <= at < STEPS
    assert os.path.basename(paused["checkpoint"]).startswith(f"step-{at:09d}-g")
    other = service.wait(submit(service, data, "meanwhile", steps=3))
    assert other["state"] == "SUCCEEDED", "the workers are free"
    assert service.ctl("pause", job).returncode in (0, 1), "an answer, not a crash"
    assert service.ctl("resume", job, "--workers", "2").returncode == 0
    status = survived(service, job, quiet, same_bits=False)
    assert status["workers"] == 2
    assert curve(status)[:at] == quiet["curve"][:at]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_an_agent_that_is_told_to_leave_takes_its_trainer_along_in_good_order(service, data, quiet, number):
    full_pool(service)
    job = submit(service, data, f"drained-{number.name}", workers="2:4")
    status = running(service, job)
    leaving = Ranks(service, status).agent(1)
    at = time.time()
    leaving.send_signal(number)
    assert leaving.process.wait(60) == 0
    status = survived(service, job, quiet, same_bits=False)
    timeline.add(f"agent {number.name}", at, status)
    boundary = status["recoveries"][-1]["from_step"]
    names = os.listdir(pathlib.Path(status["run_folder"]) / "checkpoints")
    assert any(name.startswith(f"step-{boundary:09d}-g") for name in names), f"a checkpoint at {boundary}: {names}"
    assert status["recoveries"][-1]["workers"] == 3
    assert curve(status)[:boundary] == quiet["curve"][:boundary]
    full_pool(service)


def test_a_job_grows_when_workers_appear(tmp_path, data):
    with Service(tmp_path, workers=1, coordinator_flags=["--grow_interval", "1"]) as small:
        job = submit(small, data, "grown", workers="1:2", steps=600)
        running(small, job, 20)
        small.add_worker()
        status = small.wait(job, condition=lambda status: status["workers"] == 2, seconds=100)
        status = small.wait(job, seconds=240)
        assert status["state"] == "SUCCEEDED", status["message"]
        proof = ledger(small, job)
        assert proof["ok"] and proof["rollbacks"] == 0, proof["text"]


def test_inject_is_refused_unless_the_coordinator_allows_it(tmp_path, data):
    with Service(tmp_path, workers=1) as careful:
        job = submit(careful, data, "careful", workers="1:1", steps=2000)
        running(careful, job, 1)
        refused = careful.ctl("inject", job, "kill")
        assert refused.returncode == 1 and "--allow_inject" in refused.stderr
        assert careful.ctl("cancel", job, "--grace", 0).returncode == 0


@pytest.mark.parametrize(
    "fault, words, recovers",
    [
        ("kill", [], True),
        ("slow", ["--seconds", 0.05, "--steps", 5], False),
        ("corrupt-checkpoint", [], False),
        ("partition", ["--seconds", 8], True),
    ],
)
def test_injected_faults_are_survived(service, data, quiet, fault, words, recovers):
    full_pool(service)
    job = submit(service, data, f"inject-{fault}", "--every_steps", 20)
    running(service, job)
    at = time.time()
    done = service.ctl("inject", job, "--rank", 1, fault, *words)
    assert done.returncode == 0, done.stderr
    status = survived(service, job, quiet)
    if recovers:
        timeline.add(f"inject {fault} {' '.join(map(str, words))}", at, status)
    else:
        assert not status["recoveries"]
    if fault == "corrupt-checkpoint":
        said = "".join(worker.err.read_text() for worker in service.workers)
        assert "damaged " in said and "is flipped" in said


def test_faults_at_the_worst_points_of_a_step_cost_nothing(tmp_path, data, quiet):
    faults = "kill.mid_optimizer@20:1,segfault.mid_reduce@45:0,break.after_reduce@70:3,kill.before_report@95:2"
    with Service(tmp_path, workers=4, environment={"MDGEN_TEST_FAULT": faults}) as broken:
        job = submit(broken, data, "points")
        status = survived(broken, job, quiet)
        assert status["recovery_count"] == 4, status["recoveries"]
        assert [one["lost_steps"] for one in status["recoveries"]] == [0, 0, 0, 0]


def test_the_kernels_out_of_memory_killer_is_named(tmp_path, data):
    try:
        group = MemoryCgroup()
    except OSError as error:
        pytest.skip(f"no memory cgroup can be made here: {error}")
    with Service(tmp_path, workers=1) as tight:
        tight.add_worker(prefix=group.prefix())
        job = submit(tight, data, "tight", workers="2:2", steps=400)
        running(tight, job)
        group.exhaust()
        status = tight.wait(job, condition=lambda status: status["recovery_count"] >= 1)
        assert status["recoveries"][0]["reason"] == "OutOfMemory", status["recoveries"][0]
        status = tight.wait(job)
        assert status["state"] == "SUCCEEDED" and status["lost_steps"] == 0, status["message"]
    group.remove()


def test_a_rank_that_does_not_exist_cannot_be_broken(service, data):
    job = submit(service, data, "two", workers="2:2", steps=400)
    running(service, job, 1)
    refused = service.ctl("inject", job, "--rank", 7, "kill")
    assert refused.returncode == 1 and "7" in refused.stderr
    assert service.ctl("cancel", job, "--grace", 0).returncode == 0


def test_an_injected_hang_that_ends_in_time_is_no_failure(service, data, quiet):
    job = submit(service, data, "paused-a-moment", sets=["recovery.timeout_scale=1"])
    running(service, job)
    assert service.ctl("inject", job, "hang", "--seconds", 1).returncode == 0
    status = survived(service, job, quiet)
    assert not status["recoveries"]
