"""Latent arithmetic: directions that change one attribute, and codes moved along them. Needs
`Decodes`, and `Encodes` or inversion for the codes of given images.

- The difference of the mean codes of two groups (Radford et al. 2016, arXiv:1511.06434).
- The least-squares slope of the code with respect to a number known for each image.
- Closed form (Shen & Zhou 2021, arXiv:2007.06600): the directions to which the first layer of the
  generator is most sensitive, the eigenvectors of W^T W in order of their eigenvalues.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.capabilities import Decodes, Encodes, Generates, device_of, some_conditions
from ptheta.compute.memory import require_images
from ptheta.compute.streams import undisturbed
from ptheta.errors import PthetaError
from ptheta.tasks.conditions import check_condition
from ptheta.tasks.effort import decoded
from ptheta.tasks.invert import invert
from ptheta.tasks.needs import require
from ptheta.tasks.walks import code_size

LEAST_SPREAD = 1e-6  # of one dimension of the code
PARTNERS = 3  # of an example in the target group
BATCH = 500  # images encoded at a time
LAYERS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)  # possible first layers of a generator
RESTARTS, STEPS, DRAWN = 4, 300, 2000  # settings of the code search, since many codes are needed


@dataclass(frozen=True)
class Groups:
    """Codes grouped by an attribute of their images: (N, L) by the name of the group."""

    codes: Mapping[str, Tensor]

    @property
    def spread(self) -> Tensor:
        """The standard deviation of each dimension over all codes, (L,), for scaling distances."""
        return torch.cat(list(self.codes.values())).std(0, correction=0).clamp_min(LEAST_SPREAD)

    def nearest(self, codes: Tensor) -> list[str]:
        """The group with the nearest mean, for each code (N, L)."""
        names, spread = list(self.codes), self.spread
        means = torch.stack([self.codes[name].mean(0) for name in names])
        at = torch.cdist(codes / spread, means / spread).argmin(1)
        return [names[i] for i in at.tolist()]

    def towards(
        self, name: str, codes: Tensor, own: Sequence[str], near: int | None = None
    ) -> Tensor:
        """Directions from each code's own group to another group, for codes (N, L): (N, L).

        Args:
            own: the group of each code.
            near: number of nearest codes of the own group to use, each with its partners in the
                other group; None for the difference of the group means. Local directions help if
                the change depends on other properties, such as the position of an object.
        """
        if near is None:
            return torch.stack([difference(self.codes[group], self.codes[name]) for group in own])
        spread, found = self.spread, torch.empty_like(codes)
        for group in dict.fromkeys(own):
            places = torch.tensor([i for i, one in enumerate(own) if one == group])
            members = self.codes[group]
            away = torch.cdist(codes[places] / spread, members / spread)
            nearest = away.topk(min(near, len(members)), largest=False).indices  # (n, near)
            steps = self._partners(members, self.codes[name]) - members
            found[places] = steps[nearest].mean(1)
        return found

    def _partners(self, codes: Tensor, others: Tensor) -> Tensor:
        """For each code of a group (M, L), the mean of its nearest codes in another group, after
        removing the difference of the group means: (M, L)."""
        within = torch.cat([group - group.mean(0) for group in self.codes.values()])
        spread = within.std(0, correction=0).clamp_min(LEAST_SPREAD)
        mine, theirs = codes - codes.mean(0), others - others.mean(0)
        away = torch.cdist(mine / spread, theirs / spread)
        chosen = away.topk(min(PARTNERS, len(others)), largest=False).indices
        return others[chosen].mean(1)


@undisturbed()
@torch.no_grad()
def codes_of(
    model: nn.Module, x: Tensor, condition: Condition | None = None, *, seed: int = 0
) -> Tensor:
    """The codes of images, (N, L): by the encoder if the model has one, else by inversion.

    Raises PthetaError if the model supports neither, and for an unsupported condition.
    """
    if not isinstance(model, Encodes):
        return invert(
            *(model, x, condition), restarts=RESTARTS, steps=STEPS, drawn=DRAWN, seed=seed
        ).codes
    y, device = check_condition(model, condition), device_of(model)
    found = [
        model.encode(part.to(device), None if y is None else y[start : start + BATCH])
        for start, part in zip(range(0, len(x), BATCH), x.split(BATCH), strict=True)
    ]
    return torch.cat(found).float().cpu()


def difference(minus: Tensor, plus: Tensor) -> Tensor:
    """The difference of the mean codes of two groups: (N, L), (M, L) -> (L,)."""
    return plus.mean(0) - minus.mean(0)


def slope(codes: Tensor, values: Tensor) -> Tensor:
    """The least-squares slope of codes (N, L) with respect to a number known for each (N,): (L,),
    per standard deviation of the number.

    Raises PthetaError if the number is constant.
    """
    values = values.to(codes)
    sd = values.std(correction=0)
    if not len(values) or sd == 0:
        raise PthetaError("all images have the same value: no direction can be estimated")
    away = (values - values.mean()) / sd
    found: Tensor = away @ (codes - codes.mean(0)) / len(codes)
    return found


@torch.no_grad()
def closed_form(model: nn.Module, k: int) -> Tensor:
    """The k unit directions, (k, L), to which the first layer of the generator is most sensitive.

    Raises PthetaError if the model cannot decode, if its first layer is not linear in the code, and
    if the code has fewer than k dimensions.
    """
    maker = require(model, Generates, "find directions in closed form")
    size = code_size(model)
    if not 1 <= k <= size:
        raise PthetaError(f"{k} directions: the code has {size} dimensions, give 1 to {size}")
    z = torch.zeros(1, size, device=device_of(model))
    weight = _first_weight(model, lambda: maker.generated(z, _one(model)))
    if weight is None or weight.shape[1] < size:
        raise PthetaError(
            "this model has no linear first layer on the code: give groups (--plus, --minus)"
        )
    weight = weight[:, :size].double()
    _, vectors = torch.linalg.eigh(weight.T @ weight)
    found: Tensor = vectors.flip(1).T[:k]
    # the sign is arbitrary: the largest component is made positive
    largest = found.gather(1, found.abs().argmax(1, keepdim=True))
    return (found * largest.sign()).float()


def _one(model: nn.Module) -> Condition | None:
    return some_conditions(model, 1)


def _first_weight(model: nn.Module, run: Callable[[], object]) -> Tensor | None:
    """The weight of the first linear or convolution that runs, (outputs, inputs)."""
    found: list[Tensor] = []

    def note(layer: nn.Module, inputs: object, output: object) -> None:
        if not found and isinstance(layer, LAYERS):
            weight = layer.weight.detach().cpu()
            if isinstance(layer, nn.ConvTranspose2d):
                weight = weight.transpose(0, 1)
            found.append(weight.transpose(0, 1).flatten(1).T)

    handles = [layer.register_forward_hook(note) for layer in model.modules()]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else None


@undisturbed()
@torch.no_grad()
def moved(
    model: nn.Module,
    codes: Tensor,
    directions: Tensor,
    strengths: Sequence[float],
    condition: Condition | None = None,
) -> Tensor:
    """Images of codes moved along a direction by each strength: uint8 (N * strengths, C, H, W),
    code by code.

    codes: (N, L); directions: (L,), or one per code (N, L); condition: one per code
    Raises PthetaError for directions of another size, for no strength, and if the model cannot
    decode.
    """
    require(model, Decodes, "decode codes")
    if not strengths:
        raise PthetaError("no strength: give at least one")
    if directions.shape[-1] != codes.shape[1] or len(directions.expand_as(codes)) != len(codes):
        raise PthetaError(
            f"a direction of {directions.shape[-1]} dimensions, and codes of {codes.shape[1]}: "
            "they belong to different models"
        )
    require_images(len(codes) * len(strengths), model)
    how_far = torch.tensor(list(strengths), dtype=codes.dtype)
    z = codes[:, None] + how_far[:, None] * directions.expand_as(codes)[:, None]
    y = check_condition(model, condition)
    each = torch.arange(len(codes)).repeat_interleave(len(strengths))
    return decoded(model, z.flatten(0, 1), None if y is None else y[each])
