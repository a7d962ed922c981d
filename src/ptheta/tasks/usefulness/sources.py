"""Training data of classifiers, and rivals compared with test rows, as extensible tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from sklearn.covariance import ledoit_wolf_shrinkage
from torch import Tensor

from ptheta.config import Entry
from ptheta.distributions import copula
from ptheta.specs import DataSpec, ImageSpec, VectorSpec, images_only, quantise
from ptheta.tasks.gaps import with_gaps
from ptheta.tasks.spread import spread_over
from ptheta.tasks.usefulness.known import Examples, Known

MODEL = "samples"


@dataclass(frozen=True, kw_only=True)
class Source(Entry):
    """A source of examples.

    of: draws n examples by a seed; floor: whether it is a baseline without a model
    kinds: supported kinds of examples; drawn: whether it depends on the seed
    """

    of: Callable[[Known, int, int], Examples]
    floor: bool = False
    kinds: tuple[type[DataSpec], ...] = (VectorSpec, ImageSpec)
    drawn: bool = True


def of_model(known: Known, n: int, seed: int) -> Examples:
    """Samples of the model; rows get missing cells in the pattern of training rows."""
    x, y = known.draw(n, seed)
    train = known.train.x
    rows = train.is_floating_point() and bool(train.isnan().any())
    return Examples(with_gaps(x, train, seed) if rows else x, y)


def _real(known: Known, n: int, seed: int) -> Examples:
    return known.train


def _both(known: Known, n: int, seed: int) -> Examples:
    drawn = of_model(known, n, seed)
    real = known.train
    return Examples(torch.cat([real.x, drawn.x]), torch.cat([real.labels, drawn.labels]))


def _half(known: Known, n: int, seed: int) -> Examples:
    rows = spread_over(known.train.labels, len(known.train.x), seed)
    kept = spread_over(known.train.labels[rows], max(1, len(rows) // 2), seed)
    return known.train.rows(rows[kept])


def _shuffled(known: Known, n: int, seed: int) -> Examples:
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(known.train.x), generator=generator)
    return Examples(known.train.x, known.train.labels[order])


def _by_class(known: Known, n: int, seed: int, draw: Callable[[Tensor, int], Tensor]) -> Examples:
    """n examples with the class proportions of the training data, drawn by `draw` per class."""
    y = known.train.labels
    wanted = y[spread_over(y, n, seed)].sort().values
    parts = [
        draw(known.train.x[y == label], int((wanted == label).sum())) for label in wanted.unique()
    ]
    return Examples(torch.cat(parts), wanted)


def _copula_by_class(known: Known, n: int, seed: int) -> Examples:
    drawn = _by_class(
        known, n, seed, lambda x, k: copula.fitted(x, _stepped(known)).sample(k, seed)
    )
    return Examples(with_gaps(drawn.x, known.train.x, seed), drawn.y)


def _stepped(known: Known) -> tuple[bool, ...]:
    assert isinstance(known.spec, VectorSpec)
    return tuple(not column.continuous for column in known.spec.columns)


def _gaussian_by_class(known: Known, n: int, seed: int) -> Examples:
    return _by_class(known, n, seed, lambda x, k: gaussian_images(x, k, known.spec, seed))


def gaussian_images(x: Tensor, n: int, spec: DataSpec, seed: int) -> Tensor:
    """n samples of a Gaussian fitted to images x (N, C, H, W), with Ledoit-Wolf (2004) shrinkage of
    the covariance towards equal variances: uint8.

    The covariance is never formed: mean + sqrt(1 - s) A^T w + sqrt(s v) e has it, with A the
    centred images over sqrt(N), v the mean variance and w, e standard normal.
    """
    spec = images_only(spec, "a Gaussian of pixels")
    flat = x.flatten(1).double()
    mean, centred = flat.mean(0), flat - flat.mean(0)
    shrink = (
        float(ledoit_wolf_shrinkage(centred.numpy(), assume_centered=True)) if len(x) > 1 else 0
    )
    variance = centred.square().mean()
    generator = torch.Generator().manual_seed(seed)
    w, e = (
        torch.randn(n, k, generator=generator, dtype=torch.float64) for k in (len(x), flat.shape[1])
    )
    drawn = mean + (1 - shrink) ** 0.5 * w @ centred / len(x) ** 0.5
    drawn = drawn + (shrink * variance) ** 0.5 * e
    images = drawn.clamp(0, 255).round().to(torch.uint8).view(n, *spec.shape)
    return quantise(images, spec.levels)


SOURCES: dict[str, Source] = {
    "real": Source(of=_real, drawn=False, about="the training examples"),
    MODEL: Source(of=of_model, about="samples of the model"),
    "both": Source(of=_both, about="training examples and samples together"),
    "half of real": Source(of=_half, floor=True, about="half of the training examples"),
    "class copulas": Source(
        of=_copula_by_class,
        floor=True,
        kinds=(VectorSpec,),
        about="one Gaussian copula per class",
    ),
    "class Gaussians": Source(
        of=_gaussian_by_class,
        floor=True,
        kinds=(ImageSpec,),
        about="one Gaussian of the pixels per class, with shrinkage",
    ),
    "shuffled labels": Source(
        of=_shuffled, floor=True, about="training examples with permuted labels: chance"
    ),
}


def _copula(known: Known, n: int, seed: int) -> Examples:
    """Samples of a Gaussian copula of all columns, and of the label if it is separate."""
    x, y = known.train
    steps = _stepped(known)
    if y is not None and known.target is None:
        drawn = copula.fitted(torch.cat([x, y[:, None].to(x)], 1), (*steps, True)).sample(n, seed)
        return Examples(with_gaps(drawn[:, :-1], x, seed), drawn[:, -1].long())
    return Examples(with_gaps(copula.fitted(x, steps).sample(n, seed), x, seed), None)


def _gaussian(known: Known, n: int, seed: int) -> Examples:
    return Examples(gaussian_images(known.train.x, n, known.spec, seed), None)


def _copies(known: Known, n: int, seed: int) -> Examples:
    generator = torch.Generator().manual_seed(seed)
    return known.train.rows(torch.randint(len(known.train.x), (n,), generator=generator))


# sources compared with test examples
RIVALS: dict[str, Source] = {
    MODEL: Source(of=of_model, about="samples of the model"),
    "copula": Source(
        of=_copula, floor=True, kinds=(VectorSpec,), about="a Gaussian copula of all columns"
    ),
    "Gaussian": Source(
        of=_gaussian,
        floor=True,
        kinds=(ImageSpec,),
        about="a Gaussian of the pixels, with shrinkage",
    ),
    "copies": Source(of=_copies, about="training examples, drawn with replacement: nothing new"),
}


def of_kind(table: dict[str, Source], spec: DataSpec) -> dict[str, Source]:
    """The entries that support such examples."""
    return {name: entry for name, entry in table.items() if isinstance(spec, entry.kinds)}
