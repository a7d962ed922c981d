"""How well holes are completed, beside what needs no learning, five masks.

    python -m benchmarks.inpainting --runs FOLDER [--emoji FOLDER] [--steps 4000] [-n 200]

Trains a small model of each family on digits, and one context-gan for each of two further data
sets, shapes-64 and the pictures of one vendor of a folder of emoji (parquet, 32 pixels), on one
thread, or goes on with the runs that are there. What is measured where pixels of n test images were
unknown (of the families at most 20): the PSNR of the model, of the mean training image, of the
training image that is nearest in the known pixels, and of the smoothest surface; of the families
the other measures of `ptheta inpaint --measure`, too. Each number is written to
benchmarks/results/inpainting.json when it is there, so that the command may be stopped and called
again. `--only NAME` measures one data set, the families, or one of these.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ptheta import api
from ptheta.data.dataset import Dataset
from ptheta.files.atomic import digest, write_json
from ptheta.masks import TESTED
from ptheta.measures.errors import MOST_DECIBELS, decibels, squared_error
from ptheta.metrics.biharmonic import SmoothestSurface
from ptheta.metrics.completion_scores import Scores
from ptheta.metrics.completions import MeanFill, NearestImage
from ptheta.runs.folder import Run
from ptheta.tasks.inpaint import inpaint, regions

RESULTS = Path(__file__).parent / "results" / "inpainting.json"
EMOJI: Mapping[str, Any] = {"image_column": "twitter", "size": 32}
# the mean of several answers has the least squared error: more dB, and more blur
DECIBELS: Mapping[str, Any] = {"features": 24, "l2_weight": 4.0}
FAMILIES = "families"
# a model of each family, small, on digits of 16 pixels and 4 levels
DATA: Mapping[str, Any] = {"size": 16, "levels": 4}
TRAINED: Mapping[str, Mapping[str, Any]] = {
    "vae": {"hidden": (256,), "latent": 16, "batch_size": 128, "steps": 3000},
    "pixelcnn": {"features": 16, "blocks": 3, "head": 16, "batch_size": 32, "steps": 1200},
    "dcgan": {
        "features": 16,
        "dense": 256,
        "latent": 32,
        "lr": 1e-3,
        "d_lr": 2e-4,
        "batch_size": 64,
        "steps": 2500,
        "ema": 0.995,
    },
    "context-gan": {
        "features": 12,
        "dilations": (1, 2, 4),
        "l2_weight": 1.0,
        "batch_size": 16,
        "steps": 1000,
    },
}
ASKED: Mapping[str, Mapping[str, Any]] = {
    "pixelcnn": {"candidates": 20},
    "dcgan": {"candidates": 4, "search_steps": 50},
}
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


def methods(run: Run, train: Dataset) -> dict[str, Method]:
    def of(model: nn.Module) -> Method:
        return lambda x, known: inpaint(model, x, known)

    return {
        "context-gan": of(run.model()),
        "mean fill": of(MeanFill(train)),
        "nearest image": of(NearestImage(train)),
        "biharmonic": of(SmoothestSurface(train)),
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


def families(folder: Path, only: str | None, n: int, each: int) -> None:
    """A small model of each family beside the floors: what is missing is trained and measured."""
    for name, options in TRAINED.items():
        if only not in (None, FAMILIES, name):
            continue
        asked = {"n": n, "each": each, **ASKED.get(name, {})}
        plain: dict[str, Any] = {
            "sample_every": 0,
            "evaluate_every": 0,
            "threads": 1,
            "resume": True,
        }
        run = api.train(name, "digits", folder / name, **plain, **DATA, **options)
        about = {**asked, "weights": digest(run.weights_file("best"))[:16]}
        rows: dict[str, Any] = stored().get(FAMILIES, {})
        if rows.get(name, {}).get("about") != about:
            scores = api.score_inpainting(run, **asked)
            rows = {**stored().get(FAMILIES, {})}
            rows[name] = {"about": about, "by mask": rounded(scores)}
            write_json(RESULTS, {**stored(), FAMILIES: rows})
        for mask, ways in rows[name]["by mask"].items():
            told = (f"{way} {values['psnr']:.2f}" for way, values in ways.items())
            print(f"{name}  {mask:9}{', '.join(told)} dB", flush=True)


def rounded(scores: Scores) -> dict[str, dict[str, dict[str, float]]]:
    return {
        mask: {way: {k: round(v, 3) for k, v in values.items()} for way, values in ways.items()}
        for mask, ways in scores.to_json().items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--emoji", help="folder of the parquet files; without it shapes-64 alone")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("-n", type=int, default=200, help="test images")
    parser.add_argument("--each", type=int, default=3, help="completions, of the families")
    parser.add_argument("--only", help=f"shapes-64, emoji, {FAMILIES}, or one of {[*TRAINED]}")
    args = parser.parse_args()
    torch.set_num_threads(1)
    families(args.runs / FAMILIES, args.only, min(args.n, 20), args.each)
    sources = {"shapes-64": "shapes-64"} | ({"emoji": args.emoji} if args.emoji else {})
    for name, source in sources.items():
        if args.only in (None, name):
            run = trained(name, source, args.runs / name, args.steps)
            print(f"{name}: {verdict(compare(name, run, args.n))}")


if __name__ == "__main__":
    main()
