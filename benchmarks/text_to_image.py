"""How well images of captions show what these say: scenes with combinations of colour, shape and
place that training never sees, two objects, and emoji of new names.

    python -m benchmarks.text_to_image --data FOLDER --runs FOLDER [--only NAME ...] [--seeds 0 1]

--data holds `emoji/train.parquet` and `emoji/test.parquet` (columns twitter, caption). Each work is
trained with its seed by a number of steps, so that what else the machine does changes no result;
runs that are there are gone on with and measured again. Numbers are of the captions of the test
part, seen and unseen apart, beside what needs no learning. Writes
benchmarks/results/text_to_image.json, and for each run a picture of unseen captions, as they come.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import ptheta
from ptheta.api.export import Images, check_out, export
from ptheta.data.dataset import Dataset
from ptheta.measures.results import Evaluation
from ptheta.metrics.captions import unseen_in
from ptheta.metrics.evaluate import evaluate
from ptheta.metrics.floors import floors_of
from ptheta.metrics.metric import Section
from ptheta.metrics.table import metric_of
from ptheta.runs.folder import Run
from ptheta.tasks.conditions import with_conditions
from ptheta.tasks.sample import sample

Settings = dict[str, Any]
PLACES = ("first_colour", "first_shape", "first_row", "first_column")
ONE: Settings = {"where": ("objects=1",), "unseen": PLACES}
EMOJI: Settings = {"image_column": "twitter", "caption_column": "caption", "size": 32}
ASKED, EACH, SCALE = 12, 4, 3  # unseen captions of a picture, samples of each, and pixels a pixel
SECTIONS = (Section.CAPTIONS, Section.DISTANCE, Section.MEMORISATION)
BATCHED: Settings = {"batch_size": 64, "evaluate_every": 0}


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
    steps: int = 6000


TEXT: Settings = {"condition": "text", **BATCHED}
WORKS: dict[str, Work] = {
    "one object, text-gan": Work("text-gan", "shapes", ONE, TEXT),
    "one object, cvae": Work("cvae", "shapes", ONE, TEXT),
    "one object, gan": Work("gan", "shapes", ONE, {**TEXT, "conditioning": "label"}),
    "scenes, text-gan": Work("text-gan", "shapes", {}, TEXT),
    "scenes, cvae": Work("cvae", "shapes", {}, TEXT),
    "one object, 64 pixels, text-gan": Work("text-gan", "shapes-64", ONE, TEXT),
    "one object, 64 pixels, stackgan": Work("stackgan", "shapes-64", ONE, TEXT),
    "emoji, text-gan": Work("text-gan", "emoji", EMOJI, TEXT),
    "emoji, cvae": Work("cvae", "emoji", EMOJI, TEXT),
}


def trained(work: Work, source: str, folder: Path, seed: int, steps: int) -> Run:
    return ptheta.train(
        work.model,
        source,
        folder,
        resume=True,
        seed=seed,
        steps=steps,
        sample_every=0,
        **{**work.data, **work.options},
    )


def short(evaluation: Evaluation) -> dict[str, str]:
    """What is shown of an evaluation, by metric."""
    rows = {}
    for r in evaluation.results:
        metric = metric_of(r.metric)
        if r.value is not None and metric is not None and metric.section in SECTIONS:
            error = "" if r.error is None else f" +- {r.error:.2g}"
            rows[r.metric] = f"{r.value:.4g}{error} {r.note}".rstrip()
    return rows


def floors(run: Run, n: int) -> dict[str, dict[str, str]]:
    """The same of what needs no learning."""
    train, test = run.data("train"), run.data("test")
    found = {}
    for name, model in floors_of(train).items():
        if "caption" in name:
            found[name] = short(evaluate(model, test, train, n=n))
    return found


def first_unseen(test: Dataset, train: Dataset) -> Dataset:
    """The first test images, one of each caption that training had not; of all where it had all."""
    texts, unseen = np.array(test.caption_texts()), unseen_in(test, train)
    rows = np.flatnonzero(unseen) if unseen is not None and unseen.any() else np.arange(len(texts))
    _, first = np.unique(texts[rows], return_index=True)
    return test.subset(rows[np.sort(first)][:ASKED])


def picture(run: Run, out: Path) -> list[str]:
    """Writes the real image and some samples of unseen captions, a row for each, as they come, and
    gives the captions."""
    model = run.model()
    some = with_conditions(model, first_unseen(run.data("test"), run.data("train")))
    batch = some.batch(slice(None))
    assert batch.condition is not None
    repeated = batch.condition[torch.arange(len(some)).repeat_interleave(EACH)]
    made = sample(model, EACH * len(some), seed=0, condition=repeated)
    each = torch.cat([batch.x[:, None], made.unflatten(0, (len(some), EACH))], 1)
    export(Images.of(tiled(each)[None]), check_out(out))
    return some.caption_texts() or []


def tiled(each: Tensor) -> Tensor:
    """Images (rows, columns, C, H, W) side by side, larger: (C, H', W')."""
    wide = torch.nn.functional.pad(each, (1, 1, 1, 1), value=255)
    wide = wide.repeat_interleave(SCALE, 3).repeat_interleave(SCALE, 4)
    rows, columns, c, h, w = wide.shape
    return wide.permute(2, 0, 3, 1, 4).reshape(c, rows * h, columns * w)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=list(WORKS), default=list(WORKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, help="of every training; default: each work's own")
    parser.add_argument("-n", type=int, default=2000, help="samples that are measured")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/text_to_image.json"))
    return parser.parse_args()


def main() -> None:
    options = arguments()
    results: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {}
    for name in options.only:
        work = WORKS[name]
        below = options.data / work.source
        source = str(below) if below.exists() else work.source
        for seed in options.seeds:
            print(f"{name}, seed {seed}", flush=True)
            folder = options.runs / f"{name.replace(' ', '-').replace(',', '')}-{seed}"
            run = trained(work, source, folder, seed, options.steps or work.steps)
            found: dict[str, Any] = short(ptheta.evaluate(folder, n=options.n))
            last = run.metrics()[-1]
            found |= {"steps": last["step"], "minutes": round(last["seconds"] / 60, 1)}
            found["unseen captions"] = picture(run, folder / "unseen.png")
            of = results.setdefault(name, {})
            of[f"seed {seed}"] = found
            if "floors" not in of:
                of["floors"] = floors(run, options.n)
            options.out.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
