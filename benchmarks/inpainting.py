"""How well holes are completed: context-gan beside what needs no learning, five masks.

    python -m benchmarks.inpainting --runs FOLDER [--emoji FOLDER] [--steps 4000] [-n 200]

Trains one context-gan on one thread for each data set, shapes-64 and the pictures of one vendor of
a folder of emoji (parquet, 32 pixels), or goes on with the runs that are there, and measures the
PSNR where pixels of n test images were unknown: of the model, of the mean training image, of the
training image that is nearest in the known pixels, and of biharmonic interpolation (scikit-image,
which is wanted for this alone: pip install scikit-image). Each number is written to
benchmarks/results/inpainting.json when it is there, so that the command may be stopped and called
again. `--only NAME` measures one data set.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ptheta import api
from ptheta.data.dataset import Dataset
from ptheta.files.atomic import digest, write_json
from ptheta.masks import TESTED
from ptheta.measures.errors import MOST_DECIBELS, decibels, squared_error
from ptheta.metrics.completions import MeanFill, NearestImage
from ptheta.runs.folder import Run
from ptheta.specs import from_unit, to_unit
from ptheta.tasks.inpaint import inpaint, regions

RESULTS = Path(__file__).parent / "results" / "inpainting.json"
EMOJI: Mapping[str, Any] = {"image_column": "twitter", "size": 32}
# the mean of several answers has the least squared error: more dB, and more blur
DECIBELS: Mapping[str, Any] = {"features": 24, "l2_weight": 4.0}
# what is seen of a test image, and which of its pixels are known -> all of it
Method = Callable[[Tensor, Tensor], Tensor]


def trained(name: str, source: str, folder: Path, steps: int) -> Run:
    """A run that goes on where it was stopped."""
    options = {**DECIBELS, **(EMOJI if name == "emoji" else {})}
    return api.train(
        "context-gan",
        source,
        folder,
        resume=True,
        steps=steps,
        threads=1,
        **{"evaluate_every": 200, "sample_every": 0, **options},
    )


def biharmonic(x: Tensor, known: Tensor) -> Tensor:
    """Damelin & Hoang 2018: the smoothest surface through the known pixels, of each channel."""
    from skimage.restoration import inpaint_biharmonic

    done = torch.empty_like(x)
    for i, (image, there) in enumerate(zip(to_unit(x).numpy(), known.numpy(), strict=True)):
        filled = inpaint_biharmonic(np.moveaxis(image, 0, -1), ~there[0], channel_axis=-1)
        done[i] = from_unit(torch.from_numpy(np.moveaxis(filled, -1, 0)))
    return torch.where(known, x, done)


def methods(run: Run, train: Dataset) -> dict[str, Method]:
    def of(model: nn.Module) -> Method:
        return lambda x, known: inpaint(model, x, known)

    return {
        "context-gan": of(run.model()),
        "mean fill": of(MeanFill(train)),
        "nearest image": of(NearestImage(train)),
        "biharmonic": biharmonic,
    }


def measured(method: Method, x: Tensor, mask: str) -> dict[str, float]:
    """psnr: of the mean squared error; psnr_each: the mean of every image's, at most 100 dB each;
    changed: known values that are not what they were"""
    n, c, h, w = x.shape
    unknown = regions(mask, n, (c, h, w))
    made = method(x.masked_fill(unknown, 0), ~unknown)
    errors = squared_error(made, x, unknown)
    each = (10 * torch.log10(255.0**2 / errors)).clamp(max=MOST_DECIBELS)
    return {
        "psnr": round(decibels(errors.mean().item()), 3),
        "psnr_each": round(each.mean().item(), 3),
        "changed": int((made != x)[~unknown].sum()),
    }


def stored() -> dict[str, Any]:
    """The numbers by data set, method and mask."""
    found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return found


def compare(name: str, run: Run, n: int) -> dict[str, Any]:
    """The numbers of a data set: what is missing is measured, and written one by one."""
    train, test = run.data("train"), run.data("test")
    n = min(n, len(test))
    x = test.batch(slice(0, n)).x
    weights = digest(run.weights_file("best"))[:16]
    about = {"images": n, "spec": str(run.spec), "weights": weights}
    rows: dict[str, Any] = stored().get(name, {})
    if rows.get("about") != about:
        rows = {"about": about}
    for method, complete in methods(run, train).items():
        by_mask = rows.setdefault(method, {})
        for mask in TESTED:
            if mask not in by_mask:
                by_mask[mask] = measured(complete, x, mask)
                write_json(RESULTS, {**stored(), name: rows})
                print(f"{name}  {method:14}{mask:9}{by_mask[mask]['psnr']:7.2f} dB", flush=True)
    return rows


def verdict(rows: Mapping[str, Any]) -> str:
    """By how much the model is better than the best of the others, mask by mask."""
    others = [method for method in rows if method not in ("about", "context-gan")]
    gaps = {
        mask: rows["context-gan"][mask]["psnr"] - max(rows[m][mask]["psnr"] for m in others)
        for mask in TESTED
    }
    least = min(gaps.values(), default=math.nan)
    each = ", ".join(f"{mask} {gap:+.2f}" for mask, gap in gaps.items())
    return f"{'better on every mask' if least > 0 else 'not better on every mask'}: {each} dB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--emoji", help="folder of the parquet files; without it shapes-64 alone")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("-n", type=int, default=200, help="test images")
    parser.add_argument("--only", help="shapes-64 or emoji")
    args = parser.parse_args()
    torch.set_num_threads(1)
    sources = {"shapes-64": "shapes-64"} | ({"emoji": args.emoji} if args.emoji else {})
    for name, source in sources.items():
        if args.only in (None, name):
            run = trained(name, source, args.runs / name, args.steps)
            print(f"{name}: {verdict(compare(name, run, args.n))}")


if __name__ == "__main__":
    main()
