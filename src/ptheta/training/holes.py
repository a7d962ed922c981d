"""Training pictures of a model that completes images and cannot sample."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.capabilities import Completes, conditional, device_of
from ptheta.compute.streams import seeded
from ptheta.data.dataset import Dataset
from ptheta.data.turns import in_turn
from ptheta.files.captions import hatched, rows_in_turn
from ptheta.files.images import grid, write_png
from ptheta.masks import TESTED, unknown_parts
from ptheta.specs import ImageSpec

COMPLETED = 4  # images per mask


@dataclass(frozen=True)
class HoleGrid:
    """A grid with a row per mask: each image, its known part, and its completion.

    x: uint8 (N, C, H, W), with the masks in turn; known: bool, shape of x; condition: of each image
    """

    x: Tensor
    known: Tensor
    condition: Condition | None

    @classmethod
    def of(cls, data: Dataset) -> HoleGrid:
        """The first images of a data set."""
        with seeded(0):  # some data sets are random
            batch = in_turn(data).batch(slice(0, COMPLETED * len(TESTED)))
        n, _, h, w = batch.x.shape
        unknown = unknown_parts(n, h, w)[:, None].expand_as(batch.x)
        return cls(batch.x, ~unknown, batch.condition)

    def write(self, path: Path, model: nn.Module) -> None:
        assert isinstance(model, Completes)
        device = device_of(model)
        y = self.condition if conditional(model) and self.condition is not None else None
        with torch.no_grad():
            done = model.complete(
                *(self.x.to(device), self.known.to(device)), None if y is None else y.to(device)
            )
        columns_shown = torch.stack([self.x, hatched(self.x, self.known), done.cpu()], 1)
        rows, columns = rows_in_turn(columns_shown.flatten(1, 2), min(len(TESTED), len(self.x)))
        images = rows.unflatten(1, (3, -1)).flatten(0, 1)
        write_png(path, grid(images, 3 * columns), scale=2, captions=TESTED[: len(self.x)])


def holes_of(model: nn.Module, data: Dataset) -> HoleGrid | None:
    """The grid for a model that completes images; None for other models and data."""
    if not isinstance(model, Completes) or not isinstance(data.spec, ImageSpec):
        return None
    return HoleGrid.of(data)
