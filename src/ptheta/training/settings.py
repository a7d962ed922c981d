"""Training settings: all options of a run except those of the model and the data."""

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
    """factor: fraction of the run that is done, 0 to 1 -> multiplier of the learning rate"""

    factor: Callable[[float], float]


SCHEDULES: dict[str, Schedule] = {
    "constant": Schedule(lambda share: 1.0),
    "cosine": Schedule(
        lambda share: 0.5 * (1 + math.cos(math.pi * share)), about="cosine decay to 0 (1608.03983)"
    ),
    "linear": Schedule(lambda share: 1 - share, about="down to 0"),
    "late_linear": Schedule(
        lambda share: min(1.0, 2 * (1 - share)),
        about="constant for half of the run, then linear decay to 0 (1703.10593)",
    ),
}

ScheduleName: TypeAlias = Annotated[str, OneOf(SCHEDULES)]


@dataclass(frozen=True)
class TrainSettings:
    steps: Count | None = option(None, "stop after this many steps", basic=True)
    minutes: Positive | None = option(None, "stop after this many minutes of training", basic=True)
    epochs: Positive | None = option(None, "stop after this many passes over the data", basic=True)
    batch_size: Count = option(64, "batch size over all processes", basic=True)
    seed: Seed = option(0, "random seed of the weights, the data order and all noise", basic=True)
    dynamics: DynamicsName = option("alternating", "update rule for the players")
    alternate: tuple[str, ...] = option(
        (),
        "players that alternate repeatedly, each for a number of steps or epochs (e), as in "
        "discriminator=2e,generator=1e; several at once: encoder+decoder=100. During its turn a "
        "player moves in every step, regardless of --critic-steps. None: all move in each step",
    )
    schedule: ScheduleName = option("constant", "learning rate schedule")
    warmup: NonNegative = option(0, "warm-up steps of the learning rate, from 0")
    clip: AtLeastZero = option(0.0, "maximum gradient norm of a player; 0: no clipping")
    ema: Annotated[float, Ge(0), Lt(1)] = option(
        0.0, "decay of the moving average of the weights (EMA); 0: none"
    )
    beta: AtLeastZero = option(1.0, "weight of a loss term named kl (arXiv:1804.03599)")
    beta_warmup: NonNegative = option(0, "warm-up steps of beta, from 0 (arXiv:1602.02282)")
    free_bits: AtLeastZero = option(
        0.0, "free nats of kl in each latent dimension (arXiv:1606.04934)"
    )
    held_out: NonNegative = option(
        500, "training images held out to select the best checkpoint (at most a tenth)"
    )
    best: Literal["metric", "none"] = option(
        "metric", "weights to keep: the best by a metric on the held-out images, or the last"
    )
    evaluate_every: NonNegative = option(
        500, "steps between these evaluations; 0: no selection of weights"
    )
    sample_every: NonNegative = option(
        500, "steps between sample grids, in addition to one at the end; 0: none"
    )
    sample_minutes: AtLeastZero = option(
        3.0,
        "minutes between sample grids if steps are slow; 0: by steps only",
        of="sample_every",
    )
    checkpoint_every: NonNegative = option(500, "steps between checkpoints; 0: only at the end")
    log_every: Count = option(50, "steps between lines of metrics.jsonl")
    device: Literal["auto", "cpu", "cuda", "mps"] = option("auto", "device to train on", basic=True)
    processes: Annotated[int, Gt(0), Le(MOST_THREADS)] = option(
        1, "processes (devices) that share each batch", basic=True
    )
    sync_batch_norm: bool = option(
        False,
        "with several processes, batch normalisation over the whole batch instead of each share",
    )
    precision: Literal["auto", "32-true", "bf16-mixed", "fp16-mixed"] = option(
        "auto",
        "auto: bf16-mixed on a GPU that supports it, else 32-true; fp16-mixed scales the losses",
    )
    compile: bool = option(False, "torch.compile the losses")
    threads: Threads = option(0, "CPU threads per process; 0: torch's default")
    tensorboard: bool = option(False, "the same as --track tensorboard")
    track: tuple[str, ...] = option(
        (),
        "also write metrics and sample grids to these trackers: tensorboard, trackio, wandb, "
        "mlflow; each needs the extra of its name",
    )

    @property
    def trackers(self) -> tuple[str, ...]:
        """The names of the trackers to write to."""
        return (*(("tensorboard",) if self.tensorboard else ()), *self.track)

    def budget(self) -> TrainSettings:
        """Validates these settings: exactly one of steps, minutes and epochs, and valid turns."""
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
        """The length of the run in steps; None if it is limited by minutes."""
        if self.epochs is not None:
            return max(1, math.ceil(self.epochs * per_epoch))
        return self.steps

    def turns(self) -> tuple[Turn, ...]:
        """The turns of the players. Raises PthetaError for an invalid text."""
        return tuple(Turn.parse(text) for text in self.alternate)

    def lr_factor(self, step: int, progress: float) -> float:
        """The multiplier of the learning rate in step `step` (1, 2, ...).

        progress: fraction of the run that is done, 0..1
        """
        warm = min(1.0, step / self.warmup) if self.warmup else 1.0
        return warm * SCHEDULES[self.schedule].factor(progress)

    def kl_weight(self, step: int) -> float:
        """The multiplier of a term named kl in step `step` (1, 2, ...)."""
        return self.beta * (min(1.0, step / self.beta_warmup) if self.beta_warmup else 1.0)

    @property
    def treats_kl(self) -> bool:
        """Whether these settings affect a term named kl."""
        return self.beta != 1.0 or bool(self.beta_warmup) or bool(self.free_bits)


# Settings that only affect a term named kl.
OF_KL = ("beta", "beta_warmup", "free_bits")
NO_KL = f"{', '.join(OF_KL[:-1])} and {OF_KL[-1]} apply to a loss term named kl"

# Settings that may change when a run is resumed: length, reports, device and number of processes,
# but nothing that changes the results.
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
    "track",
)

# Settings about gradients, which have no effect on a model fitted without them.
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
