"""mdgen-launch over hosts of its own (tests/support/netns.py), with a trainer that only plays: rank 0's addresses,
certificate and token reach the others, and nobody else gets in."""

import os
import pathlib
import re
import signal
import subprocess
import sys

import netns
import pytest
from service import BIN, SOURCE, Program, make_dataset, wait_for

pytestmark = pytest.mark.skipif(netns.why_not() is not None, reason=str(netns.why_not()))
FAKE_TRAINER = BIN.parent / "tests" / "fake_trainer"


@pytest.fixture
def hosts():
    with netns.Hosts(2) as made:
        yield made


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    make_dataset(folder, "--proteins", 1, "--lengths", 5, "--frames", 4, "--replicas", 1)
    return folder


def words(data, folder, play):
    return ["--trainer", FAKE_TRAINER, "train", "--train_split", data / "train.csv", "--val_split", data / "val.csv",
            "--data_dir", data / "data", "--atlas", "--num_frames", 2, "--max_steps", 5, "--work_dir", folder / "runs",
            "--run_name", play]


def slurm_step(rank, size):
    """What srun sets in a step with a task on each of `size` nodes."""
    return {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_PROCID": str(rank), "SLURM_STEP_NUM_TASKS": str(size),
            "SLURM_LOCALID": "0", "SLURM_NODEID": str(rank), "SLURM_STEP_TASKS_PER_NODE": f"1(x{size})"}


def launch(hosts, data, folder, play):
    """One process on each host, the last first."""
    return [Program(host.command(BIN / "mdgen-launch", *words(data, folder, play)), folder, f"rank-{rank}",
                    {**slurm_step(rank, len(hosts)), "MDGEN_LOG": "info"})
            for rank, host in reversed(list(enumerate(hosts)))][::-1]


def test_ranks_on_two_hosts_meet_by_file(hosts, data, tmp_path):
    ranks = launch(hosts, data, tmp_path, "train")
    assert [rank.process.wait(60) for rank in ranks] == [0, 0], [rank.err.read_text() for rank in ranks]
    assert " SUCCEEDED steps=5" in ranks[0].out.read_text()
    assert {log.name for log in (tmp_path / "runs/train/logs").iterdir()} == {"rank-0.attempt-1.log", "rank-1.attempt-1.log"}
    assert not list((tmp_path / "runs/train").glob(".mdgen-launch*"))


def test_strangers_are_not_let_in(hosts, data, tmp_path):
    ranks = launch(hosts, data, tmp_path, "endless")
    ranks[0].ready_line(r"step 1/5")
    listening = hosts[0].run("ss", "-Hltn").stdout
    ports = re.findall(r"(?:0\.0\.0\.0|\*):(\d+)", listening)
    assert len(ports) == 1, listening
    address = f"{hosts[0].address}:{ports[0]}"
    stranger = hosts[1].run(BIN / "mdgenctl", "--address", address, "list", check=False)
    assert stranger.returncode == 4 and "if it uses TLS" in stranger.stderr, stranger
    agent = hosts[1].run(BIN / "mdgen-worker", "--coordinator", address, "--connect_timeout", 2, "--trainer", FAKE_TRAINER,
                         check=False)
    assert agent.returncode == 1, agent
    certificate = tmp_path / "ca"
    certificate.write_bytes(hosts[1].run(sys.executable, "-c", "import ssl, sys; "
                                         f"print(ssl.get_server_certificate(('{hosts[0].address}', {ports[0]})))").stdout.encode())
    guesser = hosts[1].run(BIN / "mdgenctl", "--address", address, "--ca", certificate, "list", check=False,
                           env={**os.environ, "MDGEN_TOKEN": "g" * 64})
    assert guesser.returncode == 1 and "the token is not this coordinator's" in guesser.stderr, guesser
    ranks[0].process.send_signal(signal.SIGUSR1)
    assert [rank.process.wait(60) for rank in ranks] == [75, 0]


