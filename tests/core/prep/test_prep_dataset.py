"""mdgen-prep over folders of entries: what fails, what is done again, and what is reported."""

import json
import os
import pty
import re
import resource
import signal
import subprocess
import sys
import time

import mdtraj
import numpy as np
import pytest

from prep_program import ADK, PREP, arrays, part_of_adk, prep


@pytest.fixture(scope="module")
def adk():
    return mdtraj.load(ADK / "adk_dims.dcd", top=ADK / "adk.psf")


@pytest.fixture(scope="module")
def small():
    return part_of_adk()


@pytest.fixture
def raw(small, tmp_path):
    """Two entries in ATLAS's layout: a with three replicas, b with two."""
    for name, replicas in (("a", 3), ("b", 2)):
        folder = tmp_path / "raw" / name
        folder.mkdir(parents=True)
        small[0].save(str(folder / f"{name}.pdb"))
        for i in range(1, replicas + 1):
            small.save(str(folder / (f"{name}_prod_R{i}_fit.xtc" if i < 3 else f"{name}_R{i}.xtc")))
    return tmp_path / "raw"


def test_a_folder_of_entries(raw, tmp_path):
    out = tmp_path / "out"
    log = prep("--sim_dir", raw, "--outdir", out, "--atlas", "--num_workers", 2, "--write_split", tmp_path / "s.csv")
    assert arrays(out) == ["a_R1.npy", "a_R2.npy", "a_R3.npy", "b_R1.npy", "b_R2.npy"]
    assert "b: 2 of 3 replicas" in log and "a: " not in log
    assert [line.split(",")[0] for line in (tmp_path / "s.csv").read_text().split()] == ["name", "a", "b"]
    again = tmp_path / "again"
    prep("--sim_dir", raw, "--outdir", again, "--atlas", "--split", tmp_path / "s.csv", "--name", "b")
    assert arrays(again) == ["b_R1.npy", "b_R2.npy"]
    assert (again / "b_R1.npy").read_bytes() == (out / "b_R1.npy").read_bytes()


def test_without_atlas_one_trajectory_an_entry(raw, small, tmp_path):
    small.save(str(raw / "a" / "a.xtc"))
    prep("--sim_dir", raw, "--outdir", tmp_path / "out", "--name", "a", "--suffix", "_x")
    assert arrays(tmp_path / "out") == ["a_x.npy"]


@pytest.mark.parametrize("cut", [1, 17, 60, 200, 500])
def test_a_truncated_replica_fails_the_whole_entry(raw, tmp_path, cut):
    file = raw / "a" / "a_prod_R2_fit.xtc"
    file.write_bytes(file.read_bytes()[:-cut])
    out = tmp_path / "out"
    log = prep("--sim_dir", raw, "--outdir", out, "--atlas", "--write_split", tmp_path / "s.csv", ok=False)
    assert "a_prod_R2_fit.xtc: truncated: frame 11" in log
    assert arrays(out) == ["b_R1.npy", "b_R2.npy"]
    assert [line.split(",")[0] for line in (tmp_path / "s.csv").read_text().split()] == ["name", "b"]


def test_a_topology_of_another_molecule(raw, adk, tmp_path):
    adk[0].save(str(raw / "a" / "a.pdb"))
    log = prep("--sim_dir", raw, "--outdir", tmp_path / "out", "--atlas", "--name", "a", ok=False)
    assert "frame 0: " in log and "atoms, the topology has 3341" in log
    assert arrays(tmp_path / "out") == []


@pytest.mark.parametrize(
    "old, new, complaint",
    [
        ("MET A   1", "SEP A   1", "residues that are none of the twenty: SEP 1 (made from SER)"),
        ("ARG A   2", "ASH A   2", "residue ASH 2: atom 'CD' is none of its heavy atoms"),
        (" CB  ARG", " CA  ARG", "residue ARG 2: atom CA is there 2 times; residue ARG 2: atom CB is missing"),
        ("A  20", "B  20", "several chains"),
    ],
)
def test_bad_topologies_are_refused_by_name(raw, tmp_path, old, new, complaint):
    file = raw / "a" / "a.pdb"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    log = prep("--sim_dir", raw, "--outdir", tmp_path / "out", "--atlas", "--name", "a", ok=False)
    assert complaint in log and "a.pdb" in log
    assert arrays(tmp_path / "out") == []


