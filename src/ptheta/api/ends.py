"""Parsing of the ends of an interpolation: images, test images, or conditions."""

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
NUMBER = "image="  # prefix of test image indices


class Ways(NamedTuple):
    """Interpolation between conditions: one row each."""

    first: Condition
    last: Condition


@dataclass(frozen=True)
class Shown:
    """Images at one end of walks. rows: indices of test images; None for image files."""

    x: Tensor
    rows: np.ndarray | None = None

    def turned(self, n: int) -> Shown:
        """n images, cycled through."""
        at = np.arange(n) % len(self.x)
        return Shown(self.x[at], None if self.rows is None else self.rows[at])


@dataclass(frozen=True)
class Between:
    """Images to interpolate between, pair by pair."""

    first: Shown
    last: Shown

    @classmethod
    def of(cls, first: Shown, last: Shown, n: int) -> Between:
        """Pairs up to the longer of the two, at most n. Raises PthetaError for different sizes."""
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
        """Whether all ends are test images."""
        return self.first.rows is not None and self.last.rows is not None


@dataclass(frozen=True)
class Ends:
    """Interprets --from and --to."""

    run: Run
    model: nn.Module
    data: Source | None

    def meant(self, start: str | Path, end: str | Path, n: int) -> Ways | Between:
        """start, end: each an image file or folder, image=3,17 for test images by index, or a
        condition; for an unconditional model a class or NAME=VALUE,..., which selects n test
        images

        Raises PthetaError for anything else, and for an image with a condition.
        """
        asked = [self._condition(text) for text in (start, end)]
        if asked[0] is not None and asked[1] is not None:
            if self.data is not None:
                raise PthetaError("--data is not used for walks between conditions: leave it out")
            return Ways(asked[0], asked[1])
        if any(one is not None for one in asked):
            raise PthetaError(
                f"{FROM} {brief(str(start))} and {TO} {brief(str(end))}: one is an image and the "
                "other a condition: give two of the same kind"
            )
        return Between.of(self._images(start, FROM, n), self._images(end, TO, n), n)

    def _condition(self, text: str | Path) -> Condition | None:
        """Parses a condition; None if the text names images."""
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
    """Test images by their indices."""
    return Shown(test.batch(rows).x, rows)


def _numbers(text: str, flag: str, n: int) -> np.ndarray:
    """Parses test image indices. Raises PthetaError if they are invalid."""
    parts = text.removeprefix(NUMBER).split(",")
    if not all(part.isdecimal() and int(part) < n for part in parts):
        raise PthetaError(f"{flag} {brief(text)}: there are {n:,} test images, 0 to {n - 1}")
    return np.array([int(part) for part in parts])


def _group(test: Dataset, text: str, flag: str) -> np.ndarray:
    """Indices of the test images of a class, or with NAME=VALUE,..."""
    if "=" not in text:
        if test.labels is None:
            raise PthetaError(
                f"{flag} {brief(text)}: no such image file, and {test.name} has no classes: give "
                f"an image, a folder, or test images by index ({NUMBER}3)"
            )
        text = f"{LABEL}={text}"
    found: np.ndarray = np.flatnonzero(matching(test, text.split(","), flag))
    if not len(found):
        raise PthetaError(f"{flag} {brief(text)}: no test image matches: relax the selection")
    return found


def conditions_of(
    run: Run,
    model: nn.Module,
    between: Between,
    condition: Mapping[str, Sequence[str]] | None,
    test: Dataset | None,
) -> tuple[Condition | None, Condition | None]:
    """The conditions at both ends; None for an unconditional model.

    condition: conditions of image files, those of --from and --to in turn; test: the test images
    Raises PthetaError if conditions are unknown, or given for test images.
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
