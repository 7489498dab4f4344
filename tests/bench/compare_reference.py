#!/usr/bin/env python3
"""Times the training step of the original MDGen and ours, alternately, in one run.

    tests/bench/compare_reference.py --reference DIR --B 1 --T 100 --L 128 --rounds 3

DIR is a checkout of github.com/bjing2016/mdgen. Both sides run the default model for forward simulation on random
coordinates of the same shape, with the same number of threads, each in a process of its own: loss, backward, clipping,
Adam. A side's time in a round is the least of its --steps steps; a round's ratio is the original's time over ours. This
script is run with a Python that has what the original imports; docs/performance.md says how to make one.
"""
import argparse
import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import unittest.mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
AUTOCAST = "bf16"
UNUSED = ("wandb", "pyemma", "openfold")  # what the original imports and its step does not use


def arguments(words=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", required=True, type=pathlib.Path, help="a checkout of the original")
    parser.add_argument("--bench", default=ROOT / "build/bin/mdgen-bench", type=pathlib.Path)
    parser.add_argument("--B", type=int, default=1, help="samples")
    parser.add_argument("--T", type=int, default=100, help="frames")
    parser.add_argument("--L", type=int, default=128, help="residues, padding included")
    parser.add_argument("--valid", type=int, default=0, help="of them, real ones (default: all)")
    parser.add_argument("--steps", type=int, default=3, help="of each side in a round, after one that is not counted")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--precision", default="bf16-mixed", help="ours (default: bf16-mixed)")
    parser.add_argument("--reference_precision", default="medium", choices=["medium", "highest", AUTOCAST],
                        help="the original's float32 products, or bf16: bfloat16 autocast (default: medium, as shipped)")
    parser.add_argument("--compile", action="store_true", help="the original's model under torch.compile")
    parser.add_argument("--only_reference", action="store_true", help=argparse.SUPPRESS)  # one side, one round
    given = parser.parse_args(words)
    given.valid = given.valid or given.L
    return given


def random_batch(torch, given):
    frames = (given.B, given.T, given.L)
    rotations, _ = torch.linalg.qr(torch.randn(*frames, 3, 3))
    mask = (torch.arange(given.L) < given.valid).float().expand(given.B, given.L).clone()
    return {"trans": 10 * torch.randn(*frames, 3),
            "rots": rotations * torch.linalg.det(rotations)[..., None, None],
            "torsions": torch.nn.functional.normalize(torch.randn(*frames, 7, 2), dim=-1),
            "torsion_mask": mask[..., None].expand(given.B, given.L, 7).clone(),
            "seqres": torch.randint(0, 20, (given.B, given.L)),
            "mask": mask}


def time_reference(given):
    """The least seconds of a step of the original, in this process."""
    sys.path.insert(0, str(given.reference.resolve()))
    os.chdir(os.environ["SCRATCH"])  # the original opens log files where it is started
    for name in UNUSED:
        if importlib.util.find_spec(name) is None:
            sys.modules[name] = unittest.mock.MagicMock()
    import torch
    torch.set_num_threads(given.threads)
    autocast = given.reference_precision == AUTOCAST
    torch.set_float32_matmul_precision("medium" if autocast else given.reference_precision)
    from mdgen.parsing import parse_train_args
    from mdgen.wrapper import NewMDGenWrapper
    sys.argv = ["train", "--train_split", "-", "--val_split", "-", "--data_dir", "-", "--sim_condition",
                "--prepend_ipa", "--atlas", "--num_frames", str(given.T), "--crop", str(given.L),
                "--batch_size", str(given.B)]
    torch.manual_seed(0)
    wrapper = NewMDGenWrapper(parse_train_args())
    wrapper.stage, wrapper.log = "train", lambda *_: None
    if given.compile:
        wrapper.model = torch.compile(wrapper.model)
    batch = random_batch(torch, given)
    optimizer = wrapper.configure_optimizers()
    seconds = []
    for _ in range(1 + given.steps):
        begin = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            loss = wrapper.general_step(dict(batch))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(wrapper.model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - begin)
    return min(seconds[1:])


def run_reference(words):
    with tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run([sys.executable, __file__, *words, "--only_reference"], capture_output=True, text=True,
                              env={**os.environ, "SCRATCH": scratch})
    if done.returncode != 0:
        sys.exit(f"the original failed:\n{done.stderr[-2000:]}")
    return float(done.stdout.split()[-1])


def run_ours(given):
    words = [str(given.bench), "step", "--json", "--precision", given.precision]
    for name in ("B", "T", "L", "valid", "steps", "threads"):
        words += [f"--{name}", str(getattr(given, name))]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(words)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


def summary(ratios):
    return f"ratio: minimum {min(ratios):.2f}, median {statistics.median(ratios):.2f}, maximum {max(ratios):.2f}"


def main():
    given = arguments()
    if given.only_reference:
        print(time_reference(given))
        return
    mode = given.reference_precision + (", compiled" if given.compile else "")
    print(f"B {given.B} T {given.T} L {given.L} ({given.valid} real), {given.threads} threads; "
          f"original {mode}, ours {given.precision}")
    ratios = []
    for number in range(1, given.rounds + 1):
        theirs = run_reference(sys.argv[1:])
        ours = run_ours(given)
        ratios.append(theirs / ours["seconds_per_step_min"])
        print(f"round {number}: original {theirs:.3f} s, ours {ours['seconds_per_step_min']:.3f} s "
              f"({ours['percent_of_ceiling']:.0f} % of {ours['gemm_ceiling_flops'] / 1e9:.0f} GFLOP/s): "
              f"{ratios[-1]:.2f}", flush=True)
    print(summary(ratios))


if __name__ == "__main__":
    main()
