"""Progressive growing against the same network at full size from the start, at equal compute.

    python -m benchmarks.progressive --runs FOLDER [--cpu-minutes 5] [--seeds 0 1] [--only ARM ...]
        [--data shapes-64] [--options loss=wasserstein ...] [--out FILE.json]

Both arms are the recipe `default` of progressive-gan; the floor has one stage. The clock is CPU
time of one thread: the steps of every phase of growth are timed first, arm by arm in turns, the
least of several rounds of each; then each arm gets as many steps as cost `--cpu-minutes`. So what
else the machine does changes no result, and the CPU time that each training really took stands
beside its numbers. Runs that are there are gone on with and measured again. Numbers are of samples
by the moving average of the weights against the test images. Writes
benchmarks/results/progressive.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch

import ptheta
from ptheta.batch import Batch
from ptheta.data import open_images
from ptheta.data.dataset import Dataset
from ptheta.dynamics import DYNAMICS
from ptheta.measures.results import NORMAL, Evaluation
from ptheta.metrics.evaluate import real_baseline
from ptheta.models import registry
from ptheta.training.engine import Engine
from ptheta.training.group import Group

MODEL = "progressive-gan"
ARMS: dict[str, dict[str, Any]] = {"progressive": {}, "fixed": {"stages": 1}}
SHARES = 48  # of a run, at which its phase is looked up
METRICS = ("kd_pixels", "fd_pixels", "precision_pixels", "recall_pixels", "sharpness")


def recipe() -> dict[str, Any]:
    return dict(registry.entry(MODEL).recipes()["default"])


class Timed:
    """An arm's training, a step of which is made where it is asked for."""

    def __init__(self, data: Dataset, batch_size: int, options: dict[str, Any]) -> None:
        model: Any = ptheta.create(MODEL, data.spec, **options)
        self.model, self.engine = model, Engine(model.train(), model.game(), Group())
        self.batch = data.batch(range(batch_size))

    def phase(self, share: float) -> str:
        """Where the networks stand at this share of a run: steps of one phase cost the same."""
        self.model.grow(share)
        return self.model.present_stage().partition(":")[0] or "full size"

    def step(self, share: float) -> float:
        """CPU seconds of a step."""
        self.engine.step, self.engine.share = self.engine.step + 1, share
        started = time.process_time()
        DYNAMICS["alternating"].rule(
            self.engine, self.engine.game, self.engine.step, Batch(self.batch.x)
        )
        return time.process_time() - started


def costs(
    data: Dataset, batch_size: int, options: dict[str, Any], rounds: int
) -> dict[str, dict[str, float]]:
    """CPU seconds of a step of every phase, of each arm; and of a step on average, as "mean".

    The least of some steps, with phases in the order of a run: networks do not shrink again.
    """
    found: dict[str, dict[str, float]] = {}
    for arm, own in ARMS.items():
        timed = Timed(data, batch_size, {**options, **own})
        by_phase: dict[str, float] = {}
        of_share = []
        for k in range(SHARES):
            share = k / SHARES
            phase = timed.phase(share)
            if phase not in by_phase:
                by_phase[phase] = min(timed.step(share) for _ in range(rounds))
            of_share.append(by_phase[phase])
        found[arm] = by_phase | {"mean": statistics.mean(of_share)}
    return found


def row(evaluation: Evaluation) -> dict[str, Any]:
    """value, and the half width of its 95 % interval."""
    found = {}
    for name in METRICS:
        r = evaluation.get(name)
        if r is not None and r.value is not None:
            half = None if r.error is None else round(NORMAL * r.error, 5)
            found[name] = {"value": round(r.value, 5), "half_width": half}
    return found


def trained(folder: Path, source: str, seed: int, steps: int, options: dict[str, Any]) -> float:
    """CPU minutes that it took now."""
    started = time.process_time()
    train = {**recipe()["train"], "steps": steps, "minutes": None}
    ptheta.train(
        MODEL,
        source,
        folder,
        resume=True,
        seed=seed,
        threads=1,
        evaluate_every=0,
        sample_every=max(1, steps // 12),
        **{**train, **options},
    )
    return (time.process_time() - started) / 60


def given(texts: list[str]) -> dict[str, Any]:
    """NAME=VALUE of options, values with commas being several."""
    pairs = (text.partition("=") for text in texts)
    return {name: value for name, _, value in pairs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--data", default="shapes-64")
    parser.add_argument("--cpu-minutes", type=float, default=10.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--only", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--options", nargs="*", default=[], metavar="NAME=VALUE")
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/progressive.json"))
    o = parser.parse_args()
    torch.set_num_threads(1)
    data, test = open_images(o.data), open_images(o.data, "test")
    options = {**recipe()["model"], **given(o.options)}
    batch_size = recipe()["train"]["batch_size"]
    results: dict[str, Any] = json.loads(o.out.read_text()) if o.out.exists() else {}
    if "seconds_per_step" not in results:  # once: all seeds get the same number of steps
        results["seconds_per_step"] = costs(data, batch_size, options, o.rounds)
        real = real_baseline(test, data, n=o.samples)
        results |= {"data": o.data, "options": options, "batch_size": batch_size}
        results |= {"cpu_minutes": o.cpu_minutes, "real images": row(real)}
        o.out.write_text(json.dumps(results, indent=1) + "\n")
    for seed in o.seeds:
        for arm in o.only:
            mean = results["seconds_per_step"][arm]["mean"]
            steps = round(60 * results["cpu_minutes"] / mean)
            folder = o.runs / f"{arm}-{seed}"
            print(f"{arm}, seed {seed}: {steps} steps", flush=True)
            took = trained(folder, o.data, seed, steps, {**options, **ARMS[arm]})
            found = row(ptheta.evaluate(folder, n=o.samples))
            before = results.get(arm, {}).get(f"seed {seed}", {}).get("cpu_minutes", 0.0)
            found |= {"steps": steps, "cpu_minutes": round(before + took, 2)}
            results |= json.loads(o.out.read_text())  # the other arm may be trained beside this one
            results.setdefault(arm, {})[f"seed {seed}"] = found
            o.out.write_text(json.dumps(results, indent=1) + "\n")
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
