"""Lossless compression of images by arithmetic coding with a model's conditionals.

Every sub-pixel is coded given the earlier ones, in about -log2 p(x_i | x_<i) bits. The encoder and
the decoder evaluate the model in the same way, pixel by pixel with the same batch in one thread, so
that both compute bit-identical probabilities.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ptheta.capabilities import Steps, StepsThrough, condition_of, device_of
from ptheta.compute.streams import undisturbed
from ptheta.compute.threads import using
from ptheta.conditions import word
from ptheta.distributions.pixels import PixelDistribution
from ptheta.errors import PthetaError
from ptheta.files.range_coder import TOTAL, Decoder, Encoder
from ptheta.models.base import Model
from ptheta.specs import ImageSpec, from_levels, images_only, to_levels
from ptheta.tasks.needs import require
from ptheta.terminal.progress import watched

BATCH = 100  # images coded together


@undisturbed()
@torch.no_grad()
def compress(model: nn.Module, x: Tensor, batch: int = BATCH) -> bytes:
    """Compress images of the model's spec, uint8 (N, C, H, W), to bytes.

    batch: images coded together; must be the same for decompression
    Raises PthetaError if the model has no sequential conditionals, if it is conditional, and for
    images that do not match its spec.
    """
    steps, spec = _able(model, "compress", batch)
    spec.check_drawn(spec.check(x))
    coder = Encoder()
    with using(1):
        for start in watched(range(0, len(x), batch), "compressing"):
            some = to_levels(x[start : start + batch].to(device_of(model)), spec.levels)
            by_place = some.flatten(2).permute(2, 1, 0).tolist()  # positions, channels, n
            _walk(steps, spec, len(some), _Writer(coder, by_place))
    return coder.finished()


@undisturbed()
@torch.no_grad()
def decompress(model: nn.Module, code: bytes, n: int, batch: int = BATCH) -> Tensor:
    """Decompress n images of `compress` with the same model: uint8 (n, C, H, W).

    Raises PthetaError as `compress` does.
    """
    steps, spec = _able(model, "decompress", batch)
    coder, found = Decoder(code), []
    with using(1):
        for start in watched(range(0, n, batch), "decompressing"):
            found.append(_walk(steps, spec, min(batch, n - start), _Reader(coder)))
    return torch.cat(found) if found else torch.zeros(0, *spec.shape, dtype=torch.uint8)


def _able(model: nn.Module, verb: str, batch: int) -> tuple[StepsThrough, ImageSpec]:
    steps = require(model, StepsThrough, verb)
    assert isinstance(model, Model)
    spec = images_only(model.spec, f"ptheta {verb}")
    condition = condition_of(model)
    if condition is not None:
        raise PthetaError(
            f"this run is conditional on {word(condition)}, which compressed files do not store: "
            f"{verb} with a run of an unconditional model"
        )
    if batch < 1:
        raise PthetaError(f"batch = {batch}: want 1 or more")
    return steps, spec


class _Writer:
    """Encodes given levels. levels: the levels of n images, for each position and channel"""

    def __init__(self, coder: Encoder, levels: list[list[list[int]]]) -> None:
        self.coder, self.levels = coder, levels

    def __call__(self, place: int, colour: int, starts: np.ndarray) -> list[int]:
        found = self.levels[place][colour]
        rows = np.arange(len(found))
        begin, end = starts[rows, found], starts[rows, np.asarray(found) + 1]
        self.coder.put(zip(begin.tolist(), (end - begin).tolist(), strict=True))
        return found


class _Reader:
    def __init__(self, coder: Decoder) -> None:
        self.coder = coder

    def __call__(self, place: int, colour: int, starts: np.ndarray) -> list[int]:
        return [self.coder.get(row) for row in starts.tolist()]


def _walk(model: StepsThrough, spec: ImageSpec, n: int, coded: _Writer | _Reader) -> Tensor:
    """Code n images position by position; returns them: uint8 (n, C, H, W)."""
    device = next(iter(model.parameters())).device if isinstance(model, nn.Module) else None
    stepper: Steps = model.stepper(n)
    x = torch.zeros(spec.height * spec.width, n, spec.channels, dtype=torch.uint8, device=device)
    for t, place in enumerate(model.pixel_order()):
        pixel = x[place]
        for c in range(spec.channels):
            conditional = stepper.conditional(t, c, pixel)
            assert isinstance(conditional, PixelDistribution)  # of images
            starts = parts_of(conditional.log_probs().reshape(n, spec.levels))
            found = torch.tensor(coded(place, c, starts), device=device)
            pixel[:, c] = from_levels(found, spec.levels)
        stepper.observe(t, pixel)
    return x.permute(1, 2, 0).reshape(n, *spec.shape).contiguous().cpu()


def parts_of(log_p: Tensor) -> np.ndarray:
    """Cumulative integer frequencies of the levels, up to `TOTAL`: int64 (n, K + 1), from log p
    (n, K) in nats.

    Every level has a frequency of at least 1; the rounding remainder goes to the most probable one.
    Raises PthetaError for invalid probabilities.
    """
    p = log_p.double().exp().cpu().numpy()
    total = p.sum(1, keepdims=True)
    if not (np.isfinite(total).all() and (total > 0).all()):
        raise PthetaError(
            "the model's probabilities are not finite: its weights may be damaged, or "
            "the images too different from the training images"
        )
    levels = p.shape[1]
    sizes = 1 + np.floor(p / total * (TOTAL - levels)).astype(np.int64)
    sizes[np.arange(len(p)), p.argmax(1)] += TOTAL - sizes.sum(1)
    starts = np.zeros((len(p), levels + 1), dtype=np.int64)
    np.cumsum(sizes, 1, out=starts[:, 1:])
    return starts
