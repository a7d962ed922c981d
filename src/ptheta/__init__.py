"""ptheta: learn p_theta(x) from data, then sample, score, encode and compare.

Importing this package does not import torch; the first use of a name below does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ptheta.api import create, evaluate, load, train
    from ptheta.conditions import Attributes, Labels
    from ptheta.data import open_data
    from ptheta.errors import PthetaError
    from ptheta.specs import ImageSpec

__version__ = "0.1.0"

_HOMES = {
    "Attributes": "ptheta.conditions",
    "ImageSpec": "ptheta.specs",
    "Labels": "ptheta.conditions",
    "PthetaError": "ptheta.errors",
    "create": "ptheta.api",
    "evaluate": "ptheta.api",
    "load": "ptheta.api",
    "open_data": "ptheta.data",
    "train": "ptheta.api",
}

__all__ = [
    "Attributes",
    "ImageSpec",
    "Labels",
    "PthetaError",
    "create",
    "evaluate",
    "load",
    "open_data",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ptheta' has no attribute {name!r}; it has {__all__}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
