"""What the built programs are made of."""

import os
import pathlib
import re
import subprocess

import pytest

BIN = pathlib.Path(os.environ["MDGEN_BIN_DIR"])
WITHOUT_TORCH = ["mdgen-coordinator", "mdgen-worker", "mdgenctl", "mdgen-launch", "mdgen-prep", "mdgen-load"]
WITH_TORCH = ["mdgen-trainer", "mdgen-parity", "mdgen-sample"]


def needed(program):
    """All libraries that the loader would load for a program, by name."""
    listing = subprocess.run(["ldd", BIN / program], check=True, capture_output=True, text=True).stdout
    direct = subprocess.run(["readelf", "-d", BIN / program], check=True, capture_output=True, text=True).stdout
    return set(re.findall(r"^\s*(\S+) =>", listing, re.M)) | set(re.findall(r"NEEDED.*\[(.*)\]", direct))


@pytest.mark.parametrize("program", WITHOUT_TORCH)
def test_starts_without_libtorch(program):
    assert not [name for name in needed(program) if re.match(r"lib(torch|c10|gloo|nccl|cudart)", name)]


@pytest.mark.parametrize("program", WITH_TORCH)
def test_the_check_above_would_see_libtorch(program):
    assert "libtorch_cpu.so" in needed(program)


def test_a_cpu_trainer_loads_no_gpu_collectives():
    assert not [name for name in needed("mdgen-trainer") if re.match(r"lib(nccl|torch_cuda|c10_cuda)", name)]


@pytest.mark.parametrize("program", WITHOUT_TORCH + WITH_TORCH)
def test_help_and_version(program):
    assert subprocess.run([BIN / program, "--help"], capture_output=True, timeout=30).returncode == 0
    version = subprocess.run([BIN / program, "--version"], capture_output=True, text=True, timeout=30)
    assert version.returncode == 0 and re.fullmatch(program + r" \d+\.\d+\.\d+\n", version.stdout)


@pytest.mark.parametrize("program", WITHOUT_TORCH + WITH_TORCH)
def test_an_unknown_flag_is_a_usage_error(program):
    run = subprocess.run([BIN / program, "--no_such_flag"], capture_output=True, text=True, timeout=30)
    assert run.returncode == 2
    assert "no_such_flag" in run.stdout + run.stderr
