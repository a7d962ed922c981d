"""The `context` function: which pixels a prediction depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ptheta import tasks
from ptheta.api.grid import Block, conditions_with
from ptheta.api.limits import check_numbers
from ptheta.api.on_device import on_device
from ptheta.data.memory import Source
from ptheta.data.turns import in_turn
from ptheta.files.out import check_file
from ptheta.report import figures
from ptheta.runs.folder import Run
from ptheta.specs import images_only
from ptheta.tasks.context import Context, place

COLOURS = ("R", "G", "B")


@dataclass(frozen=True)
class Seen:
    """Result of `ptheta.context`.

    Attributes:
        context: What the prediction depends on, pixel by pixel.
        path: The picture, or None if none was asked for.
    """

    context: Context
    path: Path | None = None

    def blocks(self) -> list[Block]:
        """The printed output: the numbers, and the colours of the pixel itself."""
        found = self.context
        counts = [
            ["pixels", "number"],
            ["before it in the order", str(int(found.before.sum()))],
            ["seen", str(int(found.seen.sum()))],
            ["not seen, though before it (blind spot)", str(int(found.blind.sum()))],
            ["seen, though after it (must be 0)", str(found.ahead)],
        ]
        title = f"pixel in row {found.row}, column {found.column}"
        return [Block(title, counts, self._own())]

    def _own(self) -> list[str]:
        """What each colour of the pixel sees of its other colours."""
        own = self.context.colours
        if len(own) != len(COLOURS):
            return []
        each = ((c, [COLOURS[k] for k in range(3) if own[i, k]]) for i, c in enumerate(COLOURS))
        text = ", ".join(f"{c} sees {' and '.join(sees) or 'nothing'}" for c, sees in each)
        return [f"of its own colours, {text}"]

    def to_json(self) -> dict[str, object]:
        found = self.context
        return {
            "pixel": [found.row, found.column],
            "before": int(found.before.sum()),
            "seen": int(found.seen.sum()),
            "blind": int(found.blind.sum()),
            "ahead": found.ahead,
            "colours": found.colours.tolist(),
            "path": None if self.path is None else str(self.path),
        }


@on_device
def context(
    run: str | Path | Run,
    pixel: Sequence[int] | None = None,
    *,
    n: int = 8,
    data: Source | None = None,
    weights: str = "best",
    out: str | Path | None = None,
    device: str | None = None,
) -> Seen:
    """Find the pixels that the prediction of one pixel depends on, by its gradient in the image.

    The gradient is taken at test images and at as many images of random pixels. Where no path of
    the network leads from a pixel to the prediction, it is exactly 0.

    Args:
        run: Run folder, or a `Run`, of an autoregressive model of images.
        pixel: Row and column, counted from 0; by default the middle of the image.
        n: Number of test images.
        data: New location of the run's data, or other images.
        weights: "best" or "last".
        out: A .png to draw the pixels into.
        device: as for `ptheta.sample`.

    Raises:
        PthetaError: If the model has no conditionals in an order of the pixels, for a pixel outside
            of the image, or if `out` cannot be written.
    """
    check_numbers(n=n)
    at = None if out is None else check_file(out, (".png",))
    opened = Run.open(run)
    spec = images_only(opened.spec, "the context of a pixel")
    chosen = place(None if pixel is None else (pixel[0], pixel[1]), spec.height, spec.width)
    batch = in_turn(opened.data("test", data)).batch(slice(0, n))
    condition = conditions_with(opened, batch)
    found = tasks.context(opened.model(weights), batch.x, chosen, condition)
    return Seen(found, None if at is None else figures.context(found, at))
