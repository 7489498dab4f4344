#!/usr/bin/env python3
"""Runs the benchmarks and writes docs/benchmarks/DATE.md: machine, commit, and each command line with what it printed.

    make bench                                   # or: tests/bench/suite.py --build build
"""
import argparse
import datetime
import os
import pathlib
import platform
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHAPES = ("--B 1 --T 100 --L 128", "--B 1 --T 100 --L 128 --valid 64", "--B 8 --T 50 --L 4", "--B 8 --T 1000 --L 4 --steps 3")
PRECISIONS = ("bf16-mixed", "32-true")


def command_lines(scratch):
    steps = [f"bin/mdgen-bench step {shape} --precision {precision}" for shape in SHAPES for precision in PRECISIONS]
    memory = "--B 1 --T 250 --L 256 --steps 1 --precision bf16-mixed --grad_checkpointing"
    return [*steps, f"bin/mdgen-bench step {memory}", "bin/mdgen-bench loader --batch_size 1",
            f"bin/mdgen-bench checkpoint --dir {scratch}", "bin/mdgen-bench allreduce", "tests/healing 546 3",
            "bin/mdgen-load --ranks 64,512 --jobs 8 --measure 10 --repeat 1"]


def cpu_model():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def git(*words):
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout.strip()


def machine():
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    changed = ", with changes" if git("status", "--porcelain", "--untracked-files=no") else ""
    return [f"- {cpu_model()}, {os.cpu_count()} CPUs, {gib:.0f} GiB, Linux {platform.release()}",
            f"- commit {git('rev-parse', '--short=12', 'HEAD')}{changed}",
            f"- load average at the start: {os.getloadavg()[0]:.1f}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=ROOT / "build", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, help="a file (default: docs/benchmarks/DATE.md)")
    given = parser.parse_args()
    today = datetime.date.today().isoformat()
    out = given.out or ROOT / "docs/benchmarks" / f"{today}.md"
    text = [f"# Benchmarks of {today}", "", "Written by `make bench`.", "", *machine(), ""]
    failed = []
    with tempfile.TemporaryDirectory() as scratch:
        for line in command_lines(scratch):
            print(line, flush=True)
            program, *words = shlex.split(line)
            done = subprocess.run([str(given.build / program), *words], capture_output=True, text=True)
            if done.returncode != 0:
                failed.append(line)
            shown = done.stdout.strip() if done.returncode == 0 else f"failed ({done.returncode}): {done.stderr.strip()}"
            text += ["", "    " + line.replace(scratch, "FOLDER"), "", *("    " + row for row in shown.splitlines()), ""]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(row.rstrip() for row in text).replace("\n\n\n", "\n\n").rstrip() + "\n")
    print(out)
    sys.exit(f"failed: {'; '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
