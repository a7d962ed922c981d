"""The judge of captions: an image-text matching network, trained on the real training split
independently of any model, that finds the caption of an image among several.

Its accuracy on real test images is the reference for samples.
"""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ptheta.compute.streams import seeded
from ptheta.conditions import Text
from ptheta.conditions.base import tensor_of
from ptheta.conditions.units import UNITS, tokens_of
from ptheta.data.dataset import Dataset
from ptheta.data.image_data import images_of
from ptheta.metrics.cached import key_of, trained
from ptheta.metrics.protocol import annotations_of
from ptheta.nets.text.matcher import Matcher
from ptheta.specs import ImageSpec
from ptheta.terminal.progress import watched

VERSION = 2  # version of the networks and their training
SIDE = 32  # larger images are downsampled to this longer side
ENCODER, WIDTH, FEATURES = "transformer", 64, 16
STEPS, BATCH, RATE, DECAY = 400, 64, 2e-3, 1e-2
RISE = 40  # warm-up steps of the learning rate
MOVED = 1 / 16  # maximum random shift of training images, as a fraction of the side
AT_ONCE = 256  # images or captions embedded at a time
LEAST = 4  # minimum side in pixels


class Judge(nn.Module):
    """A network that scores the agreement of images and captions.

    spec: of the images; text: vocabulary of the training captions; key: identifies the training
        data
    """

    def __init__(self, spec: ImageSpec, text: Text, key: str = "") -> None:
        super().__init__()
        shrink = min(1.0, SIDE / max(spec.height, spec.width))
        height, width = (max(LEAST, round(n * shrink)) for n in (spec.height, spec.width))
        small = ImageSpec(spec.channels, height, width)
        self.text, self.key = text, key
        self.matcher = Matcher(small, text, ENCODER, width=WIDTH, features=FEATURES)

    def small(self, x: Tensor) -> Tensor:
        """Downsample images uint8 (B, C, H, W) to the input size of the network."""
        size = self.matcher.spec.shape[1:]
        if x.shape[2:] == size:
            return x
        return F.adaptive_avg_pool2d(x.float(), size).round().to(torch.uint8)

    @torch.no_grad()
    def images(self, x: Tensor) -> Tensor:
        """Images uint8 (N, C, H, W) -> unit embeddings (N, W)."""
        see, scaled = self.matcher.images, self.matcher.spec.scaled
        return torch.cat([see(scaled(self.small(part))) for part in x.split(AT_ONCE)])

    @torch.no_grad()
    def captions(self, texts: list[str]) -> Tensor:
        """Captions -> unit embeddings (N, W); the score of a pair is the inner product."""
        tokens = self.text.encode(texts)
        return torch.cat([self.matcher.captions(part) for part in tokens.split(AT_ONCE)])


def judge(train: Dataset, place: Path | None = None) -> Judge:
    """The judge trained on these images and captions; from the cache if it was trained before.

    place: the cache folder; None for the user's own
    Raises PthetaError if the images have no captions.
    """
    text = Text.of_data(train, train.name, unit_for(train.caption_texts() or []))
    about = {
        "images": train.fingerprint(),
        "captions": annotations_of(train),
        "version": f"{VERSION}, {STEPS} steps of {BATCH}",
    }
    with seeded(VERSION):
        new = Judge(images_of(train).spec, text, key_of(about)[:12])
        return trained("judge", new, about, lambda network: _train(network, train), place)


def unit_for(texts: list[str]) -> str:
    """The unit of tokenisation: words; characters if most words occur only once, as in scripts
    without spaces."""
    counts = Counter(word for text in texts for word in tokens_of(text, UNITS["words"]))
    once = sum(n == 1 for n in counts.values())
    return "characters" if 2 * once > counts.total() else "words"


def _train(network: Judge, train: Dataset) -> None:
    """Train by the symmetric contrastive loss with small random shifts of the images;
    deterministic."""
    data = network.text.adapted(train.with_fixed_binarisation())
    with torch.enable_grad():
        network.train()
        optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
        for step in watched(range(STEPS), "training the judge of captions"):
            for group in optimizer.param_groups:
                group["lr"] = RATE * _schedule(step)
            batch = data.batch(torch.randint(len(data), (BATCH,)).numpy())
            assert batch.condition is not None
            x = _moved(network.small(batch.x))
            loss = network.matcher.loss(x, tensor_of(batch.condition, Text.kind)).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()


def _schedule(step: int) -> float:
    """Learning rate factor: linear warm-up to 1, then cosine decay to 0."""
    return min(1.0, (step + 1) / RISE) * 0.5 * (1 + math.cos(math.pi * step / STEPS))


def _moved(x: Tensor) -> Tensor:
    """Shift all images of a batch equally, by a few pixels."""
    reach = max(1, round(max(x.shape[2:]) * MOVED))
    down, right = torch.randint(0, 2 * reach + 1, (2,)).tolist()
    wide = F.pad(x.float(), (reach,) * 4, mode="replicate").to(x.dtype)
    return wide[:, :, down : down + x.shape[2], right : right + x.shape[3]]
