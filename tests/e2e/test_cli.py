"""mdgenctl as a person uses it: each verb against real programs, on a terminal and off it."""

import json
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import termios
import time
import fcntl

import pytest
from service import BIN, Service, make_dataset, wait_for

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A program on a pseudo-terminal; what it writes gathers in `text`."""

    def __init__(self, arguments, environment=None, columns=100, rows=30):
        self.text = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update({"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **(environment or {})})
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execvp(str(arguments[0]), [str(a) for a in arguments])
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds=0.1):
        """False at the end."""
        if select.select([self.fd], [], [], seconds)[0]:
            try:
                data = os.read(self.fd, 65536)
            except OSError:  # the other side is closed
                return False
            if not data:
                return False
            self.text += data.decode(errors="replace")
        return True

    def wait_for(self, pattern, seconds=30):
        deadline = time.monotonic() + seconds
        while not re.search(pattern, self.text, re.S):
            alive = self.read()
            found = re.search(pattern, self.text, re.S)
            assert alive or found, f"ended without {pattern!r}: {self.text!r}"
            assert time.monotonic() < deadline, f"after {seconds} s no {pattern!r}: {self.text[-2000:]!r}"
        return self.text

    def send(self, text):
        os.write(self.fd, text.encode())

    def finish(self, seconds=30):
        """The exit code."""
        deadline = time.monotonic() + seconds
        while self.read():
            assert time.monotonic() < deadline, f"does not end: {self.text[-2000:]!r}"
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def stop(self):
        try:
            os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(self.fd)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    make_dataset(folder, "--proteins", 4, "--lengths", "10,12", "--frames", 12)
    with Service(folder, workers=2, worker_flags=()) as running:
        yield running


SMALL = (
    "--sim_condition --prepend_ipa --atlas --num_frames 4 --crop 12 --embed_dim 32 --num_layers 1 --mha_heads 4 "
    "--ipa_heads 2 --ipa_head_dim 8 --ipa_qk 4 --ipa_v 4 --batch_size 2 --lr 1e-3 --epochs 100000 --no_validate "
    "--train_split train.csv --val_split val.csv --data_dir data --work_dir runs --every_steps 20"
).split()


def spec_flags(name, *more):
    return ["--", "--name", name, *SMALL, *more]


def ok(run):
    assert run.returncode == 0, (run.args, run.stdout, run.stderr)
    return run.stdout


@pytest.fixture(scope="module")
def done(service):
    """The id of a job that has succeeded."""
    job = ok(service.ctl("submit", *spec_flags("done", "--max_steps", "30"))).splitlines()[0]
    assert service.wait(job)["state"] == "SUCCEEDED"
    return job


@pytest.fixture()
def busy(service):
    """The id of a job that runs on and on, on one worker."""
    name = f"busy-{time.monotonic_ns()}"
    job = ok(service.ctl("submit", "--set", "labels=team=md", *spec_flags(name, "--max_steps", "100000"))).splitlines()[0]
    service.wait(job, condition=lambda s: s["state"] == "RUNNING" and s["step"] > 0)
    yield job
    service.ctl("cancel", job, "--grace", "0")
    service.wait(job)


def test_list_filters(service, done):
    table = ok(service.ctl("list", "--state", "SUCCEEDED", "--name", "don"))
    assert table.splitlines()[0].split()[:3] == ["ID", "NAME", "STATE"]
    assert table.splitlines()[1].split()[:3] == [done, "done", "SUCCEEDED"]
    assert json.loads(ok(service.ctl("list", "--name", "nobody", "-o", "json")))["jobs"] == []
    assert json.loads(ok(service.ctl("list", "--all", "-o", "json")))["jobs"][-1]["id"] == done
    assert service.ctl("list", "--state", "IDLE").returncode == 2


def test_status_describe_events(service, done):
    text = ok(service.ctl("status", "done"))
    assert re.search(r"^state +SUCCEEDED$", text, re.M)
    assert re.search(r"^ended +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \((\d+m)?\d+s ago\)$", text, re.M)
    assert re.search(r"^checkpoints +\d+$", ok(service.ctl("describe", done)), re.M)
    events = json.loads(ok(service.ctl("events", done, "-o", "json")))["events"]
    assert [e["sequence"] for e in events] == sorted({e["sequence"] for e in events})
    assert {"RUNNING", "SUCCEEDED"} <= {e["state"] for e in events}
    last = events[-1]["sequence"]
    assert len(ok(service.ctl("events", done, "--after", last - 1)).splitlines()) == 1
    followed = ok(service.ctl("events", done, "-f"))  # the job has ended: so does this
    assert len(followed.splitlines()) == len(events)


def test_metrics(service, done):
    table = ok(service.ctl("metrics", done, "--name", "loss,lr"))
    assert re.search(r"^loss +30 ", table, re.M), table
    series = json.loads(ok(service.ctl("metrics", done, "--name", "loss", "-o", "json")))["series"]
    assert series[0]["steps"][-1] == 30 and len(series[0]["values"]) == 30
    lines = ok(service.ctl("metrics", done, "--name", "loss", "--follow", "-o", "json")).splitlines()
    assert json.loads(lines[-1])["step"] == 30


def test_logs(service, done):
    whole = ok(service.ctl("logs", done))
    assert len(whole.splitlines()) > 3
    assert ok(service.ctl("logs", done, "--tail", "2")).splitlines() == whole.splitlines()[-2:]
    assert ok(service.ctl("logs", done, "--offset", 10)) == whole.encode()[10:].decode()
    assert ok(service.ctl("logs", done, "--since", "1d")) == whole
    assert ok(service.ctl("logs", done, "--since", "2100-01-01T00:00:00Z")) == ""
    assert ok(service.ctl("logs", done, "-f", "--tail", "1")).splitlines() == whole.splitlines()[-1:]


def test_workers_queue_top(service, busy):
    workers = json.loads(ok(service.ctl("workers", "-o", "json")))["workers"]
    mine = [w for w in workers if w["job_id"] == busy]
    assert len(workers) == 2 and mine[0]["state"] == "BUSY" and mine[0]["rank"] == 0
    assert re.search(r"^ID +HOST", ok(service.ctl("workers")))
    waiting = ok(service.ctl("submit", *spec_flags("waits", "--workers.min", "2"))).splitlines()[0]
    service.wait(waiting, condition=lambda s: s["state"] == "QUEUED")
    queue = json.loads(ok(service.ctl("queue", "-o", "json")))
    assert [e["job_id"] for e in queue["entries"]] == [waiting] and queue["total_workers"] == 2
    assert re.search(r"^queue +position 1, \w+: ", ok(service.ctl("status", waiting)), re.M)
    top = ok(service.ctl("top"))
    assert top.startswith("mdgenctl top") and busy in top and waiting in top
    assert service.ctl("update", waiting, "--priority", "-5").returncode == 0
    assert json.loads(ok(service.ctl("queue", "-o", "json")))["entries"][0]["priority"] == -5
    assert ok(service.ctl("cancel", waiting)).split() == [waiting, "CANCELLED"]


def test_pause_resume_update_retry_delete(service, busy):
    ok(service.ctl("update", busy, "--priority", "3", "--labels", "stage=two"))
    status = service.status(busy)
    assert status["priority"] == 3 and status["labels"] == {"stage": "two"}
    assert busy in ok(service.ctl("list", "--label", "stage=two"))
    ok(service.ctl("pause", busy))
    service.wait(busy, condition=lambda s: s["state"] == "PAUSED")
    ok(service.ctl("resume", busy))
    service.wait(busy, condition=lambda s: s["state"] == "RUNNING")
    assert service.ctl("retry", busy).returncode == 1  # it runs
    assert service.ctl("delete", busy, "--yes").returncode == 1
    ok(service.ctl("cancel", busy, "--grace", "30"))
    service.wait(busy)
    again = ok(service.ctl("retry", busy)).strip()
    assert again != busy and service.status(again)["retry_of"] == busy
    service.ctl("cancel", again, "--grace", "0")
    service.wait(again)
    assert service.ctl("delete", again).returncode == 2  # nobody to ask
    assert ok(service.ctl("delete", again, "--yes")).strip() == f"{again} deleted"
    assert service.ctl("status", again).returncode == 1


def test_checkpoints_and_ledger(service, done):
    assert "step-" in ok(service.ctl("checkpoints", "ls", done))
    assert re.search(r"checkpoints: [1-9]\d* good, 0 bad\n$", ok(service.ctl("checkpoints", "verify", done)))
    assert ok(service.ctl("ledger", "verify", done)).splitlines()[-1].endswith("OK")


def test_validate_only(service, done):
    before = len(json.loads(ok(service.ctl("list", "--all", "-o", "json")))["jobs"])
    run = service.ctl("submit", "--validate-only", *spec_flags("checked"))
    assert run.returncode == 0 and run.stdout == "", run.stderr
    assert len(json.loads(ok(service.ctl("list", "--all", "-o", "json")))["jobs"]) == before
    assert service.ctl("submit", "--validate-only", *spec_flags("done", "--resume", "fresh")).returncode == 1


def test_connection(service, tmp_path):
    away = service.ctl("status", "x", address="127.0.0.1:9")
    assert away.returncode == 4 and "no answer from the coordinator" in away.stderr
    run = service.ctl("watch", "x", "--reconnect-for", "1", address="127.0.0.1:9")
    assert run.returncode == 4 and "trying again" in run.stdout + run.stderr
    assert service.ctl("watch", "no-such-job").returncode == 2
    config = tmp_path / "config.yaml"
    config.write_text(f"address: {service.address}\noutput: json\n")
    environment = {k: v for k, v in os.environ.items() if k != "MDGEN_ADDRESS"} | {"MDGEN_CONFIG": str(config)}
    run = subprocess.run([BIN / "mdgenctl", "list"], env=environment, capture_output=True, text=True)
    assert "jobs" in json.loads(run.stdout)
    config.write_text("addres: x:1\n")
    run = subprocess.run([BIN / "mdgenctl", "list"], env=environment, capture_output=True, text=True)
    assert run.returncode == 2 and f"{config}:1: unknown key" in run.stderr


def test_follow_over_a_restart_of_the_coordinator(tmp_path):
    make_dataset(tmp_path, "--proteins", 4, "--lengths", "10,12", "--frames", 12)
    with Service(tmp_path, workers=1) as service:
        job = ok(service.ctl("submit", *spec_flags("restart", "--max_steps", "400"))).splitlines()[0]
        watching = Terminal([BIN / "mdgenctl", "--address", service.address, "watch", job, "--color", "never"])
        following = subprocess.Popen([BIN / "mdgenctl", "--address", service.address, "logs", "-f", job],
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        watching.wait_for(r"RUNNING  \[[█▏▎▍▌▋▊▉ ]+\] +\d+%  step [1-9]")
        service.coordinator.stop()
        watching.wait_for("trying again for 1m00s")
        service.start_coordinator(listen=service.address)
        watching.wait_for("connected again", 60)
        assert watching.finish(120) == 0, watching.text[-2000:]
        assert f"job {job} SUCCEEDED  steps=400" in watching.text
        out, _ = following.communicate(timeout=60)
        assert following.returncode == 0
        assert out == ok(service.ctl("logs", job))  # no byte twice, none missed


def test_terminal_colours_and_bar(service, done, busy):
    address = ["--address", service.address]
    listing = Terminal([BIN / "mdgenctl", *address, "list"])
    assert listing.finish() == 0
    assert "\x1b[32mRUNNING\x1b[0m" in listing.text
    for environment, flags in [({"NO_COLOR": "1"}, []), ({}, ["--color", "never"]), ({"TERM": "dumb"}, [])]:
        plain = Terminal([BIN / "mdgenctl", *address, "list", *flags], environment)
        assert plain.finish() == 0 and "\x1b[" not in plain.text, plain.text
    assert "\x1b[" not in ok(service.ctl("list"))
    assert "\x1b[32m" in ok(service.ctl("list", "--color", "always"))

    status = Terminal([BIN / "mdgenctl", *address, "status", done])
    assert status.finish() == 0
    assert f"next: mdgenctl --address {service.address} metrics {done}" in status.text
    assert "next:" not in service.ctl("status", done).stderr

    watching = Terminal([BIN / "mdgenctl", *address, "watch", busy, "--interval", "0.1"], columns=70)
    watching.wait_for(r"(\r\x1b\[K[^\r\n]+){3}")
    for line in re.findall(r"\r\x1b\[K([^\r\n]*)(?=\r\x1b\[K)", watching.text):
        assert len(ESCAPES.sub("", line)) < 70
    watching.stop()

    curves = Terminal([BIN / "mdgenctl", *address, "metrics", done, "--name", "loss"])
    assert curves.finish() == 0 and re.search("[▁▂▃▄▅▆▇█]{10}", curves.text)


def test_terminal_redraws(service, busy):
    address = ["--address", service.address]
    for verb in (["list", "--watch"], ["top"], ["metrics", busy, "-f"]):
        screen = Terminal([BIN / "mdgenctl", *address, *verb, "--interval", "0.2"])
        screen.wait_for(r"\x1b\[2J\x1b\[H.*\x1b\[J\x1b\[H.*\x1b\[J")
        screen.stop()
    question = Terminal([BIN / "mdgenctl", *address, "delete", busy])
    question.wait_for(r"Forget job .*\[y/N\]")
    question.send("n\n")
    assert question.finish() == 1 and "nothing was done" in question.text


def bash_candidates(line, environment):
    script = f"""source <({BIN}/mdgenctl completion bash)
