"""Units, scripts and the install tree, as `cmake --install` leaves them in a fresh prefix."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

SOURCE = pathlib.Path(os.environ["MDGEN_SOURCE_DIR"])
BUILD = pathlib.Path(os.environ["MDGEN_BIN_DIR"]).parent
PROGRAMS = ("mdgen-coordinator", "mdgen-worker", "mdgen-trainer", "mdgenctl", "mdgen-launch", "mdgen-prep",
            "mdgen-sample", "mdgen-parity")
# What systemd-analyze says of the units, as docs/operating.md has it.
EXPOSURE = {"mdgen-coordinator.service": 1.4, "mdgen-worker@.service": 1.9}

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None,
                                   reason="systemd-analyze is not installed (deploy/bootstrap --tests)")


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    prefix = tmp_path_factory.mktemp("prefix")
    run = subprocess.run(["cmake", "--install", BUILD, "--prefix", prefix], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return prefix


@pytest.mark.parametrize("program", PROGRAMS)
def test_installed_programs_start(prefix, program):
    environment = {name: value for name, value in os.environ.items() if name not in ("LD_LIBRARY_PATH", "PATH")}
    run = subprocess.run([prefix / "bin" / program, "--help"], capture_output=True, text=True, env=environment)
    assert run.returncode == 0 and "Usage" in run.stdout, run.stderr
    libraries = subprocess.run(["ldd", prefix / "bin" / program], capture_output=True, text=True).stdout
    assert "not found" not in libraries and str(BUILD) not in libraries


def test_an_installed_launch_trains(prefix, tmp_path):
    """With the trainer that lies beside it, and nothing of the build tree."""
    subprocess.run([sys.executable, SOURCE / "tests/support/synthetic_dataset.py", tmp_path, "--proteins", "2",
                    "--lengths", "16,24", "--frames", "40", "--replicas", "3"], check=True)
    run = subprocess.run(
        [prefix / "bin/mdgen-launch", "-n", "1", "train", "--sim_condition", "--prepend_ipa", "--atlas", "--num_frames",
         "8", "--crop", "24", "--embed_dim", "16", "--num_layers", "1", "--mha_heads", "2", "--train_split", "train.csv",
         "--val_split", "val.csv", "--data_dir", "data", "--run_name", "installed", "--max_steps", "2",
         "--no_validate", "--batch_size", "1", "--threads_per_worker", "1"],
        capture_output=True, text=True, cwd=tmp_path, timeout=120, env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)})
    assert run.returncode == 0 and " SUCCEEDED steps=2 " in run.stdout, run.stdout + run.stderr


def test_the_tree_has_what_the_documentation_names(prefix):
    for name in ("lib/mdgen/libmdgen_mpi.so", "lib/mdgen/libmdgen_nccl.so", "lib/systemd/system/mdgen-coordinator.service",
                 "lib/systemd/system/mdgen-worker@.service", "lib/sysusers.d/mdgen.conf", "lib/tmpfiles.d/mdgen.conf",
                 "share/mdgen/coordinator.env", "share/mdgen/worker.env", "share/mdgen/configs/atlas.yaml",
                 "share/mdgen/slurm/workers.sbatch", "share/mdgen/kubernetes/kustomization.yaml",
                 "share/mdgen/logrotate/mdgen", "share/doc/mdgen/operating.md", "share/doc/mdgen/LICENSE"):
        assert (prefix / name).exists(), name


def test_completions_are_installed(prefix):
    if subprocess.run([BUILD / "bin/mdgenctl", "completion", "bash"], capture_output=True).returncode != 0:
        pytest.skip("this mdgenctl writes no completions")
    for name in ("bash-completion/completions/mdgenctl", "zsh/site-functions/_mdgenctl",
                 "fish/vendor_completions.d/mdgenctl.fish"):
        assert "mdgenctl" in (prefix / "share" / name).read_text()


@needs_systemd
@pytest.mark.parametrize("unit", EXPOSURE)
def test_units_are_valid(prefix, unit):
    run = subprocess.run(["systemd-analyze", "verify", "--man=no", prefix / "lib/systemd/system" / unit],
                         capture_output=True, text=True)
    said = [line for line in run.stderr.splitlines() if "mdgen" in line]
    assert run.returncode == 0 and not said, run.stderr


@needs_systemd
@pytest.mark.parametrize("unit", EXPOSURE)
def test_units_are_hardened(prefix, unit):
    run = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager",
                          prefix / "lib/systemd/system" / unit], capture_output=True, text=True)
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", run.stdout)
    assert level and float(level.group(1)) <= EXPOSURE[unit], run.stdout[-500:] + run.stderr
    assert str(EXPOSURE[unit]) in (SOURCE / "docs/operating.md").read_text()


def test_a_worker_may_drain_before_it_is_killed(prefix):
    text = (prefix / "lib/systemd/system/mdgen-worker@.service").read_text()
    drain = int(re.search(r"--drain_timeout (\d+)", text).group(1))
    assert int(re.search(r"^TimeoutStopSec=(\d+)", text, re.M).group(1)) > drain
    assert "\nKillMode=mixed\n" in text and "\nRestartPreventExitStatus=2 78\n" in text


@pytest.mark.parametrize("script", ["deploy/slurm/service.sbatch", "deploy/slurm/workers.sbatch"])
def test_batch_scripts_parse(script):
    assert subprocess.run(["bash", "-n", SOURCE / script]).returncode == 0


@pytest.mark.skipif(shutil.which("logrotate", path=os.environ["PATH"] + ":/usr/sbin") is None,
                    reason="logrotate is not installed (deploy/bootstrap --tests)")
def test_logs_rotate(tmp_path):
    log = tmp_path / "worker.log"
    log.write_text("line\n" * 100)
    text = (SOURCE / "deploy/logrotate/mdgen").read_text()
    text = text.replace("/var/log/mdgen", str(tmp_path)).replace("/var/lib/mdgen", str(tmp_path))
    (tmp_path / "conf").write_text(re.sub(r"^\s*su .*\n", "", text, flags=re.M))
    (tmp_path / "conf").chmod(0o600)
    run = subprocess.run(["logrotate", "--force", "--state", tmp_path / "state", tmp_path / "conf"], capture_output=True,
                         text=True, env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin"})
    assert run.returncode == 0, run.stderr
    assert log.read_text() == "" and (tmp_path / "worker.log.1").read_text() == "line\n" * 100


def test_the_containerfile_is_understood():
    run = subprocess.run([SOURCE / "deploy/check_containerfile", "--list"], capture_output=True, text=True)
    assert run.returncode == 0 and run.stdout.rstrip().endswith("check_containerfile: done"), run.stderr
    for step in ("RUN deploy/bootstrap", "RUN cmake --install build", "USER 10001:10001"):
        assert step in run.stdout


def test_the_containerfiles_steps_run_in_folders(tmp_path):
    """With a file of our own whose steps need no Debian: COPY, ENV, ARG and COPY --from do what a builder does."""
    text = "ARG BASE=x\nFROM ${BASE} AS build\nARG NAME=value\nENV PLACE=/opt\nWORKDIR /src\nCOPY LICENSE /src/LICENSE\n"
    text += "FROM ${BASE} AS runtime\nCOPY --from=build /src /copied\nUSER 1:1\nCMD [\"true\"]\n"
    (tmp_path / "Containerfile").write_text(text)
    for stage in ("build", "runtime"):
        (tmp_path / stage).mkdir()
    run = subprocess.run([SOURCE / "deploy/check_containerfile", "--file", tmp_path / "Containerfile", "--stage",
                          f"build={tmp_path / 'build'}", "--stage", f"runtime={tmp_path / 'runtime'}"],
                         capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "runtime/copied/LICENSE").read_bytes() == (SOURCE / "LICENSE").read_bytes()


def needed_libraries():
    """What the programs and plug-ins link of Debian's."""
    found = set()
    for file in [BUILD / "bin" / program for program in PROGRAMS] + sorted((BUILD / "lib").glob("libmdgen_*.so")):
        listing = subprocess.run(["readelf", "-d", file], capture_output=True, text=True, check=True).stdout
        found |= set(re.findall(r"NEEDED.*\[(.+)\]", listing))
    folder = pathlib.Path("/usr/lib/x86_64-linux-gnu")
    return sorted(name for name in found if (folder / name).exists() and not name.startswith("ld-linux"))


@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="no Debian")
def test_the_runtimes_packages_have_every_library():
    lines = (SOURCE / "deploy/locks/debian-runtime.txt").read_text().splitlines()
    packages, wanted = set(), [line for line in lines if line and not line.startswith("#")]
    while wanted:
        package = wanted.pop()
        if package in packages:
            continue
        packages.add(package)
        depends = subprocess.run(["dpkg-query", "-W", "-f=${Depends},${Pre-Depends}", package], capture_output=True,
                                 text=True).stdout
        wanted += [re.split(r"[ :(|]", word.strip())[0] for word in depends.split(",") if word.strip()]
    for library in needed_libraries():
        owner = subprocess.run(["dpkg", "-S", f"*/{library}"], capture_output=True, text=True).stdout
        owners = {line.split(":")[0] for line in owner.splitlines()}
        assert owners & packages, f"{library} is in {owners}, which deploy/locks/debian-runtime.txt does not bring"