def test_a_sequence_that_disagrees(raw, tmp_path):
    prep("--sim_dir", raw, "--outdir", tmp_path / "out", "--atlas", "--write_split", tmp_path / "splits" / "s.csv")
    rows = (tmp_path / "splits" / "s.csv").read_text()
    (tmp_path / "bad.csv").write_text(rows[:-2] + "\n")
    out = tmp_path / "other"
    log = prep("--sim_dir", raw, "--outdir", out, "--atlas", "--split", tmp_path / "bad.csv", ok=False)
    assert "20 residues, its sequence in the split has 19" in log
    assert all(name.startswith("a_") for name in arrays(out))


def test_missing_inputs(raw, tmp_path):
    assert "no replica" in prep("--sim_dir", raw, "--outdir", tmp_path / "out", "--name", "a", "--atlas",
                                "--suffix", "", "--split", empty_of_xtc(raw), ok=False)
    assert "no such folder" in prep("--sim_dir", tmp_path / "absent", "--outdir", tmp_path / "out", ok=False)


def empty_of_xtc(raw):
    for file in (raw / "a").glob("*.xtc"):
        file.unlink()
    split = raw.parent / "a.csv"
    split.write_text("name,seqres\na,MRIILLGAPGAGKGTQAQFI\n")
    return split


def report(folder):
    return json.loads((folder / "report.json").read_text())


def entry(folder, name):
    return next(entry for entry in report(folder)["entries"] if entry["name"] == name)


def statuses(folder):
    return {entry["name"]: entry["status"] for entry in report(folder)["entries"]}


def times(folder):
    return {file.name: file.stat().st_mtime_ns for file in folder.glob("*.npy")}


def test_a_second_run_does_nothing(raw, tmp_path):
    out = tmp_path / "out"
    words = ["--sim_dir", raw, "--outdir", out, "--atlas", "--num_workers", 3]
    prep(*words, "--write_split", tmp_path / "first.csv")
    before, first = times(out), report(out)
    prep(*words, "--write_split", tmp_path / "second.csv")
    assert times(out) == before
    assert statuses(out) == {"a": "unchanged", "b": "unchanged"}
    assert (tmp_path / "first.csv").read_text() == (tmp_path / "second.csv").read_text()
    digests = [[file["sha256"] for file in entry["files"]] for entry in first["entries"]]
    assert digests == [[file["sha256"] for file in entry["files"]] for entry in report(out)["entries"]]
    prep(*words, "--force")
    assert all(times(out)[name] > before[name] for name in before)


def test_only_what_changed_is_done_again_and_why_is_said(raw, tmp_path):
    out = tmp_path / "out"
    words = ["--sim_dir", raw, "--outdir", out, "--atlas"]
    prep(*words)
    before = times(out)
    whole = (out / "a_R1.npy").read_bytes()
    (out / "a_R1.npy").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    os.remove(out / "a_R3.npy")
    os.utime(raw / "b" / "b_prod_R2_fit.xtc")
    log = prep(*words)
    assert "a_R1.npy: made anew: the array is not the one that was written" in log
    assert "b_R2.npy: made anew" in log and "was modified since" in log
    changed = [name for name, when in times(out).items() if when != before.get(name)]
    assert sorted(changed) == ["a_R1.npy", "a_R3.npy", "b_R2.npy"]
    assert (out / "a_R1.npy").read_bytes() == whole
    assert [file["status"] for file in entry(out, "a")["files"]] == ["converted", "unchanged", "converted"]
    log = prep(*words, "--stride", 2)
    assert log.count("made anew: stride 2, was 1") == 5
    assert np.load(out / "a_R1.npy").shape[0] == 6


