"""What may be known of images, and of other examples never is."""

from __future__ import annotations

import numpy as np

from ptheta.data.inputs import Inputs
from ptheta.data.values import Kind, Values


class Known:
    """What there is of no example, unless a kind of data set says otherwise."""

    @property
    def values(self) -> Values | None:
        """What its values were in the source, where that is not as good as 8 bits."""
        return None

    @property
    def masks(self) -> np.ndarray | None:
        """uint8 (N, H, W) segmentation for each stored row."""
        return None

    @property
    def inputs(self) -> Inputs | None:
        """What each image is to be made from, where the data are pairs."""
        return None

    @property
    def partners(self) -> np.ndarray | None:
        """For each stored row the row that shows the same thing in another domain, -1 for none:
        int64 (N,)."""
        return None

    def read_as(self) -> dict[str, object]:
        """What of how it was read makes numbers of another scale, for the protocol of a number."""
        return {}

    @property
    def whites(self) -> dict[Kind, float]:
        """The value that is white in the source, for each kind of value in it."""
        return {}
