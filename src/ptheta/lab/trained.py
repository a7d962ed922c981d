"""The models of a page: trained now by the engine that trains all models, or taken from runs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

import ptheta
from ptheta import config
from ptheta.compute.streams import seeded
from ptheta.data.dataset import Dataset
from ptheta.dynamics import DYNAMICS
from ptheta.errors import PthetaError
from ptheta.lab.asked import Asked
from ptheta.models import registry
from ptheta.models.base import Model, Plays
from ptheta.runs.folder import Run
from ptheta.specs import ImageSpec
from ptheta.tasks.needs import able_models
from ptheta.terminal.progress import watched
from ptheta.training.engine import Engine
from ptheta.training.group import Group

C = TypeVar("C")
Watch = Callable[[int, Model], None]


@torch.no_grad()
def _after(update: Callable[[int], None] | None, step: int) -> None:
    """Updates what a game keeps outside of gradients, if it does."""
    if update is not None:
        update(step)


@dataclass(frozen=True)
class Training:
    """How a page trains a model.

    Attributes:
        name: The model in the registry.
        options: Of its config.
        steps: Number of steps.
        batch: Examples per step.
        beta: Weight of a loss term named kl.
        warmup: Steps in which beta rises from 0.
        decay: Whether the learning rate falls to 0 as a cosine.
        watch: Is called with the number of steps made and the model: before the first step, and
            after every `every` steps.
        every: See `watch`.
    """

    name: str
    options: dict[str, object]
    steps: int
    batch: int = 100
    beta: float = 1.0
    warmup: int = 0
    decay: bool = True
    watch: Watch | None = None
    every: int = 1

    def run(self, data: Dataset, seed: int, what: str = "") -> Model:
        """The trained model, in eval mode. The same seed gives the same weights.

        Args:
            data: What it learns.
            seed: Of the weights, the order of the examples and the noise.
            what: What the progress is called; default: training NAME.
        """
        order = np.random.default_rng([seed, len(data)])
        with seeded(seed):
            model = self._model(data)
            assert isinstance(model, Plays)
            game = model.game()
            engine = Engine(model, game, Group())
            rule = DYNAMICS["alternating"].rule
            if game.start is not None:
                game.start(data.batch(order.integers(0, len(data), self.batch)))
            if self.watch is not None:
                self._show(0, model)
            for step in watched(range(1, self.steps + 1), what or f"training {self.name}"):
                engine.step, engine.share = step, (step - 1) / self.steps
                engine.set_lr(self._rate(engine.share))
                engine.kl_weight = self.beta * min(1.0, step / max(1, self.warmup))
                rule(engine, game, step, data.batch(order.integers(0, len(data), self.batch)))
                _after(game.after, step)
                if self.watch is not None and step % self.every == 0:
                    self._show(step, model)
        engine.finite.check()
        return model.eval()

    def _model(self, data: Dataset) -> Model:
        found = registry.entry(self.name)
        options: object = config.build(found.load_config(), self.options, f"option of {self.name}")
        model = found.build(data.spec, options, None)
        assert isinstance(model, Model)
        return model

    def sized(self, latent: int) -> Training:
        """The same with a code of so many numbers."""
        return replace(self, options=self.options | {"latent": latent})

    def _rate(self, share: float) -> float:
        return 0.5 + 0.5 * math.cos(math.pi * share) if self.decay else 1.0

    def _show(self, step: int, model: Model) -> None:
        assert self.watch is not None
        with torch.no_grad():
            self.watch(step, model.eval())
        model.train()


@dataclass(frozen=True)
class Given:
    """A run that was given in place of a model that a page trains."""

    run: Run
    model: nn.Module
    name: str


def given(
    asked: Asked,
    page: str,
    capability: type[C],
    verb: str,
    data: Dataset,
    taken: Collection[str] = (),
) -> list[Given]:
    """The models of the runs that a page was given, under names that differ.

    Args:
        asked: What the page is made for.
        page: Its name, for the message.
        capability: What every model must be able to do.
        verb: The same in words, such as "encode and decode".
        data: The examples that the page shows, all of one kind.
        taken: Names of other rows of the page.

    Raises:
        PthetaError: In one line, for a run whose model cannot do that, that takes conditions, that
            learned another kind of examples, or that is given twice.
    """
    found: list[Given] = []
    names = Counter(run.name for run in asked.runs)
    for run in asked.runs:
        if any(run.path.resolve() == one.run.path.resolve() for one in found):
            raise PthetaError(f"--runs {run.called}: this run is given twice; give it once")
        model = run.model()
        start = f"--runs {run.called}: the page {page} needs"
        if not isinstance(model, capability):
            who = able_models(capability, run.spec, alone=True)
            raise PthetaError(f"{start} models that can {verb}, and {run.plan.model} cannot; {who}")
        if run.spec != data.spec:
            raise PthetaError(f"{start} runs on the same examples, {data.spec}, not {run.spec}")
        if run.condition is not None:
            raise PthetaError(f"{start} a model without conditions, and {run.plan.model} has them")
        alone = names[run.name] == 1 and run.name not in taken
        found.append(Given(run, model, run.name if alone else run.called))
    return found


def labelled(asked: Asked, page: str) -> tuple[Dataset, Dataset]:
    """Training and test images with classes: those of the first run that a page was given, else
    digits of two levels. Raises PthetaError if they are no images, or have no classes 1 and 2."""
    if not asked.runs:
        return digits()
    run = asked.runs[0]
    start = f"--runs {run.called}: the page {page} needs runs on images of three or more classes, "
    start += "such as digits, and"
    if not isinstance(run.spec, ImageSpec):
        raise PthetaError(f"{start} this one learned {run.spec}")
    train, test = run.data("train"), run.data("test")
    classes = test.conditions(slice(None))
    if len(train.classes) < 3 or not isinstance(classes, Tensor):
        raise PthetaError(f"{start} {train.name} has none")
    few = [k for k in (1, 2) if int((classes == k).sum()) < 2]
    if few:
        raise PthetaError(f"{start} {train.name} has next to none of {train.classes[few[0]]}")
    return train, test


def digits() -> tuple[Dataset, Dataset]:
    """Training and test digits of two levels."""
    train, test = (ptheta.open_data("digits", part, levels=2) for part in ("train", "test"))
    return train, test
