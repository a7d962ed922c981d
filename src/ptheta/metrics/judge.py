"""The judge of captions: a matcher of images and captions that learns from the real training part,
apart from every model, which of several captions an image has.

What it reaches on the real test images is the most that samples can reach by it.
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

VERSION = 2  # of the networks and of their training
SIDE = 32  # larger images are averaged down to so many pixels for their longer side
ENCODER, WIDTH, FEATURES = "transformer", 64, 16
STEPS, BATCH, RATE, DECAY = 400, 64, 2e-3, 1e-2
RISE = 40  # steps in which the rate reaches its value
MOVED = 1 / 16  # of the side, by which training images are moved at most
AT_ONCE = 256  # images and captions that are embedded
LEAST = 4  # pixels a side


class Judge(nn.Module):
    """How well images and captions go together.

    spec: of the images; text: the words that training has; key: says what it was trained on
    """

    def __init__(self, spec: ImageSpec, text: Text, key: str = "") -> None:
        super().__init__()
        shrink = min(1.0, SIDE / max(spec.height, spec.width))
        height, width = (max(LEAST, round(n * shrink)) for n in (spec.height, spec.width))
        small = ImageSpec(spec.channels, height, width)
        self.text, self.key = text, key
        self.matcher = Matcher(small, text, ENCODER, width=WIDTH, features=FEATURES)

    def small(self, x: Tensor) -> Tensor:
        """Images uint8 (B, C, H, W), averaged to the size that is looked at."""
        size = self.matcher.spec.shape[1:]
        if x.shape[2:] == size:
            return x
        return F.adaptive_avg_pool2d(x.float(), size).round().to(torch.uint8)

    @torch.no_grad()
    def images(self, x: Tensor) -> Tensor:
        """Images uint8 (N, C, H, W) -> (N, W) of length 1."""
        see, scaled = self.matcher.images, self.matcher.spec.scaled
        return torch.cat([see(scaled(self.small(part))) for part in x.split(AT_ONCE)])

    @torch.no_grad()
    def captions(self, texts: list[str]) -> Tensor:
        """Captions -> (N, W) of length 1; their inner product with images says how well these go
        together."""
        tokens = self.text.encode(texts)
        return torch.cat([self.matcher.captions(part) for part in tokens.split(AT_ONCE)])


def judge(train: Dataset, place: Path | None = None) -> Judge:
    """The judge of captions that these training images teach; from the cache where it has been
    trained before.

    place: the cache folder, None for the user's own
    Raises PthetaError where the images have no captions.
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
    """What captions are read in: words, or where most of these come but once, as in scripts
    without spaces, characters."""
    counts = Counter(word for text in texts for word in tokens_of(text, UNITS["words"]))
    once = sum(n == 1 for n in counts.values())
    return "characters" if 2 * once > counts.total() else "words"


def _train(network: Judge, train: Dataset) -> None:
    """The symmetric contrastive loss of batches, images moved a little; the same for the same
    images and captions."""
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
    """Up to 1, and down to 0 as a cosine."""
    return min(1.0, (step + 1) / RISE) * 0.5 * (1 + math.cos(math.pi * step / STEPS))


def _moved(x: Tensor) -> Tensor:
    """All images of a batch moved alike, by a few pixels."""
    reach = max(1, round(max(x.shape[2:]) * MOVED))
    down, right = torch.randint(0, 2 * reach + 1, (2,)).tolist()
    wide = F.pad(x.float(), (reach,) * 4, mode="replicate").to(x.dtype)
    return wide[:, :, down : down + x.shape[2], right : right + x.shape[3]]
