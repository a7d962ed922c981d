"""Works: a model on data with its options, trained with seeds, and what is found written as JSON.

What `benchmarks.translation` and `benchmarks.text_to_image` have in common.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import ptheta
from ptheta.runs.folder import Run

Settings = dict[str, Any]


@dataclass(frozen=True)
class Work:
    """model, source: of the run; source is below --data, or the name of embedded data
    data, options: how the source is read; options of the model and of training
    steps: of training, unless --steps says otherwise
    """

    model: str
    source: str
    data: Settings = field(default_factory=dict)
    options: Settings = field(default_factory=dict)
    steps: int = 3000


W = TypeVar("W", bound=Work)
# a work, the run of it and its source -> what is kept of the run
Measure = Callable[[W, Run, str], dict[str, Any]]


def parser(about: str | None, works: Mapping[str, Work], out: str) -> argparse.ArgumentParser:
    """The options that all of them have."""
    made = argparse.ArgumentParser(description=about.splitlines()[0] if about else "")
    made.add_argument("--data", type=Path, required=True)
    made.add_argument("--runs", type=Path, required=True)
    made.add_argument("--only", nargs="+", choices=list(works), default=list(works), metavar="NAME")
    made.add_argument("--seeds", type=int, nargs="+", default=[0])
    made.add_argument("--steps", type=int, help="of each training, in place of its own number")
    made.add_argument("--out", type=Path, default=Path(out))
    return made


def trained(work: Work, source: str, folder: Path, seed: int, steps: int, **settings: Any) -> Run:
    """A run of the work, or one that is there, gone on with to this step."""
    given = {**work.data, **work.options, **settings}
    return ptheta.train(
        work.model, source, folder, resume=True, seed=seed, steps=steps, sample_every=0, **given
    )


def carry_out(
    works: Mapping[str, W], options: argparse.Namespace, measure: Measure[W], **settings: Any
) -> None:
    """Trains and measures the works that are asked for, with every seed, and writes each number
    when it is there. settings: of all trainings"""
    results: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {}
    for name in options.only:
        work = works[name]
        below = options.data / work.source
        source = str(below) if below.exists() else work.source
        for seed in options.seeds:
            print(f"{name}, seed {seed}", flush=True)
            folder = options.runs / f"{name.replace(' ', '-').replace(',', '')}-{seed}"
            run = trained(work, source, folder, seed, options.steps or work.steps, **settings)
            found = measure(work, run, source)
            last = run.metrics()[-1]
            found |= {"steps": last["step"], "minutes": round(last["seconds"] / 60, 1)}
            results.setdefault(name, {})[f"seed {seed}"] = found
            written = json.dumps(results, indent=1, ensure_ascii=False)
            options.out.write_text(written + "\n")
