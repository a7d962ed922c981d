"""Steps of one image: what batch normalisation cannot do."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from ptheta.errors import PthetaError


def refuse_single(model: nn.Module, share: int, processes: int) -> None:
    """Raises PthetaError where a step gives a process one image, and a layer of the model subtracts
    the mean of the batch from it: nothing would be left. Layers over maps have the pixels of the
    one image to average over; where these are one pixel, the first step says so.

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
        if layer.training and x.numel() == x.shape[1]:  # one value for each channel
            raise _refused(cure)

    return check


def _refused(cure: str) -> PthetaError:
    return PthetaError(
        "a step of one image cannot pass through batch normalisation, which would make every "
        f"image the same: {cure}, or choose a network without it (such as --g-norm layer, "
        "where the model has it)"
    )
