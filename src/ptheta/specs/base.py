"""What every spec can do."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class DataSpec(Protocol):
    """What one example is.

    shape: of one example; dims: how many numbers it has, the D of bits/dim
    """

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dims(self) -> int: ...

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of the elements that an example may lack."""
        ...

    @property
    def discrete(self) -> bool:
        """Whether p(x) is a probability; else it is a density, of which log p may be above 0."""
        ...

    @property
    def scaled_shape(self) -> tuple[int, ...]:
        """Of one example as a network sees it."""
        ...

    @property
    def one(self) -> str:
        """What one example is, in words."""
        ...

    @property
    def several(self) -> str:
        """What several of them are called: "images"."""
        ...

    @property
    def usual_file(self) -> str:
        """What a file of some of them is usually called."""
        ...

    def to_json(self) -> dict[str, object]:
        """For config.json: see `ptheta.schemas`."""
        ...

    def check(self, x: Tensor) -> Tensor:
        """`x` itself if it is a batch of such examples; raises PthetaError otherwise."""
        ...

    def check_drawn(self, x: Tensor) -> Tensor:
        """`x` itself if a model of such examples may have drawn it; raises PthetaError otherwise.

        A batch of a source may hold what a model does not draw, such as grey values where the
        model has two levels.
        """
        ...

    def scaled(self, x: Tensor) -> Tensor:
        """x as a network sees it: floats (torch's default type), (B, *scaled_shape)."""
        ...

    def new_gaps(self, x: Tensor) -> tuple[str, ...]:
        """The names of the elements that some of x lack, and no example of training did."""
        ...

    def compared(self, x: Tensor) -> Tensor:
        """What the distance of two examples is taken of: float32 (B, d)."""
        ...

    def rounded(self, x: Tensor) -> Tensor:
        """Examples of this shape with values that a model of them draws."""
        ...

    def unscaled(self, s: Tensor) -> Tensor:
        """What a network makes, (B, *scaled_shape), as examples: the nearest there are."""
        ...
