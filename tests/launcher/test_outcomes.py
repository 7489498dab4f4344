"""mdgen-launch from start to end, with a trainer that only plays: what each way to end a run leaves behind."""

import os
import pathlib
import re
import signal
import socket
import subprocess

import pytest
from played import Launch, children, gone, summary
from secrets_of import everything_about, processes_below
from service import BIN, make_dataset, wait_for


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    make_dataset(folder, "--proteins", 1, "--lengths", 5, "--frames", 4, "--replicas", 1)
    return folder


@pytest.fixture
def place(tmp_path, data):
    """A folder to work in, with a TMPDIR of its own."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "work").mkdir()
    (tmp_path / "data").symlink_to(data)
    return tmp_path


@pytest.mark.parametrize("prefix", [(), ("mpirun", "-n", "2")], ids=["local", "mpirun"])
def test_success_is_0(place, prefix):
    launch = Launch(place, "train", prefix=prefix)
    out, _ = launch.end(0)
    checkpoint = launch.run_folder / "checkpoints/fake"
    assert summary(out).endswith(f" SUCCEEDED steps=5 loss=2->0.4 checkpoint={checkpoint}")
    assert summary(out).startswith("job ")
    assert {log.name for log in (launch.run_folder / "logs").iterdir()} == {"rank-0.attempt-1.log", "rank-1.attempt-1.log"}


@pytest.mark.parametrize("prefix", [(), ("mpirun", "-n", "2")], ids=["local", "mpirun"])
def test_failure_is_1(place, prefix):
    out, _ = Launch(place, "exit3", "--max_restarts", 0, prefix=prefix).end(1)
    assert "exit status 3" in out
    assert " FAILED steps=0" in summary(out)


@pytest.mark.parametrize("prefix", [(), ("mpirun", "-n", "2")], ids=["local", "mpirun"])
@pytest.mark.parametrize("wrong, text", [
    (("--bogus", "1"), 'unknown flag "--bogus"'),
    (("--workers.max", "5"), "workers.max=5"),
    (("--precision", "8-bit"), "optim.precision cannot be \"8-bit\""),
    (("--run_name", "../escape"), "escape"),
])
def test_refused_spec_is_2_and_leaves_nothing(place, prefix, wrong, text):
    launch = Launch(place, "train", *wrong, prefix=prefix)
    _, err = launch.end(2)
    assert text in err
    assert not list((place / "work").iterdir())


@pytest.mark.parametrize("arguments", [[], ["train"], ["-n", "0", "train"], ["tain"], ["-n", "2", "train", "-f", "absent.yaml"]])
def test_usage_error_is_2(place, arguments):
    run = subprocess.run([BIN / "mdgen-launch", *arguments], capture_output=True, text=True, cwd=place / "work")
    assert run.returncode == 2, run
    assert run.stderr
    assert not list((place / "work").iterdir())


def test_minus_n_under_mpirun_is_2(place):
    run = subprocess.run(["mpirun", "-n", "2", BIN / "mdgen-launch", "-n", "2", "train"], capture_output=True, text=True)
    assert run.returncode == 2
    assert "mpirun has started 2 processes" in run.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_checkpoints_and_is_3(place, number):
    launch = Launch(place, "endless")
    launch.await_line("step 1/5")
    launch.process.send_signal(number)
    out, _ = launch.end(3)
    assert summary(out).endswith(f" CANCELLED steps=1 loss=2->2 checkpoint={launch.run_folder / 'checkpoints/fake'}")


def test_terminals_interrupt_reaches_the_launcher_alone(place):
    launch = Launch(place, "endless")
    launch.await_line("step 1/5")
    os.killpg(launch.process.pid, signal.SIGINT)
    out, _ = launch.end(3)
    assert "checkpoint=" in summary(out)


def test_second_signal_stops_a_run_that_does_not_obey(place):
    launch = Launch(place, "hang")
    launch.await_line("STARTING")
    launch.process.send_signal(signal.SIGINT)
    launch.await_line("stopping with a checkpoint")
    launch.process.send_signal(signal.SIGINT)
    out, _ = launch.end(3)
    assert " CANCELLED steps=0" in summary(out)


def test_usr1_checkpoints_and_is_75(place):
    launch = Launch(place, "endless")
    launch.await_line("step 1/5")
    launch.process.send_signal(signal.SIGUSR1)
    out, _ = launch.end(75)
    assert "checkpoint=" in summary(out)


def test_mpiruns_usr1_checkpoints_and_is_75(place):
    launch = Launch(place, "endless", prefix=("mpirun", "-n", "2"))
    launch.await_line("step 1/5")
    launch.process.send_signal(signal.SIGUSR1)
    out, _ = launch.end(75)
    assert "checkpoint=" in out


def test_lost_agent_ends_the_run_with_1(place):
    launch = Launch(place, "endless")
    launch.await_line("step 1/5")
    os.kill(children(launch.process.pid)[1], signal.SIGKILL)
    _, err = launch.end(1)
    assert "agent 1 ended by signal 9" in err


def test_killed_launcher_leaves_no_process(place):
    launch = Launch(place, "endless")
    launch.await_line("step 1/5")
    agents = children(launch.process.pid)
    trainers = [trainer for agent in agents for trainer in children(agent)]
    assert len(agents) == 2 and len(trainers) == 2
    launch.process.kill()
    wait_for(lambda: all(gone(pid) for pid in agents + trainers), 30, "agents and trainers end with their launcher")


def cpus_of(pid):
    return re.search(r"^Cpus_allowed_list:\s*(\S+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M).group(1)


@pytest.mark.parametrize("options, bound", [((), False), (("--bind-to", "core"), True)], ids=["default", "asked for"])
def test_mpiruns_own_binding_is_left_unless_asked_for(place, options, bound):
    if os.cpu_count() < 2:
        pytest.skip("one CPU is all there is")
    launch = Launch(place, "endless", prefix=("mpirun", "-n", "2", *options))
    launch.await_line("step 1/5")
    trainers = [trainer for rank in children(launch.process.pid) for agent in children(rank)
                for trainer in children(agent)]
    assert len(trainers) == 2
    everything = cpus_of("self")
    assert [cpus_of(pid) != everything for pid in trainers] == [bound, bound]
    launch.process.send_signal(signal.SIGUSR1)
    launch.end(75)


@pytest.mark.parametrize("prefix", [(), ("mpirun", "-n", "2")], ids=["local", "mpirun"])
def test_token_is_the_launchers_and_the_agents_alone(place, prefix):
    launch = Launch(place, "endless", prefix=prefix, environment={"MDGEN_LOG": "trace"})
    launch.await_line("step 1/5")
    pids = processes_below(launch.process.pid)
    programs = {pid: pathlib.Path(f"/proc/{pid}/exe").resolve().name for pid in pids}
    agents = [pid for pid in pids if programs[pid] == "mdgen-worker"]
    trainers = [pid for pid in pids if programs[pid] == "fake_trainer"]
    assert len(agents) == 2 and len(trainers) == 2
    token, certificate = (pathlib.Path(f"/proc/{agents[0]}/fd/{number}").read_text() for number in (3, 4))
    assert re.fullmatch("[0-9a-f]{64}", token) and "BEGIN CERTIFICATE" in certificate
    for pid in trainers:
        assert token not in everything_about(pid)
    for pid in agents + [launch.process.pid]:
        assert token not in pathlib.Path(f"/proc/{pid}/cmdline").read_text()
        assert token not in pathlib.Path(f"/proc/{pid}/environ").read_text()
    launch.process.send_signal(signal.SIGUSR1)
    out, err = launch.end(75)
    assert token not in out + err
    for file in place.rglob("*"):
        assert not file.is_file() or token.encode() not in file.read_bytes(), file


def test_torchrun_meets_at_the_agreed_address(place):
    secret = "s" * 40
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])

    def rank(number):
        group = {"RANK": number, "WORLD_SIZE": "2", "LOCAL_RANK": number, "LOCAL_WORLD_SIZE": "2",
                 "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1", "MDGEN_ADDRESS": f"127.0.0.1:{port}",
                 "MDGEN_TOKEN": secret}
        return Launch(place, "train", prefix=("env",), environment=group)

    second, first = rank("1"), rank("0")
    out, _ = first.end(0)
    assert " SUCCEEDED steps=5" in summary(out)
    assert second.process.wait(timeout=60) == 0


def test_srun_without_pmix_hands_over_by_file(place):
    left_behind = place / "work/workdir/train/.mdgen-launch-slurm-7-0"
    left_behind.parent.mkdir(parents=True)
    left_behind.write_text('{"addresses": ["127.0.0.1:1"], "certificate": "", "token": ""}\n')
    left_behind.chmod(0o600)

    def rank(number):
        step = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_PROCID": number, "SLURM_STEP_NUM_TASKS": "2",
                "SLURM_LOCALID": number, "SLURM_NODEID": "0", "SLURM_STEP_TASKS_PER_NODE": "2"}
        return Launch(place, "train", prefix=("env",), environment=step)

    second, first = rank("1"), rank("0")
    out, _ = first.end(0)
    assert " SUCCEEDED steps=5" in summary(out)
    assert second.process.wait(timeout=60) == 0
    assert not list(first.run_folder.glob(".mdgen-launch*"))
