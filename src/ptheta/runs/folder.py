"""A run: the folder that training writes and every other verb reads."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from torch import nn

from ptheta import conditions, schemas
from ptheta.compute.layout import channels_last
from ptheta.conditions import ConditionSpec
from ptheta.data.dataset import Dataset
from ptheta.data.memory import Source
from ptheta.data.names import MEMORY, called, recorded, shortened
from ptheta.data.request import Learned
from ptheta.data.trained import DataMatch, Record, match_data
from ptheta.data.values import White, merged
from ptheta.errors import PthetaError
from ptheta.files.atomic import digest, there
from ptheta.files.paths import exists
from ptheta.files.tensors import load_weights
from ptheta.models import registry
from ptheta.runs.card import card
from ptheta.runs.config_file import damaged, has_config, read_config, spec_of, whites
from ptheta.runs.examples import example_in, folder_of
from ptheta.runs.from_plan import Openings, build_model
from ptheta.runs.plan import Plan
from ptheta.runs.plugged import check_here
from ptheta.runs.prior import CHOICES, FOLDER, GRID, digest_of_prior, with_prior
from ptheta.specs import DataSpec
from ptheta.training.checkpoint import latest
from ptheta.training.metric_logger import read_metrics
from ptheta.training.progress import Progress

RECORD = "data.safetensors"  # which images it was trained on


@dataclass(frozen=True)
class Run:
    """A run folder, opened. Nothing in it is executed: JSON and safetensors only."""

    path: Path
    plan: Plan
    spec: DataSpec
    condition: ConditionSpec | None
    about: schemas.Config  # the whole of config.json

    @classmethod
    def open(cls, path: str | Path | Run) -> Run:
        """The run in a folder, or one of those that ship with the package (`example:vae`); a run
        itself is given back.

        Raises PthetaError where `path` is not a run folder, was written by a newer ptheta, or needs
        a plug-in that is not here.
        """
        if isinstance(path, Run):
            return path
        folder = folder_of(path)
        about = read_config(folder)
        check_here(about.plugins, folder)
        try:
            kept = None if about.condition is None else about.condition.model_dump()
            condition = conditions.from_json(kept)
            spec = spec_of(about)
            return cls(folder, Plan.from_config(about), spec, condition, about)
        except PthetaError as error:
            raise damaged(folder, error) from None

    def __repr__(self) -> str:
        path, source = shortened(self.path), shortened(self.plan.source)
        return f"Run({path!r}: {self.plan.model} on {source!r}, {self.spec})"

    def _repr_html_(self) -> str:
        """For notebooks."""
        return card(self)

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @property
    def example(self) -> str | None:
        """`example:NAME` of a run that ships with the package, which nothing is written into."""
        return example_in(self.path)

    @property
    def called(self) -> str:
        """What a user calls it: its path, or the name of an example."""
        return self.example or str(self.path)

    @property
    def asked(self) -> ConditionSpec | None:
        """What its model is asked for; where that is nothing, what a prior of its codes is, which
        was fitted and is a run of its own."""
        if self.condition is None and there(self.path / GRID):
            return Run.open(self.path / FOLDER).condition
        return self.condition

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of condition that its model is asked for."""
        return tuple(part.kind for part in conditions.parts_of(self.asked))

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
        if prior not in CHOICES:
            raise PthetaError(f"prior = {prior!r}: choose 'auto', 'own' or 'fitted'")
        file = self.weights_file(weights)
        if not there(file):
            raise PthetaError(
                f"{self.path} has no weights yet: let `ptheta train` reach its first checkpoint"
            )
        model = build_model(self.plan, self.spec, self.condition)
        load_weights(model, file)
        model = channels_last(model).eval()
        return with_prior(model, self.path, file, prior, lambda p: Run.open(p).model())

    def weights_file(self, weights: str = "best") -> Path:
        last = self.path / "last.safetensors"
        return last if weights == "last" and last.exists() else self.path / "model.safetensors"

    def checkpoint(self, weights: str = "best") -> dict[str, str]:
        """Which weights they are: for the protocol of a number."""
        about = {"weights": weights, "checkpoint": digest(self.weights_file(weights))[:12]}
        about["trained_on"] = self.fingerprint or "not known"
        if (prior := digest_of_prior(self.path)) is not None:
            about["fitted_prior"] = prior[:12]
        return about

    @cached_property
    def record(self) -> Record | None:
        """Which images it was trained on; None for a run that does not remember (an old one)."""
        file = self.path / RECORD
        return Record.read(file) if there(file) else None

    @property
    def fingerprint(self) -> str | None:
        """Of the images it was trained on, where it remembers them."""
        return None if self.record is None else self.record.fingerprint

    def look(
        self,
        source: Source | None = None,
        split: str = "test",
        *,
        openings: Openings | None = None,
    ) -> DataMatch:
        """The run's data, or another source read the same way, seen by what the run remembers.

        source: where the data lies now; default: where it lay in training
        split: of the held-out images; openings: shared by all who look at the same data

        A run that does not remember its images takes those that it finds for its own, with a
        warning. Raises PthetaError where the data is not there, and where a model that was trained
        on labels meets other classes: label 0 would be another one.
        """
        place = self.place() if source is None else source
        where, apart = called(place), not isinstance(place, Dataset)
        opened = openings or Openings()
        train, test = self._open(opened, self.plan, split, place)
        alike = replace(self.plan, data=self.plan.data.brought_to(self.spec))
        if self.record is not None and train.spec != self.spec and alike != self.plan:
            # pictures of another size came in: those that were there keep theirs
            resized = self._open(opened, alike, split, place)
            if not match_data(self.record, *resized, apart=apart).foreign:
                train, test = resized
        for data in (train, test):
            if data.spec != self.spec:
                raise PthetaError(
                    f"{where} holds {data.examples} of {data.spec}; the run was trained on "
                    f"{self.spec}: give data of the same size and channels, or columns"
                )
        if self.record is None:
            warnings.warn(
                f"{self.path} does not remember its training images: whether {where} holds them, "
                "and whether its held-out images were trained on, cannot be checked",
                stacklevel=2,
            )
            return DataMatch("unknown", train, None, test)
        found = match_data(self.record, train, test, apart=apart)
        return found if found.foreign else found.named(self.about.dataset.name)

    def own(self, source: Source | None = None) -> DataMatch:
        """As `look`, for what needs the run's training images.

        Raises PthetaError where some of them are missing.
        """
        return self.check_own(self.look(source), source)

    def check_own(self, found: DataMatch, source: Source | None = None) -> DataMatch:
        """`found` itself where all of the run's training images are there, else PthetaError."""
        if found.foreign:
            total = len(self.record.every) if self.record is not None else 0
            raise PthetaError(
                f"{self._where(source)} lacks {found.missing:,} of the {total:,} images "
                f"that {self.path} was trained on: give the data that holds them with --data"
            )
        return found

    def data(self, split: str, source: Source | None = None) -> Dataset:
        """The training images of the run, or held-out ones ("val", "test") that it was not trained
        on, in its data or in another source; see `look` and `own`.
        """
        if split == "train":
            found = self.own(source)
            assert found.train is not None
            return found.train
        found = self.look(source, split)
        if source is None and (text := self.remark(found, copies=False)) is not None:
            warnings.warn(text, stacklevel=2)
        return found.test

    def other(
        self, source: Source, split: str | None = None, label_column: str | None = None
    ) -> Dataset:
        """Examples from anywhere, read as the run's data was, to be looked at by its model.

        split: of the source; None for its test part, or all of it where it has no parts
        label_column: of a source that has columns; None for that of the run
        Raises PthetaError for examples of another size, colour or kind.
        """
        learned = Learned(self.spec, conditions.input_of(self.condition))
        known = whites(self.about)
        plan = replace(self.plan, data=self.plan.data.brought_to(self.spec))
        data = Openings().other(plan, source, split, known, learned, label_column)
        if data.spec != self.spec:
            raise PthetaError(
                f"{called(source)} holds {data.examples} of {data.spec}; the run was trained on "
                f"{self.spec}: give data of the same size and channels, or columns"
            )
        return data

    def remark(
        self, found: DataMatch, source: Source | None = None, *, copies: bool = True
    ) -> str | None:
        """A line on data that is not just what the run was trained on; None where it is.

        copies: whether the reader looks for copies of training images
        """
        where, out, several = self._where(source), "", self.spec.several
        if found.known_test:
            out = f"; {found.known_test:,} held-out {several} are left out, it was trained on them"
        if found.foreign:
            return (
                f"{where} is not the data that {self.path} was trained on{out}; {several} that "
                "were encoded or rounded anew are not known for those that it was trained on"
            )
        if found.new is not None:
            among = ": copies are looked for among those that it was" if copies else ""
            return (
                f"{where} has {len(found.new):,} training {several} that {self.path} was not "
                f"trained on{among}{out}"
            )
        return f"{where}: {out.removeprefix('; ')}" if out else None

    def no_copies(self, found: DataMatch, source: Source | None = None) -> str:
        """Why it is not defined whether the model copies; empty where it is."""
        if found.foreign:
            return (
                f"it was trained on other {self.spec.several} than those of {self._where(source)}"
            )
        if not found.remembered and source is not None:
            return "the run does not remember what it was trained on"
        return ""

    def place(self) -> str | Path:
        """Where the data lay in training. Raises PthetaError where nothing is there now."""
        check_here(self.about.plugins, self.path, source=True)
        kept = recorded(self.plan.source)
        if kept == MEMORY:
            raise PthetaError(
                f"{self.path} was trained on images that were in memory: give them with --data "
                "(in Python data=), from memory or from where they lie now"
            )
        if isinstance(kept, Path) and not exists(kept):
            raise PthetaError(
                f"{kept}, the data that {self.path} was trained on, is not there: say where it "
                "lies now with --data"
            )
        return kept

    def _where(self, source: Source | None) -> str:
        return self.plan.source if source is None else called(source)

    def _open(
        self, openings: Openings, plan: Plan, split: str, where: Source
    ) -> tuple[Dataset, Dataset]:
        """The training images and a held-out split of a source, their labels as the run has them.

        Raises PthetaError where a model that was trained on labels meets other classes.
        """
        known = whites(self.about)
        learned = Learned(self.spec, conditions.input_of(self.condition))
        train, test = (
            openings.data(plan, part, where, known, learned) for part in ("train", split)
        )
        tops = merged([data.values.tops for data in (train, test) if data.values is not None])
        for line in White(plan.data.white, known).surprises(tops).values():
            warnings.warn(f"{called(where)}: {line}", stacklevel=4)
        if self.condition is None:
            return train, test
        return self.condition.adapted(train), self.condition.adapted(test)

    def unfinished(self) -> str | None:
        """How far a training that has not come to its end is, or None."""
        if self.example is not None:  # it ships without a state
            return None
        found = latest(self.path / "state")
        if found is None:
            return "before its first checkpoint"
        done, train = Progress.read(found / "progress.json"), self.plan.train
        if done.ended:
            return None
        at = f"step {done.step:,}"
        if train.minutes is not None and done.seconds < 60 * train.minutes:
            return f"{at}, {done.seconds / 60:.1f} of {train.minutes:g} minutes"
        if train.steps is not None and done.step < train.steps:
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


def is_run(path: Source) -> bool:
    """Whether `path` is a run folder."""
    return isinstance(path, str | Path) and has_config(folder_of(path))