COMP_LINE={line!r}; COMP_POINT=${{#COMP_LINE}}; _mdgenctl 2>/dev/null; printf '%s\\n' "${{COMPREPLY[@]}}" """
    run = subprocess.run(["bash", "--norc", "-c", script], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


@pytest.fixture()
def shell_environment(service):
    return {**os.environ, "MDGEN_ADDRESS": service.address, "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(service.folder)}


def test_completion_bash(service, done, shell_environment):
    assert bash_candidates("mdgenctl stat", shell_environment) == ["status"]
    assert bash_candidates("mdgenctl checkpoints ver", shell_environment) == ["verify"]
    assert bash_candidates("mdgenctl watch don", shell_environment) == ["done"]
    assert bash_candidates("mdgenctl list --output=j", shell_environment) == ["json"]
    assert bash_candidates(f"mdgenctl --address {service.address} watch don", shell_environment) == ["done"]
    workers = json.loads(ok(service.ctl("workers", "-o", "json")))["workers"]
    assert bash_candidates("mdgenctl drain ", shell_environment) == [w["id"] for w in workers]
    (service.folder / "spec-here.yaml").write_text("")
    here = {**shell_environment, "PWD": str(service.folder)}
    script_dir = os.getcwd()
    os.chdir(service.folder)
    try:
        assert bash_candidates("mdgenctl submit -f spec-h", here) == ["spec-here.yaml"]
    finally:
        os.chdir(script_dir)
    away = {**shell_environment, "MDGEN_ADDRESS": "127.0.0.1:9"}
    begin = time.monotonic()
    assert bash_candidates("mdgenctl watch don", away) == []
    assert time.monotonic() - begin < 5


def test_completion_zsh(service, done, shell_environment):
    if not shutil.which("zsh"):
        pytest.skip("zsh is not installed (deploy/bootstrap --tests)")
    shell = Terminal(["zsh", "-f", "-i"], shell_environment)
    try:
        shell.send("PS1='ready> '; autoload -Uz compinit; compinit -u -d /dev/null; source <(mdgenctl completion zsh); "
                   "echo 'set''up'\n")
        shell.wait_for("setup")
        shell.send("mdgenctl watch do\t")
        shell.wait_for(r"mdgenctl watch done(\x1b\[1m)? ")
        shell.send("\x15mdgenctl checkp\t")
        shell.wait_for(r"mdgenctl checkpoints(\x1b\[1m)? ")
        shell.send("\x15mdgenctl list --outp\t")
        shell.wait_for("mdgenctl list --output")
    finally:
        shell.stop()


def test_completion_fish(service, done, shell_environment):
    if not shutil.which("fish"):
        pytest.skip("fish is not installed (deploy/bootstrap --tests)")

    def candidates(line):
        run = subprocess.run(
            ["fish", "--no-config", "-c", f"mdgenctl completion fish | source; complete -C {line!r}"],
            env=shell_environment, capture_output=True, text=True, timeout=60)
        assert run.returncode == 0, run.stderr
        return [line.split("\t")[0] for line in run.stdout.splitlines()]

    assert candidates("mdgenctl stat") == ["status"]
    assert candidates("mdgenctl watch don") == ["done"]
    assert sorted(candidates("mdgenctl list -o ")) == ["json", "table", "yaml"]
    assert candidates("mdgenctl inject done cor") == ["corrupt-checkpoint"]


def test_drain(tmp_path):
    with Service(tmp_path, workers=1) as service:
        worker = json.loads(ok(service.ctl("workers", "-o", "json")))["workers"][0]["id"]
        assert ok(service.ctl("drain", worker)).split()[0] == worker
        assert service.workers[0].process.wait(30) == 0
        wait_for(lambda: json.loads(ok(service.ctl("workers", "-o", "json")))["workers"] == [], 30, "no worker")
        assert service.ctl("drain", "nobody").returncode == 1
