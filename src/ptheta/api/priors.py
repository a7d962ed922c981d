"""A prior for codes that are categories on a grid: any model of images, trained on their maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ptheta import config
from ptheta.api.training import train
from ptheta.data.dataset import Dataset
from ptheta.data.image_data import ImageDataset
from ptheta.data.memory import Images, Source
from ptheta.data.turns import in_turn
from ptheta.errors import PthetaError
from ptheta.metrics.likelihood import batches
from ptheta.models import registry
from ptheta.models.variational.grid_prior import GridCoder, GridPrior, order_of, reordered
from ptheta.runs.folder import Run
from ptheta.runs.plan import sections
from ptheta.runs.prior import FOLDER, save_grid_prior, weights_of
from ptheta.specs import ImageSpec
from ptheta.tasks.needs import able

BATCH = 500
IMAGES = ImageSpec(1, 8, 8)  # any: what a prior learns


class PriorPlan(NamedTuple):
    """How a model is fitted to maps of codes.

    name: of the registry; options: of it and its training, as of `ptheta.train`
    images: at most so many training examples; weights: "best" or "last", of the coder
    """

    name: str
    options: Mapping[str, object]
    recipe: str = "default"
    resume: bool = False
    images: int = 20_000
    weights: str = "best"
    seed: int = 0


def fit_grid_prior(
    run: Run, model: nn.Module, plan: PriorPlan, data: Source | None = None
) -> nn.Module:
    """Trains a model on the maps of codes of a run's training examples, as a run in its folder
    `prior`, and says in the run that it is there. Returns the run's model with it.

    Raises PthetaError where the model has no such codes, or the other one cannot be their prior.
    """
    coder = _coder(run, model)
    options = {"levels": coder.code_spec().levels, "seed": plan.seed, **_suited(plan)}
    order = order_of(coder.code_vectors())
    level = torch.argsort(order)
    maps: dict[str, Images] = {
        split: maps_of(coder, run.data(split, data), plan.images, level)
        for split in ("train", "test")
    }
    file, out = run.weights_file(plan.weights), run.path / FOLDER
    done = train(
        plan.name,
        maps,
        out,
        recipe=plan.recipe,
        resume=plan.resume,
        more_data=False,
        callbacks=(),
        **options,
    )
    save_grid_prior(run.path, order, file, weights_of(done.path))
    return run.model(plan.weights, prior="fitted")


def _coder(run: Run, model: nn.Module) -> GridCoder:
    if not isinstance(model, GridCoder):
        raise PthetaError(
            f"--model is of codes that are categories on a grid, and {run.plan.model} has none: "
            "leave it out for a mixture of Gaussians"
        )
    return model


def _suited(plan: PriorPlan) -> dict[str, object]:
    """The options of a prior, its likelihood a probability for each level where it has the choice:
    codes have no order. Raises PthetaError for a model that is no prior of images."""
    known = able(GridPrior, IMAGES)
    registry.entry(plan.name)  # an unknown one is refused
    if plan.name not in known:
        raise PthetaError(
            f"{plan.name} is no model of images with log p and samples: choose one of "
            f"{', '.join(known)}"
        )
    options = config.options(sections(plan.name)["model"])
    suited = {"likelihood": "categorical"} if "likelihood" in options else {}
    return {**suited, **plan.options}


@torch.no_grad()
def maps_of(coder: GridCoder, data: Dataset, n: int, level: Tensor) -> ImageDataset:
    """The maps of the first n examples, with their labels. level: of each code"""
    some = in_turn(data.with_fixed_binarisation()).subset(slice(0, n))
    assert isinstance(coder, nn.Module)
    found = [reordered(coder.code_map(x), level).cpu() for x, _ in batches(coder, some, BATCH)]
    maps = ImageDataset(f"codes of {data.name}", data.split, torch.cat(found).numpy())
    if some.labels is None:
        return maps
    labels = np.asarray(some.labels)[some.rows(slice(None))]
    return replace(maps, labels=labels, classes=some.classes)
