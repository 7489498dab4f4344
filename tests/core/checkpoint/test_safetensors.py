"""Our files, read by the safetensors library itself."""

import os
import pathlib
import subprocess

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file

PROGRAM = pathlib.Path(os.environ["MDGEN_BIN_DIR"]).parent / "tests" / "write_sample"


def test_the_real_library_reads_a_checkpoint(tmp_path):
    subprocess.run([PROGRAM, tmp_path], check=True)
    tensors = load_file(tmp_path / "model.safetensors")
    assert set(tensors) == {"counts", "weight", "half", "scalar"}
    np.testing.assert_array_equal(tensors["counts"], np.arange(6).reshape(2, 3))
    assert tensors["counts"].dtype == np.int64
    np.testing.assert_array_equal(tensors["weight"], (np.arange(12, dtype=np.float32) / 8).reshape(3, 4).T)
    np.testing.assert_array_equal(tensors["half"], np.array([0, 0.25, 0.5, 0.75], np.float16))
    assert tensors["scalar"].shape == () and tensors["scalar"] == 2.5
    assert load_file(tmp_path / "optimizer.safetensors")["step"] == 7
    with safe_open(tmp_path / "model.safetensors", "np") as file:
        assert file.metadata()["step"] == "7"
