"""Evaluation of inpainting for a model and baselines: the error of completions, and their
diversity."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.capabilities import Completes, varied
from ptheta.config import Entry
from ptheta.data.dataset import Dataset
from ptheta.masks import TESTED, mask_of
from ptheta.measures.errors import decibels, squared_error
from ptheta.measures.rivals import SIGN, beats
from ptheta.measures.similarity import WINDOW, ssim
from ptheta.metrics.floors import floors_of
from ptheta.tasks.inpaint import inpaint, regions
from ptheta.terminal.progress import watched

MODEL = "model"
AT_ONCE = 50  # images completed at a time


class Trial(NamedTuple):
    """Images x, uint8 (B, C, H, W), with a mask of unknown pixels (bool, as x), and their
    completions, (E, B, C, H, W)."""

    x: Tensor
    unknown: Tensor
    made: Tensor

    def errors(self) -> Tensor:
        """Mean squared errors on the unknown pixels, out of 255^2: (E, B)."""
        return torch.stack([squared_error(one, self.x, self.unknown) for one in self.made])


@dataclass(frozen=True, kw_only=True)
class Measure(Entry):
    """A measure of completions. of: its value, or None if undefined; unit, if any; better: "less",
    "more", or empty for neither"""

    of: Callable[[Trial], float | None]
    unit: str = ""
    better: str = ""


def _one(trial: Trial) -> float:
    return decibels(trial.errors().mean().item())


def _mean(trial: Trial) -> float:
    mean = trial.made.double().mean(0).round().to(torch.uint8)
    return decibels(squared_error(mean, trial.x, trial.unknown).mean().item())


def _best(trial: Trial) -> float:
    return decibels(trial.errors().min(0).values.mean().item())


def _alike(trial: Trial) -> float | None:
    if min(trial.x.shape[2:]) < WINDOW:
        return None
    return torch.stack([ssim(one, trial.x) for one in trial.made]).mean().item()


def _apart(trial: Trial) -> float:
    e = len(trial.made)
    pairs = [(i, j) for i in range(e) for j in range(i)]
    if not pairs:
        return 0.0
    gaps = [squared_error(trial.made[i], trial.made[j], trial.unknown) for i, j in pairs]
    return float(torch.stack(gaps).mean().sqrt().item())


MEASURES: dict[str, Measure] = {
    "psnr": Measure(
        of=_one, unit="dB", better="more", about="of a completion, where pixels were unknown"
    ),
    "mean": Measure(of=_mean, unit="dB", better="more", about="of the mean of the completions"),
    "best": Measure(of=_best, unit="dB", better="more", about="of each image's best completion"),
    "ssim": Measure(of=_alike, better="more", about="of whole images, 1 for equal ones"),
    "apart": Measure(
        of=_apart,
        unit="of 255",
        about="root mean square between completions, where unknown",
    ),
}


@dataclass(frozen=True)
class Scored:
    """Results of one method. mask: a name of `ptheta.masks.MASKS`, the unknown part; values: by
    measure, the defined ones"""

    name: str
    mask: str
    values: dict[str, float]

    def cells(self, model: Scored) -> list[str]:
        """The values as text. model: the scores to compare with"""
        return [
            (f"{value:#.3g}" if value else "0")
            + (SIGN if beats(value, model.values[name], MEASURES[name].better) else "")
            for name, value in self.values.items()
        ]


@dataclass(frozen=True)
class Scores:
    """Results of all methods, mask by mask, the model first."""

    found: tuple[Scored, ...]

    def table(self) -> list[list[str]]:
        """Table rows, header first, in a block per mask; `SIGN` marks baselines that are better
        than the model."""
        rows, model = [["unknown", "", *self._measures()]], self.found[0]
        for one in self.found:
            if one.name == MODEL:
                model = one
            rows.append([one.mask if one is model else "", one.name, *one.cells(model)])
        return rows

    def legend(self) -> list[str]:
        """A line for each measure."""
        lines = []
        for name in self._measures():
            of = MEASURES[name]
            parts = (of.unit, of.better and f"{of.better} is better")
            lines.append(f"{name} ({', '.join(filter(None, parts))}): {of.about}")
        return lines

    def _measures(self) -> list[str]:
        return list(self.found[0].values)

    def to_json(self) -> dict[str, dict[str, dict[str, float]]]:
        """Values by mask, method name and measure."""
        by_mask: dict[str, dict[str, dict[str, float]]] = {}
        for one in self.found:
            by_mask.setdefault(one.mask, {})[one.name] = one.values
        return by_mask


@dataclass(frozen=True)
class How:
    """Settings. each: completions per image, for stochastic methods; candidates, search_steps: see
    `inpaint`"""

    each: int = 4
    candidates: int = 1
    search_steps: int | None = None
    seed: int = 0


def score(
    model: nn.Module,
    x: Tensor,
    condition: Condition | None,
    train: Dataset | None,
    how: How,
    masks: Collection[str] = TESTED,
) -> Scores:
    """Complete images x, uint8 (B, C, H, W), for each mask, by the model and then by the baselines
    that support the training data; without training data there are none.

    Raises PthetaError as `inpaint` does, and for an unknown mask.
    """
    for name in masks:
        mask_of(name)
    ways: Mapping[str, nn.Module] = {MODEL: model} | _floors(train)
    n, c, h, w = x.shape
    every = [(mask, name) for mask in masks for name in ways]
    found = []
    for mask, name in watched(every, "completing test images"):
        unknown = regions(mask, n, (c, h, w), how.seed)
        own = name == MODEL
        plain = How(how.each, seed=how.seed)
        made = _completions(
            ways[name], x, unknown, condition if own else None, how if own else plain
        )
        trial = Trial(x, unknown, made)
        values = {key: measure.of(trial) for key, measure in MEASURES.items()}
        found.append(Scored(name, mask, {k: v for k, v in values.items() if v is not None}))
    return Scores(tuple(found))


def _floors(train: Dataset | None) -> dict[str, nn.Module]:
    if train is None:
        return {}
    return {name: way for name, way in floors_of(train).items() if isinstance(way, Completes)}


def _completions(
    model: nn.Module, x: Tensor, unknown: Tensor, condition: Condition | None, how: How
) -> Tensor:
    """Completions of images, (E, B, C, H, W)."""
    hidden = x.masked_fill(unknown, 0)  # do not leak the true pixels
    each = how.each if varied(model) else 1
    parts = []
    for start in range(0, len(x), AT_ONCE):
        at = slice(start, start + AT_ONCE)
        draws = [
            inpaint(
                *(model, hidden[at], ~unknown[at]),
                seed=how.seed + i,
                condition=None if condition is None else condition[at],
                candidates=how.candidates,
                search_steps=how.search_steps,
                numbers=range(len(x))[at],
            )
            for i in range(each)
        ]
        parts.append(torch.stack(draws))
    return torch.cat(parts, 1)
