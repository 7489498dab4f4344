"""tests/support/conformance.h between real processes: Gloo, and MPI with and without mpirun."""

import os
import pathlib
import subprocess

import pytest

TESTS = pathlib.Path(os.environ["MDGEN_BIN_DIR"]).parent / "tests"
CASES = 10  # those that leave the group whole
BREAKING = ["AbortEndsABlockedOperation", "AbortFailsWhatIsInFlight"]


def outputs(processes, seconds=90):
    try:
        return [(process.communicate(timeout=seconds)[0], process.returncode) for process in processes]
    finally:
        for process in processes:
            process.kill()


def start(backend, count, folder, *cases):
    return [
        subprocess.Popen(
            [TESTS / "conformance_rank", backend, str(rank), str(count), folder, *cases],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for rank in range(count)
    ]


@pytest.mark.parametrize("backend, count", [("gloo", 2), ("gloo", 4), ("mpi", 2), ("mpi", 4)])
def test_every_promise_that_keeps_the_group(backend, count, tmp_path):
    for text, code in outputs(start(backend, count, tmp_path)):
        assert code == 0, text
        assert text.count("passed ") == CASES, text


def test_every_promise_under_mpirun(tmp_path):
    """Here MPI starts as mpirun has prepared it, and ends as mpirun wants it: its exit code says so."""
    run = subprocess.run(
        ["mpirun", "--oversubscribe", "-n", "4", TESTS / "conformance_rank", "mpi", "mpirun", "mpirun", tmp_path],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=90,
    )
    assert run.returncode == 0, run.stdout
    assert run.stdout.count("passed ") == 4 * CASES, run.stdout


@pytest.mark.parametrize("case", BREAKING)
def test_abort_frees_a_rank_of_gloo(case, tmp_path):
    for text, code in outputs(start("gloo", 3, tmp_path, case)):
        assert code == 0 and text.count("passed ") == 1, text


