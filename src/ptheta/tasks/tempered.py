"""Models with reduced sample diversity: truncated codes or a sampling temperature."""

from __future__ import annotations

import math

from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.capabilities import Tempers, Truncates, condition_of
from ptheta.errors import PthetaError
from ptheta.models.base import EVERY_KIND, Model
from ptheta.specs import DataSpec, ImageSpec, VectorSpec
from ptheta.tasks.conditions import blend
from ptheta.tasks.needs import require

COLDEST, HOTTEST = 1e-6, 1e6  # far beyond, float32 overflows


class Changed(Model):
    """A model with another sampling method; all other attributes are those of the wrapped model."""

    takes = EVERY_KIND
    specs = (ImageSpec, VectorSpec)
    takes_missing = True
    takes_label_maps = True

    def __init__(self, model: nn.Module, spec: DataSpec) -> None:
        super().__init__(spec, None, condition_of(model))
        self.model = model

    def between(self, first: Condition, second: Condition, share: Tensor) -> Condition:
        return blend(self.model, first, second, share)


class Truncated(Changed):
    """Codes truncated to [-at, at] (Brock et al. 2019, arXiv:1809.11096)."""

    def __init__(self, model: Model, drawing: Truncates, at: float) -> None:
        super().__init__(model, model.spec)
        self.drawing, self.at = drawing, at

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        return self.drawing.sample_truncated(n, self.at, condition)


class Tempered(Changed):
    """Logits divided by the temperature, or base noise multiplied by it."""

    def __init__(self, model: Model, drawing: Tempers, temperature: float) -> None:
        super().__init__(model, model.spec)
        self.drawing, self.temperature = drawing, temperature

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        return self.drawing.sample_at(n, self.temperature, condition)


def truncated(model: nn.Module, at: float) -> nn.Module:
    """The model with truncated codes. Raises PthetaError unless its codes have a normal prior."""
    check_above("--truncation", at)
    drawing = require(model, Truncates, "sample truncated codes")
    assert isinstance(model, Model)
    return Truncated(model, drawing, at).eval()


def tempered(model: nn.Module, temperature: float) -> nn.Module:
    """The model at a temperature. Raises PthetaError if the model defines none."""
    check_above("--temperature", temperature)
    if not COLDEST <= temperature <= HOTTEST:
        raise PthetaError(
            f"--temperature {temperature:g}: want {COLDEST:g} to {HOTTEST:g}, beyond which nothing "
            "changes any more"
        )
    drawing = require(model, Tempers, "sample at a temperature")
    assert isinstance(model, Model)
    return Tempered(model, drawing, temperature).eval()


def check_above(flag: str, value: float) -> None:
    """Raise PthetaError unless the value is a finite number above 0."""
    if not (math.isfinite(value) and value > 0):
        raise PthetaError(f"{flag} {value:g}: want a finite number above 0")
