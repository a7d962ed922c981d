"""Checkpoints: `state/step-00000100/`, folders that are created atomically.

They contain only safetensors and JSON, so loading executes no code. A second checkpoint of the same
step (such as the last one of a run) is `step-00000100.1`: the old one is kept until its replacement
is on disk.
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

KEEP = 1  # number of older checkpoints to keep, in case the newest is damaged
STREAMS = "rng-0.safetensors"  # random streams, shared by all processes
WHOLE = "files.json"  # the digest of every other file, written last
NAME = re.compile(r"\.?step-(\d{1,15})(?:\.(\d{1,6}))?")


class Plain(TypedDict):
    """The streams that JSON can hold: Python's `random.getstate()` and NumPy's."""

    python: tuple[int, tuple[int, ...], float | None]
    numpy: tuple[str, list[int], int, int, float]


class Interval(TypedDict, total=False):
    """State between two log lines: (sum, count) of each metric, the state of the game's monitor,
    and with fp16 (scale, steps since its last change) of each player's loss."""

    sums: dict[str, tuple[float, int]]
    scales: Mapping[str, tuple[float, int]]
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
    """Writes the random streams and further state (`own`, JSON-compatible) to a checkpoint folder
    under construction."""
    tensors, plain = rng_state()
    text = json.dumps(plain | {"own": own})
    save_tensors(temporary / STREAMS, tensors, {"plain": text})


def read_streams(folder: Path) -> Interval:
    """Restores the random streams, and returns the further state. Raises PthetaError if they are
    missing or damaged."""
    path = folder / STREAMS
    tensors, about = load_tensors(path), load_metadata(path)
    try:
        plain = json.loads(about["plain"])
        set_rng_state(tensors, plain)
        own: Interval = plain.get("own", {}) | {}  # TypeError if not a mapping
        return own
    except (KeyError, ValueError, TypeError, AttributeError, RuntimeError, IndexError) as error:
        raise PthetaError(f"{path} contains no valid random state: {error}") from None


def begin(state: Path, step: int) -> Path:
    """Creates an empty folder for the checkpoint of `step`; removes leftovers of a killed run."""
    with writing(state):
        state.mkdir(parents=True, exist_ok=True)
        for leftover in state.glob(".step-*"):
            remove(leftover)
        temporary = state / f".step-{step:08d}"
        temporary.mkdir()
    return temporary


def commit(temporary: Path, damaged: Collection[Path] = ()) -> Path:
    """Publishes the finished checkpoint and removes obsolete ones: the `damaged` ones, all but
    `KEEP` older ones, and those of this or a later step."""
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
            doomed = old.with_name(
                f".{old.name}"
            )  # renamed first, so that a partly removed one is never read
            os.replace(old, doomed)
            remove(doomed)
    return folder


def verify(folder: Path) -> None:
    """Raises PthetaError if a file was changed. Checkpoints of older versions have no digests."""
    file = folder / WHOLE
    if not file.exists():
        return
    known = read_json(file)
    if not isinstance(known, dict) or not known:
        raise PthetaError(f"{file} is damaged")
    for name, kept in known.items():
        if Path(name).name != name or digest(folder / name) != kept:
            raise PthetaError(f"{folder / name} is damaged: its digest differs")


def checkpoints(state: Path) -> list[Path]:
    """The complete checkpoints of a run, oldest first."""
    found = [p for p in state.glob("step-*") if NAME.fullmatch(p.name) and p.is_dir()]
    return sorted(found, key=_order)


def latest(state: Path) -> Path | None:
    found = checkpoints(state)
    return found[-1] if found else None


def step_of(folder: Path) -> int:
    return _order(folder)[0]


def _order(folder: Path) -> tuple[int, int]:
    """(step, repetition) from a checkpoint's name."""
    match = NAME.fullmatch(folder.name)
    assert match is not None
    return int(match[1]), int(match[2] or 0)
