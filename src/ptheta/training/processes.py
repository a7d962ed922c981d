"""Devices, precision and several processes, through Lightning Fabric (see docs/distributed.md).

The model is not wrapped: each process computes its share of the batch, and the engine averages the
mover's gradients.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import torch

from ptheta.errors import PthetaError
from ptheta.training.settings import TrainSettings

T = TypeVar("T")


def launch(settings: TrainSettings, work: Callable[..., T], *args: Any) -> T:
    """Calls work(fabric, *args) in each of the processes; returns what the first one returns.

    Raises PthetaError where the device or the number of processes cannot be had.
    """
    for name in ("lightning.fabric", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    from lightning_fabric import Fabric

    device = _device(settings)
    precision: Any = settings.precision
    if precision == "auto":
        wide = device == "cuda" and torch.cuda.is_bf16_supported()
        precision = "bf16-mixed" if wide else "32-true"
    several = settings.processes > 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice about hardware that was not asked for
        fabric = Fabric(
            accelerator=device,
            devices=settings.processes,
            strategy="ddp_spawn" if several else "auto",
            precision=precision,
        )
    if several:
        return fabric.launch(work, *args)
    return work(fabric, *args)


def _device(settings: TrainSettings) -> str:
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    device: str = settings.device
    if device == "auto":
        device = "cuda" if available["cuda"] else "cpu"
    if not available[device]:
        have = ", ".join(name for name, there in available.items() if there)
        raise PthetaError(f"device {device!r} is not available here: choose from {have}")
    if device == "cuda" and settings.processes > torch.cuda.device_count():
        raise PthetaError(
            f"processes = {settings.processes} but there are {torch.cuda.device_count()} GPUs: "
            "use at most one process for each"
        )
    return device
