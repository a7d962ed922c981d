"""Auxiliary networks of metrics, trained once per data set and then cached."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from ptheta.data.cache import cache_folder
from ptheta.errors import CannotWrite, PthetaError
from ptheta.files.tensors import load_metadata, load_tensors, save_tensors

N = TypeVar("N", bound=nn.Module)


def key_of(about: Mapping[str, str]) -> str:
    """A cache key of 24 hex digits from a description of the training data and settings."""
    text = json.dumps({**about, "torch": torch.__version__}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def trained(
    kind: str, network: N, about: Mapping[str, str], train: Callable[[N], None], place: Path | None
) -> N:
    """The network in eval mode, with cached weights, or trained if there are none.

    kind: the kind of network, the name of its folder; about: training data and settings
    place: the cache folder; None for the user's own
    """
    known = {**about, "torch": torch.__version__}
    path = (place or cache_folder()) / kind / f"{key_of(about)}.safetensors"
    if not _restored(network, path, known):
        train(network)
        _keep(network, path, known)
    return network.eval()


def _restored(network: nn.Module, path: Path, about: Mapping[str, str]) -> bool:
    """Load cached weights into the network; returns whether there were any."""
    if not path.is_file():
        return False
    try:
        if load_metadata(path) != about:
            return False
        network.load_state_dict(load_tensors(path))
    except (PthetaError, RuntimeError):  # a damaged file: train again
        return False
    return True


def _keep(network: nn.Module, path: Path, about: dict[str, str]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_tensors(path, network.state_dict(), about)
    except (OSError, CannotWrite):  # an unwritable cache only costs time
        pass
