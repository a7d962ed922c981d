"""Inversion: find the code whose image is nearest to a given one. Needs `Generates`, and a prior or
an encoder for starting points (Zhu et al. 2016, arXiv:1609.03552; Creswell & Bharath,
arXiv:1802.05701).

Adam minimises the mean squared pixel error with respect to the code. There are many local minima,
so several starts are optimised and the worse ones dropped on the way. Starting points are the codes
with the nearest images among many samples of the prior, and the encoder's output, if any; they do
not depend on other images.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.capabilities import Decodes, Encodes, Generates, HasPrior, Settles, device_of
from ptheta.compute import streams
from ptheta.compute.streams import seeded, undisturbed
from ptheta.errors import PthetaError
from ptheta.specs import to_symmetric
from ptheta.tasks.conditions import check_condition
from ptheta.tasks.effort import effort
from ptheta.tasks.needs import FIT, require
from ptheta.terminal.progress import watched

RATE = 0.1  # learning rate of the first step
BETAS = (0.9, 0.99)  # betas of Adam
ROWS = 128  # codes optimised together
POOL = 500  # codes decoded together
STAGES = (
    (0.15, 1.0),
    (0.25, 0.4),
    (0.6, 0.0),
)  # (fraction of the steps, fraction of the starts that take them)
SPREAD = 0.3  # standard deviation of further starts around the encoder's output


@runtime_checkable
class Inverts(Generates, Decodes, Protocol):
    """Decodes codes with gradients."""


@runtime_checkable
class InvertsPrior(Inverts, HasPrior, Protocol):
    """Decodes with gradients, and has a prior to sample starting points from."""


@runtime_checkable
class InvertsEncoded(Inverts, Encodes, Protocol):
    """Decodes with gradients, and has an encoder for starting points."""


@dataclass(frozen=True)
class Inverted:
    """Result of an inversion.

    codes: (B, L); x: the decoded images
    error: mean squared error of each unrounded image, with white 1 and black 0: (B,)
    nearest: the images of the best codes sampled from the prior, and `floor` their error; None
        without a prior
    """

    codes: Tensor
    x: Tensor
    error: Tensor
    nearest: Tensor | None = None
    floor: Tensor | None = None


class Found(NamedTuple):
    """Candidate codes. z: codes (B, k, L) of B images; error: (B, k)"""

    z: Tensor
    error: Tensor

    def best(self, k: int) -> Found:
        """The k best of each image, the best first."""
        error, at = self.error.sort(stable=True, dim=1)
        at = at[:, :k]
        return Found(self.z.gather(1, at[:, :, None].expand(-1, -1, self.z.shape[2])), error[:, :k])

    def joined(self, other: Found) -> Found:
        return Found(torch.cat([self.z, other.z], 1), torch.cat([self.error, other.error], 1))

    def better(self, other: Found) -> Found:
        """The better of two, code by code; NaN is never better."""
        wins = other.error < self.error
        return Found(
            torch.where(wins[:, :, None], other.z, self.z),
            torch.where(wins, other.error, self.error),
        )


@undisturbed()
@torch.no_grad()
def invert(
    model: nn.Module,
    x: Tensor,
    condition: Condition | None = None,
    *,
    restarts: int = 8,
    steps: int = 600,
    drawn: int = 10_000,
    encoder: bool = True,
    seed: int = 0,
) -> Inverted:
    """Find the code of each image by optimisation.

    x: uint8 (B, C, H, W); condition: conditions of the images, for a conditional model
    restarts: starts per image; steps: Adam steps of the best start
    drawn: samples of the prior from which starts are chosen
    encoder: whether to start from the encoder's output as well, if there is an encoder
    Raises PthetaError if the model cannot decode with gradients, if it has neither prior nor
    encoder, and for an unsupported condition.
    """
    maker = require(model, Inverts, "invert images")
    if restarts < 1 or steps < 1 or drawn < restarts:
        raise PthetaError(
            f"{restarts} restarts of {steps} steps, among {drawn} codes: give at least one of "
            "each, and at least as many codes as restarts"
        )
    y = check_condition(model, condition)
    search = _Search(maker, to_symmetric(x.to(device_of(model))), y)
    pool = search.drawn(model, drawn, restarts, seed) if isinstance(model, HasPrior) else None
    own = _encoded(search, model, x, restarts, seed) if encoder and _encodes(model) else None
    starts = _starts(pool, own, restarts)
    z = starts.z[:1, 0]
    with effort(model, lambda: maker.decode(z, None if y is None else y[:1]), len(x) * restarts):
        found = search.descents(starts, steps)
        made = search.made(found)
        nearest = None if pool is None else search.made(pool)
    floor = None if pool is None else pool.error[:, 0].cpu()
    return Inverted(found.z[:, 0].cpu(), made, found.error[:, 0].cpu(), nearest, floor)


def _encodes(model: nn.Module) -> bool:
    return isinstance(model, Encodes)


def _starts(pool: Found | None, own: Found | None, restarts: int) -> Found:
    """The starting points: the encoder's code, if any, and the nearest sampled codes."""
    if pool is None:
        if own is None:
            raise PthetaError(f"this model has no prior to sample starting points from: {FIT}")
        return own
    return pool if own is None else Found(own.z[:, :1], own.error[:, :1]).joined(pool)


