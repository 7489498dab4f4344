"""Checkpoints of real Lightning are imported bit for bit; what is exported, real torch.load, load_from_checkpoint and
Trainer.fit(ckpt_path=…) take like Lightning's own."""

import argparse
import json
import os
import pathlib
import subprocess

import pytest
import torch
from safetensors.torch import load_file

from reference_layouts import FACTS, StandIn, arguments, loader, trainer

# Lightning 2.0.4 is older than torch.load's refusal of argparse.Namespace.
os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"
CTL = pathlib.Path(os.environ["MDGEN_BIN_DIR"]) / "mdgenctl"
pytestmark = pytest.mark.filterwarnings("ignore")


def ctl(*words, status=0):
    done = subprocess.run([CTL, *map(str, words)], capture_output=True, text=True, timeout=60)
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    return done


def load(path):
    return torch.load(path, weights_only=False)


def trained(folder, case, epochs=2, accumulate=1, name=None, changes=None, **callback):
    """The newest checkpoint of a run with Lightning."""
    args = arguments(case, ema=True, ema_decay=0.9, lr=1e-2, accumulate_grad=accumulate, train_split="a.csv",
                     val_split="b.csv", data_dir="data", **(changes or {}))
    module = StandIn(args)
    trainer(folder, epochs, accumulate=accumulate, **callback).fit(module, loader(), loader())
    files = sorted(folder.glob("*.ckpt"), key=os.path.getmtime)
    return module, next(f for f in files if name in f.name) if name else files[-1]


def imported(file, out):
    done = ctl("checkpoints", "import", file, "--out", out, "-o", "json")
    return json.loads(done.stdout), done.stderr


def equal(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)


@pytest.fixture(scope="module", params=["hyena", "tps", "design_sim"])
def run(request, tmp_path_factory):
    """One training, imported and exported again."""
    folder = tmp_path_factory.mktemp(request.param)
    module, file = trained(folder / "run", request.param, changes={"adamW": request.param == "tps"})
    answer, _ = imported(file, folder / "own")
    done = ctl("checkpoints", "export", folder / "own", "--out", folder / "again.ckpt", "-o", "json")
    return argparse.Namespace(module=module, file=file, answer=answer, folder=folder, exported=folder / "again.ckpt",
                              export_answer=json.loads(done.stdout))


def test_import_takes_over_every_tensor_bit_for_bit(run):
    theirs, own = load(run.file), pathlib.Path(run.answer["checkpoint"])
    weights = load_file(own / "model.safetensors")
    assert {"model." + name for name in weights} == set(theirs["state_dict"])
    assert all(equal(weights[name], theirs["state_dict"]["model." + name]) for name in weights)
    average = load_file(own / "ema.safetensors")
    assert set(average) == set(theirs["ema"]["params"])
    assert all(equal(average[name], theirs["ema"]["params"][name]) for name in average)

    # PyTorch's own order of the parameters, each once, decides what a number means.
    names = [name for name, _ in run.module.model.named_parameters()]
    moments = load_file(own / "optimizer.safetensors")
    expected = {}
    for index, slot in theirs["optimizer_states"][0]["state"].items():
        for moment in ("exp_avg", "exp_avg_sq"):
            expected[f"{moment}.{names[index]}"] = slot[moment]
    assert set(moments) == set(expected) | {"step"}
    assert moments["step"].item() == theirs["global_step"]
    assert all(equal(moments[name], value) for name, value in expected.items())


def test_import_writes_a_spec_that_says_what_was_trained(run):
    text = (run.folder / "own" / "spec.yaml").read_text()
    spec = json.loads((pathlib.Path(run.answer["checkpoint"]) / "state.json").read_text())["spec"]
    assert spec["reference_compat"] is True and spec["model"]["embed_dim"] == 32 and spec["optim"]["ema_decay"] == 0.9
    assert "reference_compat: true" in text and f"ckpt: {run.answer['checkpoint']}" in text
    assert ctl("checkpoints", "verify", run.folder / "own").stdout.endswith("checkpoints: 1 good, 0 bad\n")


