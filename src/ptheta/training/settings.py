"""Training settings: everything about a run that is neither the model nor the data."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from annotated_types import Ge, Gt, Le, Lt

from ptheta.config import (
    MOST_THREADS,
    AtLeastZero,
    Count,
    Entry,
    NonNegative,
    OneOf,
    Positive,
    Seed,
    Threads,
    option,
)
from ptheta.dynamics import DynamicsName
from ptheta.errors import PthetaError
from ptheta.training.turns import Turn


@dataclass(frozen=True)
class Schedule(Entry):
    """factor: share of the run that is done, 0 to 1 -> what the learning rate is multiplied with"""

    factor: Callable[[float], float]


SCHEDULES: dict[str, Schedule] = {
    "constant": Schedule(lambda share: 1.0),
    "cosine": Schedule(
        lambda share: 0.5 * (1 + math.cos(math.pi * share)), about="down to 0 (1608.03983)"
    ),
    "linear": Schedule(lambda share: 1 - share, about="down to 0"),
    "late_linear": Schedule(
        lambda share: min(1.0, 2 * (1 - share)),
        about="constant for half of the run, then linearly down to 0 (1703.10593)",
    ),
}

ScheduleName: TypeAlias = Annotated[str, OneOf(SCHEDULES)]


@dataclass(frozen=True)
class TrainSettings:
    steps: Count | None = option(None, "stop after this many steps", basic=True)
    minutes: Positive | None = option(None, "stop after this many minutes of training", basic=True)
    epochs: Positive | None = option(None, "stop after this many passes over the data", basic=True)
    batch_size: Count = option(64, "images in a step, over all processes", basic=True)
    seed: Seed = option(0, "seed of the weights, the data order and all noise", basic=True)
    dynamics: DynamicsName = option("alternating", "update rule over the players")
    alternate: tuple[str, ...] = option(
        (),
        "players that train in turns, over and over, each for a number of steps, or of epochs (e), "
        "as in discriminator=2e,generator=1e; several in one turn: encoder+decoder=100. In its "
        "turn a player moves in every step, whatever --critic-steps says. None: all move in each",
    )
    schedule: ScheduleName = option("constant", "learning rate over the run")
    warmup: NonNegative = option(0, "steps over which the learning rate rises from 0")
    clip: AtLeastZero = option(0.0, "largest gradient norm of a player; 0: no clipping")
    ema: Annotated[float, Ge(0), Lt(1)] = option(
        0.0, "decay of the moving average of the weights; 0: none is kept"
    )
    beta: AtLeastZero = option(1.0, "weight of a loss term named kl (arXiv:1804.03599)")
    beta_warmup: NonNegative = option(0, "steps over which beta rises from 0 (arXiv:1602.02282)")
    free_bits: AtLeastZero = option(
        0.0, "nats of kl in each latent dimension that cost nothing (arXiv:1606.04934)"
    )
    held_out: NonNegative = option(
        500, "training images set aside to choose the best checkpoint (at most a tenth)"
    )
    best: Literal["metric", "none"] = option(
        "metric", "weights to use: the best by a metric on the held-out images, or the last"
    )
    evaluate_every: NonNegative = option(
        500, "steps between two such evaluations; 0: none that chooses weights"
    )
    sample_every: NonNegative = option(
        500, "steps between two sample grids, beside one at the end; 0: none at all"
    )
    sample_minutes: AtLeastZero = option(
        3.0,
        "minutes between two sample grids where steps are slow; 0: by steps alone",
        of="sample_every",
    )
    checkpoint_every: NonNegative = option(500, "steps between two checkpoints; 0: at the end")
    log_every: Count = option(50, "steps between two lines of metrics.jsonl")
    device: Literal["auto", "cpu", "cuda", "mps"] = option("auto", "where to compute", basic=True)
    processes: Annotated[int, Gt(0), Le(MOST_THREADS)] = option(
        1, "processes (devices) that share each batch"
    )
    sync_batch_norm: bool = option(
        False, "of several processes: batch normalisation over the whole batch, not each share"
    )
    precision: Literal["auto", "32-true", "bf16-mixed"] = option(
        "auto", "auto: bf16-mixed on a GPU that has it, else 32-true"
    )
    compile: bool = option(False, "torch.compile the losses")
    threads: Threads = option(0, "CPU threads of a process; 0: as torch chooses")
    tensorboard: bool = option(False, "write TensorBoard events too (extra: tensorboard)")

    def budget(self) -> TrainSettings:
        """These settings, checked: exactly one of steps, minutes and epochs is given, and turns
        can be read."""
        self.turns()
        lengths = {"steps": self.steps, "minutes": self.minutes, "epochs": self.epochs}
        given = [name for name, length in lengths.items() if length is not None]
        if len(given) != 1:
            raise PthetaError(
                f"got {' and '.join(given) or 'no length'}: "
                "give exactly one of steps, minutes and epochs"
            )
        return self

    def total_steps(self, per_epoch: int) -> int | None:
        """The length of the run in steps; None where minutes decide."""
        if self.epochs is not None:
            return max(1, math.ceil(self.epochs * per_epoch))
        return self.steps

    def turns(self) -> tuple[Turn, ...]:
        """Who trains when. Raises PthetaError for a text that does not say it."""
        return tuple(Turn.parse(text) for text in self.alternate)

    def lr_factor(self, step: int, progress: float) -> float:
        """What the learning rate is multiplied with in step `step` (1, 2, ...).

        progress: share of the run that is done, 0..1
        """
        warm = min(1.0, step / self.warmup) if self.warmup else 1.0
        return warm * SCHEDULES[self.schedule].factor(progress)

    def kl_weight(self, step: int) -> float:
        """What a term named kl is multiplied with in step `step` (1, 2, ...)."""
        return self.beta * (min(1.0, step / self.beta_warmup) if self.beta_warmup else 1.0)

    @property
    def treats_kl(self) -> bool:
        """Whether these settings touch a term named kl."""
        return self.beta != 1.0 or bool(self.beta_warmup) or bool(self.free_bits)


# What touches a term named kl alone.
OF_KL = ("beta", "beta_warmup", "free_bits")
NO_KL = f"{', '.join(OF_KL[:-1])} and {OF_KL[-1]} weigh a loss term named kl"

# What may change when a run goes on: its length, its reports, where it computes and by how many
# processes. Not the maths.
RESUMABLE = (
    "steps",
    "minutes",
    "epochs",
    "evaluate_every",
    "sample_every",
    "sample_minutes",
    "checkpoint_every",
    "log_every",
    "device",
    "processes",
    "threads",
    "tensorboard",
)

# What is about gradients alone, and means nothing to a model that is fitted without them.
OF_GRADIENTS = (
    "dynamics",
    "alternate",
    "schedule",
    "warmup",
    "clip",
    "ema",
    "beta",
    "beta_warmup",
    "free_bits",
    "sync_batch_norm",
    "precision",
    "compile",
)
