"""Tensors in safetensors files, which contain no code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load, load_file, save, save_file
from torch import Tensor, nn

from ptheta.config import brief
from ptheta.errors import PthetaError
from ptheta.files.atomic import check_file, write_apart


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file atomically. Tensors that share memory are stored separately."""
    plain = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    # safetensors cannot read a header with empty metadata and no tensors
    write_apart(path, lambda temp: save_file(plain, temp, metadata or None))


def to_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """The content of a safetensors file of these tensors; nothing without tensors."""
    plain = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    return save(plain) if plain else b""


def from_bytes(data: bytes) -> dict[str, Tensor]:
    """The tensors of `to_bytes`."""
    return load(data) if data else {}


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a file. Raises PthetaError if the file is missing or damaged."""
    check_file(path)
    try:
        return load_file(path)
    except FileNotFoundError:
        raise PthetaError(f"cannot read {path}: no such file") from None
    except Exception as error:  # safetensors raises its own, OSError or a bare Exception
        raise PthetaError(f"cannot read {path}: {brief(error, 200)}; put the file back") from None


def load_metadata(path: Path) -> dict[str, str]:
    """The metadata of the file. Raises PthetaError if the file is damaged."""
    check_file(path)
    try:
        with safe_open(path, "pt") as file:
            return file.metadata() or {}
    except Exception as error:
        raise PthetaError(f"cannot read {path}: {brief(error, 200)}; put the file back") from None


def load_weights(model: nn.Module, file: Path) -> None:
    """Load the weights of a file into a model. Raises PthetaError, naming the first bad tensor, if
    they do not match the model or are not finite."""
    model.load_state_dict(load_like(model.state_dict(), file))


def load_like(wanted: Mapping[str, Tensor], file: Path) -> dict[str, Tensor]:
    """The tensors of a file, with the names and shapes of `wanted`. Raises PthetaError, naming the
    first bad tensor, if they do not match or are not finite."""
    tensors = load_tensors(file)
    fault = _fault(wanted, tensors)
    if fault:
        raise PthetaError(
            f"{file} does not fit the model that config.json describes: {fault}; one of the "
            "files was changed: restore the one written by training"
        )
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise PthetaError(
                f"{file}: {name} has non-finite values, so the model is unusable: restore the "
                "file written by training, or train again"
            )
    return tensors


def _fault(wanted: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> str:
    """The first difference between two sets of tensors; "" if they match."""
    for name, like in wanted.items():
        if name not in tensors:
            return f"it has no {name}"
        if tensors[name].shape != like.shape:
            shapes = [tuple(t.shape) for t in (tensors[name], like)]
            return f"{name} has the shape {shapes[0]} and not {shapes[1]}"
        if tensors[name].is_floating_point() != like.is_floating_point():
            return f"{name} has dtype {tensors[name].dtype} instead of {like.dtype}"
    extra = next((name for name in tensors if name not in wanted), None)
    return f"it has {extra}, which the model does not have" if extra is not None else ""
