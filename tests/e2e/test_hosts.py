"""Training over hosts of its own (tests/support/netns.py): a coordinator with TLS on one, workers on the others; a
cable is pulled out and put back, a link is made narrow, and one command trains over two hosts."""

import json
import re

import netns
import pytest
from service import BIN, FINAL, Program, make_dataset, metrics, wait_for

pytestmark = pytest.mark.skipif(netns.why_not() is not None, reason=str(netns.why_not()))

SMALL = (
    "--sim_condition --prepend_ipa --atlas --num_frames 8 --crop 24 --embed_dim 32 --num_layers 1 --mha_heads 4 "
    "--ipa_heads 2 --ipa_head_dim 8 --ipa_qk 4 --ipa_v 4 --batch_size 2 --lr 1e-3 --epochs 1000 --no_validate "
    "--train_repeat 4 --global_batch_size 4 --num_workers 1 --threads_per_worker 1 --seed 1"
).split()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    make_dataset(folder, "--proteins", 3, "--lengths", "16,24,40", "--frames", 40, "--replicas", 3)
    return folder


def flags(data, folder, name, steps):
    return [*SMALL, "--train_split", data / "train.csv", "--val_split", data / "val.csv", "--data_dir", data / "data",
            "--work_dir", folder / "runs", "--run_name", name, "--max_steps", steps]


class Pool:
    """A coordinator on the first host, a worker on each of the others."""

    def __init__(self, hosts, folder):
        self.head, *self.nodes = hosts
        self.folder = folder

    def __enter__(self):
        self.coordinator = Program(
            self.head.command(BIN / "mdgen-coordinator", "--listen", f"{self.head.address}:7070", "--http", "",
                              "--state_dir", self.folder / "state"), self.folder, "coordinator", {"MDGEN_LOG": "info"})
        access = self.coordinator.ready_line(r"^access ca=(\S+) token_file=(\S+)\nready")
        self.access = ["--ca", access.group(1), "--token_file", access.group(2)]
        self.workers = [
            Program(node.command(BIN / "mdgen-worker", "--coordinator", f"{self.head.address}:7070", *self.access),
                    self.folder, f"worker-{number}", {"MDGEN_LOG": "info"}) for number, node in enumerate(self.nodes)]
        for worker in self.workers:
            worker.ready_line(r"^ready worker=")
        return self

    def __exit__(self, *_):
        for program in [*self.workers, self.coordinator]:
            program.stop()

    def ctl(self, *words):
        return self.head.run(BIN / "mdgenctl", "--address", f"{self.head.address}:7070", *self.access, *words, check=False)

    def submit(self, *words):
        run = self.ctl("submit", "-o", "json", *words)
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout)["id"]

    def status(self, job):
        run = self.ctl("status", job, "-o", "json")
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout)

    def wait(self, job, condition, seconds=120):
        def look():
            status = self.status(job)
            assert status["state"] not in FINAL or condition(status), status
            return status if condition(status) else None

        return wait_for(look, seconds, f"job {job}; now {self.status(job)}")

    def registered(self):
        return re.findall(r"worker (\S+) registered", self.coordinator.err.read_text())

    def lost(self):
        return re.findall(r"worker (\S+) is lost", self.coordinator.err.read_text())


def test_a_node_that_is_cut_off_is_lost_and_the_others_go_on_from_memory(data, tmp_path):
    steps = 400
    with netns.Hosts(3) as hosts, Pool(hosts, tmp_path) as pool:
        job = pool.submit("--set", "workers.min=1", "--set", "workers.max=2", "--set", "checkpoint.every_steps=10000",
                          "--", *flags(data, tmp_path, "cut", steps))
        pool.wait(job, lambda status: status["step"] >= 20)
        pool.nodes[1].unplug()
        gone = wait_for(pool.lost, 15, "the node's worker is lost")
        before = pool.status(job)["step"]
        pool.wait(job, lambda status: status["step"] > before)
        pool.nodes[1].plug_in()
        wait_for(lambda: len(pool.registered()) == 3, 60, "the node comes back with a new worker")
        assert pool.registered()[2] not in pool.registered()[:2]
        assert gone[0] in pool.registered()[:2]
        ended = pool.wait(job, lambda status: status["state"] in FINAL, 300)
        assert ended["state"] == "SUCCEEDED" and ended["step"] == steps, ended
        verified = pool.ctl("ledger", "verify", job)
        assert re.search(rf"^ledger: steps={steps} .* repeats=0 gaps=0 rollbacks=0 OK$", verified.stdout, re.M), verified
        assert [line["step"] for line in metrics(ended["run_folder"])[0]] == list(range(1, steps + 1))
        # The node is as good as new: a job that needs both runs on both.
        job = pool.submit("--set", "workers.min=2", "--set", "workers.max=2", "--", *flags(data, tmp_path, "after", 5))
        assert pool.wait(job, lambda status: status["state"] in FINAL)["state"] == "SUCCEEDED"


def test_one_command_trains_over_two_hosts_as_on_one(data, tmp_path):
    alone = netns.Hosts(1)
    with alone as (host,):
        host.run(BIN / "mdgen-launch", "-n", 2, "train", *flags(data, tmp_path, "alone", 8), timeout=120)
    with netns.Hosts(2) as hosts:
        ranks = [Program(host.command(BIN / "mdgen-launch", "train", *flags(data, tmp_path, "spread", 8)), tmp_path,
                         f"rank-{rank}",
                         {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_PROCID": str(rank), "SLURM_LOCALID": "0",
                          "SLURM_STEP_NUM_TASKS": "2", "SLURM_NODEID": str(rank), "SLURM_STEP_TASKS_PER_NODE": "1(x2)"})
                 for rank, host in enumerate(hosts)]
        assert [rank.process.wait(120) for rank in ranks] == [0, 0], [rank.err.read_text() for rank in ranks]
    one, both = ([(line["step"], line["loss"]) for line in metrics(tmp_path / "runs" / name)[0]]
                 for name in ("alone", "spread"))
    assert one == both


@pytest.mark.skipif(netns.why_no_shaping() is not None, reason=str(netns.why_no_shaping()))
def test_a_narrow_link_slows_training_and_breaks_nothing(data, tmp_path):
    with netns.Hosts(3) as hosts, Pool(hosts, tmp_path) as pool:
        for host in hosts:
            host.limit("20mbit")
        job = pool.submit("--set", "workers.min=2", "--set", "workers.max=2", "--", *flags(data, tmp_path, "narrow", 6))
        ended = pool.wait(job, lambda status: status["state"] in FINAL)
        assert ended["state"] == "SUCCEEDED" and ended["restarts"] == 0, ended
