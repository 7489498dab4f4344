"""The coordinator's HTTP interface with made-up content, for tests of the dashboard: states that a real one reaches
only after hours, and thousands of jobs. Field names are those of proto/mdgen/v1; test_dashboard.py checks them
against the real coordinator."""

import datetime
import hashlib
import http.server
import json
import math
import pathlib
import re
import threading
import urllib.parse

NOW = datetime.datetime.now(datetime.timezone.utc)


def ago(seconds):
    return (NOW - datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def job(number=1, **changes):
    made = {
        "id": f"job-{number:06d}", "name": f"atlas-forward-{number}", "state": "RUNNING", "reason": None, "message": None,
        "step": 1240, "epoch": 3, "total_steps": 4000, "loss": 0.1234, "first_loss": 1.02, "val_loss": 0.1411,
        "tokens_per_second": 51234.5, "eta_seconds": 4980.0, "workers": 4, "restarts": 2, "generation": 3,
        "checkpoint": "/runs/atlas-forward/checkpoints/step-000001200-g0003", "checkpoint_step": 1200,
        "run_folder": "/runs/atlas-forward", "created_at": ago(3600), "started_at": ago(3500), "ended_at": None,
        "transitions": [], "warnings": [], "spec": {"name": f"atlas-forward-{number}", "seed": 137, "workers": {"min": 2, "max": 4},
        "data": {"data_dir": "/data/atlas", "num_frames": 250, "crop": 256}, "optim": {"lr": 1e-4, "ema": True}},
        "manifest_digest": "3f" * 32, "lost_steps": 0, "bad_samples": 0, "recoveries": [], "priority": 0, "timeouts": None,
        "recovery_count": 0, "owner": "ada", "labels": {"team": "md"}, "queue": None, "attempt": 1, "retry_of": None,
        "deadline": None, "progress": 0.31, "total_epochs": 10, "samples_per_second": 3.2, "grad_norm": 0.8, "lr": 1e-4,
        "last_step_at": ago(1), "step_seconds": 1.25,
        "step_times": {"data": 0.02, "forward": 0.35, "backward": 0.62, "reduce": 0.12, "optimizer": 0.07, "checkpoint": 0.01},
        "spent": {"data": 25, "forward": 434, "backward": 769, "reduce": 149, "optimizer": 87, "checkpoint": 12},
        "flops_per_second": 2.4e12, "ceiling_ratio": 0.41,
        "ranks": [{"rank": r, "worker_id": f"worker-{r + 1}", "host": f"node{r // 2 + 1}", "attempt": 1, "phase": "COMPUTE",
                   "step": 1240, "compute_seconds": 1.0 if r != 2 else 1.42, "slowness": 1.0 if r != 2 else 1.42,
                   "straggler": r == 2, "beat_age_seconds": 0.4 if r != 3 else 7.5} for r in range(4)],
        "goodput_ratio": 0.972, "recovery_seconds": 3.1, "checkpoint_blocked_seconds": 0.018, "checkpoint_persist_seconds": 1.2,
    }
    made.update(changes)
    return made


def recovery(generation, **changes):
    made = {
        "generation": generation, "reason": "TrainerKilled", "message": "rank 2 on node2 was ended by signal 9 (SIGKILL)",
        "rank": 2, "host": "node2", "detected_at": ago(1500 / generation), "abort_seconds": 0.12, "wait_seconds": 0.0,
        "rendezvous_seconds": 0.31, "heal_seconds": 0.22, "first_step_seconds": 1.31, "total_seconds": 1.96,
        "from_step": 512 * generation, "lost_steps": 0, "source": "memory of rank 0", "workers": 4, "complete": True,
    }
    made.update(changes)
    return made


def worker(number, **changes):
    made = {
        "id": f"worker-{number}", "host": f"node{(number + 1) // 2}", "pid": 4000 + number, "device": "cuda:0", "address": "10.0.0.1",
        "cpus": 16, "labels": {"gpu": "h200"}, "version": "0.1.0", "connected_at": ago(4000), "beat_age_seconds": 0.3,
        "state": "BUSY", "job_id": "job-000001", "rank": number - 1, "phase": "COMPUTE", "step": 1240, "slowness": 1.0, "straggler": False,
    }
    made.update(changes)
    return made


def curve(last):
    steps = list(range(1, last + 1, max(1, last // 1000)))
    wave = [math.sin(12.9898 * s) for s in steps]
    loss = [0.1 + 0.92 * math.exp(-s / 300) + 0.05 * w for s, w in zip(steps, wave)]
    return [
        {"name": "loss", "steps": steps, "values": [None if s == 301 else x for s, x in zip(steps, loss)]},
        {"name": "val_loss", "steps": steps[::120], "values": [x + 0.03 for x in loss[::120]]},
        {"name": "grad_norm", "steps": steps, "values": [0.5 + 2 * math.exp(-s / 200) + 0.2 * abs(w) for s, w in zip(steps, wave)]},
        {"name": "tokens_per_second", "steps": steps, "values": [50000 + 2500 * w for w in wave]},
        {"name": "lr", "steps": steps, "values": [1e-4 * min(1, s / 100) for s in steps]},
    ]


def histogram(bins, peaks):
    counts = []
    for row in range(bins):
        for column in range(bins):
            phi, psi = ((i + 0.5) * 360 / bins - 180 for i in (column, row))
            counts.append(round(sum(w * math.exp(-(((phi - p) / s) ** 2 + ((psi - q) / s) ** 2)) for p, q, s, w in peaks)))
    return {"bins": bins, "counts": counts, "total": sum(counts)}


def samples():
    sampled = [1.1 + math.sin(i / 5) ** 2 for i in range(64)]
    return {
        "samples": [{"file": f"epoch{e}_4ake_A_R1.pdb", "name": "4ake_A_R1", "epoch": e} for e in (3, 1)],
        "picture": {
            "file": "epoch3_4ake_A_R1.pdb", "frames": 16, "residues": 64,
            "ramachandran": histogram(36, [(-65, -40, 28, 60), (-110, 130, 38, 25), (60, 40, 20, 6)]),
            "rmsf": sampled, "jensen_shannon": 0.21, "note": "",
            "training": {"source": "4ake_A_R1", "frames": 96, "ramachandran": histogram(36, [(-65, -40, 18, 300), (-115, 135, 25, 120)]),
                         "rmsf": [0.9 * x + 0.2 for x in sampled]},
        },
    }


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def reply(self, status, body, kind="application/json", headers=()):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        tag = '"' + hashlib.sha256(body).hexdigest()[:16] + '"'
        if status == 200 and self.headers.get("If-None-Match") == tag:
            status, body = 304, b""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", tag)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def fail(self, status, code, message):
        self.reply(status, {"error": {"code": code, "message": message}})

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(url.query)
        fake = self.server.fake
        with fake.lock:
            fake.requests.append(("GET", self.path, dict(self.headers)))
            if url.path == "/" or url.path.startswith("/dashboard/"):
                return self.page(url.path)
            if url.path != "/v1/access" and fake.tokens and self.role() is None:
                return self.fail(401, "Unauthenticated", "a token is needed")
            answer = self.answer(url.path.strip("/").split("/")[1:], query)
        if answer is None:
            return self.fail(404, "NotFound", f"there is nothing at {url.path}")
        return self.reply(200, answer)

    def role(self):
        return self.server.fake.tokens.get(self.headers.get("Authorization", "").removeprefix("Bearer "))

    def page(self, path):
        file = self.server.fake.page / ("index.html" if path == "/" else path.removeprefix("/dashboard/"))
        if not file.is_file():
            return self.fail(404, "NotFound", path)
        kinds = {".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
        return self.reply(200, file.read_bytes(), kinds[file.suffix], [("Content-Security-Policy", self.server.fake.policy)])

    def answer(self, parts, query):
        fake = self.server.fake
        first = {name: values[0] for name, values in query.items()}
        match parts:
            case ["access"]:
                return {"required": bool(fake.tokens), "role": self.role() if fake.tokens else "ADMIN"}
            case ["jobs"]:
                found = [j for j in fake.jobs if (not query.get("state") or j["state"] in query["state"])
                         and (j["name"] or "").startswith(first.get("name_prefix", ""))]
                start, size = int(first.get("page_token", 0)), int(first.get("page_size", 100))
                rest = str(start + size) if start + size < len(found) else ""
                return {"jobs": [{**j, "spec": None} for j in found[start:start + size]], "next_page_token": rest}
            case ["workers"]:
                return {"workers": fake.workers}
            case ["queue"]:
                return {"entries": fake.queue, "free_workers": 0, "total_workers": len(fake.workers)}
            case ["jobs", name, *rest]:
                found = next((j for j in fake.jobs if j["id"] == name), None)
                return found and self.part(found, rest, first)
        return None

    def part(self, found, rest, first):
        fake = self.server.fake
        match rest:
            case []:
                return found
            case ["events"]:
                return {"events": [e for e in fake.events if e["sequence"] > int(first.get("after_sequence", 0))], "dropped": 0}
            case ["metrics"]:
                after = int(first.get("after_step", 0))
                series = [{**s, "steps": [x for x in s["steps"] if x > after], "values": [v for x, v in zip(s["steps"], s["values"]) if x > after]}
                          for s in curve(found["step"])] if found["step"] else []
                return {"series": series, "last_step": found["step"]}
            case ["checkpoints"]:
                return {"checkpoints": fake.checkpoints}
            case ["logs"]:
                text = fake.logs.get(int(first.get("rank", 0)))
                if text is None:
                    return None
                start = int(first["offset"]) if "offset" in first else max(0, len(text) - int(first.get("tail_bytes", 0)))
                return {"text": text[start:], "attempt": 1, "next_offset": len(text)}
            case ["samples"]:
                return fake.samples
        return None

    def change(self):
        length = int(self.headers.get("Content-Length", 0))
        content = json.loads(self.rfile.read(length) or b"{}")
        fake = self.server.fake
        with fake.lock:
            fake.requests.append((self.command, self.path, content))
            if fake.tokens and self.role() not in ("SUBMITTER", "ADMIN"):
                return self.fail(403, "PermissionDenied", "a viewer may not change jobs")
            name = re.match(r"/v1/jobs/([^/]+)(?:/(\w+))?$", self.path)
            found = name and next((j for j in fake.jobs if j["id"] == name.group(1)), None)
            if found:
                found.update({"pause": {"state": "PAUSED"}, "cancel": {"state": "CANCELLED"}, "resume": {"state": "QUEUED"}}.get(name.group(2), content))
            return self.reply(200, found or {})

    do_POST = change


class FakeCoordinator:
    """`with FakeCoordinator(source) as fake:`; change its lists under `fake.lock`."""

    def __init__(self, source):
        self.page = pathlib.Path(source) / "services/dashboard/page"
        header = (pathlib.Path(source) / "services/dashboard/files.h").read_text()
        self.policy = re.search(r'kContentSecurityPolicy =\s*"([^"]+)"', header).group(1)
        self.lock = threading.RLock()
        self.requests = []
        self.tokens = {}  # role by token; none: no access control
        self.jobs, self.workers, self.queue, self.events, self.checkpoints = [], [], [], [], []
        self.logs = {0: ""}
        self.samples = {"samples": [], "picture": None}
        self.port = 0

    def start(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        self.server.fake = self
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def fill(self):
        """One job of each kind, with all that a page can show."""
        waits = {"position": 1, "reason": "WaitingForWorkers", "message": "needs 4 workers; 1 is free", "since": ago(90)}
        self.jobs = [
            job(1, recoveries=[recovery(1), recovery(2, reason="WorkerLost", message="worker-4 on node2 sent no beat for 5.0 s", rank=3,
                                                     wait_seconds=2.4, total_seconds=4.3)], recovery_count=2,
                warnings=["3 entries have fewer than three replicas"]),
            job(2, name="tps-peptides", state="QUEUED", reason="WaitingForWorkers", queue=waits, step=0, loss=None, val_loss=None, first_loss=None,
                workers=0, progress=0, eta_seconds=0, ranks=[], step_times=None, spent=None, step_seconds=0, started_at=None, checkpoint=None),
            job(3, name="upsampling-i100", state="SUCCEEDED", step=4000, progress=1.0, ended_at=ago(60), eta_seconds=0, ranks=[], workers=0),
            job(4, name="inpainting-design", state="FAILED", reason="PoisonStep", progress=0.12, step=480, ended_at=ago(600), ranks=[], workers=0,
                message="step 481 ended a trainer three times in a row: entries 1abc_A, 2xyz_B", owner="grace"),
            job(5, name="forward-crop512", state="PAUSED", step=2200, progress=0.55, ranks=[], workers=0, priority=5),
        ]
        self.workers = [worker(1), worker(2), worker(3, slowness=1.42, straggler=True), worker(4, beat_age_seconds=7.5),
                        worker(5, state="FREE", job_id="", rank=-1, phase="UNSPECIFIED", step=0, slowness=0, labels={})]
        self.queue = [{"job_id": "job-000002", "name": "tps-peptides", "owner": "ada", "priority": 0, "min_workers": 4, "max_workers": 8, "queue": waits}]
        self.events = [
            {"sequence": 1, "at": ago(3600), "kind": "State", "reason": "Submitted", "message": "submitted", "state": "QUEUED", "actor": "ada"},
            {"sequence": 2, "at": ago(3500), "kind": "State", "reason": "Started", "message": "4 workers", "state": "RUNNING", "actor": ""},
            {"sequence": 3, "at": ago(1500), "kind": "Recovery", "reason": "TrainerKilled", "message": "rank 2 on node2 was ended by signal 9 (SIGKILL)", "state": "RECOVERING", "actor": ""},
        ]
        self.checkpoints = [
            {"name": f"step-{s:09d}-g0003", "folder": f"/runs/atlas-forward/checkpoints/step-{s:09d}-g0003", "step": s, "generation": 3, "bytes": 137_000_000,
             "written_at": ago(1300 - s), "val_loss": 0.15, "problem": "" if s != 800 else "model.safetensors is 12 bytes short", "newest_good": s == 1200}
            for s in (1200, 1000, 800)]
        self.logs = {0: "".join(f"[21:00:{i % 60:02d}] step {i} loss {1 / i:.4f}\n" for i in range(1, 300)), 1: "rank one\n"}
        self.samples = samples()
