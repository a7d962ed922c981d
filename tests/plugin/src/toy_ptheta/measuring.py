"""A metric and an extractor."""

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from ptheta.measures.results import Estimate
from ptheta.metrics import needs
from ptheta.metrics.context import Context
from ptheta.metrics.metric import Metric, Section
from ptheta.specs import ImageSpec


def mean_brightness(ctx: Context) -> Estimate:
    return Estimate((ctx.samples.float() / 255).mean().item())


brightness = Metric(
    "toy_brightness",
    mean_brightness,
    "mean of all pixels",
    Section.FIDELITY,
    of=(ImageSpec,),
    needs=(needs.samples,),
    unit="of white",
)


class Means:
    """The means of sixteen parts of an image."""

    name = "toy-means"
    digest = "1"
    reads = "as they are"
    classes = 0

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        parts = adaptive_avg_pool2d(x.float() / 255, 4).flatten(1)
        return parts.to(torch.float32), None
