"""What other users of a machine, and a process's own children, could learn of it."""

import pathlib
import subprocess


def processes_below(pid):
    """All descendants."""
    listing = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout
    children = [int(child) for child in listing.split()]
    return children + [below for child in children for below in processes_below(child)]


def everything_about(pid):
    """A process's command line, environment, and the files without a name that it holds open."""
    folder = pathlib.Path(f"/proc/{pid}")
    text = (folder / "cmdline").read_text() + (folder / "environ").read_text(errors="replace")
    for descriptor in (folder / "fd").iterdir():
        try:
            if "memfd" in str(descriptor.readlink()):
                text += descriptor.read_text(errors="replace")
        except OSError:
            continue
    return text
