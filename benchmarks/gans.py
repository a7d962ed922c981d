"""GANs on digits: what five CPU minutes give, and how well InfoGAN's categories are the digits.

    python benchmarks/gans.py --runs FOLDER [--out benchmarks/results/gans.json]

One thread. Runs that are there already are measured, not trained again. CPU time is what the
process used, for those that are trained now.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

import ptheta
from ptheta.data import open_data
from ptheta.measures.intervals import standard_error
from ptheta.measures.results import Evaluation
from ptheta.metrics.clustering import clustering_accuracy
from ptheta.metrics.evaluate import evaluate, real_baseline
from ptheta.runs.folder import Run

SAMPLES = 5000
SEEDS = 3
SHOWN = [
    *("score_digits", "fd_digits", "fd_infinity_digits", "precision_digits", "recall_digits"),
    *("copying_z", "classes_digits"),
]


def trained(model: str, folder: Path, **options: Any) -> tuple[Run, float | None]:
    """The run, and the CPU minutes that it took where it was trained now."""
    if (folder / "model.safetensors").exists():
        return Run.open(folder), None
    start = time.process_time()
    run = ptheta.train(model, "digits", folder, resume=True, threads=1, **options)
    return run, (time.process_time() - start) / 60


def shown(found: Evaluation) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for metric in SHOWN:
        result = found.get(metric)
        if result is not None and result.value is not None:
            rows[metric] = {"value": round(result.value, 4), "error": result.error}
    classes = found.get("classes_digits")
    if classes is not None:
        counts = classes.protocol["counts"]
        assert isinstance(counts, list)
        rows["share of each class, %"] = [round(100 * c / sum(counts), 1) for c in counts]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/gans.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    test, train = open_data("digits", "test", levels=4), open_data("digits", levels=4)
    results: dict[str, Any] = {"samples": SAMPLES}
    five: dict[str, Any] = {"real images": shown(real_baseline(test, train, n=SAMPLES))}
    for name in ("gan", "wgan-gp"):
        run, _ = trained(name, options.runs / name, recipe="five-minutes")
        found = evaluate(run.model(), test, train, n=SAMPLES)
        five[name] = shown(found) | {"steps": run.metrics()[-1]["step"]}
    results["five minutes on one core"] = five
    infogan = {}
    for seed in range(SEEDS):
        run, minutes = trained(
            "infogan", options.runs / f"infogan-{seed}", recipe="digits", seed=seed
        )
        value, draws = clustering_accuracy(run.model("last"), run.data("test"))
        infogan[f"seed {seed}"] = {
            "accuracy": round(value, 4),
            "error": draws and round(standard_error(draws), 4),
            "steps": run.metrics()[-1]["step"],
            "CPU minutes": minutes and round(minutes, 1),
        }
    results["infogan, clustering accuracy"] = infogan
    options.out.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
