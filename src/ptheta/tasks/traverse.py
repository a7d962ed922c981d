"""Latent traversals: one dimension of a code is changed, or one named part, such as the category of
InfoGAN. Need `Decodes`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.capabilities import (
    CodePart,
    Decodes,
    code_at,
    code_parts,
    some_conditions,
)
from ptheta.compute.memory import require_images
from ptheta.compute.streams import seeded, undisturbed
from ptheta.errors import PthetaError, unknown
from ptheta.specs import to_symmetric
from ptheta.tasks.conditions import check_condition, whole_numbers
from ptheta.tasks.effort import decoded
from ptheta.tasks.needs import DecodesPrior, prior_cure, require

STEPS = 9  # default number of images of a row
LOOKED_AT = 16  # codes used to find the dimensions with the largest effect


@dataclass(frozen=True)
class Axis:
    """What is changed in a row of images.

    part: position in the code; values: the values of this part, (steps, size)
    """

    part: CodePart
    values: Tensor

    @property
    def name(self) -> str:
        return self.part.name


def named_parts(model: nn.Module, size: int) -> dict[str, CodePart]:
    """All parts of a code of `size` dimensions, in order: those that the model names, and z0, z1,
    ... by position for the others."""
    own = code_parts(model)
    taken = {place for part in own for place in range(part.start, part.start + part.size)}
    rest = (CodePart(f"z{d}", d, 1) for d in range(size) if d not in taken)
    return {part.name: part for part in sorted([*own, *rest], key=lambda part: part.start)}


def axes(
    model: nn.Module, size: int, dims: Sequence[int | str], steps: int | None, reach: float
) -> list[Axis]:
    """The axes of the rows, for codes of `size` dimensions.

    dims: dimensions by position, or parts by name
    steps: images per row; None for the number of values of the category among the dims, else
        `STEPS`
    Raises PthetaError for unknown parts, and if a category has another number of values.
    """
    parts = named_parts(model, size)
    found = [_part(dim, parts, size) for dim in dims]
    if not found:
        raise PthetaError("0 dimensions: ask for at least one")
    sizes = {part.name: part.size for part in found if part.category}
    steps = steps if steps is not None else next(iter(sizes.values()), STEPS)
    if steps < 1:
        raise PthetaError(f"rows of {steps} images: ask for at least one")
    for name, count in sizes.items():
        if count != steps:
            raise PthetaError(
                f"{name} is one of {count} categories, an image each, and a row has {steps} steps: "
                f"leave --steps out, or leave {name} out of --dims"
            )
    own = {part.name for part in code_parts(model)}
    return [Axis(part, _values(model, part, steps, reach, part.name in own)) for part in found]


def _part(dim: int | str, parts: Mapping[str, CodePart], size: int) -> CodePart:
    """The part with this name or position. Raises PthetaError for an unknown one."""
    if isinstance(dim, str) and not dim.isdecimal():
        if dim not in parts:
            raise unknown("part of the code", dim, parts)
        return parts[dim]
    if not isinstance(dim, str):
        whole_numbers([dim], "dimension")
    place = int(dim)
    if not 0 <= place < size:
        raise PthetaError(f"dimension {place}: the code has 0 to {size - 1}")
    for part in parts.values():
        if part.start <= place < part.start + part.size:
            if part.category:
                raise PthetaError(f"dimension {place} is of the category {part.name}: name that")
            return part
    raise PthetaError(f"dimension {place}: the code has 0 to {size - 1}")


def _values(model: nn.Module, part: CodePart, steps: int, reach: float, own: bool) -> Tensor:
    """Values of a part, (steps, size): every category, the full range of a named part, or the prior
    quantiles that correspond to -reach to reach under N(0, 1)."""
    if part.category:
        return torch.eye(part.size)
    low, high = part.low, part.high
    if not own:
        low, high = code_at(model, torch.tensor([-reach, reach])).tolist()
    return torch.linspace(low, high, steps)[:, None].expand(-1, part.size)


def fixed(model: nn.Module, z: Tensor, given: Mapping[str, float]) -> Tensor:
    """Set parts of codes (B, L) to given values, such as c0 = 3 for the category with this index.

    Raises PthetaError for unknown parts and invalid values.
    """
    parts, z = named_parts(model, z.shape[1]), z.clone()
    for name, value in given.items():
        if name not in parts:
            raise unknown("part of the code", name, parts)
        part = parts[name]
        at = slice(part.start, part.start + part.size)
        if not part.category:
            z[:, at] = value
            continue
        if value not in range(part.size):
            raise PthetaError(f"{name}={value:g}: this category is one of 0 to {part.size - 1}")
        z[:, at] = torch.eye(part.size)[int(value)].to(z)
    return z


@undisturbed()
@torch.no_grad()
def traverse(
    model: nn.Module,
    z: Tensor,
    dims: Sequence[int | str],
    *,
    steps: int | None = None,
    reach: float = 3.0,
    condition: Condition | None = None,
) -> Tensor:
    """Vary each of `dims` of the code z (L,) in `steps` images: uint8 (len(dims) * steps, C, H, W),
    row by row. A dimension runs from -reach to reach, or through the corresponding quantiles if the
    prior is not N(0, 1); a dimension named by the model runs over its range; a category takes each
    of its values.

    dims: positions in the code, or names (`named_parts`)
    steps: images per row; default: 9, or the number of values of a category among the dims
    Raises PthetaError for no dimensions, for unknown ones, and for an unsupported condition.
    """
    require(model, Decodes, "show its latent space")
    rows = axes(model, len(z), dims, steps, reach)
    count = len(rows[0].values)
    require_images(len(rows) * count, model)
    codes = z.repeat(len(rows), count, 1)
    for i, axis in enumerate(rows):
        at = slice(axis.part.start, axis.part.start + axis.part.size)
        codes[i, :, at] = axis.values.to(codes)
    flat = codes.flatten(0, 1)
    y = check_condition(model, condition)
    return decoded(model, flat, None if y is None else y[torch.zeros(len(flat), dtype=torch.long)])


@undisturbed()
@torch.no_grad()
def most_answered(
    model: nn.Module, condition: Condition | None = None, *, seed: int = 0
) -> list[str]:
    """The parts of the code, named ones first, the others by how much the image changes (mean
    square over pixels) between the prior quantiles that correspond to -1 and 1 under N(0, 1),
    averaged over codes of the prior. Needs no encoder.

    condition: of the codes, one row; default: the model's first example condition
    Raises PthetaError if the model has no prior or cannot decode.
    """
    latent = require(model, DecodesPrior, "show its latent space", prior_cure(model))
    y = check_condition(model, condition)
    y = some_conditions(model, 1) if y is None else y
    every = None if y is None else y[torch.zeros(LOOKED_AT, dtype=torch.long)]
    with seeded(seed):
        z = latent.sample_latent(LOOKED_AT, every)
    own = [part.name for part in code_parts(model)]
    rest = [part for name, part in named_parts(model, z.shape[1]).items() if name not in own]
    low, high = code_at(model, torch.tensor([-1.0, 1.0])).tolist()
    change = torch.stack([_change(model, z, part.start, low, high, every) for part in rest])
    order = change.argsort(descending=True, stable=True)
    return [*own, *(rest[i].name for i in order.tolist())]


def _change(
    model: nn.Module, z: Tensor, place: int, low: float, high: float, y: Condition | None
) -> Tensor:
    ends = z.repeat(2, 1)
    ends[: len(z), place], ends[len(z) :, place] = low, high
    twice = None if y is None else y[torch.arange(len(ends)) % len(z)]
    a, b = to_symmetric(decoded(model, ends, twice)).chunk(2)
    return (a - b).square().mean()
