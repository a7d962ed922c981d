"""Encoding of examples and decoding of codes: need `Encodes` and `Decodes`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.capabilities import (
    Decodes,
    Encodes,
    Generates,
    HasPosterior,
    HasPrior,
    device_of,
    some_conditions,
)
from ptheta.compute import streams
from ptheta.compute.memory import require_images
from ptheta.compute.streams import seeded, undisturbed
from ptheta.errors import PthetaError
from ptheta.models.base import Model
from ptheta.tasks.conditions import check_condition
from ptheta.tasks.effort import decoded, effort
from ptheta.tasks.needs import DecodesPrior, refusal, require

BATCH = 500  # examples encoded at a time
NAMED = 3  # number of non-finite codes named in a message
SEARCH = "search for codes (ptheta invert --codes)"


@dataclass(frozen=True)
class Codes:
    """Codes of examples.

    z: (N, L), the mean of the posterior q(z | x) if the model has one, else the encoder's output
    std: the standard deviations of a Gaussian q(z | x), (N, L); None without a posterior
    """

    z: Tensor
    std: Tensor | None = None

    def __len__(self) -> int:
        return len(self.z)

    def drawn(self, seed: int = 0) -> Tensor:
        """Sample z ~ q(z | x), one per example: (N, L). Raises PthetaError without a posterior."""
        if self.std is None:
            raise PthetaError(
                "this model has no posterior q(z | x) to sample from: each example has one code"
            )
        with seeded(seed):
            return self.z + self.std * streams.normal(*self.z.shape)

    def joined(self, other: Codes) -> Codes:
        """Concatenate with other codes of the same model."""
        stds = [one.std for one in (self, other) if one.std is not None]
        return Codes(torch.cat([self.z, other.z]), torch.cat(stds) if stds else None)


@undisturbed()
@torch.no_grad()
def encode(
    model: nn.Module, x: Tensor, condition: Condition | None = None, *, seed: int = 0
) -> Codes:
    """Encode examples x (N, ...); codes are on the CPU.

    condition: conditions of the examples, for a conditional model; seed: for a stochastic encoder
    Raises PthetaError if the model cannot encode or does not take this condition, and for a
    non-finite code.
    """
    if not isinstance(model, Encodes):
        can_search = isinstance(model, Generates) and isinstance(model, DecodesPrior)
        raise refusal(model, Encodes, "encode", SEARCH if can_search else "")
    y = check_condition(model, condition)
    one = None if y is None else y[:1]
    device, found = device_of(model), list[Codes]()
    with seeded(seed), effort(model, lambda: model.encode(x[:1].to(device), one), len(x)):
        for start in range(0, len(x), BATCH):
            part = x[start : start + BATCH].to(device)
            found.append(_part(model, part, None if y is None else y[start : start + BATCH]))
    codes = found[0]
    for other in found[1:]:
        codes = codes.joined(other)
    check_finite(codes.z, "the code of the example")
    return codes


def _part(model: Encodes, x: Tensor, y: Condition | None) -> Codes:
    if isinstance(model, HasPosterior):
        q = model.posterior(x, y)
        return Codes(q.mean.float().cpu(), (0.5 * q.log_var).exp().float().cpu())
    return Codes(model.encode(x, y).float().cpu())


def check_finite(z: Tensor, what: str) -> None:
    """Raise PthetaError for codes (N, L) with NaN or infinity. what: their name in the message"""
    odd = (~z.isfinite().all(1)).nonzero()[:, 0].tolist()
    if odd:
        several = f"rows {', '.join(map(str, odd[:NAMED]))}" if odd[1:] else f"row {odd[0]}"
        more = f" and {len(odd) - NAMED:,} more" if odd[NAMED:] else ""
        raise PthetaError(f"{what} is not finite in {several}{more}, from 0: leave these out")


@torch.no_grad()
def width_of(model: nn.Module) -> int | None:
    """The dimensions of a code; None if the model does not define them."""
    y = some_conditions(model, 1)
    with seeded(0):
        if isinstance(model, HasPrior):
            return model.sample_latent(1, y).shape[1]
        if isinstance(model, Encodes) and isinstance(model, Model):
            blank = model.spec.unscaled(torch.zeros(1, *model.spec.scaled_shape))
            return model.encode(blank.to(device_of(model)), y).shape[1]
    return None


def check_codes(model: nn.Module, z: Tensor) -> None:
    """Raise PthetaError unless z are codes (N, L) of the model, float and finite."""
    if z.ndim != 2 or not len(z) or not z.is_floating_point():
        kind = str(z.dtype).removeprefix("torch.")
        raise PthetaError(f"codes {kind} {tuple(z.shape)}: want float32 (N, L), N of 1 or more")
    width = width_of(model)
    if width is not None and z.shape[1] != width:
        raise PthetaError(
            f"codes of {z.shape[1]} dimensions, but those of this model have {width}: "
            "give codes that come from this model (ptheta encode, ptheta invert --codes)"
        )
    check_finite(z, "the code")


@undisturbed()
@torch.no_grad()
def decode(
    model: nn.Module, z: Tensor, condition: Condition | None = None, *, seed: int = 0
) -> Tensor:
    """Decode codes z, float (N, L), to examples (N, ...) on the CPU; to means if the decoder is a
    distribution.

    condition: conditions of the codes, for a conditional model; default: its conditions in turn
    seed: for a stochastic decoder
    Raises PthetaError if the model cannot decode, for invalid codes, and for a condition that the
    model does not take.
    """
    require(model, Decodes, "decode")
    check_codes(model, z)
    require_images(len(z), model)
    y = check_condition(model, condition)
    y = some_conditions(model, len(z)) if y is None else y
    parts = list[Tensor]()
    with seeded(seed):
        for start in range(0, len(z), BATCH):
            rows = slice(start, start + BATCH)
            parts.append(decoded(model, z[rows].float(), None if y is None else y[rows]))
    return torch.cat(parts)
