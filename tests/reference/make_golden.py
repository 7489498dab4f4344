"""Makes reference tensors (the layout of shared golden sets, see docs/parity.md) with other sizes and seeds.

usage: make_golden.py --reference DIR --atom14 FILE.npy --sequence SEQ --out DIR [--seed N]

DIR holds a checkout of the original. FILE.npy (frames, residues, 14, 3) is a real trajectory as mdgen-prep writes it.
Needs torch 2.11, torchdiffeq 0.2.5, einops, pandas, mdtraj, scipy, dm-tree, biopython, fair-esm, pytorch_lightning and
safetensors, from PyPI, in an environment of its own.
"""
import argparse
import contextlib
import json
import pathlib

import numpy as np
import torch
from safetensors.torch import save_file

import original

SMALL = "--embed_dim 24 --mha_heads 3 --num_layers 3 --ipa_heads 3 --ipa_head_dim 4 --ipa_qk 3 --ipa_v 5"
WIDE = "--embed_dim 40 --mha_heads 5 --num_layers 1 --ipa_heads 4 --ipa_head_dim 6 --ipa_qk 5 --ipa_v 3"
# name: (flags, frames, residues, real residues, samples)
CASES = {
    "sim": (f"{SMALL} --sim_condition --prepend_ipa", 7, 9, 9, 3),
    "sim_padded": (f"{WIDE} --sim_condition --prepend_ipa --atlas", 5, 12, 8, 2),
    "sim_pos_time": (f"{SMALL} --sim_condition --prepend_ipa --abs_pos_emb --abs_time_emb", 5, 6, 6, 2),
    "tps": (f"{SMALL} --tps_condition --prepend_ipa", 8, 5, 5, 2),
    "tps_wide": (f"{WIDE} --tps_condition --prepend_ipa --abs_pos_emb", 5, 11, 11, 2),
    "sim_tps": (f"{SMALL} --sim_condition --tps_condition --prepend_ipa", 6, 5, 5, 2),
    "upsample": (f"{SMALL} --sim_condition --prepend_ipa --cond_interval 4", 9, 6, 6, 2),
    "upsample_only": (f"{SMALL} --cond_interval 3", 9, 6, 6, 2),
    "inpaint": (f"{SMALL} --inpainting --design --prepend_ipa --no_aa_emb --no_torsion --sampling_method euler", 7, 4, 4, 2),
    "inpaint_long": (f"{WIDE} --inpainting --design --prepend_ipa --abs_pos_emb --alpha_max 6 --discrete_loss_weight 0.3", 5, 6, 6, 3),
    "inpaint_plain": (f"{SMALL} --inpainting --prepend_ipa", 6, 5, 5, 2),
    "design_sim": (f"{SMALL} --sim_condition --design --prepend_ipa --design_key_frames --no_design_torsion --path-type Linear", 5, 4, 4, 2),
    "mpnn": (f"{SMALL} --mpnn --design --prepend_ipa", 5, 5, 5, 3),
    "dynamic_mpnn": (f"{WIDE} --dynamic_mpnn --design --prepend_ipa --no_aa_emb", 6, 4, 4, 2),
    "hyena": (f"{SMALL} --sim_condition --prepend_ipa --hyena", 11, 5, 5, 2),
    "hyena_bare": (f"{WIDE} --sim_condition --hyena --path-type VP", 8, 4, 4, 2),
    "no_rope": (f"{SMALL} --sim_condition --prepend_ipa --no_rope --atlas", 6, 9, 6, 2),
    "interleave": (f"{SMALL} --sim_condition --interleave_ipa", 5, 7, 7, 2),
    "interleave_both": (f"{WIDE} --sim_condition --prepend_ipa --interleave_ipa --atlas", 4, 9, 7, 2),
    "no_offsets": (f"{SMALL} --sim_condition --prepend_ipa --no_offsets --supervise_all_torsions --atlas", 5, 9, 7, 2),
    "no_torsions": (f"{SMALL} --sim_condition --prepend_ipa --supervise_no_torsions", 6, 7, 7, 2),
    "no_frames": (f"{SMALL} --sim_condition --no_frames", 5, 7, 7, 2),
    "unconditional": (f"{SMALL}", 5, 8, 8, 2),
    "linear_noise": (f"{SMALL} --sim_condition --path-type Linear --prediction noise", 5, 6, 6, 2),
    "vp_score": (f"{SMALL} --sim_condition --path-type VP --prediction score", 5, 6, 6, 2),
    "gvp_score": (f"{WIDE} --sim_condition --prepend_ipa --prediction score", 5, 6, 6, 2),
    "train_tps": (f"{SMALL} --tps_condition --prepend_ipa --lr 0.002 --ema --ema_decay 0.8 --grad_clip 0.7", 5, 5, 5, 2),
    "train_sim_tps": (f"{SMALL} --sim_condition --tps_condition --prepend_ipa --adamW --lr 0.002 --accumulate_grad 3", 5, 5, 5, 2),
    "train_hyena": (f"{SMALL} --sim_condition --hyena --adamW --lr 0.001 --grad_clip 0", 6, 5, 5, 2),
}
# What the committed tests/golden/tiny_*.safetensors are made of: every mode, as small as it still shows.
TINY = "--embed_dim 8 --mha_heads 2 --num_layers 2 --ipa_heads 2 --ipa_head_dim 3 --ipa_qk 2 --ipa_v 3"
for _name, (_flags, *_sizes) in list(CASES.items()):
    CASES[f"tiny_{_name}"] = (_flags.replace(SMALL, TINY).replace(WIDE, TINY), *_sizes)
