"""A loss and a penalty of the GAN."""

from torch import Tensor

from ptheta.losses.penalties import Evaluation


def squares(d_real: Tensor, d_fake: Tensor) -> Tensor:
    return (d_real - 1).square() + d_fake.square()


def squared(d_fake: Tensor, d_real: Tensor | None = None) -> Tensor:
    return (d_fake - 1).square()


def consistency(found: Evaluation) -> Tensor:
    return (found.outputs - found.network(found.points.flip(-1))).square()
