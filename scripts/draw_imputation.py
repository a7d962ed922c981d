"""Draw the figure of docs/imputation.md: imputation of one column of rows around a ring.

    python -m scripts.draw_imputation [--out docs/images/imputation-ring.png]

Models are trained on rows of `benchmarks.imputation.bent` with 30 % of the cells hidden. In other
rows the second cell is then hidden and imputed by each model. Takes a few minutes on one thread.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path

import matplotlib
import torch
from benchmarks.imputation import CANDIDATES, WAYS, bent, learned
from matplotlib import pyplot as plt
from torch import Tensor

from ptheta.data.columns.arrays import rows_of
from ptheta.tasks.impute import FLOORS, impute
from ptheta.tasks.impute.score import Floored, hidden_cells

HIDE = 0.3
SHOWN = 600  # rows
HIDDEN = 1  # the imputed column
MODELS = ("iwae", "nade", "made")
COLUMNS, SIDE, REACH = 4, 1.9, 1.7  # panels per row, size of a panel in inches, axis limits


def drawn(seed: int = 0) -> Mapping[str, Tensor]:
    """Method -> rows (SHOWN, D) with one sampled imputation of the hidden column."""
    train = torch.from_numpy(rows_of(bent(seed=seed), "the table")[0])
    rows = train.masked_fill(hidden_cells(train, HIDE, seed), torch.nan)
    _, spec = rows_of(rows.numpy(), "the table")
    truth = torch.from_numpy(bent(SHOWN, seed=seed + 1))
    asked = truth.clone()
    asked[:, HIDDEN] = torch.nan
    found = {"the truth": truth}
    for name in FLOORS:
        found[f"floor: {name}"] = Floored(name, spec, rows, 1)(asked, seed)[1][0]
    with tempfile.TemporaryDirectory() as folder:
        for name in MODELS:
            model, options = WAYS[name]
            net = learned(rows, model, options, Path(folder) / name, seed).model()
            candidates = CANDIDATES[name]
            found[name] = impute(net, asked, draws=1, seed=seed, candidates=candidates)[0]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images/imputation-ring.png"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    matplotlib.use("Agg")
    found = drawn()
    rows = -(-len(found) // COLUMNS)
    figure, axes = plt.subplots(
        *(rows, COLUMNS), figsize=(SIDE * COLUMNS, SIDE * rows), sharex=True, sharey=True
    )
    for axis, (name, cells) in zip(axes.flat, found.items(), strict=False):
        axis.scatter(cells[:, 0], cells[:, HIDDEN], s=2, linewidths=0, color="#1f5fa8")
        axis.set_title(name, fontsize=9)
        axis.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), aspect="equal")
        axis.tick_params(labelsize=7)
    figure.supxlabel("first cell, known", fontsize=8)
    figure.supylabel("second cell, drawn", fontsize=8)
    figure.tight_layout()
    figure.savefig(options.out, dpi=110)


if __name__ == "__main__":
    main()
