"""A run: the folder that training writes and every other verb reads."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from ptheta import conditions, registry
from ptheta.capabilities import Samples
from ptheta.conditions import ConditionSpec
from ptheta.data import open_data
from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError
from ptheta.files import digest, read_json
from ptheta.models.fitted import Fitted
from ptheta.older import upgrade
from ptheta.pixels import ImageSpec
from ptheta.plan import Plan
from ptheta.training.checkpoint import latest, load_metadata, load_tensors
from ptheta.training.loop import channels_last, read_metrics

FORMAT = 1
FITTED = "fitted.safetensors"  # a prior fitted after training


@dataclass(frozen=True)
class Run:
    """A run folder, opened. Nothing in it is executed: JSON and safetensors only."""

    path: Path
    plan: Plan
    spec: ImageSpec
    condition: ConditionSpec | None
    about: dict[str, Any]  # the whole of config.json

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """Raises PthetaError where `path` is not a run folder or was written by a newer ptheta."""
        folder = Path(path).expanduser()
        file = folder / "config.json"
        if not file.exists():
            why = "no such folder" if not folder.exists() else "it holds no config.json"
            raise PthetaError(f"{folder} is not a run: {why}; give what `ptheta train --out` wrote")
        about = read_json(file)
        if about.get("format") != FORMAT:
            raise PthetaError(
                f"{file} has format {about.get('format')}, this ptheta reads {FORMAT}: "
                "use the ptheta that wrote it"
            )
        about = upgrade(about)
        condition = conditions.from_json(about.get("condition"))
        return cls(folder, Plan.from_json(about), ImageSpec(**about["spec"]), condition, about)

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @property
    def family(self) -> str:
        return registry.entry(self.plan.model).family

    def model(self, weights: str = "best", prior: str = "auto") -> nn.Module:
        """The trained model in eval mode, on the CPU.

        weights: "best" (by the metric, where one chose; else the last) or "last"
        prior: "own", "fitted" (by `fit`), or "auto": fitted where the model itself cannot sample
        Raises PthetaError where training has not written weights yet, and for a fitted prior that
        is missing or was fitted to other weights.
        """
        if weights not in ("best", "last"):
            raise PthetaError(f"weights = {weights!r}: choose 'best' or 'last'")
        if prior not in ("auto", "own", "fitted"):
            raise PthetaError(f"prior = {prior!r}: choose 'auto', 'own' or 'fitted'")
        file = self.weights_file(weights)
        if not file.exists():
            raise PthetaError(
                f"{self.path} has no weights yet: let `ptheta train` reach its first checkpoint"
            )
        model = build_model(self.plan, self.spec, self.condition)
        model.load_state_dict(load_tensors(file))
        model = channels_last(model).eval()
        place = self.path / FITTED
        fits = place.exists() and load_metadata(place).get("weights") == digest(file)
        if prior == "fitted" and not fits:
            why = "was fitted to other weights" if place.exists() else "is not there yet"
            raise PthetaError(f"{place} {why}: run `ptheta fit {self.path}`")
        if prior == "fitted" or (prior == "auto" and fits and not isinstance(model, Samples)):
            return Fitted(model, **load_tensors(place)).eval()
        return model

    def weights_file(self, weights: str = "best") -> Path:
        last = self.path / "last.safetensors"
        return last if weights == "last" and last.exists() else self.path / "model.safetensors"

    def checkpoint(self, weights: str = "best") -> dict[str, str]:
        """Which weights they are: for the protocol of a number."""
        about = {"weights": weights, "checkpoint": digest(self.weights_file(weights))[:12]}
        if (self.path / FITTED).exists():
            about["fitted_prior"] = digest(self.path / FITTED)[:12]
        return about

    def data(self, split: str, source: str | None = None) -> Dataset:
        """The run's data (or another source, read the same way).

        Raises PthetaError where a model that was trained on labels meets other classes: label 0
        would be another one.
        """
        data = open_plan_data(self.plan, split, source, self.spec)
        if isinstance(self.condition, conditions.Labels):
            return data.with_classes(self.condition.names)
        return data

    def unfinished(self) -> str | None:
        """How far a training that has not come to its end is, or None."""
        found = latest(self.path / "state")
        if found is None:
            return "before its first checkpoint"
        done, train = read_json(found / "progress.json"), self.plan.train
        at = f"step {done['step']:,}"
        if train.minutes is not None and done["seconds"] < 60 * train.minutes:
            return f"{at}, {done['seconds'] / 60:.1f} of {train.minutes:g} minutes"
        if train.steps is not None and done["step"] < train.steps:
            return f"{at} of {train.steps:,}"
        return None

    def warn_if_unfinished(self) -> None:
        """Numbers of a run that goes on are of what it was at some moment."""
        where = self.unfinished()
        if where is not None:
            warnings.warn(
                f"{self.path} has not come to its end ({where}): these are numbers of its weights "
                "so far; let it finish, or go on with --resume",
                stacklevel=2,
            )

    def metrics(self) -> list[dict[str, float]]:
        return read_metrics(self.path)


def is_run(path: str | Path) -> bool:
    """Whether `path` is a run folder."""
    return (Path(path).expanduser() / "config.json").is_file()


def condition_of(plan: Plan, data: Dataset) -> ConditionSpec | None:
    """What the plan's model is asked for, named as in the training data."""
    return conditions.of_data(conditions.wanted(plan.config), data, plan.source)


def build_model(plan: Plan, spec: ImageSpec, condition: ConditionSpec | None) -> nn.Module:
    """The plan's model with fresh weights."""
    return registry.entry(plan.model).build(plan.model, spec, plan.config, condition)


def open_plan_data(
    plan: Plan, split: str, source: str | None = None, spec: ImageSpec | None = None
) -> Dataset:
    """The data of a plan. With a spec, images are brought to its size and must fit it."""
    d = plan.data
    data = open_data(
        source or plan.source,
        split,
        levels=d.levels,
        dynamic=d.dynamic,
        seed=plan.train.seed,
        size=d.size,
        channels=d.channels,
        max_broken=d.max_broken,
    )
    if conditions.wanted(plan.config) == conditions.Attributes.kind:
        data = replace(data, by_attributes=True)
    if spec is not None and data.spec != spec:
        raise PthetaError(
            f"{source or plan.source} holds images of {data.spec}; the run was trained on {spec}: "
            "give data of the same size and channels"
        )
    return data