WITH_ODE = ("sim", "sim_padded", "tps", "sim_tps", "upsample", "inpaint", "inpaint_long", "inpaint_plain", "no_offsets",
            "linear_noise", "vp_score", "gvp_score", "hyena")
STEPS = 5


def make_batch(mdgen, arr, sequence, frames, length, real, samples, args, generator):
    from mdgen import geometry, residue_constants

    rows = []
    for b in range(samples):
        t0 = int(torch.randint(0, arr.shape[0] - frames + 1, (1,), generator=generator))
        r0 = int(torch.randint(0, arr.shape[1] - length + 1, (1,), generator=generator))
        n = real if b == 0 else length
        atoms = np.ascontiguousarray(arr[t0:t0 + frames, r0:r0 + n]).astype(np.float32)
        types = np.array([residue_constants.restype_order[c] for c in sequence[r0:r0 + n]])
        aatype = torch.from_numpy(types)[None].expand(frames, -1)
        rigid = geometry.atom14_to_frames(torch.from_numpy(atoms))
        atom37 = torch.from_numpy(np.asarray(geometry.atom14_to_atom37(atoms, aatype))).float()
        torsions, torsion_mask = geometry.atom37_to_torsions(atom37, aatype)
        pad = length - n
        row = {
            "trans": torch.nn.functional.pad(rigid._trans, (0, 0, 0, pad)),
            "rots": torch.cat([rigid._rots._rot_mats, torch.eye(3).expand(frames, pad, 3, 3)], 1),
            "torsions": torch.nn.functional.pad(torsions, (0, 0, 0, 0, 0, pad)),
            "torsion_mask": torch.nn.functional.pad(torsion_mask[0], (0, 0, 0, pad)),
            "seqres": torch.nn.functional.pad(torch.from_numpy(types), (0, pad)),
            "mask": torch.cat([torch.ones(n), torch.zeros(pad)]),
            "atom14": torch.nn.functional.pad(torch.from_numpy(atoms), (0, 0, 0, 0, 0, pad)),
            "atom37": torch.nn.functional.pad(atom37, (0, 0, 0, 0, 0, pad)),
        }
        if args.no_frames:
            from mdgen.residue_constants import restype_atom37_mask
            row["mask"] = torch.from_numpy(np.asarray(restype_atom37_mask[types])).float()
            row = {k: row[k] for k in ("seqres", "mask", "atom14", "atom37")}
        rows.append(row)
    return {k: torch.stack([row[k] for row in rows]) for k in rows[0]}


