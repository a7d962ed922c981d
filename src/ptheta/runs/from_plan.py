"""What a plan says, made: its data, the condition that the data gives, and its model."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from ptheta import conditions
from ptheta.conditions import ConditionSpec
from ptheta.data.dataset import Dataset
from ptheta.data.memory import Source, one_part
from ptheta.data.names import recorded
from ptheta.data.request import Request
from ptheta.data.sources import open_split, settings_for
from ptheta.data.values import Levels
from ptheta.models import registry
from ptheta.runs.plan import Plan
from ptheta.specs import DataSpec, VectorSpec


def condition_of(plan: Plan, data: Dataset) -> ConditionSpec | None:
    """What the plan's model is asked for, named as in the training data."""
    return conditions.of_data(plan.config, data, plan.source)


def build_model(
    plan: Plan, spec: DataSpec, condition: ConditionSpec | None, to_train: bool = False
) -> nn.Module:
    """The plan's model with fresh weights.

    to_train: whether memory must hold what its training needs as well. Raises PthetaError where the
    memory there is does not
    """
    return registry.entry(plan.model).build(spec, plan.config, condition, to_train)


def open_plan_data(
    plan: Plan,
    split: str,
    source: Source | None = None,
    known: Levels | None = None,
    vectors: VectorSpec | None = None,
) -> Dataset:
    """The data of a plan, or another source read the same way. A data set in memory answers to
    every split with all of its images.

    known: what was white in training, by kind of value; vectors: the columns that were learned;
        None before that
    """
    settings, seed = plan.data, plan.train.seed
    request = Request(split, settings, known=known, vectors=vectors)
    if isinstance(source, Dataset):
        data = one_part(source, request)
        if vectors is not None:
            data = data.with_columns(vectors)
        return data.with_levels(settings.levels, settings.dynamic, seed)
    if source is None:
        return open_split(recorded(plan.source), request, seed=seed)
    request = replace(request, settings=settings_for(source, settings))
    return open_split(source, request, seed=seed)
