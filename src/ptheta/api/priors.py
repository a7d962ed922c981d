"""A prior for codes that are categories on a grid: any model of images, trained on their maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ptheta import config
from ptheta.api.training import train
from ptheta.data.dataset import Dataset
from ptheta.data.image_data import ImageDataset
from ptheta.data.memory import Images, Source
from ptheta.data.request import DataSettings
from ptheta.data.turns import in_turn
from ptheta.errors import PthetaError
from ptheta.files.atomic import digest, leftover, locked, remove
from ptheta.metrics.likelihood import batches
from ptheta.models import registry
from ptheta.models.variational.grid_prior import GridCoder, GridPrior, order_of, reordered
from ptheta.runs.config_file import has_config
from ptheta.runs.folder import Run
from ptheta.runs.plan import sections
from ptheta.runs.prior import (
    FOLDER,
    GRID,
    begun_for,
    has_grid_prior,
    save_grid_prior,
    weights_of,
)
from ptheta.specs import ImageSpec
from ptheta.tasks.needs import able

BATCH = 500
# of `ptheta.train` that are decided by what the prior is of
OWN_OPTIONS = ("data", "out", "more_data", "callbacks", *config.options(DataSettings))
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
    file, out = run.weights_file(plan.weights), run.path / FOLDER
    _make_way(run, file, plan.resume)
    order = order_of(coder.code_vectors())
    level = torch.argsort(order)
    maps: dict[str, Images] = {
        split: maps_of(coder, run.data(split, data), plan.images, level)
        for split in ("train", "test")
    }
    if not has_grid_prior(run.path):
        save_grid_prior(run.path, order, file, None)
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


def _make_way(run: Run, weights: Path, resume: bool) -> None:
    """Removes a prior of other weights of the run, which serves no more. Raises PthetaError for
    one that is to be resumed and cannot, and for one of these weights that is not."""
    out = run.path / FOLDER
    if not has_config(out):
        return
    if begun_for(run.path) in (None, digest(weights)):
        if not resume:
            raise PthetaError(
                f"{out} has a prior of these weights, {Run.open(out).plan.model}: give --resume to "
                "continue it, or remove this folder to fit another"
            )
        return
    if resume:
        raise PthetaError(
            f"{out} is a prior of other weights of the run, which have other codes: leave --resume "
            "out to fit a new one in its place"
        )
    with locked(out, "removing a prior"):
        (run.path / GRID).unlink(missing_ok=True)
        for found in out.iterdir():
            if not leftover(found):
                remove(found)


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
    if odd := [name for name in plan.options if name in OWN_OPTIONS]:
        raise PthetaError(
            f"{odd[0]} is no option of a prior, whose data are the maps of codes, in the run's own "
            "folder: leave it out"
        )
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
    """The maps of the first n examples, with labels, attributes and captions. level: of each
    code"""
    some = in_turn(data.with_fixed_binarisation()).subset(slice(0, n))
    assert isinstance(coder, nn.Module)
    found = [reordered(coder.code_map(x), level).cpu() for x, _ in batches(coder, some, BATCH)]
    maps = ImageDataset(f"codes of {data.name}", data.split, torch.cat(found).numpy())
    rows = some.rows(slice(None))
    return replace(
        maps,
        labels=None if some.labels is None else np.asarray(some.labels)[rows],
        classes=some.classes,
        captions=None if some.captions is None else [some.captions[row] for row in rows],
        attributes=None if some.attributes is None else np.asarray(some.attributes)[rows],
        attribute_names=some.attribute_names,
        attribute_values=some.attribute_values,
    )
