"""Missing values: models trained on incomplete tables, beside what needs no model.

Cells of a complete table are hidden at random, the model learns from what is left, and imputes it;
errors are told in standard deviations of the complete table. The ridge of the Gaussian is chosen
among `RIDGES` by hiding a part of what is left once more, so that no hidden cell has a say.

    python -m benchmarks.imputation
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import ptheta
from ptheta.data.columns.arrays import rows_of
from ptheta.runs.folder import Run
from ptheta.specs import VectorSpec
from ptheta.tasks.impute import FLOORS, impute, imputed
from ptheta.tasks.impute.score import Floored, Trial, hidden_cells, measured

RIDGES = (0.01, 0.03, 0.1)
INNER = 0.2  # of what is left, hidden once more to choose by
DRAWS = 100


def bent(n: int = 2000, seed: int = 0) -> np.ndarray:
    """Four numbers around two curves: three that say where on an S and a ring a row is, so that no
    straight line does, and a fourth with two modes."""
    rng = np.random.default_rng(seed)
    t = rng.uniform(-np.pi, np.pi, n)
    x = np.stack([np.cos(t), np.sin(t), np.sin(2 * t), np.cos(3 * t)], 1)
    return (x + 0.05 * rng.normal(size=x.shape)).astype(np.float32)


def of_sklearn(name: str) -> np.ndarray:
    from sklearn import datasets

    found: np.ndarray = vars(datasets)[f"load_{name}"]().data
    return found.astype(np.float32)


@dataclass(frozen=True)
class Table:
    """rows: complete; hide: the share of cells that are hidden"""

    rows: Callable[[], np.ndarray]
    hide: float


TABLES: dict[str, Table] = {
    "wine 30 %": Table(lambda: of_sklearn("wine"), 0.3),
    "wine 50 %": Table(lambda: of_sklearn("wine"), 0.5),
    "breast cancer 30 %": Table(lambda: of_sklearn("breast_cancer"), 0.3),
    "breast cancer 50 %": Table(lambda: of_sklearn("breast_cancer"), 0.5),
    "diabetes 30 %": Table(lambda: of_sklearn("diabetes"), 0.3),
    "bent 30 %": Table(bent, 0.3),
}

# model and options of a way to learn; the ridge of the first is chosen
WAYS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "gaussian": ("gaussian", {"recipe": "table"}),
    "iwae": ("iwae", {"recipe": "table"}),
    "nade": ("nade", {"recipe": "table"}),
    "made": ("made", {"recipe": "table"}),
}

# to choose each completion from; made has as many in each of its orders, and each costs a walk
CANDIDATES = {"gaussian": 1, "iwae": 50, "nade": 1, "made": 4}


def learned(rows: Tensor, model: str, options: Mapping[str, Any], folder: Path, seed: int) -> Run:
    """A run of all rows with gaps. What chooses weights is some of them."""
    parts = {"train": rows.numpy(), "test": rows.numpy()}
    return ptheta.train(model, parts, folder, seed=seed, sample_every=0, threads=1, **options)


def with_ridge(rows: Tensor, folder: Path, seed: int) -> Mapping[str, Any]:
    """The ridge by which cells of what is left are imputed best."""
    hidden = hidden_cells(rows, INNER, seed + 1000)
    errors = {}
    for ridge in RIDGES:
        options = {"recipe": "table", "ridge": ridge}
        run = learned(
            rows.masked_fill(hidden, torch.nan), "gaussian", options, folder / f"{ridge}", seed
        )
        spec = run.spec
        assert isinstance(spec, VectorSpec)
        found = imputed(run.model(), rows.masked_fill(hidden, torch.nan))
        apart = (spec.scaled(found) - spec.scaled(rows))[hidden]
        errors[ridge] = float(apart.square().mean())
    return {"recipe": "table", "ridge": min(errors, key=errors.__getitem__)}


def measure(
    table: Table, ways: list[str], floors: list[str], seed: int, folder: Path
) -> dict[str, dict[str, float]]:
    """What each way reaches with these cells hidden."""
    cells, full = rows_of(table.rows(), "the table")
    truth = torch.from_numpy(cells)
    hidden = hidden_cells(truth, table.hide, seed)
    rows = truth.masked_fill(hidden, torch.nan)
    _, spec = rows_of(rows.numpy(), "the table")
    found = {}
    for name in floors:
        mean, draws = Floored(name, spec, rows, DRAWS)(rows, seed)
        found[f"floor: {name}"] = measured(Trial(full, truth, hidden, mean, draws))
    for name in ways:
        model, options = WAYS[name]
        if model == "gaussian":
            options = with_ridge(rows, folder / "ridges", seed)
        run = learned(rows, model, options, folder / name, seed)
        net = run.model()
        how: dict[str, Any] = {"seed": seed, "candidates": CANDIDATES[name]}
        mean, draws = imputed(net, rows, **how), impute(net, rows, draws=DRAWS, **how)
        found[name] = measured(Trial(full, truth, hidden, mean, draws))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(TABLES), default=list(TABLES))
    parser.add_argument("--ways", nargs="*", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--floors", nargs="*", choices=list(FLOORS), default=list(FLOORS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/imputation.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    results: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {}
    for name in options.only:
        of = results.setdefault(name, {})
        for seed in range(options.repeats):
            with tempfile.TemporaryDirectory() as folder:
                found = measure(TABLES[name], options.ways, options.floors, seed, Path(folder))
            for way, values in found.items():
                print(name, seed, way, {k: round(v, 3) for k, v in values.items()}, flush=True)
                of.setdefault(way, {})[f"seed {seed}"] = values
            options.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
