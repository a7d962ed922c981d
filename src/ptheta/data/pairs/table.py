"""The kinds of pairs: where the input of each target comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import torch

from ptheta.config import Entry, OneOf
from ptheta.data.inputs import Inputs, MaskInputs
from ptheta.data.pairs.made import MAKINGS, Making, inputs_of
from ptheta.errors import PthetaError
from ptheta.specs import ImageSpec, LabelMapSpec, from_levels

if TYPE_CHECKING:
    from ptheta.data.image_data import ImageDataset

SIDE_BY_SIDE, FOLDERS, COLUMNS, MASKS = "side-by-side", "folders", "columns", "masks"

Part = Literal["input", "target"]
LabelMaps = Literal["none", "input", "target", "both"]
# which parts of a pair are label maps
LABEL_MAPS: dict[LabelMaps, frozenset[Part]] = {
    "none": frozenset(),
    "input": frozenset(("input",)),
    "target": frozenset(("target",)),
    "both": frozenset(("input", "target")),
}


@dataclass(frozen=True)
class Wish:
    """The request for computed inputs.

    strength: None for the default; planes: whether they have to be label maps
    known: the inputs that a run was trained on
    """

    strength: float | None = None
    planes: bool = False
    known: ImageSpec | None = None


@dataclass(frozen=True, kw_only=True)
class PairKind(Entry):
    """inputs: those of images that were read; None where a source stores pairs of this kind and
    reads them itself
    making: how they are made, of pairs that are made
    """

    inputs: Callable[[ImageDataset, Wish], Inputs] | None = None
    making: Making | None = None

    @property
    def strength(self) -> float | None:
        """The usual one; None where such pairs have none."""
        return None if self.making is None else self.making.strength


def _made(name: str, data: ImageDataset, wish: Wish) -> Inputs:
    if wish.planes:
        raise PthetaError(
            f"--label-maps input: the inputs of --pairs {name} are computed, not label maps; leave "
            "it out"
        )
    return inputs_of(MAKINGS[name], data.spec, wish.strength)


def _masks(data: ImageDataset, wish: Wish) -> Inputs:
    inputs = MaskInputs.of(data)
    if inputs is None:
        raise PthetaError(
            f"--pairs {MASKS}: {data.name} has no masks (of this size): give data that has, such "
            "as shapes, without --size"
        )
    known = wish.known
    if known is not None and known.shape == inputs.spec.shape:
        levels = max(inputs.spec.levels, _parts_of(known))
        inputs = MaskInputs(replace(inputs.spec, levels=levels))
    if not wish.planes:
        return inputs
    levels = inputs.spec.levels
    greys = from_levels(torch.arange(levels), levels).tolist()
    return MaskInputs(LabelMapSpec(*inputs.spec.shape, palette=tuple((grey,) for grey in greys)))


def _parts_of(spec: ImageSpec) -> int:
    """How many parts masks have that a run learned."""
    return len(spec.palette) if isinstance(spec, LabelMapSpec) else spec.levels


def _of_making(name: str, about: str) -> PairKind:
    return PairKind(about=about, inputs=partial(_made, name), making=MAKINGS[name])


PAIRS: dict[str, PairKind] = {
    SIDE_BY_SIDE: PairKind(about="each picture holds both, the input on the left"),
    FOLDERS: PairKind(about="two folders with matching file names; the first by name is the input"),
    COLUMNS: PairKind(about="two columns, --input-column and --image-column"),
    MASKS: PairKind(about="the masks of the data are the input", inputs=_masks),
    "grey": _of_making("grey", "grey to colour"),
    "edges": _of_making("edges", "edges (Canny) to image"),
    "small": _of_making("small", "made small to large"),
    "hole": _of_making("hole", "with a hole to whole"),
    "noise": _of_making("noise", "noisy to clean"),
}

PairName: TypeAlias = Annotated[str, OneOf(PAIRS)]
