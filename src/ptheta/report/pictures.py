"""What can be shown of a model, by what it can do."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ptheta import tasks
from ptheta.capabilities import (
    Decodes,
    Encodes,
    HasBound,
    HasPrior,
    conditional,
    some_conditions,
)
from ptheta.compute.streams import seeded
from ptheta.data.dataset import Dataset
from ptheta.metrics.memorisation import NEIGHBOURS, closest
from ptheta.report.plots import picture

SHOWN = 64  # samples in a grid
PAIRS = 10  # samples shown with their nearest real image
ROWS, STEPS = 4, 10  # interpolations


class Picture(NamedTuple):
    """uri: the image as data"""

    title: str
    uri: str
    caption: str


def _grid(model: nn.Module | None, samples: Tensor, seed: int) -> Picture:
    """Samples; of a conditional model others than those measured: of all its labels in turn."""
    if model is None or not conditional(model):
        return Picture(
            "Samples", picture(samples[:SHOWN], 8), f"The first {SHOWN} of seed {seed}, uncurated."
        )
    shown = tasks.sample(model, SHOWN, seed=seed)
    return Picture("Samples", picture(shown, 8), f"All labels in turn, of seed {seed}, uncurated.")


@torch.no_grad()
def pictures(
    model: nn.Module | None,
    samples: Tensor | None,
    test: Dataset,
    train: Dataset | None,
    seed: int,
) -> list[Picture]:
    """What can be shown of a model, by what it can do; of samples alone where it is None.

    train: what it was trained on; None where that is not known
    """
    found = []
    if samples is not None:
        found.append(_grid(model, samples, seed))
    if isinstance(model, Decodes) and isinstance(model, HasPrior) and isinstance(model, HasBound):
        y = some_conditions(model, SHOWN)
        with seeded(seed):
            means = model.decode(model.sample_latent(SHOWN, y), y)
        found.append(
            Picture(
                "Mean images",
                picture(means, 8),
                "E[x | z] for codes z of the prior: the decoder before its pixels are drawn.",
            )
        )
    if isinstance(model, Encodes) and isinstance(model, Decodes):
        batch = test.batch(range(min(30, len(test) // 10 * 10 or len(test))))
        x = batch.x
        back = tasks.reconstruct(model, x, batch.y if conditional(model) else None)
        rows = [part for i in range(0, len(x), 10) for part in (x[i : i + 10], back[i : i + 10])]
        found.append(
            Picture(
                "Reconstructions",
                picture(torch.cat(rows), min(10, len(x))),
                "Test images, and below each what its code gives back.",
            )
        )
    if isinstance(model, Decodes) and isinstance(model, HasPrior | Encodes):
        ends, caption = None, "Between codes drawn from the prior, along great circles."
        if isinstance(model, Encodes) and not conditional(model):
            x = test.batch([(30 + i) % len(test) for i in range(2 * ROWS)]).x
            ends, caption = (x[:ROWS], x[ROWS:]), "Between the codes of pairs of test images."
        walk = tasks.interpolate(model, ROWS, STEPS, ends=ends, seed=seed)
        found.append(Picture("Latent interpolation", picture(walk, STEPS), caption))
    if samples is not None and train is not None:
        found += [_closest(samples, train, "training"), _closest(samples, test, "test")]
    return found


def _closest(samples: Tensor, real: Dataset, called: str) -> Picture:
    some = samples[:NEIGHBOURS]
    pairs = torch.cat(closest(some, real, PAIRS))
    return Picture(
        f"Closest to the {called} images",
        picture(pairs, PAIRS),
        f"Of {len(some)} samples those nearest to a {called} image, and below each that image.",
    )
