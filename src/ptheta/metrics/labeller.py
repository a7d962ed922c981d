"""The labeller: a small semantic segmentation network, trained on real pairs, to evaluate
translations of label maps.

A model that translates label maps to images is scored as in Isola et al. (arXiv:1611.07004, "FCN
score"): its images are segmented, and the labels are compared with those of the inputs. The network
is trained from scratch on the training pairs; its score on real images is the reference.
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

VERSION = 1  # version of the network and its training
SIDE = 64  # larger images are downsampled to this longer side
BLOCK = 2  # side in pixels of the blocks in the input
WIDTHS = (32, 64, 128)  # channels of each scale, fine to coarse
STEPS, BATCH, RATE, DECAY = 600, 16, 3e-3, 1e-2
AT_ONCE = 64  # images segmented at a time


def _layer(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Labeller(nn.Module):
    """Images -> labels: a U-Net of three scales with coordinate channels. It computes on blocks of
    `BLOCK` x `BLOCK` pixels (pixel unshuffle).

    channels: of the images; labels: number of labels
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
        """Images uint8 (B, C, H, W) -> logits (B, K, h, w), h and w at most about `SIDE`."""
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
        """The most probable label of each pixel: uint8 (N, C, H, W) -> int64 (N, H, W)."""
        self.eval()
        parts = [
            F.interpolate(self(part), x.shape[2:], mode="bilinear").argmax(1)
            for part in x.split(AT_ONCE)
        ]
        return torch.cat(parts)


def _small(x: Tensor) -> Tensor:
    """Downsample to at most `SIDE` pixels for the longer side, and to a multiple of the block
    size."""
    shrink = min(1.0, SIDE / max(x.shape[2:]))
    height, width = (max(1, round(side * shrink / BLOCK)) * BLOCK for side in x.shape[2:])
    return x if (height, width) == x.shape[2:] else F.adaptive_avg_pool2d(x, (height, width))


def _places(x: Tensor) -> Tensor:
    """Coordinate channels: row and column of each pixel, -1 to 1: (B, 2, H, W)."""
    rows, columns = (torch.linspace(-1, 1, n) for n in x.shape[2:])
    both = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
    return both.expand(len(x), -1, -1, -1)


def labeller(pairs: Dataset, place: Path | None = None) -> Labeller:
    """The labeller trained on these pairs of label maps and images; from the cache if it was
    trained before.

    place: the cache folder; None for the user's own
    Raises PthetaError if the inputs are not label maps.
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
    """The spec of the inputs. Raises PthetaError if they are not label maps."""
    if pairs.inputs is None or not isinstance(pairs.inputs.spec, LabelMapSpec):
        raise PthetaError(
            f"the inputs of {pairs.name} are not label maps, so no labeller can be trained on "
            "them: give pairs of label maps and images"
        )
    return pairs.inputs.spec


def wanted_labels(pairs: Dataset, rows: Tensor) -> Tensor:
    """The label maps of the examples at these indices: int64 (B, H, W)."""
    assert pairs.inputs is not None
    return label_spec(pairs).numbers(pairs.inputs.take(pairs, pairs.rows(rows.numpy())))


def _train(network: Labeller, pairs: Dataset, spec: LabelMapSpec) -> None:
    """Train by pixelwise cross-entropy with random flips and brightness changes; deterministic."""
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
