"""All that a command may import, for the server of `tests.cli.command`."""

from __future__ import annotations

import importlib
import pkgutil

import ptheta

LIBRARIES = ("matplotlib.figure", "scipy.stats", "sklearn.linear_model", "torch._dynamo")

for library in LIBRARIES:
    importlib.import_module(library)
for module in pkgutil.walk_packages(ptheta.__path__, "ptheta."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
