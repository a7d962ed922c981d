"""What `ptheta.neighbours` gives: samples and what they are near to, as numbers, rows, images."""

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

PRINTED = 4  # of the closest
TOLD = (
    "near: share as near as 1 % of unseen; alone: share to which one stands out as",
    "to 1 % of unseen (distance to the nearest over that to the second): a copy",
)
COPIED = "one training example stands out too often: there are copies among the samples"
ALIKE = (
    "nearer than unseen ones, yet to several alike: blurred or of few kinds, or copies\n"
    "of what occurs more than once"
)
NEW = "no nearer to training examples than unseen ones are"


@dataclass(frozen=True)
class Nearby(Answer):
    """What `ptheta.neighbours` gives.

    x: the samples that were searched; train: what they were trained on
    found: their nearest training examples by space ("pixels", "features", "columns"), and how near
        unseen ones, training examples and copies are; k: neighbours of each that are shown
    picture: of the first samples; closest: of those nearest to a training image
    """

    x: Tensor = field(repr=False)
    train: Dataset = field(repr=False)
    found: dict[str, Searched]
    k: int
    closest: Path | None = field(default=None, kw_only=True)

    @property
    def copies(self) -> bool:
        """Whether there are copies of training examples among the samples, in any space."""
        return any(one.copies for one in self.found.values())

    def __repr__(self) -> str:
        told = "copies among them" if self.copies else "no copies seen"
        return f"Nearby({len(self.x):,} samples in {', '.join(self.found)}: {told})"

    # -- numbers

    def blocks(self) -> list[Block]:
        """What is printed of it: the numbers of all samples, and apart from them the closest."""
        blocks = [self._numbers(name, one) for name, one in self.found.items()]
        closest = [self._closest(name, one) for name, one in self.found.items()]
        return [*blocks, Block(lines=(*TOLD, *self.remarks)), *closest]

    def _numbers(self, name: str, one: Searched) -> Block:
        rows: list[tuple[str, ...]] = [(name, "1 %", "median", "near, %", "alone, %")]
        sides = torch.tensor([0.01, 0.5])
        for side, near in one.sides.items():
            least, median = near.distances[:, 0].quantile(sides).tolist()
            shares = _said(one.near[side]), _said(one.alone[side])
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
        """The numbers that are of all samples together."""
        return {
            "samples": len(self.x),
            "training": len(self.train),
            "copies": self.copies,
            "spaces": {name: _json(one) for name, one in self.found.items()},
            "remarks": list(self.remarks),
        }

    # -- rows

    def write(self, path: Path) -> None:
        """A row for each neighbour of each sample; of a table also the cells of both, those of the
        sample itself as rank 0."""
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
                told = [f"{share[at]:.6g}", f"{alone[at]:.6g}"]
                for rank, place in enumerate(near.places[at, : self.k].tolist()):
                    about = names[place], f"{near.distances[at, rank]:.6g}"
                    of = [] if cells is None else cells(self.train.batch([place]).x[0])
                    yield [at, space, rank + 1, *about, *(("", "") if rank else told), *of]

    def _cells(self) -> Callable[[Tensor], list[str]] | None:
        """The cells of a row of a table as texts; None of images."""
        spec = self.train.spec
        if not isinstance(spec, VectorSpec):
            return None

        def texts(x: Tensor) -> list[str]:
            pairs = zip(x.numpy(), spec.columns, strict=True)
            return ["" if cell != cell else text_of(cell, column) for cell, column in pairs]

        return texts

    # -- images

    def random(self, n: int) -> Images:
        """The first n samples, uncurated, each before its neighbours in every space."""
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
        """The n samples that are nearest to a training image, in each space in turn."""
        parts, captions = [], list[str]()
        for name, one in self.found.items():
            at = one.samples.closest(n)
            parts.append(with_neighbours(self.x[at], self.train, one.samples.places[at, : self.k]))
            captions += [f"{name} {_caption(one, i)}" for i in at.tolist()]
        headings = ["sample", "training", *([""] * (parts[0].shape[1] - 2))]
        images = Images.of(torch.cat(parts).flatten(0, 1), headings)
        title = f"of {len(self.x):,} samples the closest"
        return replace(images, captions=tuple(captions), title=title)


def _caption(one: Searched, at: int) -> str:
    return f"{at}: {one.samples.distances[at, 0]:.3g}"


def _verdict(one: Searched) -> str:
    if one.copies:
        return COPIED
    return ALIKE if one.near[SAMPLES].beyond else NEW


def _said(share: Share) -> str:
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
