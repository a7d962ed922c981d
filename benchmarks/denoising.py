"""How well images are repaired, and given back: models beside the floors.

    python -m benchmarks.denoising --data FOLDER --runs FOLDER [--only MODEL ...] [--steps N] [-n N]

FOLDER of --data holds `fashion-mnist` (IDX). Each model is trained on it, where it is not there
yet, and repairs the same 1,000 test images of every noise at every level; models that encode and
decode also give training and test images back. The numbers of a model, with 95 % intervals, are
written to benchmarks/results/denoising.json when they are there, and a model that is in the file is
left as it is, so that the command may be stopped and called again. One thread. --steps makes
trainings shorter, -n takes fewer test images, to try it out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

import ptheta
from ptheta.api import Compared
from ptheta.capabilities import Decodes, Encodes
from ptheta.files.atomic import write_json
from ptheta.runs.folder import Run
from ptheta.tasks.denoise.score import ends

RESULTS = Path(__file__).parent / "results" / "denoising.json"
NOISES = ("gaussian", "masking", "salt-and-pepper")
LEVELS = (0.1, 0.3, 0.5)
MODELS: Mapping[str, Mapping[str, Any]] = {
    "gaussian": {"recipe": "ridge"},
    "vae": {"steps": 1000},
    "dae": {"steps": 2000},
}


def stored() -> dict[str, Any]:
    if not RESULTS.exists():
        return {}
    found: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return found


def trained(name: str, data: Path, folder: Path, steps: int | None) -> Run:
    """A run that goes on where it was stopped."""
    how = {**MODELS[name], "threads": 1, "sample_every": 0}
    if steps is not None and "steps" in how:
        how["steps"] = steps
    return ptheta.train(name, data, folder / name, resume=True, **how)


def table(found: object) -> dict[str, Any]:
    """What is compared -> method -> measure -> value and interval; the note of the method."""
    assert isinstance(found, Compared)
    return {
        one.title: {
            score.name: {
                **{
                    name: [
                        round(number, 4) for number in (value.value or 0.0, *(ends(value) or ()))
                    ]
                    for name, value in score.values.items()
                },
                "note": score.note,
            }
            for score in one.scores
        }
        for one in found.comparisons
    }


def of_model(run: Run, n: int) -> dict[str, Any]:
    numbers = {"denoise": table(ptheta.denoise(run, NOISES, LEVELS, measured=n))}
    model = run.model()
    if isinstance(model, Encodes) and isinstance(model, Decodes):
        numbers["reconstruct"] = table(ptheta.reconstruct(run, measured=n))
    return numbers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--steps", type=int)
    parser.add_argument("-n", type=int, default=1000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    for name in args.only:
        if name in stored():
            continue
        run = trained(name, args.data / "fashion-mnist", args.runs, args.steps)
        write_json(RESULTS, {**stored(), name: of_model(run, args.n)})
        print(f"{name}: done", flush=True)


if __name__ == "__main__":
    main()