def test_export_gives_the_file_back(run):
    assert run.export_answer["weights"] == "raw" and run.export_answer["resumable"] is True
    theirs, ours = load(run.file), load(run.exported)
    assert list(ours["state_dict"]) == list(theirs["state_dict"])
    assert all(equal(ours["state_dict"][name], value) for name, value in theirs["state_dict"].items())
    assert list(ours["ema"]["params"]) == list(theirs["ema"]["params"]) and ours["ema"]["decay"] == 0.9
    for part in ("epoch", "global_step", "pytorch-lightning_version", "lr_schedulers", "hparams_name"):
        assert ours[part] == theirs[part], part
    mine, other = ours["optimizer_states"][0], theirs["optimizer_states"][0]
    assert mine["param_groups"] == other["param_groups"]
    assert set(mine["state"]) == set(other["state"])
    for index, slot in other["state"].items():
        assert all(equal(mine["state"][index][key], slot[key]) for key in slot)
    progress = "epoch_loop.automatic_optimization.optim_progress"
    for loop in ("epoch_progress", "epoch_loop.state_dict", progress):
        assert set(ours["loops"]["fit_loop"][loop]) == set(theirs["loops"]["fit_loop"][loop])
    assert set(ours["loops"]["fit_loop"]) == set(theirs["loops"]["fit_loop"])
    assert ours["loops"]["fit_loop"]["epoch_progress"] == theirs["loops"]["fit_loop"]["epoch_progress"]


def test_hyper_parameters_come_back_with_every_flag(run):
    ours, theirs = load(run.exported)["hyper_parameters"]["args"], load(run.file)["hyper_parameters"]["args"]
    assert isinstance(ours, argparse.Namespace)
    skip = {"design_from_traj", "no_pad", "scale_factor", "short_md"}  # nobody reads them
    assert set(vars(ours)) == set(FACTS["args"])
    assert {k: v for k, v in vars(ours).items() if k not in skip} == {k: v for k, v in vars(theirs).items() if k not in skip}


def test_lightning_opens_it_and_weights_only_does_with_namespace_allowed(run):
    with torch.serialization.safe_globals([argparse.Namespace]):
        assert torch.load(run.exported, weights_only=True)["mdgen_weights"] == "raw"
    opened = StandIn.load_from_checkpoint(run.exported)
    assert all(equal(value, load(run.file)["state_dict"]["model." + name])
               for name, value in opened.model.state_dict().items())
    assert opened.args.embed_dim == 32


def continued(folder, file, module_args, **settings):
    module = StandIn(module_args)
    trainer(folder, 4, **settings).fit(module, loader(), loader(), ckpt_path=str(file))
    return module


@pytest.mark.parametrize("accumulate", [1, 2])  # 2: the last accumulation of an epoch is short
def test_fit_goes_on_from_an_exported_file_as_from_lightnings_own(tmp_path, accumulate):
    module, file = trained(tmp_path / "run", "hyena", accumulate=accumulate)
    imported(file, tmp_path / "own")
    ctl("checkpoints", "export", tmp_path / "own", "--out", tmp_path / "again.ckpt")
    ours = continued(tmp_path / "a", tmp_path / "again.ckpt", module.args, accumulate=accumulate)
    theirs = continued(tmp_path / "b", file, module.args, accumulate=accumulate)
    assert ours.steps == theirs.steps and len(ours.steps) == 10 and ours.steps[0][0] == 2
    assert all(equal(a, b) for a, b in zip(ours.model.state_dict().values(), theirs.model.state_dict().values()))
    assert all(equal(ours.average[name], theirs.average[name]) for name in theirs.average)


