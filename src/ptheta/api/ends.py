"""What a walk goes between, as a user says it: pictures, test images, or conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ptheta.api.own import Own, rows_of_pictures
from ptheta.batch import Condition
from ptheta.capabilities import condition_of
from ptheta.conditions import word
from ptheta.config import brief
from ptheta.data.dataset import Dataset
from ptheta.data.memory import Source
from ptheta.data.selection import LABEL, matching
from ptheta.errors import PthetaError
from ptheta.files.paths import expand
from ptheta.runs.folder import Run
from ptheta.specs import images_only
from ptheta.tasks.conditions import rows_asked

FROM, TO = "--from", "--to"
NUMBER = "image="  # before the numbers of test images


class Ways(NamedTuple):
    """A walk between conditions: one row each."""

    first: Condition
    last: Condition


@dataclass(frozen=True)
class Shown:
    """Images at one end of walks. rows: their places among the test images; None of pictures"""

    x: Tensor
    rows: np.ndarray | None = None

    def turned(self, n: int) -> Shown:
        """n of them, in turn."""
        at = np.arange(n) % len(self.x)
        return Shown(self.x[at], None if self.rows is None else self.rows[at])


@dataclass(frozen=True)
class Between:
    """Images that walks go between: a walk from each of the one to each of the other."""

    first: Shown
    last: Shown

    @classmethod
    def of(cls, first: Shown, last: Shown, n: int) -> Between:
        """As many as the longer one has, at most n. Raises PthetaError for two sizes."""
        walks = min(n, max(len(first.x), len(last.x)))
        a, b = first.turned(walks), last.turned(walks)
        if a.x.shape[1:] != b.x.shape[1:]:
            raise PthetaError(
                f"{FROM} and {TO}: images of {tuple(a.x.shape[1:])} and of {tuple(b.x.shape[1:])}: "
                "give images of one size"
            )
        return cls(a, b)

    @property
    def x(self) -> tuple[Tensor, Tensor]:
        return self.first.x, self.last.x

    @property
    def of_tests(self) -> bool:
        """Whether all of them are test images."""
        return self.first.rows is not None and self.last.rows is not None


@dataclass(frozen=True)
class Ends:
    """Says what a user means by --from and --to."""

    run: Run
    model: nn.Module
    data: Source | None

    def meant(self, start: str | Path, end: str | Path, n: int) -> Ways | Between:
        """start, end: each a picture, a folder of them, image=3,17 for test images by number, or
        what the model is asked for; of a model that is asked for nothing a class, or
        NAME=VALUE,..., of which n test images are taken

        Raises PthetaError for what is none of these, and for an image and a condition.
        """
        asked = [self._condition(text) for text in (start, end)]
        if asked[0] is not None and asked[1] is not None:
            if self.data is not None:
                raise PthetaError(
                    "--data gives images to walk between, and the walks are between conditions: "
                    "leave it out"
                )
            return Ways(asked[0], asked[1])
        if any(one is not None for one in asked):
            raise PthetaError(
                f"{FROM} {brief(str(start))} and {TO} {brief(str(end))}: one is an image, and the "
                "other a condition: give two of a kind"
            )
        return Between.of(self._images(start, FROM, n), self._images(end, TO, n), n)

    def _condition(self, text: str | Path) -> Condition | None:
        """None where it is of images."""
        spec = condition_of(self.model)
        if spec is None or _is_place(text) or str(text).startswith(NUMBER):
            return None
        return rows_asked(self.model, str(text))

    def _images(self, text: str | Path, flag: str, n: int) -> Shown:
        if _is_place(text):
            spec = images_only(self.run.spec, "a walk")
            return Shown(Own.at(text, self.model, spec, "walks between", flag).first(n))
        text_given = str(text)
        test = self.run.data("test", self.data)
        if text_given.startswith(NUMBER):
            return of_tests(test, _numbers(text_given, flag, len(test)))
        return of_tests(test, _group(test, text_given, flag)[:n])


def _is_place(text: str | Path) -> bool:
    return isinstance(text, Path) or expand(text).exists()


def of_tests(test: Dataset, rows: np.ndarray) -> Shown:
    """Test images by their places."""
    return Shown(test.batch(rows).x, rows)


def _numbers(text: str, flag: str, n: int) -> np.ndarray:
    """Raises PthetaError for what are no numbers of test images."""
    parts = text.removeprefix(NUMBER).split(",")
    if not all(part.isdecimal() and int(part) < n for part in parts):
        raise PthetaError(f"{flag} {brief(text)}: there are {n:,} test images, 0 to {n - 1}")
    return np.array([int(part) for part in parts])


def _group(test: Dataset, text: str, flag: str) -> np.ndarray:
    """The places of the test images of a class, or of NAME=VALUE,..."""
    if "=" not in text:
        if test.labels is None:
            raise PthetaError(
                f"{flag} {brief(text)}: this is no picture that is there, and {test.name} has no "
                f"classes: give a picture, a folder, or test images by number ({NUMBER}3)"
            )
        text = f"{LABEL}={text}"
    found: np.ndarray = np.flatnonzero(matching(test, text.split(","), flag))
    if not len(found):
        raise PthetaError(f"{flag} {brief(text)}: no test image is so: ask for less")
    return found


def conditions_of(
    run: Run,
    model: nn.Module,
    between: Between,
    condition: Mapping[str, Sequence[str]] | None,
    test: Dataset | None,
) -> tuple[Condition | None, Condition | None]:
    """What a model is asked for at both ends; none of an unconditional one.

    condition: of pictures, those of --from and of --to in turn; test: the test images
    Raises PthetaError where it is not known, and where it is said of test images.
    """
    if condition and between.of_tests:
        raise PthetaError("test images have their own conditions: leave these out")
    if run.condition is None and not condition:
        return None, None
    rows = None if between.of_tests else rows_of_pictures(model, condition)
    turn = 2 * torch.arange(len(between.first.x))
    found: list[Condition] = []
    for at, shown in enumerate((between.first, between.last)):
        if shown.rows is None or test is None:
            assert rows is not None
            found.append(rows[(turn + at) % len(rows)])
            continue
        of_tests = test.conditions(shown.rows)
        if of_tests is None:
            kind = word(run.condition)
            raise PthetaError(
                f"this model is conditional and the images have no {kind}: give --data"
            )
        found.append(of_tests)
    return found[0], found[1]
