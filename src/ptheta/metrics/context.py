"""The inputs of the metrics of one evaluation: each is computed once, on first use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial, wraps
from typing import TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from ptheta.capabilities import (
    EstimatesLogProb,
    EstimatesPartition,
    HasBound,
    HasLogProb,
    condition_of,
    conditional,
)
from ptheta.compute import parts
from ptheta.conditions import Labels
from ptheta.conditions.base import tensor_of
from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError
from ptheta.extractors.base import Extractor
from ptheta.extractors.features import Features, extract
from ptheta.extractors.reference import reference
from ptheta.extractors.table import default_extractor
from ptheta.measures.intervals import Groups
from ptheta.measures.results import About
from ptheta.metrics.conditions import conditions_like, draw
from ptheta.terminal.progress import stage

T = TypeVar("T")


@dataclass(frozen=True)
class Given:
    """Precomputed inputs, which are used instead of computing them.

    samples: uint8 (n, C, H, W), in no particular order; fake, real: the features of samples and of
        the test images; labels: int64 (n,), the requested labels of the samples
    """

    samples: Tensor | None = None
    fake: Features | None = None
    real: Features | None = None
    labels: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Context:
    """One evaluation. Compared by identity, so that `shared` values belong to one context.

    test: held-out images, with their fixed binarisation
    protocol: the data and settings of the measurement
    model: in eval mode; None for images without a model
    train: training data of the model; None if unknown, with the reason in no_copies
    n: number of samples; is_k: importance samples of a likelihood bound
    ais_images: number of test images for annealed importance sampling
    processes: that share the extraction of features, unless all are of an evaluation (`follow`)
    """

    test: Dataset
    extractor: Extractor
    protocol: About = field(default_factory=dict)
    model: nn.Module | None = None
    train: Dataset | None = None
    no_copies: str = ""
    n: int = 1000
    is_k: int = 50
    ais_images: int = 0
    seed: int = 0
    processes: int = 1
    given: Given = field(default_factory=Given)

    @property
    def the_model(self) -> nn.Module:
        """The model, for metrics that are only computed if there is one."""
        assert self.model is not None
        return self.model

    @property
    def has_likelihood(self) -> bool:
        """Whether the model has an exact likelihood or a bound."""
        return isinstance(self.model, HasLogProb | HasBound | EstimatesPartition | EstimatesLogProb)

    @property
    def conditional_likelihood(self) -> bool:
        """Whether the likelihood is conditional, p(x | y)."""
        return self.has_likelihood and conditional(self.model)

    @cached_property
    def samples(self) -> Tensor:
        """Samples, uint8 (n, C, H, W). Raises PthetaError for values outside the data's levels."""
        if self.given.samples is not None:
            return self.given.samples
        with parts.called(SAMPLES), stage("drawing samples"):
            samples = draw(self.the_model, self.test, self.n, self.seed)
        return self.test.spec.check_drawn(samples)

    def first_samples(self, k: int) -> Tensor:
        """The first k samples, for display. If no metric has used the samples, only about these are
        drawn."""
        if self.given.samples is not None or "samples" in vars(self):
            return self.samples[:k]
        with stage("drawing samples"):
            some = draw(self.the_model, self.test, self.n, self.seed, first=k)
        return self.test.spec.check_drawn(some[:k])

    @cached_property
    def fake(self) -> Features:
        """Features of the samples."""
        if self.given.fake is not None:
            return self.given.fake
        with parts.called(FAKE):
            return extract(self.samples, self.extractor, processes=self.processes)

    @cached_property
    def real(self) -> Features:
        """Features of the test images."""
        return self.given.real or reference(
            self.test, self.extractor, lambda: _of_test_images(self)
        )

    @cached_property
    def logits(self) -> tuple[Tensor, Tensor]:
        """Logits of samples (n, K) and of test images (N, K), by a classifying extractor."""
        if self.fake.logits is None or self.real.logits is None:
            raise PthetaError(
                f"the extractor {self.extractor.name} has {self.extractor.classes} classes, but "
                "returned no logits: return logits, or set classes = 0"
            )
        return self.fake.logits, self.real.logits

    @cached_property
    def fakes(self) -> Groups:
        """Jackknife groups of the samples."""
        return Groups(len(self.fake), "fake")

    @cached_property
    def reals(self) -> Groups:
        """Jackknife groups of the test images."""
        return Groups(len(self.real), "real")

    @cached_property
    def labels(self) -> Tensor | None:
        """The requested labels of the samples, int64 (n,); None if the model takes no labels."""
        if self.given.labels is not None:
            return self.given.labels
        if self.model is None or not isinstance(condition_of(self.model), Labels):
            return None
        asked = conditions_like(self.model, self.test, self.n, self.seed)
        return None if asked is None else tensor_of(asked, Labels.kind).cpu()

    @cached_property
    def real_labels(self) -> Tensor | None:
        """Labels of the test images, int64 (N,); None if they have none."""
        if self.test.labels is None:
            return None
        return torch.from_numpy(self.test.labels[self.test.rows(slice(None))].astype("int64"))

    @property
    def both_labels(self) -> tuple[Tensor, Tensor]:
        """Labels of the samples and of the test images, for metrics that require both."""
        assert self.labels is not None
        assert self.real_labels is not None
        return self.labels, self.real_labels

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """Names of the extractor's classes, if it was trained on this kind of data."""
        own = self.extractor.name == default_extractor(self.test)
        return self.test.classes if own else ()


SAMPLES, FAKE = "samples", "features of samples"
# what all processes of an evaluation compute when the first one needs it
TOGETHER: dict[str, Callable[[Context], object]] = {
    SAMPLES: lambda ctx: ctx.samples,
    FAKE: lambda ctx: ctx.fake,
}


def shared(make: Callable[[Context], T]) -> Callable[[Context], T]:
    """Decorator: compute a value used by several metrics once per context.

    The value must not reference the context, which would then never be freed.
    """
    made: WeakKeyDictionary[Context, T] = WeakKeyDictionary()

    @wraps(make)
    def once(ctx: Context) -> T:
        if ctx not in made:
            made[ctx] = make(ctx)
        return made[ctx]

    return once


def together(make: Callable[[Context], T]) -> Callable[[Context], T]:
    """Decorator: as `shared`, and all processes of the evaluation compute the value together: see
    `ptheta.compute.parts`. It may depend on the context and on other such values only."""
    name = f"{make.__module__}.{make.__name__}"

    @wraps(make)
    def by_all(ctx: Context) -> T:
        with parts.called(name):
            return make(ctx)

    once = shared(by_all)
    TOGETHER[name] = once
    return once


@together
def _of_test_images(ctx: Context) -> Features:
    return extract(ctx.test, ctx.extractor, processes=ctx.processes)


def follow(team: parts.Team, ctx: Context) -> None:
    """Take part in an evaluation by another process, with the same context."""
    parts.follow(team, {name: partial(make, ctx) for name, make in TOGETHER.items()})
