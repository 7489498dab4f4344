"""Loads a checkpoint of ours into the original, by way of a Lightning file, and compares what the two compute.

usage: check_reference.py --reference DIR (--checkpoint DIR | --flags "...") --atom14 FILE.npy --sequence SEQ
                          [--bin build/bin] [--seed N] [--sample]

DIR: a checkout of the original; a checkpoint of ours (or its run folder). FILE.npy (frames, residues, 14, 3) is a real
trajectory as mdgen-prep writes it. Environment: tests/reference/README.md. Exit status 0 when everything agrees.

  import   with --flags: the original trains two epochs with them; its checkpoint, imported, equals it bit for bit
  load     NewMDGenWrapper.load_from_checkpoint takes the file; weights and moving average equal ours bit for bit
  forward  the original, with those weights, prepares a batch and computes output, loss and (--sample) a sample;
           mdgen-parity runs our code with the same weights on the same batch and draws
  ema      an export of the moving average gives the original its values as weights
  fit      the original's Trainer.fit(ckpt_path=...) goes on from the file: epoch, step and Adam's count
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
from safetensors.torch import load_file, save_file

import make_golden
import original

os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"  # Lightning 2.0.4 is older than that refusal


def export(options, file, weights):
    done = subprocess.run([options.bin / "mdgenctl", "checkpoints", "export", options.checkpoint, "--out", file,
                           "--weights", weights, "-o", "json"], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def differing(ours, theirs):
    """Names that are not the same tensor bit for bit."""
    names = set(ours) ^ set(theirs)
    return sorted(names | {name for name in set(ours) & set(theirs)
                           if ours[name].dtype != theirs[name].dtype or not torch.equal(ours[name], theirs[name])})


def model_flags(args):
    """The flags that differ from the parser's defaults and have to do with the model and its objective."""
    defaults = vars(original.arguments(["--train_split", "x", "--val_split", "x", "--data_dir", "x"]))
    passing = {"train_split", "val_split", "data_dir", "run_name", "ckpt", "suffix", "epochs", "num_workers", "wandb",
               "print_freq", "ckpt_freq", "val_freq", "val_epoch_freq", "val_batches", "train_batches", "val_repeat",
               "no_validate", "batch_size", "accumulate_grad", "inference_batches", "ema", "ema_decay", "precision"}
    words = []
    for name, value in vars(args).items():
        if name not in passing and value != defaults.get(name):
            words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    return words


def the_batch(mdgen, args, options, samples):
    positions = np.load(options.atom14).astype(np.float32)
    length = min(args.crop, positions.shape[1]) if args.atlas else options.residues
    generator = torch.Generator().manual_seed(options.seed)
    real = max(1, length - 2) if args.atlas else length
    return make_golden.make_batch(mdgen, positions, options.sequence, args.num_frames, length, real, samples, args, generator)


def fit(args, module, batch, folder, epochs, checkpoint=None, callbacks=()):
    import pytorch_lightning as pl

    trainer = pl.Trainer(max_epochs=epochs, accelerator="cpu", logger=False, enable_progress_bar=False,
                         default_root_dir=str(folder), enable_model_summary=False, gradient_clip_val=args.grad_clip,
                         limit_val_batches=0.0, accumulate_grad_batches=args.accumulate_grad, num_sanity_val_steps=0,
                         callbacks=[pl.callbacks.ModelCheckpoint(dirpath=str(folder), save_top_k=-1, every_n_epochs=1),
                                    *callbacks])
    trainer.fit(module, torch.utils.data.DataLoader(Samples(batch), batch_size=2), ckpt_path=checkpoint)
    return trainer


def check_import(mdgen, options, scratch):
    """A checkpoint that the original has trained, as one of ours: options.checkpoint."""
    args = original.arguments(["--train_split", "x", "--val_split", "x", "--data_dir", "x", *options.flags.split()])
    torch.manual_seed(options.seed)
    module = mdgen.NewMDGenWrapper(args)
    make_golden.open_gates(module.model, torch.Generator().manual_seed(options.seed))
    trainer = fit(args, module, the_batch(mdgen, args, options, 4 * args.accumulate_grad), scratch / "theirs", 2)
    file = pathlib.Path(trainer.checkpoint_callback.best_model_path)
    options.checkpoint = scratch / "ours"
    subprocess.run([options.bin / "mdgenctl", "checkpoints", "import", file, "--out", options.checkpoint], check=True,
                   capture_output=True)
    theirs = torch.load(file, weights_only=False)
    folder = next(options.checkpoint.glob("step-*"))
    problems = differing({f"model.{name}": value for name, value in load_file(folder / "model.safetensors").items()},
                         dict(theirs["state_dict"]))
    moments = load_file(folder / "optimizer.safetensors")
    names = [name for name, parameter in module.model.named_parameters() if parameter.requires_grad]
    for index, slot in theirs["optimizer_states"][0]["state"].items():
        for moment in ("exp_avg", "exp_avg_sq"):
            ours = moments.pop(f"{moment}.{names[index]}")
            problems += [] if torch.equal(ours, slot[moment]) else [names[index]]
    left = [name for name in moments if name.startswith("exp_")]
    print(f"import: {len(theirs['state_dict'])} tensors, {len(names)} parameters, {len(problems + left)} differ", flush=True)
    return not problems and not left


