"""deploy/slurm's scripts in a real Slurm (tests/support/slurm.py), told that the time is over: workers checkpoint and
leave, the batch job is requeued, and training goes on."""

import json
import os
import pathlib
import subprocess

import pytest
import slurm as slurm_support
from service import BIN, SOURCE, Service, make_dataset, wait_for

pytestmark = pytest.mark.skipif(slurm_support.why_not() is not None, reason=str(slurm_support.why_not()))

FLAGS = (
    "--sim_condition --prepend_ipa --atlas --num_frames 8 --crop 24 --embed_dim 16 --num_layers 1 --mha_heads 2 "
    "--ipa_heads 2 --ipa_head_dim 8 --ipa_qk 4 --ipa_v 4 --batch_size 1 --lr 1e-3 --epochs 100000 --no_validate "
    "--train_repeat 4 --num_workers 1 --threads_per_worker 1 --workers.max 2 --every_steps 100000 "
    "--train_split train.csv --val_split val.csv --data_dir data --work_dir runs --run_name job"
).split()


@pytest.fixture
def folder(tmp_path):
    make_dataset(tmp_path, "--proteins", 3, "--lengths", "16,24,24", "--frames", 40, "--replicas", 3)
    return tmp_path


def environment(**more):
    return {"PATH": f"{BIN}:{os.environ['PATH']}:/usr/sbin:/sbin", "MDGEN_DEVICE": "cpu", **more}


def time_is_over(slurm, number):
    """As --signal=B:USR1@180 would say; then Slurm need not wait for two minutes."""
    slurm.signal(number, "SIGUSR1", "--batch")
    again = slurm.wait_for_state(number, {"PENDING", "COMPLETED", "FAILED"})
    assert again["JobState"] == "PENDING" and again["Restarts"] == "1"
    slurm.run("scontrol", "update", f"JobId={number}", "StartTime=now+5")


def test_workers_come_back(folder):
    with Service(folder) as service, slurm_support.Slurm(folder / "slurm", cpus=2) as slurm:
        number = slurm.sbatch("--ntasks=1", "-o", folder / "workers.out", SOURCE / "deploy/slurm/workers.sbatch", cwd=folder,
                              environment=environment(MDGEN_ADDRESS=service.address))
        job = service.submit("--", *FLAGS, "--max_steps", 100000)
        service.wait(job, condition=lambda status: status["step"] >= 5)
        time_is_over(slurm, number)
        held = service.status(job)
        assert held["checkpoint_step"] == held["step"] > 0, held
        service.wait(job, condition=lambda status: status["step"] > held["step"] + 5)
        assert service.status(job)["lost_steps"] == 0
        assert service.ctl("cancel", job).returncode == 0
        assert service.wait(job)["state"] == "CANCELLED"
        slurm.run("scancel", number)


def test_a_queue_of_ones_own_survives_its_allocation(folder):
    shared = folder / "shared"

    def ctl(*words):
        run = subprocess.run(
            [BIN / "mdgenctl", "--address", (shared / "address").read_text().strip(), "--ca", shared / "tls.crt",
             "--token_file", shared / "token", *map(str, words)], capture_output=True, text=True, cwd=folder, timeout=60)
        return run.stdout if run.returncode == 0 else ""

    def step(job):
        status = json.loads(ctl("status", job, "-o", "json") or "{}")
        return status.get("step", 0) if status.get("state") == "RUNNING" else 0

    with slurm_support.Slurm(folder / "slurm", cpus=2) as slurm:
        out = folder / "service.out"
        number = slurm.sbatch("--ntasks=1", "-o", out, SOURCE / "deploy/slurm/service.sbatch", cwd=folder,
                              environment=environment(MDGEN_SHARED=str(shared)))
        wait_for(lambda: (shared / "address").exists(), 60, "the address")
        job = wait_for(lambda: ctl("submit", "--", *FLAGS, "--max_steps", 100000).split(), 60, f"a job: {out.read_text()}")[0]
        wait_for(lambda: step(job) >= 5, 90, "steps")
        (shared / "address").unlink()
        time_is_over(slurm, number)
        assert (shared / "store.zip").exists(), pathlib.Path(out).read_text()
        wait_for(lambda: (shared / "address").exists(), 90, "the next address")
        saved = max(int(name.split("-")[1]) for name in os.listdir(folder / "runs/job/checkpoints") if name.startswith("step-"))
        assert saved >= 5
        wait_for(lambda: step(job) > saved, 90, "steps after the checkpoint")
        slurm.run("scancel", number)
