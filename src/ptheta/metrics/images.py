"""The images a metric looks at: the same pixels in every evaluation, and samples that are valid."""

from __future__ import annotations

from torch import Tensor

from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError
from ptheta.specs import ImageSpec, quantise


def check_same_spec(asked: object, data: Dataset) -> None:
    """Raises PthetaError where the data's images are not what is asked for."""
    if data.spec != asked:
        raise PthetaError(
            f"{data.name} ({data.split}) holds images of {data.spec}, the model is for {asked}: "
            "give data of the same size, channels and levels"
        )


def check_samples(x: Tensor, spec: ImageSpec) -> Tensor:
    """`x` itself, if it is an image batch of `spec` with only the values of its levels.

    Raises PthetaError otherwise: grey values in place of drawn pixels would be another quantity.
    """
    spec.check(x)
    wrong = int((quantise(x, spec.levels) != x).sum())
    if wrong:
        raise PthetaError(
            f"{wrong:,} of {x.numel():,} sampled values are none of the {spec.levels} levels: "
            "draw pixels, not their means, or round with ptheta.specs.quantise"
        )
    return x
