"""Devices, precision and several processes, through Lightning Fabric (see docs/distributed.md).

The model is not wrapped: each process computes its share of the batch, and the engine averages the
mover's gradients.
"""

from __future__ import annotations

import ctypes
import logging
import re
import shutil
import signal
import threading
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import torch

from ptheta.errors import PthetaError
from ptheta.training.settings import TrainSettings

T = TypeVar("T")
COMPILERS = ("g++", "clang++")


def launch(settings: TrainSettings, work: Callable[..., T], *args: Any) -> T:
    """Calls work(fabric, *args) in each of the processes; returns what the first one returns.

    Raises PthetaError where the device or the number of processes cannot be had.
    """
    for name in ("lightning.fabric", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    from lightning_fabric import Fabric

    device = _device(settings)
    if settings.compile and device == "cpu" and not any(map(shutil.which, COMPILERS)):
        raise PthetaError(
            f"--compile needs a C++ compiler ({' or '.join(COMPILERS)}) on the PATH: "
            "install one, or drop --compile"
        )
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
    return _several(fabric, work, args) if several else work(fabric, *args)


def keep_large_blocks() -> None:
    """Tells glibc to reuse the memory of large tensors in place of giving it back each time.

    By default a tensor over 32 MB is mapped afresh and its pages are zeroed by the kernel, which
    takes longer than, say, a ReLU over it. Does nothing where the C library is another one.
    """
    max_maps, trim_above = -4, -1  # M_MMAP_MAX and M_TRIM_THRESHOLD of malloc.h
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(max_maps, 0)
    mallopt(trim_above, 2**31 - 1)


def _several(fabric: Any, work: Callable[..., T], args: tuple[Any, ...]) -> T:
    """Starts the processes; the first one that fails ends the others, and its error is raised."""
    before = signal.getsignal(signal.SIGINT)
    main = threading.current_thread() is threading.main_thread()
    if main:  # Ctrl-C reaches every process; the children write their checkpoint, this one waits
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return fabric.launch(work, *args)
    except torch.multiprocessing.ProcessRaisedException as error:
        ours = re.findall(r"^ptheta\.[\w.]+: (.*)$", str(error), re.MULTILINE)
        if not ours:
            raise
        raise PthetaError(ours[-1]) from None
    finally:
        if main:
            signal.signal(signal.SIGINT, before)


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
