"""determinism: strict between real processes over Gloo: any number of workers gives the same bits."""

import hashlib
import pathlib

import pytest

from service import Service, make_dataset, metrics

SMALL = (
    "--sim_condition --prepend_ipa --atlas --num_frames 4 --crop 24 --embed_dim 32 --num_layers 1 --mha_heads 4 "
    "--ipa_heads 2 --ipa_head_dim 8 --ipa_qk 4 --ipa_v 4 --batch_size 1 --global_batch_size 5 --lr 1e-3 --ema "
    "--val_repeat 2 --train_repeat 4 --epochs 1000 --max_steps 12 --determinism strict"
).split()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    make_dataset(folder, "--proteins", 3, "--lengths", "10,16,30", "--frames", 20, "--replicas", 3)
    return folder


def submit(service, data, name, workers, *more):
    return service.submit(
        "--set", f"workers.min={workers}", "--set", f"workers.max={workers}", "--",
        "--name", name, "--seed", 3, "--work_dir", service.folder / "runs", "--train_split", data / "train.csv",
        "--val_split", data / "val.csv", "--data_dir", data / "data", *SMALL, *more,
    )


def bits_of(status):
    """What a run left: SHA-256 of its last weights, average and optimizer, and its records without times."""
    checkpoint = pathlib.Path(status["checkpoint"])
    digests = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in checkpoint.glob("*.safetensors")}
    assert len(digests) == 3, digests
    steps, validations = metrics(status["run_folder"])
    return (
        digests,
        [(line["step"], line["loss"], line["grad_norm"], line["samples"]) for line in steps],
        [(line["step"], line["val_loss"], line["val_time"]) for line in validations],
    )


def test_any_number_of_workers_gives_the_same_bits(data, tmp_path):
    with Service(tmp_path, workers=4) as service:
        runs = [service.wait(submit(service, data, f"on-{workers}", workers)) for workers in (1, 2, 3, 4)]
    for status in runs:
        assert status["state"] == "SUCCEEDED", status["message"]
        assert len(bits_of(status)[1]) == 12 and bits_of(status)[2]
    for status in runs[1:]:
        assert bits_of(status) == bits_of(runs[0]), status["name"]


def test_a_worker_that_computes_otherwise_is_refused(data, tmp_path):
    with Service(tmp_path) as service:
        service.add_worker()
        service.add_worker({"ATEN_CPU_CAPABILITY": "default"})
        job = submit(service, data, "mixed", 2)
        status = service.wait(job, condition=lambda now: now["state"] == "FAILED")
    assert status["reason"] == "MixedHardware", status
    assert "instructions: " in status["message"] and "on rank 0" in status["message"]
    assert "on rank 1" in status["message"], status["message"]
