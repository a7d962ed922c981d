"""Memory that runs out during a training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ptheta.errors import OutOfMemory, lacking
from ptheta.training import checkpoint
from ptheta.training.group import Group
from ptheta.training.settings import TrainSettings


@contextmanager
def enough_memory(settings: TrainSettings, folder: Path, group: Group) -> Iterator[None]:
    """Context in which memory that runs out is one line: what needed it, what to do, and what is
    kept.

    Raises OutOfMemory.
    """
    try:
        yield
    except (ImportError, MemoryError, OSError, RuntimeError) as error:
        told = lacking(error)
        if told is None:
            raise
        size = f", {group.size} processes" if group.size > 1 else ""
        why = f"{told} with --batch-size {settings.batch_size} on {group.device}{size}"
        raise OutOfMemory(f"{why}: {_cure(folder, group)}") from error


def _cure(folder: Path, group: Group) -> str:
    """What to do. A run goes on with the batches and the precision that it has begun with."""
    precision = ", --precision bf16-mixed" if not group.on_cpu and group.half is None else ""
    smaller = f"a smaller --batch-size{precision} or a smaller model"
    last = checkpoint.latest(folder / "state")
    if last is None:
        return f"give {smaller}"
    return (
        f"the checkpoint of step {checkpoint.step_of(last)} is kept, and --resume goes on from it, "
        f"with more --processes or on another --device; {smaller} needs a new --out"
    )
