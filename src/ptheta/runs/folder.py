"""A run: the folder that training writes and other commands read."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from ptheta import conditions, schemas
from ptheta.compute.layout import channels_last
from ptheta.conditions import ConditionSpec
from ptheta.data import EMBEDDED
from ptheta.data.dataset import Dataset
from ptheta.data.hub import ALIASES
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
from ptheta.runs.from_plan import Openings, build_model
from ptheta.runs.hub import is_downloaded
from ptheta.runs.places import folder_of, shipped
from ptheta.runs.plan import Plan
from ptheta.runs.plugged import check_here
from ptheta.runs.prior import CHOICES, FOLDER, digest_of_prior, has_grid_prior, with_prior
from ptheta.specs import DataSpec
from ptheta.training.checkpoint import latest
from ptheta.training.group import CPU
from ptheta.training.metric_logger import read_metrics
from ptheta.training.processes import chosen_device
from ptheta.training.progress import Progress

KNOWN = (*EMBEDDED, *ALIASES)  # names of data that are the same for everyone
RECORD = "data.safetensors"  # fingerprints of the training images


@dataclass(frozen=True)
class Run:
    """An opened run folder. It contains only JSON and safetensors, so opening it executes no
    code."""

    path: Path
    plan: Plan
    spec: DataSpec
    condition: ConditionSpec | None
    about: schemas.Config  # contents of config.json
    weights: str = "best"  # those that are used unless others are given
    device: torch.device = CPU  # where its model computes

    @classmethod
    def open(
        cls, path: str | Path | Run, weights: str | None = None, device: str | None = None
    ) -> Run:
        """Opens a run folder, an example shipped with the package (`example:vae`), or a run
        on the hub (`hf://ORG/NAME`).

        Args:
            path: the folder; a `Run` is returned as it is, but with other weights or another device
                if they are given
            weights: "best" or "last", as for `model`
            device: "cpu", "cuda", "mps", or "auto", the GPU if there is one: where the model
                computes; by default the CPU

        Raises:
            PthetaError: if `path` is not a run folder, was written by a newer version, needs a
                missing plug-in, or cannot be downloaded; if the device is not available
        """
        if isinstance(path, Run):
            which = path.weights if weights is None else weights
            where = path.device if device is None else chosen_device(device)
            same = (which, where) == (path.weights, path.device)
            return path if same else replace(path, weights=which, device=where)
        where = CPU if device is None else chosen_device(device)
        folder = folder_of(path)
        about = read_config(folder)
        check_here(about.plugins, folder)
        try:
            kept = None if about.condition is None else about.condition.model_dump()
            condition = conditions.from_json(kept)
            spec = spec_of(about)
            plan = Plan.from_config(about)
            which = "best" if weights is None else weights
            return cls(folder, plan, spec, condition, about, which, where)
        except PthetaError as error:
            raise damaged(folder, error) from None

    def __repr__(self) -> str:
        path, source = shortened(self.path), shortened(self.plan.source)
        return f"Run({path!r}: {self.plan.model} on {source!r}, {self.spec})"

    def _repr_html_(self) -> str:
        """Notebook display."""
        return card(self)

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @property
    def shipped(self) -> str | None:
        """`example:NAME` or `hf://ORG/NAME@COMMIT` for a run of the package or of the hub, which is
        read-only; else None."""
        return shipped(self.path)

    @property
    def downloaded(self) -> bool:
        """Whether it came from the hub, so that others wrote what is in it."""
        return is_downloaded(self.path)

    @property
    def called(self) -> str:
        """The name of the run for users: its path, or the name of one that is read-only."""
        return self.shipped or str(self.path)

    @property
    def asked(self) -> ConditionSpec | None:
        """What its model is asked for; where that is nothing, what a prior of its codes is, which
        was fitted and is a run of its own."""
        if self.condition is None and has_grid_prior(self.path):
            return Run.open(self.path / FOLDER).condition
        return self.condition

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of condition that its model is asked for."""
        return tuple(part.kind for part in conditions.parts_of(self.asked))

    @property
    def family(self) -> str:
        return registry.entry(self.plan.model).family

    def model(self, weights: str | None = None, prior: str = "auto") -> nn.Module:
        """Load the trained model in eval mode, on the device of the run.

        Args:
            weights: "best" (by the validation metric if there was one, else the last) or "last";
                by default those that the run was opened with
            prior: "own", "fitted" (by `fit`), or "auto": fitted if the model cannot sample alone

        Raises:
            PthetaError: if training has not written weights yet, or if the fitted prior is missing
                or was fitted to other weights
        """
        weights = self.weights if weights is None else weights
        if weights not in ("best", "last"):
            raise PthetaError(f"weights = {weights!r}: choose 'best' or 'last'")
        if prior not in CHOICES:
            raise PthetaError(f"prior = {prior!r}: choose 'auto', 'own' or 'fitted'")
        file = self.weights_file(weights)
        if not there(file):
            raise PthetaError(f"{self.path} has no weights yet: train until the first checkpoint")
        model = build_model(self.plan, self.spec, self.condition)
        load_weights(model, file)
        model = channels_last(model.to(self.device)).eval()
        model = with_prior(model, self.path, file, prior, lambda p: self._of_codes(p).model())
        return model.to(self.device)

    def _of_codes(self, path: Path) -> Run:
        """The run of a prior of the codes."""
        return replace(Run.open(path), device=self.device)

    def weights_file(self, weights: str | None = None) -> Path:
        weights = self.weights if weights is None else weights
        last = self.path / "last.safetensors"
        return last if weights == "last" and last.exists() else self.path / "model.safetensors"

    def checkpoint(self) -> dict[str, str]:
        """Identifies the weights, for the protocol of results."""
        about = {"weights": self.weights, "checkpoint": digest(self.weights_file())[:12]}
        about["trained_on"] = self.fingerprint or "not known"
        if (prior := digest_of_prior(self.path)) is not None:
            about["fitted_prior"] = prior[:12]
        return about

    @cached_property
    def record(self) -> Record | None:
        """The record of the training images; None for old runs without one."""
        file = self.path / RECORD
        return Record.read(file) if there(file) else None

    @property
    def fingerprint(self) -> str | None:
        """Fingerprint of the training images, if recorded."""
        return None if self.record is None else self.record.fingerprint

    def look(
        self,
        source: Source | None = None,
        split: str = "test",
        *,
        openings: Openings | None = None,
    ) -> DataMatch:
        """The run's data, or another source preprocessed alike, matched with the recorded training
        images.

        source: new location of the data; default: where it was in training
        split: of the held-out images; openings: cache shared by several calls on the same data

        A run without a record of its training images assumes that they are those found, with a
        warning. Raises PthetaError if the data is not available, and if a model trained on labels
        would get other classes, whose indices differ.
        """
        place = self.place() if source is None else source
        where, apart = called(place), not isinstance(place, Dataset)
        opened = openings or Openings()
        train, test = self._open(opened, self.plan, split, place)
        alike = replace(self.plan, data=self.plan.data.brought_to(self.spec))
        if self.record is not None and train.spec != self.spec and alike != self.plan:
            # images of another size were added: earlier ones keep their size
            resized = self._open(opened, alike, split, place)
            if not match_data(self.record, *resized, apart=apart).foreign:
                train, test = resized
        for data in (train, test):
            if data.spec != self.spec:
                raise PthetaError(
                    f"{where} has {data.examples} of {data.spec}; the run was trained on "
                    f"{self.spec}: give data of the same size and channels, or columns"
                )
        if self.record is None:
            warnings.warn(
                f"{self.path} has no record of its training images, so it cannot be checked "
                f"whether {where} contains them, or whether its held-out images were used in "
                "training",
                stacklevel=2,
            )
            return DataMatch("unknown", train, None, test)
        found = match_data(self.record, train, test, apart=apart)
        return found if found.foreign else found.named(self.about.dataset.name)

    def own(self, source: Source | None = None) -> DataMatch:
        """As `look`, for uses that need all training images.

        Raises PthetaError if some of them are missing.
        """
        return self.check_own(self.look(source), source)

    def check_own(self, found: DataMatch, source: Source | None = None) -> DataMatch:
        """Returns `found` if all training images are available, else raises PthetaError."""
        if found.foreign:
            total = len(self.record.every) if self.record is not None else 0
            raise PthetaError(
                f"{self._where(source)} lacks {found.missing:,} of the {total:,} training images "
                f"of {self.path}: give the data that contains them with --data"
            )
        return found

    def data(self, split: str, source: Source | None = None) -> Dataset:
        """The training images of the run, or held-out ones ("val", "test") without its training
        images, from its data or another source; see `look` and `own`.
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
        """Examples from any source, preprocessed as the run's data was.

        split: of the source; None for test, or all of a source without splits
        label_column: of a source with columns; None for that of the run
        Raises PthetaError for examples of another size, colour or kind.
        """
        learned = Learned(self.spec, conditions.input_of(self.condition))
        known = whites(self.about)
        plan = replace(self.plan, data=self.plan.data.brought_to(self.spec))
        data = Openings().other(plan, source, split, known, learned, label_column)
        if data.spec != self.spec:
            raise PthetaError(
                f"{called(source)} has {data.examples} of {data.spec}; the run was trained on "
                f"{self.spec}: give data of the same size and channels, or columns"
            )
        return data

    def remark(
        self, found: DataMatch, source: Source | None = None, *, copies: bool = True
    ) -> str | None:
        """A remark on data that differs from the run's training data; None if it does not.

        copies: whether copies of training images are searched
        """
        where, out, several = self._where(source), "", self.spec.several
        if found.known_test:
            out = (
                f"; {found.known_test:,} held-out {several} are left out, since they were in its "
                "training data"
            )
        if found.foreign:
            return (
                f"{where} is not the data that {self.path} was trained on{out}; {several} that "
                f"were re-encoded or rounded are not recognised as training {several}"
            )
        if found.new is not None:
            among = f": copies are searched among its own training {several}" if copies else ""
            return (
                f"{where} has {len(found.new):,} training {several} that {self.path} was not "
                f"trained on{among}{out}"
            )
        return f"{where}: {out.removeprefix('; ')}" if out else None

    def no_copies(self, found: DataMatch, source: Source | None = None) -> str:
        """Why copy metrics are not defined; empty if they are."""
        if found.foreign:
            return f"it was trained on other {self.spec.several} than these"
        if not found.remembered and source is not None:
            return "the run has no record of its training data"
        return ""

    def place(self) -> str | Path:
        """The location of the training data.

        Raises PthetaError if it no longer exists, and for a run from the hub whose data are not a
        set that ptheta knows: what others wrote into a run neither opens files of this machine nor
        makes it contact an address.
        """
        check_here(self.about.plugins, self.path, source=True)
        kept = recorded(self.plan.source)
        if kept == MEMORY:
            raise PthetaError(
                f"{self.path} was trained on images in memory: give them with --data (in Python "
                "data=), from memory or from their current location"
            )
        if self.downloaded and kept not in KNOWN:
            raise PthetaError(
                f"{self.called} came from the hub, and {shortened(kept)}, which it names as its "
                "training data, is not read unless you name it: give it, or your own copy of the "
                "data, with --data"
            )
        if isinstance(kept, Path) and not exists(kept):
            raise PthetaError(
                f"{kept}, the training data of {self.path}, does not exist: give its new "
                "location with --data"
            )
        return kept

    def _where(self, source: Source | None) -> str:
        return self.plan.source if source is None else called(source)

    def _open(
        self, openings: Openings, plan: Plan, split: str, where: Source
    ) -> tuple[Dataset, Dataset]:
        """The training images and a held-out split of a source, with labels indexed as in the run.

        Raises PthetaError if a model trained on labels would get other classes.
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
        """Progress of an unfinished training, or None if finished."""
        if self.shipped is not None:  # it has no training state
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
        """Warns that results of an unfinished run are for its current weights."""
        where = self.unfinished()
        if where is not None:
            warnings.warn(
                f"{self.path} is not finished ({where}): results are for its current weights; "
                "let it finish, or continue it with --resume",
                stacklevel=2,
            )

    def metrics(self) -> list[dict[str, float]]:
        return read_metrics(self.path)


def is_run(path: Source) -> bool:
    """Whether `path` is a run folder."""
    return isinstance(path, str | Path) and has_config(folder_of(path))
