"""How samples of a run are chosen by its discriminator, or made more alike."""

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

CALIBRATING = 181006758  # the seed of samples that a discriminator is calibrated on
FROM_CODES = "drawn from p(x | z)"


@dataclass(frozen=True)
class Choosing:
    """reject: a name of `ptheta.tasks.reject.WAYS`; None for all samples
    truncation: of a GAN's codes, to [-truncation, truncation]
    temperature: of what is drawn
    steps, guidance: passes of the network for a sample, and the weight of its condition
    data: where the run's data lies now, of which held-out examples calibrate the discriminator
    mean: whether the mean of p(x | z) stands in the place of elements that are drawn from it
    """

    reject: str | None = None
    truncation: float | None = None
    temperature: float | None = None
    data: Source | None = None
    mean: bool = False
    steps: int | None = None
    guidance: float | None = None

    def __post_init__(self) -> None:
        """Raises PthetaError for what is no way to choose, and for options that do not go
        together."""
        given = [f"--{name}" for name in self.asked()]
        if self.steps is not None and self.guidance is not None:
            given.remove("--guidance")  # both go together
        if len(given) > 1:
            raise PthetaError(f"{' and '.join(given)}: each changes what is drawn; give one")
        if self.reject is not None:
            check_way(self.reject)
        elif self.data is not None:
            raise PthetaError("--data is what --reject is calibrated on: leave it out")

    def asked(self, about: str = "") -> dict[str, str | int]:
        """What samples depend on beside the run, for the record of a folder. about: how they are
        chosen"""
        every = {
            "reject": None if self.reject is None else f"{self.reject} {about}".strip(),
            "truncation": self.truncation,
            "temperature": self.temperature,
            "mean": "of p(x | z)" if self.mean else None,
            "steps": self.steps,
            "guidance": self.guidance,
        }
        return {name: str(value) for name, value in every.items() if value is not None}

    def told(self, drawn: str, *about: str) -> str:
        """A line on samples. drawn: what was drawn; about: how they were chosen, what they show"""
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
        """The model that draws so. Raises PthetaError where it cannot."""
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
    """What samples show of p(x | z), in words; empty where nothing is drawn given a code."""
    if isinstance(model, Averaged):
        return "means of p(x | z)"
    return FROM_CODES if can_average(model) else ""


def about_of(model: nn.Module) -> str:
    """How many samples are chosen; empty where all are."""
    return model.about if isinstance(model, Chosen) else ""


AS_IT_IS = Choosing()
