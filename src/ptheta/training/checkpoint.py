"""Checkpoints: `state/step-00000100/`, a folder that appears whole or not at all.

safetensors and JSON only: loading one runs no code from the run folder.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from ptheta.errors import PthetaError
from ptheta.files import commit_folder, write_atomic

KEEP = 1  # older checkpoints that stay beside the newest, in case its disk blocks are lost


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """A safetensors file, atomically. Tensors that share memory are written apart."""
    plain = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    write_atomic(path, lambda beside: save_file(plain, beside, metadata))


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Raises PthetaError where the file is missing or damaged."""
    try:
        return load_file(path)
    except Exception as error:  # safetensors raises its own, OSError or a bare Exception
        raise PthetaError(f"cannot read {path}: {error}") from None


def load_metadata(path: Path) -> dict[str, str]:
    """What was written beside the tensors. Raises PthetaError where the file is damaged."""
    try:
        with safe_open(path, "pt") as file:
            return file.metadata() or {}
    except Exception as error:
        raise PthetaError(f"cannot read {path}: {error}") from None


def rng_state() -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The random streams of this process: torch's as tensors, Python's and NumPy's as JSON."""
    tensors = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        tensors["cuda"] = torch.cuda.get_rng_state()
    kind, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002
    return tensors, {
        "python": random.getstate(),
        "numpy": [kind, np.asarray(keys).tolist(), *rest],
    }


def set_rng_state(tensors: dict[str, Tensor], plain: dict[str, Any]) -> None:
    torch.set_rng_state(tensors["torch"])
    if "cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["cuda"])
    version, internal, gauss = plain["python"]
    random.setstate((version, tuple(internal), gauss))
    kind, keys, *rest = plain["numpy"]
    np.random.set_state((kind, np.asarray(keys, dtype=np.uint32), *rest))  # noqa: NPY002


def write_rank(beside: Path, rank: int) -> None:
    """This process's random streams, into a checkpoint folder under construction."""
    tensors, plain = rng_state()
    save_tensors(beside / f"rng-{rank}.safetensors", tensors, {"plain": json.dumps(plain)})


def read_rank(folder: Path, rank: int) -> None:
    """Puts this process's random streams back."""
    from safetensors import safe_open

    path = folder / f"rng-{rank}.safetensors"
    tensors = load_tensors(path)
    with safe_open(path, "pt") as file:
        plain = json.loads(file.metadata()["plain"])
    set_rng_state(tensors, plain)


def begin(state: Path, step: int) -> Path:
    """An empty folder to write the checkpoint of `step` into; leftovers of a killed run go."""
    state.mkdir(parents=True, exist_ok=True)
    for leftover in state.glob(".step-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    beside = state / f".step-{step:08d}"
    beside.mkdir()
    return beside


def commit(beside: Path) -> Path:
    """Makes the finished checkpoint visible and removes those no longer kept."""
    folder = beside.with_name(beside.name.removeprefix("."))
    commit_folder(beside, folder)
    for old in checkpoints(folder.parent)[: -1 - KEEP]:
        doomed = old.with_name(f".{old.name}")  # hidden first: a half-removed one is never read
        os.replace(old, doomed)
        shutil.rmtree(doomed, ignore_errors=True)
    return folder


def checkpoints(state: Path) -> list[Path]:
    """The whole checkpoints of a run, oldest first."""
    return sorted(state.glob("step-*")) if state.is_dir() else []


def latest(state: Path) -> Path | None:
    found = checkpoints(state)
    return found[-1] if found else None


def step_of(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))
