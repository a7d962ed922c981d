"""Draw the figures of docs/autoregressive.md from runs of autoregressive models.

    python scripts/draw_autoregressive.py RUN... [--out docs/images]

For each run: the receptive field of the middle pixel (with random weights, as a property of the
architecture), samples, completions of the lower half, and surprise maps.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ptheta import tasks
from ptheta.files.images import grid, write_png
from ptheta.runs.folder import Run
from ptheta.runs.from_plan import build_model
from ptheta.specs import from_unit, images_only


@torch.no_grad()
def context(model: Any, row: int, column: int, images: int = 4) -> Tensor:
    """Effect of a change of each pixel on the conditional of pixel (row, column): (H, W)."""
    _, h, w = model.spec.shape
    most = torch.zeros(h, w)
    at = torch.arange(h * w)
    for _ in range(images):
        x = torch.randint(0, 2, (1, *model.spec.shape), dtype=torch.uint8) * 255
        changed = x.repeat(h * w, 1, 1, 1)
        changed[at, :, at // w, at % w] = 255 - changed[at, :, at // w, at % w]

        def score(batch: Tensor) -> Tensor:
            p: Tensor = model.conditionals(batch).log_prob(x.expand_as(batch))  # noqa: B023
            return p[:, :, row, column].sum(1)

        scores = torch.cat([score(part) for part in changed.split(98)])
        most = torch.maximum(most, (scores - score(x)).abs().view(h, w))
    return most


def draw_context(run: Run) -> np.ndarray:
    """Draw the pixel in orange; white to grey: inside its receptive field; black: outside."""
    torch.manual_seed(0)
    torch.set_default_dtype(
        torch.double
    )  # so that pixels outside the receptive field have exactly no effect
    try:
        model = build_model(run.plan, run.spec, run.condition).eval()
        for p in model.parameters():
            p.data.add_(0.1 * torch.randn_like(p))
        spec = images_only(run.spec, "the context of a pixel")
        row, column = spec.height // 2, spec.width // 2
        seen = context(model, row, column)
    finally:
        torch.set_default_dtype(torch.float)
    strength = torch.log10(seen / seen.max()).clamp(min=-8) / 8 + 1  # eight decades
    shade = (0.25 + 0.75 * strength) * (seen > 1e-13)
    picture = (shade * 255).to(torch.uint8).numpy()[..., None].repeat(3, 2)
    picture[row, column] = (255, 140, 0)
    return picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for path in options.runs:
        run = Run.open(path)
        name = run.plan.model.replace("+", "p")
        model = run.model()
        x = run.data("test").batch(slice(0, 6)).x
        write_png(options.out / f"{name}-context.png", draw_context(run), 5)
        samples = tasks.sample(model, 48, seed=0)
        write_png(options.out / f"{name}-samples.png", grid(samples, 8), 2)
        known = tasks.region("upper", images_only(run.spec, "an area"))
        filled = [tasks.inpaint(model, x, known, seed=seed) for seed in range(5)]
        rows = torch.stack([x, x * known, *filled], 1).flatten(0, 1)
        write_png(options.out / f"{name}-completions.png", grid(rows, 7), 2)
        bits = tasks.surprise(model, x)
        maps = torch.stack([x, from_unit(bits / bits.max())], 1).flatten(0, 1)
        write_png(options.out / f"{name}-surprise.png", grid(maps, 4), 2)
        print(f"{name}: {bits.mean():.4f} bits/dim over six images")


if __name__ == "__main__":
    main()
