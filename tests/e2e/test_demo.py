"""`make demo`."""

import os
import pathlib
import re
import subprocess

SOURCE = pathlib.Path(os.environ["MDGEN_SOURCE_DIR"])


def test_demo(tmp_path):
    run = subprocess.run(
        [SOURCE / "deploy/demo"],
        env={**os.environ, "MDGEN_DEMO_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    last = run.stdout.splitlines()[-1]
    match = re.fullmatch(r"demo: job \S+ SUCCEEDED steps=200 loss=([\d.]+)->([\d.]+) checkpoint=(\S+)", last)
    assert match, last
    assert float(match.group(2)) < 0.7 * float(match.group(1))
    assert (pathlib.Path(match.group(3)) / "manifest.json").exists()