def check_load(mdgen, options, raw):
    wrapper = mdgen.NewMDGenWrapper.load_from_checkpoint(raw, map_location="cpu")
    problems = differing(load_file(options.folder / "model.safetensors"), wrapper.model.state_dict())
    averaged = "no moving average"
    if wrapper.args.ema:
        average = differing(load_file(options.folder / "ema.safetensors"), dict(wrapper.ema.params))
        problems += average
        averaged = f"{len(wrapper.ema.params)} averaged, decay {wrapper.ema.decay}"
    count = sum(p.numel() for p in wrapper.model.parameters() if p.requires_grad)
    print(f"load: {count} parameters, {len(wrapper.model.state_dict())} tensors, {averaged}, {len(problems)} differ",
          *problems[:5], flush=True)
    return wrapper, not problems


def check_forward(mdgen, options, wrapper, folder):
    args = wrapper.args
    wrapper.stage, wrapper.log = "train", lambda *a: None
    wrapper.train()
    torch.manual_seed(options.seed)
    batch = the_batch(mdgen, args, options, 2)
    tensors = {}
    make_golden.put(tensors, "batch", batch)
    make_golden.put(tensors, "param", make_golden.state(wrapper))
    make_golden.one_step(tensors, wrapper, batch)
    tensors = {name: value for name, value in tensors.items() if not name.startswith("grad.")}  # another comparison's
    if options.sample:
        make_golden.sample(tensors, wrapper.eval(), batch)
    flags = [*model_flags(args), "--crop", str(batch["seqres"].shape[1])] if args.atlas else model_flags(args)
    case = folder / "checkpoint.safetensors"
    save_file({name: value.clone() for name, value in tensors.items()}, str(case),
              {"case": "checkpoint", "flags": " ".join(flags), "args": json.dumps(vars(args))})
    done = subprocess.run([options.bin / "mdgen-parity", folder], capture_output=True, text=True)
    print("forward:", done.stdout.strip().replace("\n", "; "), done.stderr.strip(), flush=True)
    return done.returncode == 0


def check_ema(mdgen, options, wrapper, file):
    if not wrapper.args.ema:
        return True
    export(options, file, "ema")
    theirs = mdgen.NewMDGenWrapper.load_from_checkpoint(file, map_location="cpu").model.state_dict()
    problems = differing(load_file(options.folder / "ema.safetensors"), theirs)
    print(f"ema: {len(theirs)} tensors, {len(problems)} differ", flush=True)
    return not problems


class Samples(torch.utils.data.Dataset):
    def __init__(self, batch):
        self.batch = batch

    def __len__(self):
        return len(self.batch["seqres"])

    def __getitem__(self, index):
        return {name: value[index] for name, value in self.batch.items()}


def check_fit(mdgen, options, wrapper, raw, about, folder):
    import pytorch_lightning as pl

    args = wrapper.args
    seen = []

    class Watch(pl.Callback):
        def on_train_batch_start(self, trainer, module, batch, batch_idx):
            counts = [int(state["step"]) for state in trainer.optimizers[0].state.values()]
            seen.append((trainer.current_epoch, trainer.global_step, max(counts)))

    args.validate = args.wandb = False
    module = mdgen.NewMDGenWrapper(args)
    batch = the_batch(mdgen, args, options, 2 * args.accumulate_grad)
    trainer = fit(args, module, batch, folder, about["epochs_done"] + 1, str(raw), [Watch()])
    first, end = seen[0], (trainer.current_epoch, trainer.global_step)
    expected = (about["epochs_done"], about["optimizer_steps"], about["optimizer_steps"])
    print(f"fit: begins in epoch {first[0]} after step {first[1]}, Adam's count {first[2]}; ends after {end[0]} epochs, "
          f"step {end[1]}", flush=True)
    finite = all(bool(torch.isfinite(p).all()) for p in module.parameters())
    return first == expected and end == (expected[0] + 1, expected[1] + 1) and finite


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", required=True)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--checkpoint", type=pathlib.Path)
    source.add_argument("--flags", help="the original's")
    parser.add_argument("--atom14", required=True)
    parser.add_argument("--sequence", required=True)
    parser.add_argument("--bin", default=pathlib.Path("build/bin"), type=pathlib.Path)
    parser.add_argument("--residues", default=4, type=int, help="of a sample, without --atlas in the checkpoint's flags")
    parser.add_argument("--seed", default=1, type=int)
    parser.add_argument("--sample", action="store_true", help="also solve the ODE and compare the samples")
    options = parser.parse_args()
    torch.set_float32_matmul_precision("highest")
    mdgen = original.load(options.reference)
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        raw, ema, cases = scratch / "raw.ckpt", scratch / "ema.ckpt", scratch / "cases"
        cases.mkdir()
        good = options.checkpoint is not None or check_import(mdgen, options, scratch)
        about = export(options, raw, "raw")
        options.folder = pathlib.Path(about["source"])
        print(f"checkpoint: {about['optimizer_steps']} optimizer steps, {about['epochs_done']} epochs, "
              f"{raw.stat().st_size / 1e6:.1f} MB", flush=True)
        wrapper, same = check_load(mdgen, options, raw)
        good &= same
        good &= check_forward(mdgen, options, wrapper, cases)
        good &= check_ema(mdgen, options, wrapper, ema)
        good &= check_fit(mdgen, options, wrapper, raw, about, scratch / "fit")
    print("check_reference:", "all agree" if good else "DIFFERENCES")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
