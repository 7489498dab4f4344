"""Markdown pages as what is to be run: their fenced blocks, in order, with what the comments before them say.

    ```sh        commands; the block must end with status 0
    ```console   lines `$ command` (a backslash continues), each followed by what it prints: `…` stands for any text,
                 alone on a line for any lines
    other        not run; must not look like commands, unless it is a synopsis

    <!-- test: skip because REASON -->   not run; REASON begins with one of REASONS, or is `tests/…/x.py runs it`
    <!-- test: exit N -->                the block, or a console block's last command, ends with N
    <!-- test: background PATTERN -->    runs on beside the rest of the page; goes on once a line matches PATTERN
    <!-- test: synopsis -->              a usage line: the program's --help must know its options
    <!-- setup                           commands that are run and not shown
    … -->

A page of examples (EXAMPLES: mdgenctl's reference, which the program writes) is different: its lines stand each for
itself, about jobs that the reader has. Each is run against a live coordinator with a job of the name that the page uses, and
must be understood and answered: not a usage error, not a lost connection.

A comment belongs to the next fence. Blocks of a page run in one shell, so that `export`, `cd` and variables stay.
"""

import dataclasses
import re

EXAMPLES = ("docs/cli.md",)
REASONS = (
    "needs a GPU", "needs several hosts", "needs a cluster with Slurm", "needs Kubernetes", "needs a container engine",
    "needs systemd", "needs root", "needs the reference", "needs ATLAS", "takes too long", "builds everything",
    "shows a part of a script",
)
PROGRAMS = re.compile(
    r"^(\$ |sudo |mdgen-[a-z]+ |mdgenctl |build/bin/|make |cmake |ctest |python3? |mpirun |srun |sbatch |curl |kubectl |"
    r"systemctl |export )")
FENCE = re.compile(r"^(\s*)```(\S*)\s*$")


class PageError(Exception):
    """The page's comments or fences are wrong."""


@dataclasses.dataclass
class Block:
    line: int  # of the fence, or of the setup comment
    language: str  # sh, console, setup, or what the fence says
    text: str
    skip: str = ""
    status: int = 0
    background: str = ""
    synopsis: bool = False

    @property
    def runs(self):
        return self.language in ("sh", "console", "setup") and not self.skip and not self.synopsis


def apply_comment(block, words, source):
    kind, _, rest = words.partition(" ")
    rest = rest.strip()
    if kind == "skip":
        block.skip = rest.removeprefix("because").strip()
        runs = re.fullmatch(r"(tests/\S+\.py|tests/\S+\.cpp) runs it", block.skip)
        if runs and not (source / runs.group(1)).exists():
            raise PageError(f"line {block.line}: there is no {runs.group(1)}")
        if not runs and not block.skip.startswith(REASONS):
            raise PageError(f"line {block.line}: '{block.skip}' is no reason to skip; known: {', '.join(REASONS)}")
    elif kind == "exit" and rest.isdigit():
        block.status = int(rest)
    elif kind == "background" and rest:
        block.background = rest
    elif kind == "synopsis":
        block.synopsis = True
    else:
        raise PageError(f"line {block.line}: unknown comment 'test: {words}'")


def without_indent(lines, indent):
    return [line.removeprefix(indent) for line in lines]


def parse(text, source):
    """Every fence and setup comment of a page."""
    lines = text.splitlines()
    blocks, comments, at = [], [], 0
    while at < len(lines):
        line = lines[at]
        comment = re.match(r"^\s*<!-- test: (.*?) -->\s*$", line)
        fence = FENCE.match(line)
        if comment:
            comments.append(comment.group(1))
        elif line.strip() == "<!-- setup":
            end = lines.index("-->", at)
            blocks.append(Block(at + 1, "setup", "\n".join(lines[at + 1:end])))
            at = end
        elif fence:
            end = next((i for i in range(at + 1, len(lines)) if lines[i].strip() == "```"), None)
            if end is None:
                raise PageError(f"line {at + 1}: the fence has no end")
            block = Block(at + 1, fence.group(2), "\n".join(without_indent(lines[at + 1:end], fence.group(1))))
            for words in comments:
                apply_comment(block, words, source)
            comments = []
            check(block)
            blocks.append(block)
            at = end
        elif line.strip() and comments:
            raise PageError(f"line {at + 1}: 'test: {comments[0]}' is not before a fence")
        at += 1
    return blocks


def check(block):
    if block.language in ("bash", "shell", "zsh"):
        raise PageError(f"line {block.line}: write ```sh or ```console, not ```{block.language}")
    if block.language in ("sh", "console"):
        return
    if block.skip or block.background or block.status:
        raise PageError(f"line {block.line}: only commands are run or skipped; the fence says '{block.language}'")
    commands = [line for line in block.text.splitlines() if PROGRAMS.match(line)]
    if block.language in ("", "text") and commands and not block.synopsis:
        raise PageError(f"line {block.line}: '{commands[0]}' looks like a command: write ```sh or ```console")


def example_lines(blocks):
    """[(line number, command)]: one for each line of the page's commands."""
    lines = []
    for block in blocks:
        if block.language == "sh":
            for offset, line in enumerate(re.sub(r"\\\n\s*", "  ", block.text).splitlines()):
                command = re.sub(r"(^|\s+)#.*$", "", line)
                if command:
                    lines.append((block.line + 1 + offset, command))
    return lines


def console_commands(text):
    """[(command, expected output)]."""
    commands = []
    for line in text.splitlines():
        if line.startswith("$ "):
            commands.append([line[2:], []])
        elif commands and not commands[-1][1] and commands[-1][0].endswith("\\"):
            commands[-1][0] += "\n" + line
        elif commands:
            commands[-1][1].append(line)
        else:
            raise PageError(f"a console block begins with '$ ', not with '{line}'")
    return [(command, "\n".join(expected)) for command, expected in commands]


def output_pattern(expected):
    """A regular expression for the output that a page shows."""
    parts = []
    for line in expected.rstrip().splitlines():
        words = re.sub(r"[ \t]+", " ", line.strip())
        parts.append(r"(?:.*\n)*?" if words == "…" else r"[^\n]*".join(
            re.escape(piece).replace(r"\ ", r"[ \t]+") for piece in words.split("…")) + r"[ \t]*\n")
    return r"\s*" + r"[ \t]*".join(parts)


def synopsis_options(text):
    """[(program, options)] of usage lines."""
    found = []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        words = line.split("#")[0].split()
        if not words or not PROGRAMS.match(words[0] + " "):
            continue
        verbs = [word for word in words[1:3] if re.fullmatch(r"[a-z_]+", word)]
        options = [option for option in re.findall(r"--[a-z][\w.-]*", line.split(" -- ")[0])]
        found.append((words[0].removeprefix("build/bin/"), verbs, options))
    return found
