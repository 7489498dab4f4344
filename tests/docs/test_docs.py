"""Every command of README.md, CONTRIBUTING.md and docs/*.md is run, page by page, in a fresh folder with the built
programs. What a page says of its blocks: pages.py."""

import contextlib
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys

import pages
import pytest

SOURCE = pathlib.Path(os.environ["MDGEN_SOURCE_DIR"])
BIN = pathlib.Path(os.environ["MDGEN_BIN_DIR"])
HERE = pathlib.Path(__file__).parent
PAGE_SECONDS = 240
PAGES = sorted([SOURCE / "README.md", SOURCE / "CONTRIBUTING.md", *(SOURCE / "docs").glob("*.md")])
NAMES = [str(page.relative_to(SOURCE)) for page in PAGES]
MARK = "@@ line "
OPTIONAL = ("curl", "promtool", "openssl")  # of deploy/locks/debian-tests.txt


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


class Places:
    """What stands in a page for the reader's own: hosts, ports, system folders."""

    def __init__(self, folder):
        self.pairs = [(path, f"{folder}/root{path}") for path in ("/var/lib/mdgen", "/srv/mdgen", "/etc/mdgen", "/backup")]
        self.ports = {port: free_port() for port in ("7070", "7071")}
        for path in ("srv/mdgen", "etc/mdgen", "var/lib", "backup"):
            (folder / "root" / path).mkdir(parents=True)

    def put_into(self, text):
        for shown, real in self.pairs:
            text = text.replace(shown, real)
        for shown, real in self.ports.items():
            text = re.sub(rf"\bHOST:{shown}\b", f"127.0.0.1:{real}", text)
            text = re.sub(rf"(?<=:){shown}\b", real, text)
        return text


def script_of(blocks, places):
    """The page as one shell script; each block tells its line first. Console blocks leave what they print in files."""
    parts = [(HERE / "prelude.sh").read_text()]
    for block in blocks:
        if not block.runs:
            continue
        text = places.put_into(block.text)
        parts.append(f"printf '\\n{MARK}{block.line}\\n' >&2")
        if block.language == "console":
            for number, (command, _) in enumerate(pages.console_commands(text)):
                name = f"console-{block.line}-{number}"
                parts.append(f"status=0\n{{ {command}\n}} >{name}.out 2>&1 || status=$?\necho $status >{name}.status")
        elif block.background:
            log = f"background-{block.line}.out"
            parts.append(f"{{ {text}\n}} >{log} 2>&1 &\nawait_line {log} {shlex.quote(block.background)}")
        elif block.status:
            parts.append(f"status=0\n(\n{text}\n) || status=$?\n[[ $status -eq {block.status} ]] || "
                         f"{{ echo \"status $status, not {block.status}\" >&2; exit 1; }}")
        else:
            parts.append(text)
    return "\n".join(parts) + f"\nprintf '\\n{MARK}end\\n' >&2\n"


def environment_of(folder):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MDGEN_", "SLURM_"))}
    return {**kept, "PATH": f"{BIN}:{os.environ['PATH']}", "MDGEN_BIN_DIR": str(BIN), "MDGEN_SOURCE_DIR": str(SOURCE),
            "MDGEN_ADK_DIR": os.environ["MDGEN_ADK_DIR"], "MDGEN_ORACLES": sys.executable, "HOME": str(folder),
            "NO_COLOR": "1", "OMP_NUM_THREADS": "1"}


def run_script(script, folder):
    """(status, output); nothing that it started is left."""
    (folder / "page.sh").write_text(script)
    with open(folder / "page.log", "w") as log:
        shell = subprocess.Popen(["bash", "page.sh"], cwd=folder, env=environment_of(folder), stdin=subprocess.DEVNULL,
                                 stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            status = shell.wait(PAGE_SECONDS)
        except subprocess.TimeoutExpired:
            status = f"none after {PAGE_SECONDS} s"
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, number)
        shell.wait()
    return status, (folder / "page.log").read_text(errors="replace")


def check_console(block, folder, places):
    commands = pages.console_commands(block.text)
    for number, (command, expected) in enumerate(commands):
        output = (folder / f"console-{block.line}-{number}.out").read_text()
        status = int((folder / f"console-{block.line}-{number}.status").read_text())
        wanted = block.status if number == len(commands) - 1 else 0
        assert status == wanted, f"line {block.line}: {command}\nended with {status}, not {wanted}:\n{output}"
        pattern = pages.output_pattern(places.put_into(expected))
        assert not expected or re.fullmatch(pattern, output + "\n" if not output.endswith("\n") else output), (
            f"line {block.line}: {command}\nprinted\n{output}\nwhere the page shows\n{expected}")


