"""Checkpoints: `state/step-00000100/`, a folder that appears whole or not at all.

safetensors and JSON only: loading one runs no code from the run folder. A checkpoint that is
written again for the same step (the end of a run may be one of its intervals) is
`step-00000100.1`: what is there stays until what replaces it is on disk.
"""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor

from ptheta.errors import PthetaError
from ptheta.files.atomic import (
    commit_folder,
    digest,
    read_json,
    remove,
    write_json,
    writing,
)
from ptheta.files.tensors import load_metadata, load_tensors, save_tensors

KEEP = 1  # older checkpoints that stay beside the newest, in case its disk blocks are lost
STREAMS = "rng-0.safetensors"  # those of all processes
WHOLE = "files.json"  # the digest of every other file, written last
NAME = re.compile(r"\.?step-(\d{1,15})(?:\.(\d{1,6}))?")


class Plain(TypedDict):
    """The streams that JSON can hold: Python's `random.getstate()` and NumPy's."""

    python: tuple[int, tuple[int, ...], float | None]
    numpy: tuple[str, list[int], int, int, float]


class Interval(TypedDict, total=False):
    """What lies between two lines of the log: (sum, how many) of each number, and what the game's
    monitor remembers."""

    sums: dict[str, tuple[float, int]]
    alarm: Mapping[str, object]


def rng_state() -> tuple[dict[str, Tensor], Plain]:
    """The random streams of this process: torch's as tensors, Python's and NumPy's as JSON."""
    tensors = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        tensors["cuda"] = torch.cuda.get_rng_state()
    numpy = np.random.get_state(legacy=False)  # noqa: NPY002
    keys, place = numpy["state"]["key"].tolist(), numpy["state"]["pos"]
    return tensors, {
        "python": random.getstate(),
        "numpy": (numpy["bit_generator"], keys, place, numpy["has_gauss"], numpy["gauss"]),
    }


def set_rng_state(tensors: Mapping[str, Tensor], plain: Plain) -> None:
    torch.set_rng_state(tensors["torch"])
    if "cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["cuda"])
    version, internal, gauss = plain["python"]
    random.setstate((version, tuple(internal), gauss))
    kind, keys, place, has_normal, normal = plain["numpy"]
    state = (kind, np.asarray(keys, dtype=np.uint32), place, has_normal, normal)
    np.random.set_state(state)  # noqa: NPY002


def write_streams(temporary: Path, own: Interval) -> None:
    """The random streams, into a checkpoint folder under construction, and what else a process is
    to find again (`own`, as JSON can hold it)."""
    tensors, plain = rng_state()
    text = json.dumps(plain | {"own": own})
    save_tensors(temporary / STREAMS, tensors, {"plain": text})


def read_streams(folder: Path) -> Interval:
    """Puts the random streams back, and gives what else there was. Raises PthetaError where they
    are not there or damaged."""
    path = folder / STREAMS
    tensors, about = load_tensors(path), load_metadata(path)
    try:
        plain = json.loads(about["plain"])
        set_rng_state(tensors, plain)
        own: Interval = plain.get("own", {}) | {}  # TypeError for what is no mapping
        return own
    except (KeyError, ValueError, TypeError, AttributeError, RuntimeError, IndexError) as error:
        raise PthetaError(f"{path} holds no state of random streams: {error}") from None


def begin(state: Path, step: int) -> Path:
    """An empty folder to write the checkpoint of `step` into; leftovers of a killed run go."""
    with writing(state):
        state.mkdir(parents=True, exist_ok=True)
        for leftover in state.glob(".step-*"):
            remove(leftover)
        temporary = state / f".step-{step:08d}"
        temporary.mkdir()
    return temporary


def commit(temporary: Path, damaged: Collection[Path] = ()) -> Path:
    """Makes the finished checkpoint visible and removes those no longer kept: the `damaged` ones,
    all but `KEEP` of the older ones, and what was of this step or further on."""
    with writing(temporary):
        write_json(
            temporary / WHOLE, {file.name: digest(file) for file in sorted(temporary.iterdir())}
        )
        step, again = step_of(temporary), 0
        folder = temporary.with_name(f"step-{step:08d}")
        while folder.exists():
            again += 1
            folder = temporary.with_name(f"step-{step:08d}.{again}")
        commit_folder(temporary, folder)
        others = [other for other in checkpoints(folder.parent) if other != folder]
        older = [other for other in others if step_of(other) < step and other not in damaged]
        for old in set(others) - set(older[-KEEP:]):
            doomed = old.with_name(f".{old.name}")  # hidden first: a half-removed one is never read
            os.replace(old, doomed)
            remove(doomed)
    return folder


def verify(folder: Path) -> None:
    """Raises PthetaError where a file is not as it was written. A checkpoint of an older ptheta
    says nothing of its files."""
    file = folder / WHOLE
    if not file.exists():
        return
    known = read_json(file)
    if not isinstance(known, dict) or not known:
        raise PthetaError(f"{file} is damaged")
    for name, kept in known.items():
        if Path(name).name != name or digest(folder / name) != kept:
            raise PthetaError(f"{folder / name} is damaged: it is not as it was written")


def checkpoints(state: Path) -> list[Path]:
    """The whole checkpoints of a run, oldest first."""
    found = [p for p in state.glob("step-*") if NAME.fullmatch(p.name) and p.is_dir()]
    return sorted(found, key=_order)


def latest(state: Path) -> Path | None:
    found = checkpoints(state)
    return found[-1] if found else None


def step_of(folder: Path) -> int:
    return _order(folder)[0]


def _order(folder: Path) -> tuple[int, int]:
    """(step, how often it was written before) of a checkpoint's name."""
    match = NAME.fullmatch(folder.name)
    assert match is not None
    return int(match[1]), int(match[2] or 0)
