"""The base class of specs."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class DataSpec(Protocol):
    """Description of one example.

    Attributes:
        shape: shape of one example.
        dims: number of its dimensions, the D of bits/dim.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dims(self) -> int: ...

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of the elements that may be missing."""
        ...

    @property
    def discrete(self) -> bool:
        """Whether p(x) is a probability; otherwise a density, with log p possibly above 0."""
        ...

    @property
    def scaled_shape(self) -> tuple[int, ...]:
        """The shape of one example in network scale."""
        ...

    @property
    def one(self) -> str:
        """A short name of one example."""
        ...

    @property
    def several(self) -> str:
        """The plural name of the examples, such as "images"."""
        ...

    @property
    def usual_file(self) -> str:
        """The default file name of saved examples."""
        ...

    def to_json(self) -> dict[str, object]:
        """Convert to JSON for config.json: see `ptheta.schemas`."""
        ...

    def check(self, x: Tensor) -> Tensor:
        """`x` itself if it is a batch of such examples; raises PthetaError otherwise."""
        ...

    def check_drawn(self, x: Tensor) -> Tensor:
        """Check that `x` is a valid sample of a model with this spec, and return it.

        Batches of data may hold values that a model does not sample, such as grey values for a
        model with two levels.

        Raises:
            PthetaError: if it is not.
        """
        ...

    def scaled(self, x: Tensor) -> Tensor:
        """Convert x to network scale: floats (torch's default dtype), (B, *scaled_shape)."""
        ...

    def new_gaps(self, x: Tensor) -> tuple[str, ...]:
        """The names of the elements that are missing in some of x, but in no training example."""
        ...

    def compared(self, x: Tensor) -> Tensor:
        """The vectors whose distance is the distance of examples: float32 (B, d)."""
        ...

    def rounded(self, x: Tensor) -> Tensor:
        """Round examples to values that a model can sample."""
        ...

    def unscaled(self, s: Tensor) -> Tensor:
        """Convert network outputs (B, *scaled_shape) to the nearest valid examples."""
        ...