def test_a_sequence_of_the_split_is_checked_for_finished_entries_too(raw, tmp_path):
    out = tmp_path / "out"
    prep("--sim_dir", raw, "--outdir", out, "--atlas", "--write_split", tmp_path / "s.csv")
    (tmp_path / "bad.csv").write_text((tmp_path / "s.csv").read_text().replace("a,M", "a,A"))
    log = prep("--sim_dir", raw, "--outdir", out, "--atlas", "--split", tmp_path / "bad.csv", ok=False)
    assert "residue MET 1 (number 1 of 20) is 'M'" in log
    assert statuses(out) == {"a": "failed", "b": "unchanged"}


def test_arrays_without_a_record(raw, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "a_R1.npy").write_bytes(b"old")
    words = ["--sim_dir", raw, "--outdir", out, "--atlas", "--name", "a"]
    prep(*words, "--skip_existing")
    assert (out / "a_R1.npy").read_bytes() == b"old" and len(arrays(out)) == 3
    assert "a_R1.npy is kept unchecked" in entry(out, "a")["warnings"][-1]
    assert "a_R1.npy: made anew: there is no record" in prep(*words)
    assert np.load(out / "a_R1.npy").shape == np.load(out / "a_R2.npy").shape


def test_report_and_table(raw, tmp_path):
    out = tmp_path / "out"
    (raw / "b" / "b.pdb").write_text((raw / "b" / "b.pdb").read_text().replace("MET A   1", "SEP A   1"))
    (raw / "a" / "a.pdb").write_text((raw / "a" / "a.pdb").read_text().replace("MET A   1", "MSE A   1"))
    done = subprocess.run([PREP, "--sim_dir", raw, "--outdir", out, "--atlas", "--report", tmp_path / "r" / "r.json"],
                          capture_output=True, text=True)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["entry", "status", "residues", "frames", "remarks"]
    assert lines[1].split()[:6] == ["a", "converted", "20", "12", "12", "12"]
    assert "renamed MSE 1 to MET" in lines[1]
    assert lines[2].startswith("b") and "failed" in lines[2] and "SEP 1 (made from SER)" in lines[2]
    assert lines[3].startswith("prep: 2 entries: 1 converted, 0 unchanged, 1 failed in ")
    made = json.loads((tmp_path / "r" / "r.json").read_text())
    assert made["counts"]["converted"] == made["counts"]["failed"] == 1 and not (out / "report.json").exists()
    good, bad = made["entries"]
    assert good["residues"] == 20 and good["notes"] == ["renamed MSE 1 to MET"] and good["seconds"] > 0
    assert [file["frames"] for file in good["files"]] == [12, 12, 12]
    assert "b.pdb" in bad["error"] and bad["files"] == [] and "2 of 3 replicas" in bad["warnings"][0]


def test_older_arrays_of_an_entry_that_fails_are_named(raw, tmp_path):
    out = tmp_path / "out"
    words = ["--sim_dir", raw, "--outdir", out, "--atlas"]
    prep(*words)
    file = raw / "b" / "b_prod_R1_fit.xtc"
    file.write_bytes(file.read_bytes()[:-9])
    prep(*words, ok=False)
    assert any("b_R1.npy of an earlier run is still there" in warning for warning in entry(out, "b")["warnings"])
    assert len(arrays(out)) == 5


def test_the_originals_words(raw, tmp_path):
    prep("--sim_dir", raw, "--outdir", tmp_path / "out", "--atlas", "--write_split", tmp_path / "s.csv")
    prep("--splits", tmp_path / "s.csv", "--atlas_dir", raw, "--outdir", tmp_path / "again", "--num_workers", 2,
         "--atlas", "--stride", 40, "--suffix", "_i40")
    assert arrays(tmp_path / "again") == [f"{name}_i40.npy" for name in ("a_R1", "a_R2", "a_R3", "b_R1", "b_R2")]


