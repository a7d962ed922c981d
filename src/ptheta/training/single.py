"""Batches of one image, which batch normalisation cannot handle."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from ptheta.errors import PthetaError


def refuse_single(model: nn.Module, share: int, processes: int) -> None:
    """Raises PthetaError if each process has one image per step and the model has batch
    normalisation of vectors, whose output would be zero. Layers over feature maps average over
    pixels; maps of one pixel are detected in the first step.

    share: images of a step for each process
    """
    if share > 1:
        return
    cure = f"give --batch-size {2 * processes} or more, and at least as many images"
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm1d):
            raise _refused(cure)
        if isinstance(layer, nn.BatchNorm2d):
            layer.register_forward_pre_hook(_checks_maps(cure))


def _checks_maps(cure: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def check(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0]
        if layer.training and x.numel() == x.shape[1]:  # one value per channel
            raise _refused(cure)

    return check


def _refused(cure: str) -> PthetaError:
    return PthetaError(
        "batch normalisation needs more than one image per step, since it would map every image "
        f"to the same output: {cure}, or choose a network without it (such as --g-norm layer, if "
        "the model has that option)"
    )
