"""Surprise: how unexpected each pixel is given the earlier ones. Needs `HasConditionals`."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.capabilities import HasConditionals, device_of
from ptheta.compute.streams import undisturbed
from ptheta.tasks.conditions import check_condition
from ptheta.tasks.effort import effort
from ptheta.tasks.needs import require


@undisturbed()
@torch.no_grad()
def surprise(model: nn.Module, x: Tensor, condition: Condition | None = None) -> Tensor:
    """-log2 p(x_i | earlier pixels) of each sub-pixel: float (B, C, H, W), bits.

    Its mean over an image is the image's bits/dim. Raises PthetaError if the model has no
    conditionals, and for an unsupported condition.
    """
    ordered = require(model, HasConditionals, "compute the surprise of pixels")
    y, x = check_condition(model, condition), x.to(device_of(model))
    one = None if y is None else y[:1]
    with effort(model, lambda: ordered.conditionals(x[:1], one), len(x)):
        return -ordered.conditionals(x, y).log_prob(x).float().cpu() / math.log(2)
