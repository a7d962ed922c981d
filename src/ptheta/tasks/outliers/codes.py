"""The codes of a model as features."""

from __future__ import annotations

import hashlib
from typing import cast

from torch import Tensor, nn

from ptheta.capabilities import Encodes, condition_of, device_of
from ptheta.errors import PthetaError

CODES = "codes"  # name of the extractor


class Codes:
    """The extractor `codes`: the output of a model's encoder.

    Raises PthetaError for a conditional model, whose codes depend on the condition.
    """

    name, classes, reads = CODES, 0, "as the model does"

    def __init__(self, model: nn.Module) -> None:
        if condition_of(model) is not None:
            raise PthetaError(
                "the codes of a conditional model depend on the condition: choose another extractor"
            )
        self.model, self.device = cast("Encodes", model), device_of(model)
        h = hashlib.sha256()
        for key, value in model.state_dict().items():
            h.update(key.encode())
            h.update(value.detach().cpu().contiguous().numpy().tobytes())
        self.digest = h.hexdigest()[:12]

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        return self.model.encode(x.to(self.device)).float().cpu(), None
