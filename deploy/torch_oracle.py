"""Lets the oracles' Python import PyTorch without its CUDA libraries (deploy/torch_stand_ins says why and how).

deploy/bootstrap copies this into the oracles' environment. It costs nothing until something imports torch.
"""

import ctypes
import importlib.abc
import os
import pathlib
import sys


class StandIns(importlib.abc.MetaPathFinder):
    """Loads the stand-ins just before torch is first looked for; finds no module itself."""

    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            sys.meta_path.remove(self)
            stand_ins = sorted(pathlib.Path(sys.prefix, "torch-stand-ins").glob("*.so*"))
            if stand_ins:
                os.environ["CUDA_VISIBLE_DEVICES"] = ""  # with a GPU in sight, torch would call them
            for library in stand_ins:
                ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
        return None


sys.meta_path.insert(0, StandIns())
