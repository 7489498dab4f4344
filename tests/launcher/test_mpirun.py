"""Open MPI's mpirun, with a trainer that only plays: more workers than cores, signals, and what a pool survives."""

import os
import pathlib
import re
import signal

import pytest
from played import FAKE_TRAINER, Launch, gone, summary
from secrets_of import processes_below
from service import BIN, Program, Service, make_dataset, wait_for


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    make_dataset(folder, "--proteins", 1, "--lengths", 5, "--frames", 4, "--replicas", 1)
    return folder


@pytest.fixture
def place(tmp_path, data):
    (tmp_path / "tmp").mkdir()
    (tmp_path / "work").mkdir()
    (tmp_path / "data").symlink_to(data)
    return tmp_path


def programs_below(pid, name):
    def program(one):
        try:
            return pathlib.Path(f"/proc/{one}/exe").resolve().name
        except OSError:
            return ""

    return [one for one in processes_below(pid) if program(one) == name]


def test_more_workers_than_cores(place):
    launch = Launch(place, "train", prefix=("mpirun", "--oversubscribe", "-n", "5"))
    out, _ = launch.end(0)
    assert " SUCCEEDED steps=5" in summary(out)
    assert len(list((launch.run_folder / "logs").iterdir())) == 5


def test_slots_of_a_host_file(place):
    (place / "hosts").write_text("localhost slots=3\n")
    launch = Launch(place, "train", prefix=("mpirun", "--hostfile", place / "hosts"))
    out, _ = launch.end(0)
    assert " SUCCEEDED steps=5" in summary(out)
    assert len(list((launch.run_folder / "logs").iterdir())) == 3


def test_term_with_time_for_it_checkpoints(place):
    """mpirun kills a second after TERM unless it is told to wait, which it then does to the end; its status is 1."""
    launch = Launch(place, "endless", prefix=("mpirun", "--mca", "odls_base_sigkill_timeout", "8", "-n", "2"))
    launch.await_line("step 1/5")
    launch.process.send_signal(signal.SIGTERM)
    out, err = launch.end(1)
    assert re.search(r" CANCELLED steps=1 .*checkpoint=/", out), out + err


def test_killed_mpirun_leaves_no_process(place):
    launch = Launch(place, "endless", prefix=("mpirun", "-n", "2"))
    launch.await_line("step 1/5")
    everything = processes_below(launch.process.pid)
    assert len(everything) == 6  # two launchers, two agents, two trainers
    launch.process.kill()
    wait_for(lambda: all(gone(pid) for pid in everything), 30, "all end with mpirun")


def test_killed_mpirun_takes_its_pool_along(tmp_path):
    with Service(tmp_path) as service:
        pool = Program(["mpirun", "--enable-recovery", "--bind-to", "none", "-n", 2, BIN / "mdgen-worker", "--coordinator",
                        service.address, "--trainer", FAKE_TRAINER], tmp_path, "pool")
        wait_for(lambda: pool.out.read_text().count("ready worker=") == 2, 30, "two workers")
        agents = programs_below(pool.process.pid, "mdgen-worker")
        pool.process.kill()
        wait_for(lambda: all(gone(pid) for pid in agents), 20, "the agents' end")


def test_pool_with_recovery_survives_the_loss_of_an_agent(tmp_path, data):
    with Service(tmp_path) as service:
        pool = Program(["mpirun", "--enable-recovery", "--bind-to", "none", "-n", 3, BIN / "mdgen-worker", "--coordinator",
                        service.address, "--trainer", FAKE_TRAINER], tmp_path, "pool")
        wait_for(lambda: pool.out.read_text().count("ready worker=") == 3, 30, "three workers")
        agents = programs_below(pool.process.pid, "mdgen-worker")
        assert len(agents) == 3
        everything = {pid: pathlib.Path(f"/proc/{pid}/status").read_text() for pid in agents}
        usable = re.search(r"^Cpus_allowed:.*$", pathlib.Path("/proc/self/status").read_text(), re.M).group(0)
        assert all(usable in status for status in everything.values()), "bound"
        os.kill(agents[1], signal.SIGKILL)
        wait_for(lambda: gone(agents[1]), 10, "its end")
        job = service.submit("--set", "workers.min=2", "--set", "workers.max=2", "--", "--train_split", data / "train.csv",
                             "--val_split", data / "val.csv", "--data_dir", data / "data", "--atlas", "--num_frames", 2,
                             "--max_steps", 5, "--run_name", "train", "--work_dir", tmp_path / "runs")
        assert service.wait(job, 60)["state"] == "SUCCEEDED"
        assert pool.process.poll() is None and not gone(agents[0]) and not gone(agents[2])
        pool.stop()
        wait_for(lambda: all(gone(pid) for pid in agents), 20, "the agents' end")
