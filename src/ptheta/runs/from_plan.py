"""What a plan says, made: its data, the condition that the data gives, and its model."""

from __future__ import annotations

from torch import nn

from ptheta import conditions
from ptheta.conditions import ConditionSpec
from ptheta.data import open_data
from ptheta.data.dataset import Dataset
from ptheta.data.memory import Source, one_part
from ptheta.data.names import recorded
from ptheta.data.request import Request
from ptheta.data.sources import columns_there
from ptheta.data.values import Levels
from ptheta.models import registry
from ptheta.runs.plan import Plan
from ptheta.specs import ImageSpec


def condition_of(plan: Plan, data: Dataset) -> ConditionSpec | None:
    """What the plan's model is asked for, named as in the training data."""
    return conditions.of_data(plan.config, data, plan.source)


def build_model(
    plan: Plan, spec: ImageSpec, condition: ConditionSpec | None, to_train: bool = False
) -> nn.Module:
    """The plan's model with fresh weights.

    to_train: whether memory must hold what its training needs as well. Raises PthetaError where the
    memory there is does not
    """
    return registry.entry(plan.model).build(spec, plan.config, condition, to_train)


def open_plan_data(
    plan: Plan, split: str, source: Source | None = None, known: Levels | None = None
) -> Dataset:
    """The data of a plan, or another source read the same way. A data set in memory answers to
    every split with all of its images.

    known: what was white in training, by kind of value; None before that
    """
    d = plan.data
    if isinstance(source, Dataset):
        data = one_part(source, Request(split, d.size, d.channels))
        data = data.with_levels(d.levels, d.dynamic, plan.train.seed)
    else:
        data = open_data(
            recorded(plan.source) if source is None else source,
            split,
            levels=d.levels,
            dynamic=d.dynamic,
            seed=plan.train.seed,
            size=d.size,
            channels=d.channels,
            max_broken=d.max_broken,
            white=d.white,
            known=known,
            **(d.columns if source is None else columns_there(source, d.columns)),
        )
    return data
