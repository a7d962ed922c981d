"""Result of `ptheta.neighbours`: samples and their nearest training examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from ptheta.api.export import Images
from ptheta.api.found import names_of
from ptheta.api.grid import Block
from ptheta.api.written import Answer
from ptheta.data.columns.write import text_of
from ptheta.data.dataset import Dataset
from ptheta.files.rows import write_csv
from ptheta.specs import VectorSpec
from ptheta.tasks.neighbours import SAMPLES, Searched, Share, with_neighbours

PRINTED = 4  # number of closest samples printed
EXPLANATION = (
    "near: % as near as the nearest 1 % of unseen; alone: % whose distance ratio",
    "(nearest over second) is as low as for 1 % of unseen, which indicates copies",
)
COPIED = "significantly many samples have a low ratio: there are copies among the samples"
ALIKE = (
    "nearer than unseen examples, but to several training examples: blurred,\n"
    "of low diversity, or copies of repeated examples"
)
NEW = "not nearer to training examples than unseen examples are"


@dataclass(frozen=True)
class Nearby(Answer):
    """Result of `ptheta.neighbours`.

    x: the samples; train: the training data
    found: nearest training examples by space ("pixels", "features", "columns"), and the distances
        of unseen examples, training examples and artificial copies; k: neighbours shown of each
    picture: image of the first samples; closest: image of those nearest to a training image
    """

    x: Tensor = field(repr=False)
    train: Dataset = field(repr=False)
    found: dict[str, Searched]
    k: int
    closest: Path | None = field(default=None, kw_only=True)

    @property
    def copies(self) -> bool:
        """Whether copies of training examples were detected in any space."""
        return any(one.copies for one in self.found.values())

    def __repr__(self) -> str:
        verdict = "copies among them" if self.copies else "no copies seen"
        return f"Nearby({len(self.x):,} samples in {', '.join(self.found)}: {verdict})"

    # -- numbers

    def blocks(self) -> list[Block]:
        """The printed output: statistics of all samples, then the closest ones."""
        blocks = [self._numbers(name, one) for name, one in self.found.items()]
        closest = [self._closest(name, one) for name, one in self.found.items()]
        return [*blocks, Block(lines=(*EXPLANATION, *self.remarks)), *closest]

    def _numbers(self, name: str, one: Searched) -> Block:
        rows: list[tuple[str, ...]] = [(name, "1 %", "median", "near, %", "alone, %")]
        sides = torch.tensor([0.01, 0.5])
        for side, near in one.sides.items():
            least, median = near.distances[:, 0].quantile(sides).tolist()
            shares = _percent(one.near[side]), _percent(one.alone[side])
            rows.append((side, f"{least:.3g}", f"{median:.3g}", *shares))
        return Block(f"distance in {name}: {one.about}", rows, (_verdict(one),))

    def _closest(self, name: str, one: Searched) -> Block:
        rows: list[tuple[str, ...]] = [
            ("sample", "training example", "distance", "second", "unseen as near")
        ]
        near, names = one.samples, names_of(self.train)
        for at in near.closest(PRINTED).tolist():
            first, second = near.distances[at, :2].tolist()
            share = f"{100 * one.p_values[at]:.1f} %"
            of = names[int(near.places[at, 0])]
            rows.append((str(at), of, f"{first:.3g}", f"{second:.3g}", share))
        return Block(f"closest of all {len(self.x):,} samples, in {name}", rows)

    def to_json(self) -> dict[str, object]:
        """The summary over all samples."""
        return {
            "samples": len(self.x),
            "training": len(self.train),
            "copies": self.copies,
            "spaces": {name: _json(one) for name, one in self.found.items()},
            "remarks": list(self.remarks),
        }

    # -- rows

    def write(self, path: Path) -> None:
        """Writes a row for each neighbour of each sample; for tables also the cells of both, with
        the sample itself as rank 0."""
        spec = self.train.spec
        columns = [c.name for c in spec.columns] if isinstance(spec, VectorSpec) else []
        of = "row" if self.train.files is None else "file"
        head = ["sample", "space", "rank", of, "distance", "unseen_as_near", "alone"]
        write_csv(path, [*head, *columns], self._rows())

    def _rows(self) -> Iterator[list[object]]:
        names, cells = names_of(self.train), self._cells()
        for space, one in self.found.items():
            near, alone, share = one.samples, one.samples.alone, one.p_values
            for at in range(len(self.x)):
                if cells is not None:
                    yield [at, space, 0, "", "", "", "", *cells(self.x[at])]
                shares = [f"{share[at]:.6g}", f"{alone[at]:.6g}"]
                for rank, place in enumerate(near.places[at, : self.k].tolist()):
                    about = names[place], f"{near.distances[at, rank]:.6g}"
                    of = [] if cells is None else cells(self.train.batch([place]).x[0])
                    yield [at, space, rank + 1, *about, *(("", "") if rank else shares), *of]

    def _cells(self) -> Callable[[Tensor], list[str]] | None:
        """Formats the cells of a table row; None for images."""
        spec = self.train.spec
        if not isinstance(spec, VectorSpec):
            return None

        def texts(x: Tensor) -> list[str]:
            pairs = zip(x.numpy(), spec.columns, strict=True)
            return ["" if cell != cell else text_of(cell, column) for cell, column in pairs]

        return texts

    # -- images

    def random(self, n: int) -> Images:
        """The first n samples, uncurated, each followed by its neighbours in every space."""
        parts = [self.x[:n, None]]
        headings = ["sample"]
        for name, one in self.found.items():
            near = with_neighbours(self.x[:n], self.train, one.samples.places[:n, : self.k])[:, 1:]
            parts.append(near)
            headings += [name, *([""] * (near.shape[1] - 1))]
        rows = torch.cat(parts, 1)
        first = next(iter(self.found.values()))
        images = Images.of(rows.flatten(0, 1), headings)
        title = f"the first {len(rows)} of {len(self.x):,} samples, uncurated"
        captions = tuple(_caption(first, at) for at in range(len(rows)))
        return replace(images, captions=captions, title=title)

    def nearest(self, n: int) -> Images:
        """The n samples nearest to a training image, in each space."""
        parts, captions = [], list[str]()
        for name, one in self.found.items():
            at = one.samples.closest(n)
            parts.append(with_neighbours(self.x[at], self.train, one.samples.places[at, : self.k]))
            captions += [f"{name} {_caption(one, i)}" for i in at.tolist()]
        headings = ["sample", "training", *([""] * (parts[0].shape[1] - 2))]
        images = Images.of(torch.cat(parts).flatten(0, 1), headings)
        title = f"the closest of {len(self.x):,} samples"
        return replace(images, captions=tuple(captions), title=title)


def _caption(one: Searched, at: int) -> str:
    return f"{at}: {one.samples.distances[at, 0]:.3g}"


def _verdict(one: Searched) -> str:
    if one.copies:
        return COPIED
    return ALIKE if one.near[SAMPLES].beyond else NEW


def _percent(share: Share) -> str:
    sign = " !" if share.beyond else ""
    return f"{100 * share.value:.1f} ({100 * share.low:.1f}-{100 * share.high:.1f}){sign}"


def _json(one: Searched) -> dict[str, object]:
    levels = (0.01, 0.05, 0.25, 0.5, 0.75)
    each: dict[str, object] = {}
    for side, near in one.sides.items():
        values: Sequence[float] = near.distances[:, 0].quantile(torch.tensor(levels)).tolist()
        each[side] = {
            "quantiles": {f"{level:g}": v for level, v in zip(levels, values, strict=True)},
            "near": one.near[side]._asdict(),
            "alone": one.alone[side]._asdict(),
        }
    return {"distance": one.about, "copies": one.copies, "sides": each}
