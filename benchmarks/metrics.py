"""Time and memory of the metrics, beside what is used elsewhere, in one interleaved run.

    python benchmarks/metrics.py [--rounds 3] [--out benchmarks/results/metrics.json]

Frechet distance from means and covariances in 2048 dimensions (given, as cached statistics are),
against scipy's sqrtm and torchmetrics' way, the eigenvalues of the product. Precision, recall,
density and coverage of 10,000 x 10,000 images of 1280 features against prdc, each in a process of
its own for its peak memory. Extraction: peak memory for few and for many images of a mapped file,
and one process beside two (with as many threads together) for a network of ImageNet.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

D, IMAGES, FEATURES, K = 2048, 10_000, 1280, 5
FEW, MANY = 5_000, 100_000  # images whose extraction is compared in memory


def features(n: int, d: int, seed: int) -> torch.Tensor:
    """Correlated, with a spectrum that falls off as those of networks do."""
    generator = torch.Generator().manual_seed(seed)
    scale = torch.arange(1, d + 1, dtype=torch.float64) ** -0.7
    x = torch.randn(n, d, generator=generator, dtype=torch.float64) * scale
    mix = torch.randn(d, d, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    mixed: torch.Tensor = x @ mix / d**0.5
    return mixed + 0.01 * seed


def frechet_table(rounds: int) -> dict[str, Any]:
    import scipy.linalg

    from ptheta.measures.frechet import Gaussian, frechet, root_of

    x, y = features(3 * D, D, 0), features(3 * D, D, 1)
    m, n = x.mean(0), y.mean(0)
    a, b = x.T.cov(), y.T.cov()
    gap = (m - n).square().sum()

    def by_scipy() -> float:
        root = scipy.linalg.sqrtm((a @ b).numpy()).real
        return float(gap + a.trace() + b.trace() - 2 * np.trace(root))

    def by_eigenvalues() -> float:
        shared = torch.linalg.eigvals(a @ b).sqrt().real.sum()
        return float(gap + a.trace() + b.trace() - 2 * shared)

    def ours() -> float:
        return frechet(Gaussian(m, root_of(a)), Gaussian(n, root_of(b)))

    ways: dict[str, Callable[[], float]] = {
        "scipy sqrtm": by_scipy,
        "eigenvalues of the product (torchmetrics)": by_eigenvalues,
        "ptheta": ours,
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    values = {}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            values[name] = way()
            times[name].append(time.perf_counter() - start)
    # the floor: the singular values of one matrix of that size
    start = time.perf_counter()
    torch.linalg.svdvals(a)
    floor = time.perf_counter() - start
    own = statistics.median(times["ptheta"])
    return {
        name: {
            "seconds": round(statistics.median(t), 3),
            "ptheta is faster by": round(statistics.median(t) / own, 2),
            "value": values[name],
        }
        for name, t in times.items()
    } | {"floor, one set of singular values": {"seconds": round(floor, 3)}}


def manifold_once(who: str) -> None:
    """One measurement in this process: prints seconds, peak MiB over the features, and the four."""
    real, fake = features(IMAGES, FEATURES, 0).float(), features(IMAGES, FEATURES, 1).float()
    if who == "prdc":
        from prdc import compute_prdc

        x, y = real.numpy(), fake.numpy()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    if who == "prdc":
        found = list(map(float, compute_prdc(x, y, nearest_k=K).values()))
    else:
        from ptheta.measures.prdc import manifold

        found = list(manifold(real, fake, K)[0])
    took = time.perf_counter() - start
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(json.dumps([took, peak, found]))


def manifold_table(rounds: int) -> dict[str, Any]:
    runs: dict[str, list[Any]] = {"prdc": [], "ptheta": []}
    for _ in range(rounds):
        for who, found in runs.items():
            done = subprocess.run(
                [sys.executable, __file__, "--once", who],
                check=True,
                capture_output=True,
                text=True,
            )
            found.append(json.loads(done.stdout.splitlines()[-1]))
    return {
        who: {
            "seconds": round(statistics.median(r[0] for r in found), 2),
            "peak MiB beyond the features": round(statistics.median(r[1] for r in found), 1),
            "precision, recall, density, coverage": [round(v, 4) for v in found[0][2]],
        }
        for who, found in runs.items()
    }


def extraction_once(images: int) -> None:
    """The features of so many 28x28 images in a mapped file: prints seconds and peak MiB."""
    from ptheta.data.image_data import ImageDataset
    from ptheta.extractors.features import extract
    from ptheta.extractors.table import load_extractor

    by = load_extractor("digits")
    extract(torch.zeros(1000, 1, 28, 28, dtype=torch.uint8), by)  # what every extraction needs
    with tempfile.NamedTemporaryFile() as file:
        np.memmap(file.name, np.uint8, "w+", 0, (images, 1, 28, 28)).flush()
        data = ImageDataset(
            "mapped", "test", np.memmap(file.name, np.uint8, "r", 0, (images, 1, 28, 28))
        )
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.perf_counter()
        found = extract(data, by)
        took = time.perf_counter() - start
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    own = 4 * (found.features.numel() + (0 if found.logits is None else found.logits.numel()))
    print(json.dumps([took, peak, own / 2**20]))


def extraction_table(rounds: int) -> dict[str, Any]:
    from ptheta.data import open_data
    from ptheta.extractors.features import extract
    from ptheta.extractors.table import load_extractor

    memory = {}
    for images in (FEW, MANY):
        done = subprocess.run(
            [sys.executable, __file__, "--images", str(images)],
            check=True,
            capture_output=True,
            text=True,
        )
        took, peak, own = json.loads(done.stdout.splitlines()[-1])
        memory[f"{images} images"] = {
            "images/s": round(images / took),
            "peak MiB more than one batch takes": round(peak, 1),
            "of these the features": round(own, 1),
        }
    by, data = load_extractor("efficientnet-lite0"), open_data("shapes-64", "test")
    some = data.subset(slice(0, 400))
    times: dict[int, list[float]] = {1: [], 2: []}
    values = {}
    for _ in range(rounds):
        for processes, found in times.items():
            start = time.perf_counter()
            values[processes] = extract(some, by, 50, processes).features
            found.append(time.perf_counter() - start)
    return {
        "memory, digits": memory,
        "efficientnet-lite0, 400 images": {
            f"{processes} process(es), images/s": round(400 / statistics.median(found), 1)
            for processes, found in times.items()
        }
        | {"largest difference": (values[1] - values[2]).abs().max().item()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--once", choices=["prdc", "ptheta"])
    parser.add_argument("--images", type=int)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/metrics.json"))
    options = parser.parse_args()
    if options.once:
        manifold_once(options.once)
        return
    if options.images:
        extraction_once(options.images)
        return
    results = {
        "machine": {
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        f"Frechet distance, {D} dimensions": frechet_table(options.rounds),
        f"manifold, {IMAGES} x {IMAGES} x {FEATURES}": manifold_table(options.rounds),
        "extraction": extraction_table(options.rounds),
    }
    options.out.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
