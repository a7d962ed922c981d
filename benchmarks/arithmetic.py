"""Inversion and arithmetic with codes, measured by what can be checked.

    python -m benchmarks.arithmetic --shapes RUN --gan RUN [-n 500]

--shapes: a run on `shapes` of one object (`--where objects=1`), unconditional: images that are not
red are made red (`--plus first_colour=red`), and what they then show is read off the pixels
(`ptheta.data.scene_reader`): how many are red, and how many of the other attributes are kept, of
those that the code alone keeps, too. --gan: a run of a GAN on images: its own samples are found
again, and test images beside the best of the codes that were drawn. Writes
benchmarks/results/arithmetic.json.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from scipy.stats import binomtest

import ptheta
from ptheta import tasks
from ptheta.capabilities import Decodes, HasPrior
from ptheta.compute.streams import seeded
from ptheta.data.scene_reader import read_scenes
from ptheta.data.shapes import ATTRIBUTES
from ptheta.measures.scenes import alike
from ptheta.runs.folder import Run

NEAR = 10  # images of the own group
KEPT = ("objects", "background", "place", "shape", "size", "fill")


def share(hits: np.ndarray) -> dict[str, object]:
    found = binomtest(int(hits.sum()), len(hits)).proportion_ci(method="wilson")
    return {"value": float(hits.mean()), "interval_95": [found.low, found.high], "of": len(hits)}


def red(run: Run, n: int, near: int | None) -> dict[str, object]:
    """Of test images that are not red. near: as for `arithmetic`"""
    others = ["orange", "yellow", "green", "blue", "purple", "pink", "brown"]
    where = [f"first_colour={colour}" for colour in others]
    found = ptheta.arithmetic(
        run, plus="first_colour=red", where=where, n=n, each=1000, near=near, strengths=(0.0, 1.0)
    )
    x = found.x.unflatten(0, (-1, 3))
    real, code, made = (read_scenes(x[:, i]).attributes for i in range(3))
    colour = ATTRIBUTES.index("first_colour")
    same, before = alike(made, real), alike(code, real)
    return {
        "red": share(made[:, colour] == 0),
        "kept": {name: share(same[name]) for name in KEPT},
        "kept_by_the_code": {name: share(before[name]) for name in (*KEPT, "colour")},
        "red_by_the_code": share(code[:, colour] == 0),
    }


def inverted(run: Run, n: int) -> dict[str, object]:
    model = run.model()
    assert isinstance(model, HasPrior)
    assert isinstance(model, Decodes)
    with torch.no_grad(), seeded(77):
        z = model.sample_latent(n)
        x = model.decode(z)
    start = time.process_time()
    own = tasks.invert(model, x)
    seconds = (time.process_time() - start) / n
    cosine = torch.cosine_similarity(own.codes, z)
    again = (own.error < 1e-3) & (cosine > 0.98)
    real = tasks.invert(model, run.data("test").batch(slice(0, n)).x)
    assert real.floor is not None
    gain = 10 * (real.floor / real.error).log10()
    return {
        "found_again": share(again.numpy()),
        "seconds_each": seconds,
        "psnr": float((-10 * real.error.log10()).mean()),
        "psnr_of_the_best_drawn": float((-10 * real.floor.log10()).mean()),
        "gain_db": {"mean": float(gain.mean()), "least": float(gain.min())},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--shapes", type=Path)
    parser.add_argument("--gan", type=Path)
    parser.add_argument("-n", "--number", type=int, default=500)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/arithmetic.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = json.loads(options.out.read_text()) if options.out.exists() else {}
    if options.shapes is not None:
        run = Run.open(options.shapes)
        found["make it red"] = red(run, options.number, NEAR)
        found["make it red, by whole groups"] = red(run, options.number, None)
    if options.gan is not None:
        found["inversion"] = inverted(Run.open(options.gan), min(options.number, 100))
    options.out.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
