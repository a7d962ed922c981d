"""Models that sample in steps, with another number of steps or guidance weight."""

from __future__ import annotations

import math

from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.capabilities import DrawsInSteps
from ptheta.errors import PthetaError
from ptheta.models.base import Model
from ptheta.tasks.needs import require
from ptheta.tasks.tempered import Changed


class Stepped(Changed):
    """As `DrawsInSteps`."""

    def __init__(
        self, model: Model, drawing: DrawsInSteps, steps: int | None, guidance: float | None
    ) -> None:
        super().__init__(model, model.spec)
        self.drawing, self.steps, self.guidance = drawing, steps, guidance

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        return self.drawing.sample_in_steps(n, self.steps, self.guidance, condition)


def stepped(model: nn.Module, steps: int | None = None, guidance: float | None = None) -> Stepped:
    """The model with another number of steps or guidance weight. Raises PthetaError if it does not
    sample in steps, and for invalid values."""
    if steps is not None and steps < 1:
        raise PthetaError(f"--steps {steps}: want 1 or more")
    if guidance is not None and not (math.isfinite(guidance) and guidance >= 0):
        raise PthetaError(f"--guidance {guidance:g}: want a finite number, 0 or more")
    drawing = require(model, DrawsInSteps, "sample in steps")
    assert isinstance(model, Model)
    return Stepped(model, drawing, steps, guidance).eval()
