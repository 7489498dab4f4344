"""Imports the original MDGen from a checkout, on today's PyTorch and NumPy, without touching the checkout.

The original cannot be imported as it is: it needs wandb and pyEMMA just to start, indexes with a list (which
NumPy and PyTorch no longer take), and forgets two imports. All of that is mended in memory here. The sign of a
quaternion, which it takes from LAPACK's eigenvector, is made non-negative, as in every comparison with it.
"""
import importlib
import importlib.abc
import importlib.machinery
import os
import sys
import types

import numpy as np


class _Stub(types.ModuleType):
    """A package that the original imports and that no comparison needs."""

    __path__: list = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        value = type(name, (), {})
        setattr(self, name, value)
        return value


class _StubFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    names = ("wandb", "pyemma")

    def find_spec(self, fullname, path=None, target=None):
        if fullname.split(".")[0] in self.names:
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec):
        return _Stub(spec.name)

    def exec_module(self, module):
        pass


def load(reference):
    """The original's `mdgen` package from the folder `reference`."""
    import torch

    sys.meta_path.append(_StubFinder())
    sys.path.insert(0, os.path.abspath(reference))
    here = os.getcwd()
    scratch = os.environ.get("TMPDIR", "/tmp")
    os.chdir(scratch)  # importing it creates ./workdir/default
    try:
        mdgen = importlib.import_module("mdgen.wrapper")
        rigid_utils = importlib.import_module("mdgen.rigid_utils")
        tensor_utils = importlib.import_module("mdgen.tensor_utils")
        geometry = importlib.import_module("mdgen.geometry")
    finally:
        os.chdir(here)

    def batched_gather(data, inds, dim=0, no_batch_dims=0):
        ranges = []
        for i, size in enumerate(data.shape[:no_batch_dims]):
            index = torch.arange(size) if torch.is_tensor(data) else np.arange(size)
            ranges.append(index.reshape(*((1,) * i), -1, *((1,) * (len(inds.shape) - i - 1))))
        rest = [slice(None)] * (len(data.shape) - no_batch_dims)
        rest[dim - no_batch_dims if dim >= 0 else dim] = inds
        return data[tuple(ranges + rest)]

    tensor_utils.batched_gather = batched_gather
    geometry.batched_gather = batched_gather

    eigenvector = rigid_utils.rot_to_quat

    def rot_to_quat(rot):
        quat = eigenvector(rot)
        return quat * torch.where(quat[..., :1] < 0, -1.0, 1.0)

    rigid_utils.rot_to_quat = rot_to_quat
    return mdgen


def arguments(flags):
    """The original's own parser's namespace for these flags."""
    parsing = importlib.import_module("mdgen.parsing")
    argv, sys.argv = sys.argv, ["train.py", *flags]
    try:
        return parsing.parse_train_args()
    finally:
        sys.argv = argv
