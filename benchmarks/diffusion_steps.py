"""The quality of samples of one run by the number of steps, for each way to take them.

    python -m benchmarks.diffusion_steps RUN [--data digits] [--steps 1 4 16 64] [-n 1000]

Every way draws from the noise of the same seed. Writes the kernel distance and the Frechet distance
to the test images, and the passes of the network of each sample, to
benchmarks/results/diffusion_steps.json (one entry for each model), and with --picture the curves.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt

from ptheta.extractors.features import extract
from ptheta.extractors.table import choose_extractor
from ptheta.measures.frechet import fit, frechet
from ptheta.measures.kernel import kernel_distance
from ptheta.metrics.conditions import draw
from ptheta.models.diffusion.base import Diffusion
from ptheta.models.diffusion.ddpm import DDPM, SAMPLERS
from ptheta.models.diffusion.flow_matching import FlowMatching
from ptheta.models.diffusion.ode import SOLVERS
from ptheta.runs.folder import Run
from ptheta.tasks.stepped import stepped

Row = dict[str, float | str]


def ways(model: Diffusion) -> Iterator[tuple[str, int]]:
    """Each way to sample it, which is then its own, and the passes of a step."""
    if isinstance(model, DDPM):
        for name in SAMPLERS:
            model.config = replace(model.config, sampler=name)
            yield name, 1
    elif isinstance(model, FlowMatching):
        for name, solver in SOLVERS.items():
            model.config = replace(model.config, solver=name)
            yield name, len(solver.nodes)


def measured(run: Run, options: argparse.Namespace) -> Iterator[Row]:
    model, test = run.model(), run.data("test", options.data)
    assert isinstance(model, Diffusion)
    extractor = choose_extractor(test, None)[0]
    real = extract(test, extractor).features
    of_real = fit(real)
    for way, passes in ways(model):
        for steps in options.steps:
            started = time.process_time()
            made = draw(stepped(model, steps), test, options.number, options.seed)
            spent = time.process_time() - started
            found = extract(made, extractor).features
            kd, error = kernel_distance(found, real)
            yield {
                "way": way,
                "steps": steps,
                "passes": steps * passes,
                "kd": kd,
                "kd_error": error,
                "fd": frechet(fit(found), of_real),
                "seconds": round(spent, 1),
            }


def drawn(table: dict[str, list[Row]], place: Path) -> None:
    """Kernel distance by passes of the network, a curve for each way."""
    figure, axes = plt.subplots(figsize=(6, 4))
    for model, rows in table.items():
        for way in dict.fromkeys(row["way"] for row in rows):
            here = [row for row in rows if row["way"] == way]
            x, y = ([float(row[key]) for row in here] for key in ("passes", "kd"))
            axes.plot(x, y, marker="o", label=f"{model}, {way}")
    axes.set(xscale="log", yscale="log", xlabel="passes of the network", ylabel="kernel distance")
    axes.set_xticks([1, 4, 16, 64], ["1", "4", "16", "64"])
    axes.legend()
    figure.tight_layout()
    figure.savefig(place, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("run")
    parser.add_argument("--data", default=None)
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-n", "--number", type=int, default=1000)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/diffusion_steps.json"))
    options = parser.parse_args()
    table = json.loads(options.out.read_text()) if options.out.exists() else {}
    run = Run.open(options.run)
    rows: list[Row] = []
    for row in measured(run, options):
        print(row, flush=True)
        rows.append(row)
        table[run.plan.model] = rows
        options.out.write_text(json.dumps(table, indent=1) + "\n")
    if options.picture is not None:
        drawn(table, options.picture)


if __name__ == "__main__":
    main()