def examples_script(lines):
    """Each example's status and output in files."""
    parts = [(HERE / "prelude.sh").read_text(), (HERE / "examples.sh").read_text()]
    for number, command in lines:
        parts.append(f"status=0\nexample {number} {shlex.quote(command)} || status=$?\n"
                     f"echo $status >example-{number}.status")
    return "\n".join(parts) + f"\nprintf '\\n{MARK}end\\n' >&2\n"


@pytest.mark.parametrize("name", pages.EXAMPLES)
def test_every_example_is_understood(name, tmp_path):
    lines = pages.example_lines(pages.parse((SOURCE / name).read_text(), SOURCE))
    lines.sort(key=lambda line: " delete " in line[1])  # the others need the job
    assert len(lines) > 20
    status, output = run_script(examples_script(lines), tmp_path)
    assert status == 0 and f"{MARK}end" in output, f"status {status}\n{output[-3000:]}"
    wrong = []
    for number, command in lines:
        ended = int((tmp_path / f"example-{number}.status").read_text())
        allowed = {0, 1, 3}  # done, refused in this state, the job was cancelled
        if "top" in command or "--watch" in command:
            allowed.add(124)  # it goes on until it is stopped
        if " delete " in command and "--yes" not in command:
            allowed = {2}  # there is nobody to ask
        if " checkpoints rm " in command:
            allowed.add(2)  # a short run has no such step
        if ended not in allowed:
            wrong.append(f"line {number}: {command}: {ended}\n{(tmp_path / f'example-{number}.out').read_text()[-400:]}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_command_runs(page, tmp_path):
    blocks = pages.parse(page.read_text(), SOURCE)
    if str(page.relative_to(SOURCE)) in pages.EXAMPLES or not any(block.runs and block.language != "setup" for block in blocks):
        return
    missing = [name for name in OPTIONAL if shutil.which(name) is None
               and any(block.runs and re.search(rf"(^|[|;&(] *){name} ", block.text, re.M) for block in blocks)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (deploy/bootstrap --tests)")
    for name, target in (("build", BIN.parent), ("configs", SOURCE / "configs"), ("deploy", SOURCE / "deploy")):
        (tmp_path / name).symlink_to(target)
    places = Places(tmp_path)
    status, output = run_script(script_of(blocks, places), tmp_path)
    reached = re.findall(rf"^{MARK}(\S+)$", output, re.M)
    assert status == 0 and reached[-1:] == ["end"], (
        f"{page.name}, the block at line {reached[-1] if reached else '?'}: status {status}\n{output[-3000:]}")
    for block in blocks:
        if block.language == "console" and block.runs:
            check_console(block, tmp_path, places)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_synopses_name_options_that_exist(page):
    for block in pages.parse(page.read_text(), SOURCE):
        for program, verbs, options in pages.synopsis_options(block.text) if block.synopsis else []:
            run = subprocess.run([str(BIN / program), *verbs, "--help"], capture_output=True, text=True, timeout=60)
            assert run.returncode == 0, f"line {block.line}: {program} {' '.join(verbs)} --help: {run.stderr}"
            missing = [option for option in options if option not in run.stdout]
            assert not missing, f"line {block.line}: {program} {' '.join(verbs)} has no {missing}"


def test_links_lead_to_pages_and_headings():
    def anchors(page):
        headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S), re.M)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

    wrong = []
    for page in PAGES:
        text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if "://" in link:
                continue
            name, _, anchor = link.partition("#")
            target = (page.parent / name) if name else page
            if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
                wrong.append(f"{page.name}: {link}")
    assert not wrong


def test_every_page_is_in_the_readmes_table():
    listed = set(re.findall(r"\]\((docs/[\w-]+\.md)\)", (SOURCE / "README.md").read_text()))
    assert {f"docs/{page.name}" for page in (SOURCE / "docs").glob("*.md")} <= listed


def test_the_runner_can_fail(tmp_path):
    """A page that is wrong in each of the ways that it looks for."""
    for text in ("```\nmdgenctl list\n```\n", "<!-- test: skip because I say so -->\n```sh\nfalse\n```\n",
                 "<!-- test: maybe -->\n```sh\ntrue\n```\n", "```sh\ntrue\n"):
        with pytest.raises(pages.PageError):
            pages.parse(text, SOURCE)
    blocks = pages.parse("```sh\ntrue\n```\n\n```sh\nfalse\ntrue\n```\n", SOURCE)
    (tmp_path / "a").mkdir()
    status, output = run_script(script_of(blocks, Places(tmp_path / "a")), tmp_path / "a")
    assert status == 1 and f"{MARK}5" in output and f"{MARK}end" not in output
    (tmp_path / "b").mkdir()
    blocks = pages.parse("```console\n$ echo one; echo two\none\nthree\n```\n", SOURCE)
    places = Places(tmp_path / "b")
    assert run_script(script_of(blocks, places), tmp_path / "b")[0] == 0
    with pytest.raises(AssertionError):
        check_console(blocks[0], tmp_path / "b", places)
