"""Training without gradients: each step is a pass over the data.

A fit is logged, scored, checkpointed and resumed like other training: for the loop it is a game
without players, whose steps are the model's passes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ptheta.batch import Batch
from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError
from ptheta.games import Game
from ptheta.models.base import Fits, LastPass
from ptheta.training.group import Group
from ptheta.training.loop import Trainer
from ptheta.training.reporter import Heading
from ptheta.training.sampler import BatchSampler, Sampler
from ptheta.training.scoring import Score
from ptheta.training.settings import OF_GRADIENTS, TrainSettings

FIT = "fit"  # prefix of the metrics, in place of a player


@dataclass(frozen=True)
class Passes:
    """Iterates over all data, `size` examples at a time, in order, repeatedly."""

    data: Dataset
    size: int
    device: torch.device

    def __iter__(self) -> Iterator[Batch]:
        for start in range(0, len(self.data), self.size):
            at = slice(start, min(start + self.size, len(self.data)))
            yield self.data.batch(at).to(self.device)


class Fitter(Trainer):
    """Trains a model with `fit` and writes a run folder: see `Trainer`.

    A step is a pass over the data, with `batch_size` examples in memory at a time.
    """

    def __init__(
        self,
        model: nn.Module,
        data: Dataset,
        settings: TrainSettings,
        folder: Path,
        group: Group,
        *,
        score: Score | None = None,
        heading: Heading | None = None,
    ) -> None:
        """Raises PthetaError for several processes, each of which would process all data."""
        if not isinstance(model, Fits):
            raise PthetaError(
                f"{type(model).__name__} has neither game() nor fit(): define one to train it"
            )
        if group.size > 1:
            raise PthetaError(
                f"{type(model).__name__} is fitted in passes over the data, which {group.size} "
                "processes cannot share: train with one process"
            )
        settings, ignored = without_gradients(settings)
        heading = heading or Heading()
        heading = dataclasses.replace(heading, notes=(*heading.notes, *ignored))
        super().__init__(model, data, settings, folder, group, score=score, heading=heading)
        self.engine.terms[FIT] = []
        self.fitted, self.passes = model, iter(list[Mapping[str, float]]())

    def _sampler(self, model: nn.Module) -> Sampler:
        """All of them."""
        n = len(self.data)
        return BatchSampler(n, max(1, n), self.settings.seed)

    def _game_of_model(self) -> Game[object]:
        return Game(players={}, moves=())

    def _begin(self) -> None:
        super()._begin()
        device = self.group.device
        self.passes = self.fitted.fit(Passes(self.data, self.settings.batch_size, device))

    @torch.no_grad()
    def _step(self) -> bool:
        p, found = self.progress, self._next()
        p.ended = found is None or isinstance(found, LastPass)
        if found is not None:
            p.step += 1
            for name, value in found.items():
                self._record(name, value)
            if not all(torch.isfinite(w).all() for w in self.model.parameters()):
                raise PthetaError(f"pass {p.step}: a weight of the fit is not finite: {CURE}")
            self._tell()
        if p.ended and self.engine.averages.sums:
            self.reporter.log()
        if p.ended and self.total is not None and p.step < self.total:
            self.reporter.say(f"step {p.step}: the fit is complete; further passes change nothing")
        return found is not None

    def _next(self) -> Mapping[str, float] | None:
        """The metrics of the next pass, or None."""
        try:
            return next(self.passes, None)
        except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]
            number = self.progress.step + 1
            raise PthetaError(
                f"pass {number}: a matrix of the fit cannot be factorised ({error}): try other "
                "options of the model"
            ) from None

    def _record(self, name: str, value: float) -> None:
        number = torch.tensor(value, device=self.group.device)
        if not number.isfinite():  # in logged precision, where values may overflow
            raise PthetaError(f"pass {self.progress.step}: {name} of the fit is {value}: {CURE}")
        if name not in self.engine.terms[FIT]:
            self.engine.terms[FIT].append(name)
        self.engine.averages.record(f"{FIT}/{name}", number)


CURE = "try other options of the model"


def without_gradients(settings: TrainSettings) -> tuple[TrainSettings, list[str]]:
    """The settings without those about gradients, and a remark on those that were given."""
    usual = vars(TrainSettings())
    given = [name for name in OF_GRADIENTS if vars(settings)[name] != usual[name]]
    if not given:
        return settings, []
    flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
    without = dataclasses.replace(settings, **{name: usual[name] for name in given})
    return without, [f"{flags}: only for gradient training, ignored in a fit"]
