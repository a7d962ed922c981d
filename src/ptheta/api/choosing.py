"""Sampling options: rejection by the discriminator, truncation, temperature."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from ptheta.api.densities import HELD_OUT, unseen_of
from ptheta.data.memory import Source
from ptheta.errors import PthetaError
from ptheta.runs.folder import Run
from ptheta.tasks.averaged import Averaged, averaged, can_average
from ptheta.tasks.ratio import calibrated
from ptheta.tasks.reject import Chosen, check_way, chosen
from ptheta.tasks.stepped import stepped
from ptheta.tasks.tempered import tempered, truncated

CALIBRATING = 181006758  # seed of the samples on which a discriminator is calibrated
FROM_CODES = "drawn from p(x | z)"


@dataclass(frozen=True)
class Choosing:
    """reject: a name in `ptheta.tasks.reject.WAYS`; None to keep all samples
    truncation: of a GAN's codes, to [-truncation, truncation]
    temperature: sampling temperature
    steps, guidance: network evaluations per sample, and weight of the condition, for models that
        sample in steps
    data: new location of the run's data, whose held-out examples calibrate the discriminator
    mean: show the mean of p(x | z) instead of sampling the elements from it
    """

    reject: str | None = None
    truncation: float | None = None
    temperature: float | None = None
    data: Source | None = None
    mean: bool = False
    steps: int | None = None
    guidance: float | None = None

    def __post_init__(self) -> None:
        """Raises PthetaError for an unknown value, and for options that cannot be combined."""
        given = [f"--{name}" for name in self.asked()]
        if self.steps is not None and self.guidance is not None:
            given.remove("--guidance")  # both go together
        if len(given) > 1:
            raise PthetaError(f"{' and '.join(given)} cannot be combined: give one of them")
        if self.reject is not None:
            check_way(self.reject)
        elif self.data is not None:
            raise PthetaError("--data is only used with --reject: leave it out")

    def asked(self, about: str = "") -> dict[str, str | int]:
        """The options that samples depend on, for the record of a folder. about: how they are
        selected."""
        every = {
            "reject": None if self.reject is None else f"{self.reject} {about}".strip(),
            "truncation": self.truncation,
            "temperature": self.temperature,
            "mean": "of p(x | z)" if self.mean else None,
            "steps": self.steps,
            "guidance": self.guidance,
        }
        return {name: str(value) for name, value in every.items() if value is not None}

    def describe(self, drawn: str, *about: str) -> str:
        """A line that describes samples. drawn: what was drawn; about: how they were selected, and
        what they show."""
        parts = [part for part in about if part]
        if self.truncation is not None:
            parts.append(f"codes within {self.truncation:g}")
        if self.temperature is not None:
            parts.append(f"temperature {self.temperature:g}")
        if self.steps is not None:
            parts.append(f"in {self.steps:,} step{'s' * (self.steps > 1)}")
        if self.guidance is not None:
            parts.append(f"guidance {self.guidance:g}")
        return "; ".join([drawn, *parts])

    def applied(self, run: Run, model: nn.Module) -> nn.Module:
        """The model with these sampling options. Raises PthetaError if it does not support them."""
        if self.truncation is not None:
            model = truncated(model, self.truncation)
        if self.mean:
            model = averaged(model)
        if self.temperature is not None:
            model = tempered(model, self.temperature)
        if self.steps is not None or self.guidance is not None:
            model = stepped(model, self.steps, self.guidance)
        if self.reject is None:
            return model
        held_out = unseen_of(run.own(self.data), HELD_OUT)
        found = calibrated(model, held_out, kind="isotonic", seed=CALIBRATING)
        return chosen(model, self.reject, found)


def shows(model: nn.Module) -> str:
    """Describes what samples show of p(x | z); empty if nothing is sampled given a code."""
    if isinstance(model, Averaged):
        return "means of p(x | z)"
    return FROM_CODES if can_average(model) else ""


def about_of(model: nn.Module) -> str:
    """Describes the acceptance rate; empty if all samples are kept."""
    return model.about if isinstance(model, Chosen) else ""


AS_IT_IS = Choosing()
