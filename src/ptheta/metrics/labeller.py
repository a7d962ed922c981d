"""The labeller: a small network that learns, from real pairs, which label each pixel of a picture
has, to read off translations what they show.

A model that makes pictures of label maps is scored as in Isola et al. (arXiv:1611.07004, "FCN
score"): what it made is labelled, and the labels are held against those it was given. The network
is trained from nothing on the training pairs; what it reaches on real pictures is the ceiling.
"""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ptheta.compute.streams import seeded
from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError
from ptheta.metrics.cached import trained
from ptheta.metrics.protocol import annotations_of
from ptheta.specs import LabelMapSpec, to_symmetric
from ptheta.terminal.progress import watched

VERSION = 1  # of the network and of its training
SIDE = 64  # larger pictures are averaged down to so many pixels for their longer side
BLOCK = 2  # pixels
WIDTHS = (32, 64, 128)  # channels of each scale, fine to coarse
STEPS, BATCH, RATE, DECAY = 600, 16, 3e-3, 1e-2
AT_ONCE = 64  # pictures that are labelled


def _layer(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Labeller(nn.Module):
    """Pictures -> labels: a U-Net of three scales that is also told where in the picture it is. It
    computes on blocks of `BLOCK` x `BLOCK` pixels, whose values are so many channels.

    channels: of the pictures; labels: how many there are
    """

    def __init__(self, channels: int, labels: int) -> None:
        super().__init__()
        inputs = (channels * BLOCK**2 + 2, *WIDTHS[:-1])
        self.down = nn.ModuleList(
            nn.Sequential(_layer(i, o), _layer(o, o)) for i, o in zip(inputs, WIDTHS, strict=True)
        )
        self.up = nn.ModuleList(_layer(coarse + fine, fine) for fine, coarse in pairwise(WIDTHS))
        self.head = nn.Conv2d(WIDTHS[0], labels * BLOCK**2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """uint8 (B, C, H, W) -> logits (B, K, h, w), h and w at most about `SIDE`."""
        h = F.pixel_unshuffle(_small(to_symmetric(x)), BLOCK)
        h = torch.cat([h, _places(h)], 1)
        scales = []
        for i, block in enumerate(self.down):
            h = block(F.avg_pool2d(h, 2, ceil_mode=True) if i else h)
            scales.append(h)
        for fine, layer in zip(reversed(scales[:-1]), reversed(self.up), strict=True):
            wide = F.interpolate(h, fine.shape[2:], mode="nearest")
            h = layer(torch.cat([wide, fine], 1))
        return F.pixel_shuffle(self.head(h), BLOCK)

    @torch.no_grad()
    def label(self, x: Tensor) -> Tensor:
        """The likeliest label of each pixel: uint8 (N, C, H, W) -> int64 (N, H, W)."""
        self.eval()
        parts = [
            F.interpolate(self(part), x.shape[2:], mode="bilinear").argmax(1)
            for part in x.split(AT_ONCE)
        ]
        return torch.cat(parts)


def _small(x: Tensor) -> Tensor:
    """Averaged to at most `SIDE` pixels for the longer side, and to whole blocks."""
    shrink = min(1.0, SIDE / max(x.shape[2:]))
    height, width = (max(1, round(side * shrink / BLOCK)) * BLOCK for side in x.shape[2:])
    return x if (height, width) == x.shape[2:] else F.adaptive_avg_pool2d(x, (height, width))


def _places(x: Tensor) -> Tensor:
    """Row and column of each pixel, -1 to 1: (B, 2, H, W)."""
    rows, columns = (torch.linspace(-1, 1, n) for n in x.shape[2:])
    both = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
    return both.expand(len(x), -1, -1, -1)


def labeller(pairs: Dataset, place: Path | None = None) -> Labeller:
    """The labeller of these training pairs, whose inputs are label maps and whose images are what
    they stand for; from the cache where it has been trained before.

    place: the cache folder, None for the user's own
    Raises PthetaError where the inputs are no label maps.
    """
    spec = label_spec(pairs)
    about = {
        "images": pairs.fingerprint(),
        "labels": annotations_of(pairs),
        "palette": json.dumps(spec.palette),
        "version": f"{VERSION}, {STEPS} steps of {BATCH}",
    }
    network = Labeller(pairs.spec.shape[0], spec.labels)
    return trained("labeller", network, about, lambda new: _train(new, pairs, spec), place)


def label_spec(pairs: Dataset) -> LabelMapSpec:
    """What the inputs are. Raises PthetaError where they are no label maps."""
    if pairs.inputs is None or not isinstance(pairs.inputs.spec, LabelMapSpec):
        raise PthetaError(
            f"the inputs of {pairs.name} are not label maps, so no labeller can be trained on "
            "them: give pairs of label maps and images"
        )
    return pairs.inputs.spec


def wanted_labels(pairs: Dataset, rows: Tensor) -> Tensor:
    """The label maps that the examples at these positions are of: int64 (B, H, W)."""
    assert pairs.inputs is not None
    return label_spec(pairs).numbers(pairs.inputs.take(pairs, pairs.rows(rows.numpy())))


def _train(network: Labeller, pairs: Dataset, spec: LabelMapSpec) -> None:
    """Cross-entropy of every pixel, pictures mirrored at random and lit differently; the same for
    the same pairs."""
    with seeded(VERSION), torch.enable_grad():
        for part in network.modules():
            if isinstance(part, nn.Conv2d):
                part.reset_parameters()
        network.train()
        optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
        for step in watched(range(STEPS), "training the labeller"):
            for group in optimizer.param_groups:
                group["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / STEPS))
            rows = torch.randint(len(pairs), (BATCH,))
            x, y = _augmented(pairs.batch(rows.numpy()).x, wanted_labels(pairs, rows))
            logits = network(x)
            loss = F.cross_entropy(F.interpolate(logits, y.shape[1:], mode="bilinear"), y)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()


def _augmented(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    mirrored = torch.rand(len(x)) < 0.5
    x = torch.where(mirrored[:, None, None, None], x.flip(3), x)
    y = torch.where(mirrored[:, None, None], y.flip(2), y)
    contrast, light = 0.8 + 0.4 * torch.rand(2, len(x), 1, 1, 1)
    lit = (x.float() - 128) * contrast + 128 * light
    return lit.clamp(0, 255).to(torch.uint8), y