def test_secret_in_the_environment_serves_where_no_file_can(hosts, data, tmp_path):
    """torchrun's variables, which name no launch: MDGEN_ADDRESS and MDGEN_TOKEN are all that the ranks share."""
    group = {"WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1", "MASTER_ADDR": hosts[0].address,
             "MASTER_PORT": "1", "MDGEN_ADDRESS": f"{hosts[0].address}:7171", "MDGEN_TOKEN": "s" * 40}
    ranks = [Program(hosts[rank].command(BIN / "mdgen-launch", *words(data, tmp_path, "train")), tmp_path, f"rank-{rank}",
                     {**group, "RANK": str(rank)}) for rank in (1, 0)][::-1]
    assert [rank.process.wait(60) for rank in ranks] == [0, 0], [rank.err.read_text() for rank in ranks]
    assert " SUCCEEDED steps=5" in ranks[0].out.read_text()


def test_mpirun_over_two_hosts_hands_over_by_pmix(hosts, data, tmp_path):
    shell = netns.remote_shell(tmp_path, hosts)
    run = subprocess.run(
        [shell, hosts[0].address, "mpirun", "--mca", "plm_rsh_agent", shell, "--mca", "oob_tcp_if_include", "eth0", "--mca",
         "btl", "self", "--host", f"{hosts[0].address}:1,{hosts[1].address}:1", "-n", "2", BIN / "mdgen-launch",
         *map(str, words(data, tmp_path, "train"))],
        capture_output=True, text=True, timeout=100, cwd=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    assert " SUCCEEDED steps=5" in run.stdout
    logs = {log.name for log in (tmp_path / "runs/train/logs").iterdir()}
    assert logs == {"rank-0.attempt-1.log", "rank-1.attempt-1.log"}


def test_pool_reaches_its_coordinator_over_a_slow_lossy_link(hosts, data, tmp_path):
    one, two = hosts
    coordinator = Program(one.command(BIN / "mdgen-coordinator", "--listen", "0.0.0.0:7070", "--http", "", "--state_dir",
                                      tmp_path / "state"), tmp_path, "coordinator")
    access = coordinator.ready_line(r"^access ca=(\S+) token_file=(\S+)\nready")
    relay = Program(two.command(sys.executable, SOURCE / "tests/support/relay.py", "--to", f"{one.address}:7070", "--delay",
                                "0.05", "--loss", "0.02"), tmp_path, "relay")
    address = relay.ready_line(r"^ready (\S+)$").group(1)
    options = ["--ca", access.group(1), "--token_file", access.group(2)]
    worker = Program(two.command(BIN / "mdgen-worker", "--coordinator", address, "--trainer", FAKE_TRAINER, *options),
                     tmp_path, "worker")
    worker.ready_line(r"^ready worker=")
    done = two.run(BIN / "mdgenctl", "--address", address, *options, "submit", "--follow", "--",
                   *words(data, tmp_path, "train")[3:])
    assert "SUCCEEDED" in done.stdout, done
    for program in (worker, relay, coordinator):
        program.stop()
    assert pathlib.Path(access.group(2)).stat().st_mode & 0o77 == 0


def test_link_that_is_cut_and_healed_brings_the_agent_back(hosts, tmp_path):
    one, two = hosts
    coordinator = Program(one.command(BIN / "mdgen-coordinator", "--listen", "0.0.0.0:7070", "--http", "", "--state_dir",
                                      tmp_path / "state"), tmp_path, "coordinator", {"MDGEN_LOG": "info"})
    access = coordinator.ready_line(r"^access ca=(\S+) token_file=(\S+)\nready")
    worker = Program(two.command(BIN / "mdgen-worker", "--coordinator", f"{one.address}:7070", "--trainer", FAKE_TRAINER,
                                 "--ca", access.group(1), "--token_file", access.group(2)), tmp_path, "worker",
                     {"MDGEN_LOG": "info"})
    worker.ready_line(r"^ready worker=")

    def workers(what):
        return re.findall(rf"worker (\S+) {what}", coordinator.err.read_text())

    first = workers("registered")
    assert len(first) == 1
    two.unplug()
    assert wait_for(lambda: workers("is lost"), 15, "the worker is lost") == first
    two.plug_in()
    wait_for(lambda: len(workers("registered")) == 2, 60, f"the worker comes back: {worker.err.read_text()}")
    assert worker.process.poll() is None
    assert worker.stop() == 0
    coordinator.stop()
