"""Creates the data, condition and model of a plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from torch import nn

from ptheta import conditions
from ptheta.conditions import ConditionSpec
from ptheta.data.dataset import Dataset
from ptheta.data.memory import Source, one_part
from ptheta.data.names import recorded
from ptheta.data.request import Learned, Request
from ptheta.data.selection import selected
from ptheta.data.sources import Opening, settings_for
from ptheta.data.values import Levels
from ptheta.models import registry
from ptheta.runs.plan import Plan
from ptheta.specs import DataSpec


def condition_of(plan: Plan, data: Dataset) -> ConditionSpec | None:
    """The condition spec of the plan's model, with the names of the training data."""
    return conditions.of_data(plan.config, data, plan.source)


def build_model(
    plan: Plan, spec: DataSpec, condition: ConditionSpec | None, to_train: bool = False
) -> nn.Module:
    """The plan's model with newly initialised weights.

    to_train: whether to check that memory also suffices for training. Raises PthetaError if memory
        does not suffice.
    """
    return registry.entry(plan.model).build(spec, plan.config, condition, to_train)


def open_plan_data(
    plan: Plan, split: str, source: Source | None = None, known: Levels | None = None
) -> Dataset:
    """One split of the data of a plan, or of another source: see `Openings`."""
    return Openings().data(plan, split, source, known)


class Openings:
    """A cache of opened data, shared by plans that read the same source in the same way."""

    def __init__(self) -> None:
        self.made: dict[object, Opening] = {}

    def data(
        self,
        plan: Plan,
        split: str,
        source: Source | None = None,
        known: Levels | None = None,
        learned: Learned | None = None,
    ) -> Dataset:
        """The data of a plan, or another source preprocessed alike. A data set in memory returns
        all of its images for every split.

        known: value of white in training, by kind of value; learned: what the run was trained on;
            None before training
        """
        settings, seed = plan.data, plan.train.seed
        learned = learned or Learned()
        request = Request(split, settings, known=known, learned=learned)
        if isinstance(source, Dataset):
            data = selected(one_part(source, request), request)
            data = data if learned.vectors is None else data.with_columns(learned.vectors)
        else:
            place = recorded(plan.source) if source is None else source
            data = self._opening(place, request, own=source is None).split(split)
        return data.with_levels(settings.levels, settings.dynamic, seed)

    def other(
        self,
        plan: Plan,
        source: Source,
        split: str | None,
        known: Levels | None,
        learned: Learned,
        label_column: str | None = None,
    ) -> Dataset:
        """All readable examples of any source, preprocessed as a plan's data.

        split: of the source; None for test, or all of a source without splits
        label_column: of a source with columns; None for that of the plan
        """
        settings = replace(settings_for(source, plan.data), where=(), unseen=(), max_broken=1.0)
        if label_column is not None:
            settings = replace(settings, label_column=label_column)
        request = Request(split or "test", settings, known=known, learned=learned)
        if isinstance(source, Dataset):
            data = one_part(source, request)
            data = data if learned.vectors is None else data.with_columns(learned.vectors)
        else:
            opening = Opening(source, request)
            data = opening.other() if split is None else opening.split(split)
        return data.with_levels(settings.levels, settings.dynamic, plan.train.seed)

    def _opening(self, place: Source, request: Request, own: bool) -> Opening:
        """own: whether the settings were made for this source"""
        # levels do not affect reading; data in memory stays open
        settings, known = request.settings, request.known
        read = replace(settings, levels=256, dynamic=False)
        name = (type(place), str(place)) if isinstance(place, str | Path) else id(place)
        white = None if known is None else tuple(sorted(known.items()))
        # the part of `learned` that affects reading
        learned = request.learned.vectors, request.palette("target"), request.learned.input
        key = (name, read, white, learned, own)
        if key not in self.made:
            asked = settings if own else settings_for(place, settings)
            self.made[key] = Opening(place, replace(request, settings=asked))
        return self.made[key]
