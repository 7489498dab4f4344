"""A Slurm cluster of one node in a folder of the test's own: munged, slurmctld and slurmd from Debian's packages, on
free ports, with nothing of the machine's own configuration.

    with Slurm(folder) as slurm:
        slurm.run("srun", "-n", 2, "hostname")

Two partitions: `normal`, and `urgent`, whose jobs pre-empt those of `normal`, which are requeued.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

PROGRAMS = ("munged", "slurmctld", "slurmd", "srun", "sbatch", "scontrol", "squeue", "scancel")
# munged and slurmd need it to set the identity of what they start.
NEEDS_ROOT = "Slurm's and munge's daemons run as root here"

CONFIGURATION = """\
ClusterName=mdgentest
SlurmctldHost={host}
SlurmUser=root
SlurmctldPort={controller_port}
SlurmdPort={node_port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
SwitchType=switch/none
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=1,sched_interval=5,sched_min_interval=100000,bf_interval=5
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
KillWait=20
MinJobAge=600
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=normal Nodes={host} Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime={grace}
PartitionName=urgent Nodes={host} MaxTime=INFINITE State=UP PriorityTier=10
"""


def why_not():
    """Why there can be no Slurm here; nothing when there can."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = [program for program in PROGRAMS if shutil.which(program, path=path) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (deploy/bootstrap --tests)"
    return NEEDS_ROOT if os.geteuid() != 0 else None


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Slurm:
    """`cpus`: how many the node says it has; Slurm does not count the machine's. `grace`: seconds between the signal
    and the end of a job that is pre-empted."""

    def __init__(self, folder, cpus=4, grace=0):
        self.folder = pathlib.Path(folder)
        self.host = socket.gethostname().split(".")[0]
        self.cpus = cpus
        self.grace = grace
        self.daemons = []
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
        self.environment["SLURM_CONF"] = str(self.folder / "slurm.conf")
        self.environment["PATH"] = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        (self.folder / "state").mkdir(exist_ok=True)
        (self.folder / "spool").mkdir(exist_ok=True)
        (self.folder / "slurm.conf").write_text(CONFIGURATION.format(
            host=self.host, folder=self.folder, controller_port=free_port(), node_port=free_port(), cpus=self.cpus,
            grace=self.grace))
        # Else slurmd asks systemd for a scope of its own.
        (self.folder / "cgroup.conf").write_text("CgroupAutomount=no\nIgnoreSystemd=yes\n")
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        with contextlib.suppress(Exception):
            self.run("scancel", "--full", "-u", "root", "-s", "KILL", check=False)
        for daemon in reversed(self.daemons):
            if daemon.poll() is None:
                daemon.terminate()
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait(20)
        self.daemons.clear()

    def _start(self):
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        self._daemon("munged", "--foreground", "--force", "--key-file", key, "--socket", self.folder / "munge.socket",
                     "--pid-file", self.folder / "munged.pid", "--log-file", self.folder / "munged.log",
                     "--seed-file", self.folder / "munge.seed")
        self._wait((self.folder / "munge.socket").exists, "munged's socket")
        self._daemon("slurmctld", "-D", "-f", self.folder / "slurm.conf")
        self._daemon("slurmd", "-D", "-f", self.folder / "slurm.conf", "-N", self.host)
        self._wait(lambda: set(self.run("sinfo", "-h", "-o", "%T", check=False).stdout.split()) == {"idle"},
                   "an idle node")

    def _daemon(self, *command):
        with open(self.folder / f"{command[0]}.out", "w") as out:
            self.daemons.append(subprocess.Popen(
                [str(word) for word in command], stdout=out, stderr=subprocess.STDOUT, env=self.environment,
                start_new_session=True))

    def _wait(self, condition, what, seconds=60):
        deadline = time.monotonic() + seconds
        while not condition():
            ended = [daemon.args[0] for daemon in self.daemons if daemon.poll() is not None]
            assert not ended and time.monotonic() < deadline, f"no {what}; ended: {ended}\n{self.logs()}"
            time.sleep(0.1)

    def logs(self):
        return "\n".join(f"--- {file.name}\n{file.read_text(errors='replace')[-1500:]}"
                         for file in sorted(self.folder.glob("*.out")) + sorted(self.folder.glob("*.log")))

    def run(self, *command, check=True, timeout=120, cwd=None, environment=None):
        result = subprocess.run(
            [str(word) for word in command], capture_output=True, text=True, timeout=timeout, cwd=cwd,
            env={**self.environment, **(environment or {})}, check=False)
        assert not check or result.returncode == 0, f"{command}: {result.returncode}\n{result.stdout}{result.stderr}"
        return result

    def popen(self, *command, cwd=None, environment=None):
        return subprocess.Popen(
            [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd,
            env={**self.environment, **(environment or {})}, start_new_session=True)

    def sbatch(self, *words, cwd, environment=None):
        """The new job's number."""
        return self.run("sbatch", "--parsable", *words, cwd=cwd, environment=environment).stdout.strip()

    def job(self, number):
        """scontrol's fields of a job: JobState, Restarts, ExitCode, …"""
        text = self.run("scontrol", "--oneliner", "show", "job", number).stdout
        return dict(word.split("=", 1) for word in text.split() if "=" in word)

    def wait_for_state(self, number, states, seconds=120):
        """Waits for one of `states` and returns the job."""
        deadline = time.monotonic() + seconds
        while True:
            job = self.job(number)
            if job["JobState"] in states:
                return job
            assert time.monotonic() < deadline, f"job {number} is {job['JobState']}, not {states}\n{self.logs()}"
            time.sleep(0.2)

    def signal(self, number, name, *options):
        self.run("scancel", "-s", signal.Signals[name].name.removeprefix("SIG"), *options, number)
