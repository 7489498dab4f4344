"""Gloo between real processes: a rank is killed or stopped, the others must come free."""

import os
import pathlib
import signal
import subprocess
import time

import pytest

PROGRAM = pathlib.Path(os.environ["MDGEN_BIN_DIR"]).parent / "tests" / "collective_rank"
BOUND = 30  # seconds; measured: well under one


class Ranks:
    def __init__(self, count, folder, backend="auto"):
        self.processes = [
            subprocess.Popen([PROGRAM, str(rank), str(count), folder, backend], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)
            for rank in range(count)
        ]

    def wait_for_step(self, step):
        for process in self.processes:
            for line in process.stdout:
                assert line.startswith("step "), line
                if int(line.split()[1]) >= step:
                    break

    def tell(self, rank, text):
        try:
            self.processes[rank].stdin.write(text + "\n")
            self.processes[rank].stdin.flush()
        except BrokenPipeError:
            pass  # it has ended by itself

    def last_line(self, rank):
        """Ends the rank's reading: its last line, and its exit code."""
        lines, _ = self.processes[rank].communicate(timeout=BOUND)
        return lines.splitlines()[-1], self.processes[rank].returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()


def first_to_end(ranks, candidates):
    deadline = time.monotonic() + BOUND
    while time.monotonic() < deadline:
        for rank in candidates:
            if ranks.processes[rank].poll() is not None:
                return rank
        time.sleep(0.005)
    raise AssertionError("no survivor noticed")


@pytest.mark.parametrize("count", [2, 3])
def test_survivors_of_a_killed_rank_come_free(count, tmp_path):
    with Ranks(count, tmp_path) as ranks:
        ranks.wait_for_step(5)
        ranks.processes[-1].send_signal(signal.SIGKILL)
        survivors = range(count - 1)
        # Somebody sees it; the others hear it from the coordinator if not by themselves.
        seen = first_to_end(ranks, survivors)
        for rank in survivors:
            if rank != seen:
                ranks.tell(rank, "generation 2 began")
        for rank in survivors:
            line, code = ranks.last_line(rank)
            assert code == 3, line
            allowed = ["error Unavailable"] if rank == seen else ["error Unavailable", "error Aborted"]
            assert line.startswith(tuple(allowed)), line
            assert f"all_reduce on rank {rank} of {count}" in line


def test_a_rank_that_waits_for_a_stopped_one_is_freed_by_abort(tmp_path):
    with Ranks(2, tmp_path) as ranks:
        ranks.wait_for_step(5)
        ranks.processes[1].send_signal(signal.SIGSTOP)
        ranks.tell(0, "generation 2 began")
        line, code = ranks.last_line(0)
        assert code == 3, line
        assert line.startswith("error Aborted all_reduce on rank 0 of 2: generation 2 began"), line


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_under_mpi_a_rank_that_lost_another_can_leave_its_wait_and_end(how, tmp_path):
    """MPI itself may wait for ever: the order to leave ends the wait, then the process must end."""
    with Ranks(3, tmp_path, "mpi") as ranks:
        ranks.wait_for_step(5)
        ranks.processes[2].send_signal(how)
        for rank in (0, 1):
            ranks.tell(rank, "generation 2 began")
        for rank in (0, 1):
            line, code = ranks.last_line(rank)
            assert code == 3, line
            assert line.startswith(("error Aborted", "error Unavailable")), line
            assert f"all_reduce on rank {rank} of 3" in line