def test_fit_goes_on_within_an_epoch(tmp_path):
    """Where Lightning's own file has it do the last batch again, since it counts a batch after it has saved."""
    module, file = trained(tmp_path / "run", "sim_time", name="step=8", every_n_train_steps=8)
    imported(file, tmp_path / "own")
    ctl("checkpoints", "export", tmp_path / "own", "--out", tmp_path / "again.ckpt")
    ours = continued(tmp_path / "a", tmp_path / "again.ckpt", module.args)
    assert ours.steps[:3] == [(1, 3, 8), (1, 4, 9), (2, 0, 10)] and ours.steps[-1] == (3, 4, 19)


def test_ema_export_says_so_and_is_for_sampling(tmp_path):
    _, file = trained(tmp_path / "run", "sim_time")
    imported(file, tmp_path / "own")
    out = ctl("checkpoints", "export", tmp_path / "own", "--out", tmp_path / "ema.ckpt", "--weights", "ema").stdout
    assert "the moving average's weights; to sample from" in out
    ours, theirs = load(tmp_path / "ema.ckpt"), load(file)
    assert ours["mdgen_weights"] == "ema" and "optimizer_states" not in ours and "loops" not in ours
    assert all(equal(ours["state_dict"]["model." + name], value) for name, value in theirs["ema"]["params"].items())
    StandIn.load_from_checkpoint(tmp_path / "ema.ckpt")
    # It comes back as what it is, and is not taken for raw weights.
    answer, _ = imported(tmp_path / "ema.ckpt", tmp_path / "back")
    assert answer["weights"] == "ema"
    text = ctl("checkpoints", "export", tmp_path / "back", "--out", tmp_path / "no.ckpt", status=1).stderr
    assert "moving average's weights alone" in text and not (tmp_path / "no.ckpt").exists()


def test_without_average_an_ema_export_is_refused(tmp_path):
    args = arguments("no_ipa", ema=False, train_split="a", val_split="b", data_dir="c")
    args.mystery = 3
    module = StandIn(args)
    trainer(tmp_path / "run", 1).fit(module, loader())
    answer, notes = imported(next((tmp_path / "run").glob("*.ckpt")), tmp_path / "own")
    assert "unknown flag mystery = 3" in notes and answer["notes"] == ["unknown flag mystery = 3"]
    text = ctl("checkpoints", "export", tmp_path / "own", "--out", tmp_path / "a.ckpt", "--weights", "ema", status=1).stderr
    assert "holds no moving average" in text


def test_what_does_not_fit_is_listed_all_at_once(tmp_path):
    _, file = trained(tmp_path / "run", "hyena", epochs=1)
    checkpoint = load(file)
    checkpoint["state_dict"]["model.cond_to_emb.bias"] = torch.zeros(7)
    del checkpoint["state_dict"]["model.fc1.weight" if "model.fc1.weight" in checkpoint["state_dict"] else "model.latent_to_emb.weight"]
    checkpoint["state_dict"]["model.surplus"] = torch.zeros(1)
    checkpoint["state_dict"]["other.weight"] = torch.zeros(1)
    del checkpoint["ema"]["params"]["cond_to_emb.weight"]
    checkpoint["hyper_parameters"]["args"].mha_heads = -3
    torch.save(checkpoint, tmp_path / "bad.ckpt")
    text = ctl("checkpoints", "import", tmp_path / "bad.ckpt", "--out", tmp_path / "own", status=1).stderr
    for part in ("cond_to_emb.bias has shape (7), not (32)", "missing latent_to_emb.weight", "unknown surplus",
                 "unknown other.weight", "moving average: missing cond_to_emb.weight", "mha_heads = -3"):
        assert part in text, part
    assert not (tmp_path / "own").exists()


def test_a_file_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (os.system, (f"touch {tmp_path}/ran",))

    torch.save({"state_dict": {}, "callbacks": Evil()}, tmp_path / "evil.ckpt")
    text = ctl("checkpoints", "import", tmp_path / "evil.ckpt", "--out", tmp_path / "own", status=1).stderr
    assert "posix.system" in text and not (tmp_path / "ran").exists()
