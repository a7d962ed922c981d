"""A discriminator of one trunk and two heads: one rates the whole image, the other each patch of it
(Demir & Unal 2018, arXiv:1803.07422)."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor, nn
from torch.nn.functional import pad

from ptheta.nets.modules import Stack
from ptheta.nets.translation.padding import to_least
from ptheta.nets.translation.patch import Step, block, least_side, per_example, receptive_field
from ptheta.specs import full

HALVING, LAST = Step(4, 2), Step(3, 1)
LEAST = 4  # pixels: the side of the map that the global head takes its mean of


class HeadsOutput(NamedTuple):
    """whole: (B,), the logit of each image; patches: (B, 1, h, w), of each patch of it"""

    whole: Tensor
    patches: Tensor

    def split(self, n: int) -> tuple[HeadsOutput, HeadsOutput]:
        """Of the first n examples, and of the others."""
        return (
            HeadsOutput(self.whole[:n], self.patches[:n]),
            HeadsOutput(self.whole[n:], self.patches[n:]),
        )

    @property
    def logits(self) -> Tensor:
        """The mean of both heads: (B,)."""
        return (self.whole + per_example(self.patches)) / 2


class TwoHeads(nn.Module):
    """Images (B, C, H, W) of any height and width -> `HeadsOutput`.

    side: of the images it is made for, pixels; shared: halvings of the trunk; features: channels of
    the first map, doubled up to eightfold; norm: a name of `NORMS`
    receptive_field: of a patch's logit, pixels
    """

    if TYPE_CHECKING:

        def __call__(self, x: Tensor) -> HeadsOutput: ...

    def __init__(self, channels: int, side: int, shared: int, features: int, norm: str) -> None:
        super().__init__()
        alone = max(1, (max(side, LEAST) // LEAST).bit_length() - 1 - shared)
        counts = [channels, *(features * min(2**i, 8) for i in range(shared + alone))]
        blocks = [
            block(a, b, HALVING, norm if i else "none") for i, (a, b) in enumerate(pairwise(counts))
        ]
        self.trunk, self.rest = Stack(*blocks[:shared]), Stack(*blocks[shared:])
        self.patch = nn.Conv2d(counts[shared], 1, LAST.kernel, LAST.stride, LAST.padding)
        self.whole = nn.Linear(counts[-1], 1)
        steps = (HALVING,) * shared
        self.receptive_field = receptive_field((*steps, LAST))
        self.least_side = least_side((HALVING,) * (shared + alone))

    def forward(self, x: Tensor) -> HeadsOutput:
        top, bottom, left, right = to_least(x.shape[2:], self.least_side)
        h = self.trunk(pad(x, (left, right, top, bottom)))
        whole = self.whole(self.rest(h).mean((2, 3)))
        return HeadsOutput(full(whole).squeeze(1), full(self.patch(h)))