def _encoded(search: _Search, model: nn.Module, x: Tensor, k: int, seed: int) -> Found:
    """The encoder's code and codes around it: all starts of an image if there is no prior."""
    coder = require(model, Encodes, "encode images")
    parts = [
        coder.encode(x[at].to(device_of(model)), search.asked(at)) for at in search.parts(POOL)
    ]
    z = torch.cat(parts)
    sd = z.std(0, correction=0).clamp_min(0.1)
    with seeded(seed):
        about = SPREAD * sd * streams.normal(1, k, z.shape[1], device=z.device)
    about[:, 0] = 0
    starts = z[:, None] + about
    return Found(starts, search.errors(starts))


class _Search:
    """Search for the codes of images. target: (B, C, H, W) in [-1, 1]; condition: one per image"""

    def __init__(self, maker: Inverts, target: Tensor, condition: Condition | None) -> None:
        self.maker, self.target, self.condition = maker, target, condition

    def parts(self, size: int) -> Iterator[slice]:
        """Split into batches of images."""
        for start in range(0, len(self.target), size):
            yield slice(start, min(start + size, len(self.target)))

    def asked(self, at: slice, k: int = 1) -> Condition | None:
        """The conditions of k codes for each of these images."""
        if self.condition is None:
            return None
        rows = torch.arange(at.start, at.stop, device=self.target.device)
        return self.condition[rows.repeat_interleave(k)]

    def made(self, found: Found) -> Tensor:
        """Images of the best codes, (B, C, H, W)."""
        z = found.z[:, 0]
        made = [self.maker.decode(z[at], self.asked(at)) for at in self.parts(POOL)]
        return torch.cat(made).cpu()

    def drawn(self, model: HasPrior, n: int, k: int, seed: int) -> Found:
        """The k best of n codes of the prior for each image; an unconditional model uses the same n
        for all images."""
        if self.condition is None:
            with seeded(seed):
                return self._nearest(model.sample_latent(n), slice(0, len(self.target)), k)
        each = []
        for at in watched(list(self.parts(1)), "drawing codes"):
            with seeded(seed):
                z = model.sample_latent(n, self.asked(at, n))
            each.append(self._nearest(z, at, k))
        return Found(*(torch.cat(part) for part in zip(*each, strict=True)))

    def _nearest(self, z: Tensor, at: slice, k: int) -> Found:
        """The k best of these codes (n, L) for each image; each code is decoded once."""
        target = self.target[at].flatten(1)
        best: Found | None = None
        for part in z.split(POOL):
            y = None if self.condition is None else self.asked(at, len(part))
            made = self.maker.generated(part, y).flatten(1)
            error = torch.cdist(target, made.to(target)).square() / (4 * target.shape[1])
            new = Found(part.expand(len(target), -1, -1), error).best(k)
            best = new if best is None else best.joined(new).best(k)
        assert best is not None
        return best

    def errors(self, z: Tensor, at: slice | None = None) -> Tensor:
        """The errors of codes (B, k, L) for these images: (B, k)."""
        at = slice(0, len(self.target)) if at is None else at
        made = self.maker.generated(z.flatten(0, 1), self.asked(at, z.shape[1]))
        gap = made.reshape(*z.shape[:2], -1) - self.target[at].flatten(1)[:, None]
        return gap.square().mean(2) / 4

    def descents(self, starts: Found, steps: int) -> Found:
        """The best code reached by optimisation from the starts of each image."""
        together = max(1, ROWS // starts.z.shape[1])
        found = [
            self._descent(Found(starts.z[at], starts.error[at]), at, steps)
            for at in watched(list(self.parts(together)), "searching for codes")
        ]
        return Found(*(torch.cat(part) for part in zip(*found, strict=True)))

    def _descent(self, starts: Found, at: slice, steps: int) -> Found:
        state = _Adam(starts.z)
        best, done = starts, 0
        for share, kept in STAGES:
            k = max(1, round(kept * starts.z.shape[1]))
            order = best.error.sort(stable=True, dim=1).indices[:, :k]
            state, best = state.of(order), best.best(k)
            stop = steps if kept == 0 else done + round(share * steps)
            for step in range(done, stop):
                rate = RATE * (1 + math.cos(math.pi * step / steps)) / 2
                best = best.better(self._step(state, at, rate))
            done = stop
        return best.better(Found(state.z, self.errors(state.z, at)))

    def _step(self, state: _Adam, at: slice, rate: float) -> Found:
        """Update the codes; returns the previous ones."""
        with torch.enable_grad():
            z = state.z.detach().requires_grad_()
            error = self.errors(z, at)
            (slope,) = torch.autograd.grad(error.sum(), z)
        before = Found(z.detach(), error.detach())
        state.move(slope, rate)
        if isinstance(self.maker, Settles):
            state.z = self.maker.settled(state.z.flatten(0, 1)).view_as(state.z)
        return before


class _Adam:
    """Adam with separate state for each code. z: (B, k, L)"""

    def __init__(self, z: Tensor) -> None:
        self.z, self.steps = z, 0
        self.mean, self.square = torch.zeros_like(z), torch.zeros_like(z)

    def move(self, slope: Tensor, rate: float) -> None:
        self.steps += 1
        self.mean = torch.lerp(slope, self.mean, BETAS[0])
        self.square = torch.lerp(slope.square(), self.square, BETAS[1])
        mean = self.mean / (1 - BETAS[0] ** self.steps)
        sd = (self.square / (1 - BETAS[1] ** self.steps)).sqrt()
        self.z = self.z - rate * mean / (sd + 1e-12)

    def of(self, order: Tensor) -> _Adam:
        """The state of selected codes, by their indices (B, k)."""
        at = order[:, :, None].expand(-1, -1, self.z.shape[2])
        found = _Adam(self.z.gather(1, at))
        found.mean, found.square = self.mean.gather(1, at), self.square.gather(1, at)
        found.steps = self.steps
        return found
