"""Modules with the reference's parameters, and nothing else of it: names, shapes and order of its state_dict were taken
down from the original (reference_state_dicts.json), so that Lightning sees what it would see there."""

import argparse
import collections
import json
import pathlib

import pytorch_lightning as pl
import torch

FACTS = json.loads((pathlib.Path(__file__).parent / "reference_state_dicts.json").read_text())
CASES = {case["case"]: case for case in FACTS["cases"]}
BUFFERS = ("inv_freq", "pos_embed", "time_embed", "pos_emb.t", "deltas")


def arguments(case, **changes):
    """The Namespace that the reference's parser makes of the case's flags."""
    args = dict(FACTS["args"], hyena=False, sim_condition=False, prepend_ipa=False)
    words = CASES[case]["flags"].split()
    for i, word in enumerate(words):
        if not word.startswith("--"):
            continue
        value = words[i + 1] if i + 1 < len(words) and not words[i + 1].startswith("--") else True
        args[word[2:]] = int(value) if isinstance(value, str) and value.isdigit() else value
    args.update(changes)
    return argparse.Namespace(**args)


def module_of(case):
    root, tied = torch.nn.Module(), {}
    for name, *shape in CASES[case]["tensors"]:
        *path, leaf = name.split(".")
        module = root
        for part in path:
            if part not in module._modules:
                module.add_module(part, torch.nn.Module())
            module = module._modules[part]
        if name.endswith(BUFFERS):
            module.register_buffer(leaf, torch.randn(shape))
        elif leaf == "freq":
            key = name.rsplit(".", 2)[0]
            tied.setdefault(key, torch.nn.Parameter(torch.randn(shape)))
            module.register_parameter(leaf, tied[key])
        else:
            module.register_parameter(leaf, torch.nn.Parameter(torch.randn(shape)))
    return root


class StandIn(pl.LightningModule):
    """The reference's NewMDGenWrapper as far as checkpoints go."""

    def __init__(self, args):
        super().__init__()
        self.save_hyperparameters()
        self.args = args
        torch.manual_seed(5)
        self.model = module_of(case_of(args))
        self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.steps = []

    def training_step(self, batch, batch_idx):
        self.steps.append((self.trainer.current_epoch, batch_idx, self.trainer.global_step))
        unused = "latent_to_emb_f"  # sim_condition beside tps_condition leaves it without gradient
        weights = [p for name, p in self.model.named_parameters() if not name.startswith(unused)]
        return sum((p * batch.mean() - 0.1).pow(2).mean() for p in weights)

    def validation_step(self, batch, batch_idx):
        pass

    def on_before_zero_grad(self, *_):
        if self.args.ema:
            for key, value in self.model.state_dict().items():
                self.average[key] -= (self.average[key] - value) * (1 - self.args.ema_decay)

    def on_save_checkpoint(self, checkpoint):
        if self.args.ema:
            checkpoint["ema"] = collections.OrderedDict(params=self.average, decay=self.args.ema_decay)

    def on_load_checkpoint(self, checkpoint):
        if self.args.ema:
            for key, value in checkpoint["ema"]["params"].items():
                self.average[key] = value.clone()

    def configure_optimizers(self):
        kind = torch.optim.AdamW if self.args.adamW else torch.optim.Adam
        return kind(filter(lambda p: p.requires_grad, self.model.parameters()), lr=self.args.lr)


def case_of(args):
    """The Namespace alone says which: nothing else comes back from a checkpoint."""
    for name in CASES:
        theirs = vars(arguments(name))
        keys = ("hyena", "tps_condition", "design", "mpnn", "inpainting", "dynamic_mpnn", "abs_time_emb", "abs_pos_emb",
                "prepend_ipa", "interleave_ipa", "no_rope", "no_frames")
        if all(vars(args)[key] == theirs[key] for key in keys):
            return name
    raise AssertionError("no case has these flags")


def trainer(folder, epochs, *, accumulate=1, **callback):
    torch.set_num_threads(1)
    return pl.Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_progress_bar=False, num_sanity_val_steps=0,
        default_root_dir=str(folder), gradient_clip_val=1.0, accumulate_grad_batches=accumulate,
        callbacks=[pl.callbacks.ModelCheckpoint(dirpath=str(folder), save_top_k=-1, **(callback or {"every_n_epochs": 1})),
                   pl.callbacks.ModelSummary(max_depth=2)])


def loader():
    return torch.utils.data.DataLoader(torch.linspace(0.5, 1.5, 20).reshape(10, 2), batch_size=2)
