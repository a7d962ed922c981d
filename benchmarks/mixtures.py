"""Mixtures of Gaussians beside scikit-learn's: the same data, components and tolerance.

    python -m benchmarks.mixtures [--data digits] [--components 50] [--levels 16]

Both see dequantised images, scikit-learn those with noise drawn once, and start by k-means(++).
Says the mean log-density of test images (nats, the noise drawn alike), passes and seconds of one
thread, of the Gaussians of independent pixels; and those of points of full covariances.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
import warnings
from pathlib import Path

import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor

import ptheta
from ptheta.batch import Batch
from ptheta.compute import streams
from ptheta.data import open_data
from ptheta.data.dataset import Dataset
from ptheta.data.image_data import ImageDataset
from ptheta.models.mixtures.mixture import Mixture

Row = dict[str, float]


def rounded(value: float) -> float:
    return float(f"{value:.5g}")


def of_ptheta(model: Mixture, x: Tensor, v: Tensor) -> Row:
    started = time.process_time()
    parts = [Batch(part) for part in x.split(512)]
    with torch.no_grad():
        passes = sum(1 for _ in itertools.islice(model.fit(parts), 200))
    seconds = time.process_time() - started
    nats = model.log_density(v).mean().item()
    return {"nats": rounded(nats), "passes": passes, "seconds": rounded(seconds)}


def of_sklearn(kind: str, k: int, ridge: float, v: Tensor, test: Tensor) -> Row:
    other = GaussianMixture(
        k, covariance_type=kind, reg_covar=ridge, tol=1e-4, max_iter=200, random_state=0
    )
    started = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        other.fit(v.numpy())
    seconds = time.process_time() - started
    nats = float(other.score(test.numpy()))
    return {"nats": rounded(nats), "passes": other.n_iter_, "seconds": rounded(seconds)}


def compared(train: Dataset, test: Dataset, kind: str, k: int, ridge: float) -> dict[str, Row]:
    """kind: of components, as ptheta has it"""
    torch.manual_seed(0)
    x = torch.cat([train.batch(slice(i, i + 5000)).x for i in range(0, len(train), 5000)])
    held = test.batch(slice(0, min(2000, len(test)))).x
    made = ptheta.create("mixture", train.spec, component=kind, components=k, ridge=ridge)
    assert isinstance(made, Mixture)
    with streams.seeded(1):
        v, aside = made.numbers.drawn(x), made.numbers.drawn(held)
    theirs = "diag" if kind == "diagonal" else kind
    return {
        "ptheta": of_ptheta(made, x, aside),
        "scikit-learn": of_sklearn(theirs, k, max(ridge, 1e-6), v, aside),
    }


def parts(name: str, levels: int | None = None) -> list[Dataset]:
    """What is for training, and for testing."""
    found = (open_data(name, split=part) for part in ("train", "test"))
    return [d.with_levels(levels) if levels and isinstance(d, ImageDataset) else d for d in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--components", type=int, default=50)
    parser.add_argument("--levels", type=int, default=16)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/mixtures.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    train, test = parts(options.data, options.levels)
    points, others = parts("points-moons")
    found = {
        options.data: compared(train, test, "diagonal", options.components, 1.0),
        "points-moons": compared(points, others, "full", 16, 0.0),
    }
    print(json.dumps(found, indent=1))
    options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