def open_gates(model, generator):
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad and float(parameter.abs().max()) == 0.0:
                parameter.copy_(0.05 * torch.randn(parameter.shape, generator=generator))


@contextlib.contextmanager
def recorded_draws(transport):
    draws = {}
    sample, dirichlet = transport.sample, torch.distributions.Dirichlet.sample

    def remember_sample(x1):
        t, x0, x1 = sample(x1)
        draws.update(t=t, x0=x0)
        return t, x0, x1

    def remember_dirichlet(self, *args):
        draws["x_d"] = dirichlet(self, *args)
        return draws["x_d"]

    transport.sample = remember_sample
    torch.distributions.Dirichlet.sample = remember_dirichlet
    try:
        yield draws
    finally:
        transport.sample = sample
        torch.distributions.Dirichlet.sample = dirichlet


def state(wrapper):
    return {k: v.detach().clone() for k, v in wrapper.model.state_dict().items()}


def put(tensors, prefix, values):
    for name, value in values.items():
        if torch.is_tensor(value):
            tensors[f"{prefix}.{name}"] = value.detach().clone().contiguous()


def prepared(tensors, prep):
    kwargs = prep["model_kwargs"]
    put(tensors, "prep", {"latents": prep["latents"], "loss_mask": prep["loss_mask"], "mask": kwargs["mask"], "aatype": kwargs["aatype"],
                          "x_cond": kwargs["x_cond"], "x_cond_mask": kwargs["x_cond_mask"]})
    for name in ("start_frames", "end_frames"):
        if name in kwargs:
            put(tensors, f"prep.{name}", {"rots": kwargs[name].get_rots().get_rot_mats(), "trans": kwargs[name].get_trans()})


def losses(wrapper, prep, batch):
    with recorded_draws(wrapper.transport) as draws:
        seen = {}
        model = wrapper.model

        def remember(x, t, **kwargs):
            seen["xt"], seen["t"] = x, t
            seen["model"] = model(x, t, **kwargs)
            return seen["model"]

        out = wrapper.transport.training_losses(model=remember, x1=prep["latents"], aatype1=batch["seqres"] if wrapper.args.design else None,
                                                mask=prep["loss_mask"], model_kwargs=prep["model_kwargs"])
    return out, draws, seen


def one_step(tensors, wrapper, batch):
    prep = wrapper.prep_batch(batch)
    prepared(tensors, prep)
    out, draws, seen = losses(wrapper, prep, batch)
    put(tensors, "draw", draws)
    _, _, ut = wrapper.transport.path_sampler.plan(draws["t"], draws["x0"], prep["latents"])
    loss = out["loss"].mean()
    loss.backward()
    values = {"xt": seen["xt"], "ut": ut, "model": seen["model"], "loss_per_sample": out["loss"].reshape(-1), "loss": loss.reshape(1)}
    if "loss_discrete" in out:
        values["loss_discrete"] = out["loss_discrete"].reshape(1)
    put(tensors, "out", values)
    put(tensors, "grad", {n: p.grad for n, p in wrapper.model.named_parameters() if p.grad is not None})


