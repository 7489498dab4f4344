"""The store is backed up while a job trains, lost, and restored into a new state folder: the job goes on and its ledger
proves every step."""

import re
import shutil
import signal
import subprocess

import pytest
from service import BIN, Service, make_dataset

STEPS = 400
FLAGS = (
    "--sim_condition --prepend_ipa --atlas --num_frames 8 --crop 24 --embed_dim 16 --num_layers 1 --mha_heads 2 "
    "--ipa_heads 2 --ipa_head_dim 8 --ipa_qk 4 --ipa_v 4 --batch_size 1 --lr 1e-3 --epochs 1000 --no_validate "
    "--train_repeat 4 --num_workers 1 --threads_per_worker 1 --seed 1 --workers.max 2 --every_steps 25"
).split()


def coordinator(*words):
    return subprocess.run([BIN / "mdgen-coordinator", *map(str, words)], capture_output=True, text=True, timeout=60)


@pytest.fixture
def service(tmp_path):
    make_dataset(tmp_path, "--proteins", 3, "--lengths", "16,24,24", "--frames", 40, "--replicas", 3)
    with Service(tmp_path, workers=2) as service:
        yield service


def submit(service, name, steps=STEPS):
    return service.submit("--", *FLAGS, "--train_split", "train.csv", "--val_split", "val.csv", "--data_dir", "data",
                          "--work_dir", service.folder / "runs", "--run_name", name, "--max_steps", steps)


def test_a_job_goes_on_from_a_restored_store(service, tmp_path):
    job = submit(service, "kept")
    service.wait(job, condition=lambda status: status["step"] >= 30)
    waiting = submit(service, "waiting", 20)

    made = coordinator("backup", "--state_dir", service.folder / "state", "--to", tmp_path / "store.zip")
    assert made.returncode == 0, made.stderr
    facts = re.match(r"backup=\S+ jobs=2 unfinished=2 epoch=(\d+) bytes=\d+ secrets=no$", made.stdout)
    assert facts, made.stdout

    saved = service.status(job)["step"]
    service.wait(job, condition=lambda status: status["checkpoint_step"] > saved + 25)
    service.coordinator.stop(signal.SIGKILL)
    shutil.rmtree(service.folder / "state")
    restored = coordinator("restore", "--from", tmp_path / "store.zip", "--state_dir", service.folder / "state")
    assert restored.returncode == 0, restored.stderr
    assert int(re.search(r"epoch=(\d+)", restored.stdout).group(1)) > int(facts.group(1))
    service.start_coordinator(listen=service.address)

    ended = service.wait(job, 180)
    assert ended["state"] == "SUCCEEDED" and ended["step"] == STEPS
    assert "Restored" in [transition["reason"] for transition in ended["transitions"]]
    assert ended["generation"] > 1000
    proof = service.ctl("ledger", "verify", job)
    assert proof.returncode == 0 and f"steps={STEPS} " in proof.stdout and "repeats=0 gaps=0" in proof.stdout, proof.stdout
    assert service.wait(waiting, 120)["state"] == "SUCCEEDED"
    for worker in service.workers:
        assert worker.process.poll() is None, "a worker left"


def test_a_folder_in_use_is_not_restored_into(service, tmp_path):
    to = tmp_path / "store.zip"
    assert coordinator("backup", "--state_dir", service.folder / "state", "--to", to).returncode == 0
    refused = coordinator("restore", "--from", to, "--state_dir", service.folder / "state")
    assert refused.returncode == 1 and "holds a store" in refused.stderr
    again = coordinator("backup", "--state_dir", service.folder / "state", "--to", to)
    assert again.returncode == 1 and "is there already" in again.stderr


def test_a_backup_of_nothing_says_so(tmp_path):
    refused = coordinator("backup", "--state_dir", tmp_path / "none", "--to", tmp_path / "x.zip")
    assert refused.returncode == 1 and "holds no coordinator.db" in refused.stderr
    assert not (tmp_path / "x.zip").exists()
