"""How often equal models are called different, and a slightly worse one, by every ranked metric.

    python benchmarks/calibration.py --data FOLDER [--repetitions 200]

FOLDER holds the four IDX files of MNIST. In each repetition three disjoint draws of n noisy
training images stand for the samples of two equal models and of one with 5 % more noise; 2,000 test
images are the real ones. The likelihoods, paths, clusters and speeds have experiments of their own:
see `ptheta.metrics.calibration`. One thread. Cells that are in the file already are kept, so the
command may be stopped and called again.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from ptheta.data import open_data
from ptheta.extractors.table import load_extractor
from ptheta.metrics.calibration import EQUAL, EXPERIMENTS, WORSE, World, called, family
from ptheta.metrics.protocol import VERSION

SIZES = (300, 1000)
EXTRACTORS = ("digits", "pixels")
OF_FEATURES = ("samples", "paths")  # the others look at no features
DRAWS = {300: 30, 1000: 100}  # of a speed


def cell(world: World, experiment: str, n: int, repetitions: int) -> dict[str, Any]:
    """metric -> its size and power, in % of the repetitions."""
    start = time.process_time()
    null: Counter[str] = Counter()
    power: Counter[str] = Counter()
    size = DRAWS[n] if experiment == "speeds" else n
    for seed in range(repetitions):
        first, second, worse = (
            EXPERIMENTS[experiment](world, size, seed, model) for model in (*EQUAL, WORSE)
        )
        null.update(called(first, second))
        power.update(called(first, worse))
    share = {
        family(metric): {
            "size": round(100 * null[metric] / repetitions, 1),
            "power": round(100 * power[metric] / repetitions, 1),
        }
        for metric in null
    }
    return {
        "repetitions": repetitions,
        "metrics_version": VERSION,
        "CPU seconds": round(time.process_time() - start),
        "metrics": share,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", required=True)
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/calibration.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # few samples for a Frechet distance: the biases are alike
    train, test = open_data(options.data), open_data(options.data, "test")
    results = json.loads(options.out.read_text()) if options.out.exists() else {}
    for name in EXTRACTORS:
        wanted = [e for e in EXPERIMENTS if e in OF_FEATURES or name == EXTRACTORS[0]]
        missing = [(e, n) for n in SIZES for e in wanted if _label(e, name, n) not in results]
        if not missing:
            continue
        world = World.of(train, test, load_extractor(name))
        for experiment, n in missing:
            results[_label(experiment, name, n)] = cell(world, experiment, n, options.repetitions)
            options.out.write_text(json.dumps(results, indent=1) + "\n")
            print(_label(experiment, name, n), json.dumps(results[_label(experiment, name, n)]))


def _label(experiment: str, name: str, n: int) -> str:
    features = f", {name}" if experiment in OF_FEATURES else ""
    return f"{experiment}{features}, n = {n}"


if __name__ == "__main__":
    main()