def sample(tensors, wrapper, batch):
    randn, dirichlet = torch.randn, torch.distributions.Dirichlet.sample
    z = {}

    def remember_randn(*args, **kwargs):
        z.setdefault("continuous", randn(*args, **kwargs))
        return z["continuous"]

    def remember_dirichlet(self, *args):
        z["simplex"] = dirichlet(self, *args)
        return z["simplex"]

    latents = {}
    sample_ode = wrapper.transport_sampler.sample_ode

    def remember_ode(**kwargs):
        solve = sample_ode(**kwargs)

        def run(start, model):
            samples = solve(start, model)
            latents["z"], latents["latents"] = start, samples[-1]
            return samples

        return run

    wrapper.transport_sampler.sample_ode = remember_ode
    torch.randn, torch.distributions.Dirichlet.sample = remember_randn, remember_dirichlet
    try:
        with torch.no_grad():
            atom14, aatype = wrapper.inference(batch)
    finally:
        torch.randn, torch.distributions.Dirichlet.sample = randn, dirichlet
        wrapper.transport_sampler.sample_ode = sample_ode
    put(tensors, "ode", {**latents, "atom14": atom14, "aatype": aatype})


def train(tensors, wrapper, batch, args):
    optimizer = wrapper.configure_optimizers()
    parts = args.accumulate_grad
    times, noises, values, norms = [], [], [], []
    for _ in range(STEPS):
        optimizer.zero_grad()
        for _ in range(parts):
            prep = wrapper.prep_batch(batch)
            out, draws, _ = losses(wrapper, prep, batch)
            (out["loss"].mean() / parts).backward()
            times.append(draws["t"])
            noises.append(draws["x0"])
            values.append(out["loss"].mean().detach())
        limit = args.grad_clip if args.grad_clip > 0 else float("inf")
        norms.append(torch.nn.utils.clip_grad_norm_(wrapper.model.parameters(), limit).detach())
        optimizer.step()
        if args.ema:
            wrapper.ema.update(wrapper.model)
    put(tensors, "train", {"t": torch.stack(times), "x0": torch.stack(noises), "loss": torch.stack(values), "grad_norm": torch.stack(norms)})
    put(tensors, "train.final", state(wrapper))
    if args.ema:
        put(tensors, "train.ema", wrapper.ema.state_dict()["params"])


def make(mdgen, name, arr, sequence, out, seed):
    flags, frames, length, real, samples = CASES[name]
    text = f"{flags} --num_frames {frames} --crop {length}"
    args = original.arguments(["--train_split", "x", "--val_split", "x", "--data_dir", "x", *text.split()])
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    wrapper = mdgen.NewMDGenWrapper(args)
    wrapper.stage, wrapper.log = "train", lambda *a: None
    open_gates(wrapper.model, generator)
    if args.ema:
        from mdgen.ema import ExponentialMovingAverage
        wrapper.ema = ExponentialMovingAverage(model=wrapper.model, decay=args.ema_decay)
    batch = make_batch(mdgen, arr, sequence, frames, length, real, samples, args, generator)
    tensors = {}
    put(tensors, "batch", batch)
    put(tensors, "param", state(wrapper))
    if "train_" in name:
        train(tensors, wrapper, batch, args)
    else:
        one_step(tensors, wrapper, batch)
        if name.removeprefix("tiny_") in WITH_ODE:
            sample(tensors, wrapper, batch)
    metadata = {"case": name, "flags": text, "args": json.dumps(vars(args))}
    unique = {k: v.clone() for k, v in tensors.items()}
    save_file(unique, str(out / f"{name}.safetensors"), metadata)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--reference", required=True)
    parser.add_argument("--atom14", required=True)
    parser.add_argument("--sequence", required=True)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--case", action="append")
    options = parser.parse_args()
    torch.set_float32_matmul_precision("highest")
    mdgen = original.load(options.reference)
    options.out.mkdir(parents=True, exist_ok=True)
    arr = np.load(options.atom14).astype(np.float32)
    failed = []
    for i, name in enumerate(options.case or [name for name in CASES if not name.startswith("tiny_")]):
        try:
            make(mdgen, name, arr, options.sequence, options.out, options.seed + i)
            print(name, "made", flush=True)
        except Exception as error:  # every case is tried
            import traceback
            traceback.print_exc()
            failed.append(f"{name}: {error!r}")
    print("\n".join(failed) or "all made")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
