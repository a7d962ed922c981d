"""What flows share whose couplings are affine, or by the CDF of a mixture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from ptheta.config import OneOf, option
from ptheta.models.flows.base import FlowConfig
from ptheta.nets.flows.laws import LAWS, SCALES, Law


@dataclass(frozen=True)
class AffineConfig(FlowConfig):
    transform: Annotated[str, OneOf(LAWS)] = option(
        "affine", "elementwise transformation", basic=True
    )
    scale: Annotated[str, OneOf(SCALES)] = option(
        "tanh", "parametrisation of the scale s of affine maps"
    )

    def law(self) -> Law:
        return LAWS[self.transform].make(self.components, self.scale)
