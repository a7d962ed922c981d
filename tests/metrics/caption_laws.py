"""What every metric of images of captions must hold: `CAPTION_LAWS`, part of the laws of
test_table.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ptheta.conditions import Text
from ptheta.data import shapes
from ptheta.data.image_data import ImageDataset
from ptheta.extractors.classifiers import Pixels
from ptheta.measures.results import Result
from ptheta.measures.scenes import PARTS
from ptheta.metrics import captions
from ptheta.metrics.context import Context
from ptheta.metrics.table import METRICS

CENTRE = shapes.COLUMNS.index("centre")
Draw = Callable[[Tensor, Tensor], Tensor]  # real images, whether unseen -> what is drawn


@cache
def scenes(split: str = "test", start: int = 20_000, n: int = 130) -> ImageDataset:
    """Scenes of one object, the last fifth of them unseen, their captions all different. No fill
    is checked, which a mirror would change."""
    drawn = shapes.scenes(np.arange(start, start + n))
    fills = drawn.attributes[:, shapes.ATTRIBUTES.index("first_fill")]
    checked = shapes.FILLS.index("checked")
    rows = np.flatnonzero((drawn.attributes[:, 0] == 1) & (fills != checked))
    rows = rows[np.sort(np.unique([drawn.captions[row] for row in rows], return_index=True)[1])]
    return ImageDataset(
        *("scenes", split, drawn.images[rows]),
        captions=tuple(drawn.captions[row] for row in rows),
        attributes=drawn.attributes[rows],
        attribute_names=shapes.ATTRIBUTES,
        unseen=np.arange(len(rows)) >= 0.8 * len(rows) if split == "test" else None,
    )


class Draws(nn.Module):
    """A model that makes of a caption what `draw` makes of the real image."""

    def __init__(self, data: ImageDataset, draw: Draw) -> None:
        super().__init__()
        self.spec, self.condition = data.spec, Text.of_data(data, "scenes")
        self.draw, self.test = draw, data
        tokens = self.condition.encode(data.caption_texts() or [])
        self.place = {tuple(row): i for i, row in enumerate(tokens.tolist())}

    def sample(self, n: int, condition: Any = None) -> Tensor:
        assert self.test.unseen is not None
        rows = np.array([self.place[tuple(row)] for row in condition.tolist()])
        unseen = torch.from_numpy(self.test.unseen[rows])
        return self.draw(torch.from_numpy(self.test.images[rows]), unseen)


def rightly(x: Tensor, unseen: Tensor) -> Tensor:
    return x


def mirrored(x: Tensor, unseen: Tensor) -> Tensor:
    """Left is right; nothing else changes, and nothing in the middle."""
    return x.flip(3)


def only_seen(x: Tensor, unseen: Tensor) -> Tensor:
    """Right of the captions that training had; of the others there is the paper alone."""
    return torch.where(unseen[:, None, None, None], x[:, :, :1, :1].expand_as(x), x)


def others(x: Tensor, unseen: Tensor) -> Tensor:
    return x.roll(1, 0)


def results(name: str, draw: Draw, **more: Any) -> dict[str, Result]:
    data = scenes()
    asked: dict[str, Any] = {"train": scenes("train", 30_000), "n": len(data), **more}
    found = METRICS[name].results(Context(data, Pixels(), model=Draws(data, draw), **asked))
    return {result.metric: result for result in found}


def values(name: str, draw: Draw) -> list[float]:
    """Of all captions, of those that training had, and of the others."""
    found = results(name, draw)
    family = METRICS[name].family
    assert list(found) == [family, f"{family}_seen", f"{family}_unseen"]
    return [r.value for r in found.values() if r.value is not None]


def in_the_centre() -> list[float]:
    """The share of scenes whose object is in the middle column: of all, seen, unseen."""
    data = scenes()
    assert data.attributes is not None
    assert data.unseen is not None
    there = data.attributes[:, shapes.ATTRIBUTES.index("first_column")] == CENTRE
    return [there.mean(), there[~data.unseen].mean(), there[data.unseen].mean()]


def shows_what_the_caption_says() -> None:
    name = "caption_match{captions}"
    assert values(name, rightly) == [1, 1, 1]
    assert values(name, mirrored) == pytest.approx(in_the_centre())
    seen = 1 - np.asarray(scenes().unseen).mean()
    assert values(name, only_seen) == pytest.approx([seen, 1, 0])
    for result in results(name, only_seen).values():
        assert result.protocol["ceiling"] == 1
        assert result.protocol["shuffled"] == pytest.approx(0, abs=0.03)
        assert "1 of real images, 0" in result.note
    assert results(name, others)["caption_match"].value == pytest.approx(0, abs=0.03)


def each_part_by_itself() -> None:
    name = "caption_match_of_{term}"
    for draw, place in ((rightly, 1.0), (mirrored, in_the_centre()[0])):
        found = results(name, draw)
        assert list(found) == [f"caption_match_of_{part}" for part in PARTS]
        wanted = {part: place if part == "place" else 1.0 for part in PARTS}
        assert [r.value for r in found.values()] == pytest.approx(list(wanted.values()))
    colours = results(name, others)["caption_match_of_colour"]
    assert colours.value == pytest.approx(1 / 8, abs=0.12)


@dataclass(frozen=True)
class Stand:
    """A judge that knows every image and caption of the test part, or none of them."""

    knows: bool
    key: str = "stand"

    def images(self, x: Tensor) -> Tensor:
        data = scenes()
        place = {image.tobytes(): i for i, image in enumerate(data.images)}
        at = torch.tensor([place.get(image.numpy().tobytes(), -1) for image in x])
        return self.rows(at)

    def captions(self, texts: list[str]) -> Tensor:
        every = scenes().caption_texts() or []
        return self.rows(torch.tensor([every.index(text) for text in texts]))

    def rows(self, at: Tensor) -> Tensor:
        wide = nn.functional.one_hot(at + 1, len(scenes()) + 1)[:, 1:].float()
        return wide if self.knows else torch.ones_like(wide)


def is_found_among_ten() -> None:
    """By who knows everything always, of other images never; by who knows nothing in one of ten
    cases."""
    name = "caption_retrieval{captions}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(captions, "judge", lambda train: Stand(knows=True))
        assert values(name, rightly) == [1, 1, 1]
        assert values(name, only_seen)[1:] == pytest.approx([1, 0.1])
        for result in results(name, rightly).values():
            assert (result.protocol["ceiling"], result.protocol["judge"]) == (1, "stand")
            assert result.protocol["shuffled"] == pytest.approx(0, abs=0.1)
        patch.setattr(captions, "judge", lambda train: Stand(knows=False))
        assert values(name, rightly) == pytest.approx([0.1, 0.1, 0.1])
    without = results(name, rightly, train=replace(scenes("train", 30_000), captions=None))
    assert [r.reason for r in without.values()] == ["scenes has no captions"]


class Noisy(nn.Module):
    """Plain images of a shade for each caption, with uniform noise of so many values."""

    def __init__(self, data: ImageDataset, noise: int) -> None:
        super().__init__()
        self.spec, self.condition = data.spec, Text.of_data(data, "shades")
        self.noise = noise

    def sample(self, n: int, condition: Any = None) -> Tensor:
        drawn = torch.randint(self.noise, (n, 1, 8, 8))
        return (100 + 20 * condition[:, :1, None, None] + drawn).to(torch.uint8)


def shades(split: str, texts: list[str]) -> ImageDataset:
    noise = np.random.default_rng(len(split)).integers(10, size=(len(texts), 1, 8, 8))
    images = np.array([20 * ord(text) % 200 for text in texts])[:, None, None, None] + noise
    return ImageDataset("shades", split, images.astype(np.uint8), captions=tuple(texts))


def differs_as_the_data_do() -> None:
    """The mean squared difference of two uniform numbers of k values is (k^2 - 1) / 6."""
    train, test = shades("train", list("abc") * 40), shades("test", list("abc") * 10)

    def found(noise: int, train: ImageDataset, n: int = 60) -> Result:
        ctx = Context(test, Pixels(), model=Noisy(train, noise), train=train, n=n)
        (result,) = METRICS["caption_variety"].results(ctx)
        return result

    assert found(1, train).value == 0
    for noise in (10, 20):
        wanted = (noise**2 - 1) / (10**2 - 1)
        result = found(noise, train)
        assert result.value == pytest.approx(wanted, rel=0.1)
        assert (result.protocol["pairs"], result.protocol["pairs_of_training"]) == (30, 60)
        assert result.error == pytest.approx(0.05 * wanted, rel=0.9)
    once = shades("train", list("abcdefgh"))
    assert found(10, once).reason.startswith("0 pairs of training images with the same caption")
    assert "have two samples" in found(10, train, n=4).reason


CAPTION_LAWS: dict[str, Callable[[], None]] = {
    "caption_match{captions}": shows_what_the_caption_says,
    "caption_match_of_{term}": each_part_by_itself,
    "caption_retrieval{captions}": is_found_among_ten,
    "caption_variety": differs_as_the_data_do,
}
