"""Weights out to a Lightning file and back into another run, through the service."""

import json

import pytest
import torch

from service import Service, make_dataset, metrics

FLAGS = (
    "--sim_condition --prepend_ipa --atlas --num_frames 8 --crop 24 --embed_dim 32 --num_layers 1 --mha_heads 4 "
    "--ipa_heads 2 --ipa_head_dim 8 --ipa_qk 4 --ipa_v 4 --batch_size 2 --lr 1e-3 --ema --no_validate"
).split()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    data = tmp_path_factory.mktemp("data")
    make_dataset(data, "--proteins", 3, "--lengths", "16,24,40", "--frames", 40, "--replicas", 3)
    with Service(tmp_path_factory.mktemp("service"), workers=1) as service:

        def train(name, epochs, *more):
            job = service.submit(
                "--", "--name", name, "--work_dir", str(service.folder / "runs"), "--train_split", str(data / "train.csv"),
                "--val_split", str(data / "val.csv"), "--data_dir", str(data / "data"), "--train_repeat", "4",
                "--epochs", str(epochs), *FLAGS, *map(str, more))
            return service.wait(job)

        service.train = train
        yield service


def test_a_run_goes_on_from_another_ones_export_as_if_it_had_never_stopped(world):
    whole, part = world.train("whole", 4), world.train("part", 2)
    assert whole["state"] == part["state"] == "SUCCEEDED"
    done = world.ctl("checkpoints", "export", part["id"], "--out", "part.ckpt", "-o", "json")
    about = json.loads(done.stdout)
    assert done.returncode == 0 and about["weights"] == "raw" and about["epochs_done"] == 2
    rest = world.train("rest", 4, "--ckpt", world.folder / "part.ckpt")
    assert rest["state"] == "SUCCEEDED", rest["message"]
    assert any("part.ckpt: 2 epochs and 12 optimizer steps done" in warning for warning in rest["warnings"])

    curve = [(line["step"], line["epoch"], line["loss"]) for line in metrics(whole["run_folder"])[0]]
    assert [(line["step"], line["epoch"], line["loss"]) for line in metrics(rest["run_folder"])[0]] == curve[12:]
    again = world.ctl("checkpoints", "export", rest["id"], "--out", "rest.ckpt", "-o", "json")
    assert json.loads(again.stdout)["optimizer_steps"] == 24
    checkpoint = torch.load(world.folder / "rest.ckpt", weights_only=False)
    assert checkpoint["epoch"] == 3 and checkpoint["global_step"] == 24
    assert checkpoint["hyper_parameters"]["args"].run_name == "rest"


def test_another_model_is_refused_before_a_worker_is_asked(world):
    if not (world.folder / "part.ckpt").exists():
        pytest.skip("the export before this test failed")
    job = world.train("wrong", 4, "--num_layers", 2, "--path_type", "VP", "--ckpt", world.folder / "part.ckpt")
    assert job["state"] == "FAILED" and job["restarts"] == 0 and not job["started_at"]
    for part in ("model.num_layers: the checkpoint has 1, the job 2", "transport.path_type", "missing layers.1.fc1.weight"):
        assert part in job["message"], job["message"]


def test_export_and_import_say_what_is_wrong_with_their_usage(world):
    assert world.ctl("checkpoints", "export", str(world.folder)).returncode == 2
    assert world.ctl("checkpoints", "import", "absent.ckpt", "--out", "x").returncode == 2
    help_text = world.ctl("checkpoints", "export", "--help").stdout
    assert "--weights" in help_text and "mdgenctl checkpoints export" in help_text
    nothing = world.ctl("checkpoints", "export", str(world.folder), "--out", "x.ckpt")
    assert nothing.returncode == 1 and "holds no good checkpoint" in nothing.stderr
