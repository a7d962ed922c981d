"""Synthetic tables: what samples of models are good for, beside a Gaussian copula and real rows.

Half of a table is learned, half is the test. A classifier learns the class from samples; a
classifier tells samples from test rows; and copies of training rows are counted. The aim: the area
under the curve of the two-sample tests is not above the 95 % interval of a Gaussian copula's.

    python -m benchmarks.usefulness
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

import ptheta
from ptheta.api.labelled import measured
from ptheta.runs.folder import Run

TABLES = ("wine", "breast_cancer")
MODELS: dict[str, dict[str, Any]] = {"gaussian": {}, "iwae": {}, "made": {}}  # and options
TARGET = "kind"  # a column of the name class would be the labels of a condition
REPEATS = 1
TESTS = ("AUC logistic", "AUC forest")


def write_parts(name: str, folder: Path, seed: int) -> Path:
    """The table of scikit-learn as train.csv and test.csv, half of the rows in each."""
    from sklearn import datasets

    found = vars(datasets)[f"load_{name}"]()
    order = np.random.default_rng(seed).permutation(len(found.data))
    heads = [str(head).replace("/", " per ") for head in found.feature_names]
    folder.mkdir()
    for part, rows in zip(("train", "test"), np.array_split(order, 2), strict=True):
        with (folder / f"{part}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*heads, TARGET])
            for i in rows:
                cells = [f"{cell:g}" for cell in found.data[i]]
                writer.writerow([*cells, f"kind {found.target[i]}"])
    return folder


def trained(model: str, data: Path, out: Path, seed: int) -> Run:
    return ptheta.train(
        model, data, out, recipe="table", seed=seed, sample_every=0, threads=1, **MODELS[model]
    )


def told(run: Run, seed: int) -> dict[str, dict[str, Any]]:
    """By what was learned from or held against test rows: value, low and high of each number."""
    data = run.own()
    assert data.train is not None
    found, _ = measured(
        run.model(), data.train, data.test, TARGET, n=None, repeats=REPEATS, seed=seed
    )
    numbers: dict[str, dict[str, Any]] = {}
    for one in found.learned:
        values = {m: [v.value, *one.interval(m)] for m, v in one.values.items()}
        numbers.setdefault(one.source, {}).update(
            {f"{one.learner} {measure}": value for measure, value in values.items()}
        )
    for passed in found.passed:
        values = {test: [float(v) for v in result[:3]] for test, result in passed.values.items()}
        numbers.setdefault(passed.source, {}).update(values)
    return numbers


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/usefulness.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    results: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {}
    for seed in range(options.repeats):
        for name in options.only:
            with tempfile.TemporaryDirectory() as folder:
                data = write_parts(name, Path(folder) / "data", seed)
                for model in options.models:
                    numbers = told(trained(model, data, Path(folder) / model, seed), seed)
                    _keep(results.setdefault(name, {}), model, f"seed {seed}", numbers)
                    options.out.write_text(json.dumps(results, indent=1) + "\n")
    for name in options.only:
        _print(name, results[name], options.models)


def _keep(of: dict[str, Any], model: str, seed: str, numbers: dict[str, dict[str, Any]]) -> None:
    """Of a table: floors as they are, samples under the name of their model."""
    for source, values in numbers.items():
        name = {"samples": model, "both": f"real and {model}"}.get(source, source)
        of.setdefault(name, {})[seed] = {k: [round(v, 4) for v in vs] for k, vs in values.items()}


def _print(name: str, of: dict[str, Any], models: list[str]) -> None:
    print(name)
    for source, seeds in of.items():
        measures = next(iter(seeds.values()))
        means = {m: statistics.fmean(s[m][0] for s in seeds.values()) for m in measures}
        print(f"  {source:20}", {m: round(v, 3) for m, v in means.items()})
    for test in TESTS:
        for model in models:
            above = sum(of[model][s][test][0] > of["copula"][s][test][2] for s in of[model])
            print(f"  {test}: {model} is above the interval of the copula in {above} seeds")


if __name__ == "__main__":
    main()