@pytest.fixture
def long(raw):
    """Replicas of 60,000 frames, 40 MB each."""
    for i in (1, 2):
        file = raw / "b" / f"b_prod_R{i}_fit.xtc"
        file.write_bytes(file.read_bytes() * 5000)
    return raw


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_in_order(long, tmp_path, number):
    out = tmp_path / "out"
    split = tmp_path / "s.csv"
    rows = "MRIILLGAPGAGKGTQAQFI"
    split.write_text(f"name,seqres\na,{rows}\nb,{rows}\n")
    for i in (1, 2):
        with open(long / "b" / f"b_prod_R{i}_fit.xtc", "r+b") as file:
            file.write(file.read() * 3)  # some seconds
    running = subprocess.Popen(["nice", "-n", "19", PREP, "--sim_dir", long, "--outdir", out, "--atlas", "--split",
                                split], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not ((out / "b_R1.npy.partial").exists() and (out / "a_R3.npy").exists()):
        assert running.poll() is None
        time.sleep(0.001)
    running.send_signal(number)
    stdout, _ = running.communicate(timeout=30)
    assert running.returncode == 1
    assert arrays(out) == ["a_R1.npy", "a_R2.npy", "a_R3.npy"]
    assert statuses(out) == {"a": "converted", "b": "interrupted"} and report(out)["interrupted"]
    assert "(interrupted)" in stdout.splitlines()[-1]
    prep("--sim_dir", long, "--outdir", out, "--atlas", "--stride", 1, "--name", "a")
    assert statuses(out) == {"a": "unchanged"}


def peak_kib(*words):
    """Of a run of mdgen-prep. Linux counts what a process was before exec: a small one starts it, not this one."""
    small = "import os, sys; pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ); " \
            "_, status, usage = os.wait4(pid, 0); print(status, usage.ru_maxrss)"
    done = subprocess.run([sys.executable, "-S", "-c", small, PREP, *map(str, words)], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.DEVNULL)
    status, kib = map(int, done.stdout.split()[-2:])
    assert status == 0
    return kib


SANITIZED = any(name in PREP.read_bytes() for name in (b"__asan_init", b"__tsan_init"))
measures_memory = pytest.mark.skipif(SANITIZED, reason="sanitizers take memory of their own")


@measures_memory
def test_memory_does_not_grow_with_the_trajectory(long, tmp_path):
    words = ["--sim_dir", long, "--atlas", "--num_workers", 1]
    short = peak_kib(*words, "--outdir", tmp_path / "a", "--name", "a")
    for stride in (1, 40):
        longer = peak_kib(*words, "--outdir", tmp_path / f"b{stride}", "--name", "b", "--stride", stride)
        assert longer - short < 6 * 1024, f"{short} KiB for 12 frames, {longer} KiB for 60,000"


@measures_memory
@pytest.mark.parametrize("extension", ["dcd", "trr"])
def test_memory_of_the_formats_that_chemfiles_reads(small, tmp_path, extension):
    """chemfiles maps these files: their pages belong to the system. What is the process's own stays below the file."""
    small[0].save(str(tmp_path / "top.pdb"))
    file = tmp_path / f"x.{extension}"
    mdtraj.join([small] * 1000).save(str(file))
    limit = 24 << 20
    assert file.stat().st_size > 1.5 * limit
    done = subprocess.run([PREP, "--top", tmp_path / "top.pdb", "--traj", file, "--name", "x", "--outdir",
                           tmp_path / "out"], preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
                          stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr


def test_progress_on_a_terminal(long, tmp_path):
    ours, theirs = pty.openpty()
    running = subprocess.Popen([PREP, "--sim_dir", long, "--outdir", tmp_path / "out", "--atlas"], stderr=theirs,
                               stdout=subprocess.DEVNULL)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:  # the other end is closed
        pass
    assert running.wait() == 0
    drawn = [line.decode() for line in shown.split(b"\r\x1b[K")]
    assert any(re.match(r"\d of 2 entries, \d+ %, \d+ s left", line) for line in drawn), drawn
    assert drawn[-1] == "" or drawn[-1].endswith("\r\n"), "no line is left behind"
