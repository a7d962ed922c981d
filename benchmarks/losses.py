"""Adversarial losses at an equal budget: the counterpart of Lucic et al. 2018, table 2
(arXiv:1711.10337), on Fashion-MNIST with a small network.

    python benchmarks/losses.py --data FASHION_MNIST --runs FOLDER [--only-train | --only-measure]

Every loss has the same networks, optimizer, batches and number of steps; only what a loss needs to
be defined (a clipped or penalised critic, an autoencoding discriminator) differs. The sweep may be
stopped and called again.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import torch

from ptheta.api import sweep
from ptheta.measures.results import Better, Evaluation
from ptheta.metrics.evaluate import evaluate, real_baseline
from ptheta.report.ranking import rank
from ptheta.runs.folder import Run
from ptheta.runs.sweeps import runs_of

SETTINGS: dict[str, dict[str, Any]] = {
    "minimax": {"loss": "minimax"},
    "non-saturating": {"loss": "non_saturating"},
    "least squares": {"loss": "least_squares"},
    "hinge": {"loss": "hinge"},
    "Wasserstein, clipped": {"loss": "wasserstein", "weight_clip": 0.01},
    "Wasserstein, gradient penalty": {"loss": "wasserstein", "penalty": ("gp",)},
    "non-saturating, DRAGAN": {"loss": "non_saturating", "penalty": ("dragan",)},
    "relativistic, R1 + R2": {"loss": "relativistic", "penalty": ("r1", "r2")}
    | {"penalty_weight": 1.0},
    "BEGAN": {"loss": "began"},
}
SHARED: dict[str, Any] = {
    "features": 16,
    "latent": 64,
    "lr": 5e-4,
    "batch_size": 64,
    "ema": 0.998,
    "evaluate_every": 1000,
    "checkpoint_every": 1000,
    "sample_every": 0,
    "log_every": 100,
    "threads": 1,
}
# name -> which values are better
METRICS: dict[str, Better] = {"fd": "lower", "kd": "lower", "score": "higher", "classes": "higher"}
SAMPLES = 5000


def measure(folder: Path, threads: int) -> dict[str, Any]:
    torch.set_num_threads(threads)
    runs = [Run.open(path) for path in runs_of(folder)]
    groups: dict[str, list[tuple[Run, Evaluation]]] = {}
    for run in runs:
        test, train = run.data("test"), run.data("train")
        found = evaluate(run.model(), test, train, n=SAMPLES, seed=0)
        found.write(run.path / "evaluation.json")
        values = run.plan.to_json()["config"]
        name = next(n for n, s in SETTINGS.items() if _fits(values, s))
        groups.setdefault(name, []).append((run, found))
    extractor = groups[next(iter(groups))][0][1].protocol["extractor"]
    real = real_baseline(test, train, n=SAMPLES, seed=0)
    metrics = {f"{m}_{extractor}": better for m, better in METRICS.items()}
    evaluations = {name: [e for _, e in found] for name, found in groups.items()}
    floors = {m: r.value for m in metrics if (r := real.get(m)) is not None}
    return {
        "protocol": dict(real.protocol),
        "shared": SHARED,
        "steps": runs[0].plan.train.steps,
        "training_seconds": {
            name: round(statistics.median(run.metrics()[-1]["seconds"] for run, _ in found), 1)
            for name, found in groups.items()
        },
        "real_images": floors,
        "settings": {
            m: [r.to_json() for r in rank(evaluations, m, better)] for m, better in metrics.items()
        },
    }


def _fits(config: dict[str, Any], setting: dict[str, Any]) -> bool:
    """Whether a run's config is that of a setting, what the setting leaves out being absent."""
    absent: dict[str, Any] = {"penalty": (), "weight_clip": 0.0, "penalty_weight": None}
    wanted = absent | setting
    return all(config[k] == (list(v) if isinstance(v, tuple) else v) for k, v in wanted.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only-train", action="store_true")
    parser.add_argument("--only-measure", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/losses.json"))
    options = parser.parse_args()
    if not options.only_measure:
        settings = list(SETTINGS.values())
        done = sweep(
            "gan",
            options.data,
            options.runs,
            settings,
            seeds=options.seeds,
            steps=options.steps,
            **SHARED,
        )
        print(f"{len(done.runs)} runs, failed: {done.failed}")
    if not options.only_train:
        results = measure(options.runs, options.threads)
        options.out.write_text(json.dumps(results, indent=2) + "\n")
        for metric, rows in results["settings"].items():
            print(f"{metric} (real images {results['real_images'].get(metric)})")
            for row in rows:
                print(f"  {row['setting']:32} {row['mean']:.3f} +- {row['half']} {row['values']}")


if __name__ == "__main__":
    main()
