"""A memory cgroup of a test's own (v1 or v2), where the kernel's out-of-memory killer can be made to strike."""

import os
import pathlib
import subprocess
import sys

ROOTS = (  # folder, its limit, its usage
    (pathlib.Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes"),
    (pathlib.Path("/sys/fs/cgroup"), "memory.max", "memory.current"),
)

# Not to be chosen itself; ends when its memory has been granted.
EAT = """
import sys
open("/proc/self/oom_score_adj", "w").write("-1000")
bytearray(b"x") * int(sys.argv[1])
"""


class MemoryCgroup:
    def __init__(self):
        """Raises OSError where none can be made."""
        for root, limit, usage in ROOTS:
            if (root / limit).exists() or (root / "cgroup.controllers").exists():
                self.folder = root / f"mdgen-test-{os.getpid()}"
                self.folder.mkdir()
                self.limit, self.usage = self.folder / limit, self.folder / usage
                if self.limit.exists():
                    return
                self.folder.rmdir()
        raise OSError("no memory cgroup can be made here")

    def prefix(self):
        """In front of a command that is to run in it."""
        return ["sh", "-c", f'echo $$ > {self.folder}/cgroup.procs; exec "$@"', "sh"]

    def exhaust(self):
        """Lets another process of the group ask for more than the group may have."""
        spare = 32 << 20
        self.limit.write_text(str(int(self.usage.read_text()) + spare))
        subprocess.run([*self.prefix(), sys.executable, "-c", EAT, str(2 * spare)], timeout=60)
        self.limit.write_text("-1" if "limit_in_bytes" in self.limit.name else "max")

    def remove(self):
        self.folder.rmdir()
