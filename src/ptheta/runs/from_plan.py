"""What a plan says, made: its data, the condition that the data gives, and its model."""

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
    plan: Plan, split: str, source: Source | None = None, known: Levels | None = None
) -> Dataset:
    """One split of the data of a plan, or of another source: see `Openings`."""
    return Openings().data(plan, split, source, known)


class Openings:
    """The data of plans, opened once for all that read the same source in the same way."""

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
        """The data of a plan, or another source read the same way. A data set in memory answers to
        every split with all of its images.

        known: what was white in training, by kind of value; learned: what was learned; None before
            that
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
        """Examples from anywhere, read as a plan's data is: all of them that can be read, whatever
        the plan learned from.

        split: of the source; None for its test part, or all of it where it has no parts
        label_column: of a source that has columns; None for that of the plan
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
        """own: whether the settings were made for this very source, and not for one like it"""
        # levels change nothing of what is read; what is in memory stays there while it is open
        settings, known = request.settings, request.known
        read = replace(settings, levels=256, dynamic=False)
        name = (type(place), str(place)) if isinstance(place, str | Path) else id(place)
        white = None if known is None else tuple(sorted(known.items()))
        # of what was learned, that which changes how it is read
        learned = request.learned.vectors, request.palette("target"), request.learned.input
        key = (name, read, white, learned, own)
        if key not in self.made:
            asked = settings if own else settings_for(place, settings)
            self.made[key] = Opening(place, replace(request, settings=asked))
        return self.made[key]
