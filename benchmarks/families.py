"""The comparison of families: one model of each, the same time for each, measured alike.

    python benchmarks/families.py --runs FOLDER [--data mnist] [--minutes 8] [-n 5000]

Every model trains for the same minutes on one thread, on images of 2 levels (one fixed binarisation
of training and test images), which all families can do. Runs that are there are gone on with, so
the command may be stopped and called again. Writes FOLDER/report/, and a short form of its JSON to
benchmarks/results/families.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ptheta import api
from ptheta.capabilities import Samples
from ptheta.report.compare import compare
from ptheta.runs.folder import Run

# name of the run -> the model, its recipe, and options; tried on held-out training images
FAMILIES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "gan": ("gan", "five-minutes", {}),
    "vae": ("vae", "default", {"batch_size": 128, "schedule": "cosine"}),
    "pixelcnn": ("pixelcnn", "demo", {}),
    "ae": ("ae", "default", {"latent": 16, "batch_size": 128, "schedule": "cosine"}),
    "vae-gan": ("vae-gan", "default", {"latent": 16, "beta": 20.0}),
    "nade": ("nade", "relu", {}),
    "gated-pixelcnn": ("gated-pixelcnn", "five-minutes", {}),
    "aae": ("aae", "default", {}),
    "iwae": ("iwae", "default", {"samples": 5, "batch_size": 128, "schedule": "cosine"}),
    "made": ("made", "direct", {}),
}


def trained(name: str, data: str, folder: Path, minutes: float) -> Run:
    model, recipe, options = FAMILIES[name]
    run = api.train(
        model,
        data,
        folder,
        recipe=recipe,
        resume=True,
        minutes=minutes,
        threads=1,
        **{"levels": 2, "dynamic": False, "sample_every": 0, "checkpoint_every": 2000, **options},
    )
    if not isinstance(run.model(prior="own"), Samples):
        api.fit(folder)
    return run


def short(report: dict[str, Any]) -> dict[str, Any]:
    """Value and error of every metric of a report, and how each model was trained."""

    def values(evaluation: dict[str, Any]) -> dict[str, Any]:
        rows = {}
        for r in evaluation["results"]:
            if r["value"] is None:
                rows[r["metric"]] = f"not defined ({r['reason']})"
            else:
                sign = {"=": "", "<=": "<= "}[r["relation"]]
                error = "" if r["error"] is None else f" +- {r['error']:.2g}"
                rows[r["metric"]] = f"{sign}{r['value']:.6g}{error} {r['unit']}".rstrip()
        return rows

    return {
        "protocol": report["real"]["protocol"],
        "real images": values(report["real"]),
        **{name: values(e) for name, e in report["baselines"].items()},
        **{
            name: {k: run[k] for k in ("family", "density", "training_seconds", "steps")}
            | values(run["evaluation"])
            for name, run in report["runs"].items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("-n", "--number", type=int, default=5000)
    parser.add_argument("--only", nargs="+", default=list(FAMILIES), choices=FAMILIES)
    parser.add_argument("--train-only", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/families.json"))
    options = parser.parse_args()
    runs = []
    for name in options.only:
        print(name, flush=True)
        runs.append(trained(name, options.data, options.runs / name, options.minutes))
    if options.train_only:
        return
    compare(runs, options.runs / "report", n=options.number)
    report = json.loads((options.runs / "report" / "report.json").read_text())
    options.out.write_text(json.dumps(short(report), indent=1) + "\n")


if __name__ == "__main__":
    main()
