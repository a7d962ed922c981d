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

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import ptheta
from benchmarks.works import Settings, Work, carry_out, parser
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

PLACES = ("first_colour", "first_shape", "first_row", "first_column")
ONE: Settings = {"where": ("objects=1",), "unseen": PLACES}
EMOJI: Settings = {"image_column": "twitter", "caption_column": "caption", "size": 32}
ASKED, EACH, SCALE = 12, 4, 3  # unseen captions of a picture, samples of each, and pixels a pixel
SECTIONS = (Section.CAPTIONS, Section.DISTANCE, Section.MEMORISATION)
AS_RECIPE: Settings = {"evaluate_every": 0}
BATCHED: Settings = {"condition": "text", "batch_size": 64, "evaluate_every": 0}


@dataclass(frozen=True)
class Captioned(Work):
    """A work of captions."""

    steps: int = 8000


WORKS: dict[str, Captioned] = {
    "one object, text-gan": Captioned("text-gan", "shapes", ONE, AS_RECIPE),
    "one object, cvae": Captioned("cvae", "shapes", ONE, BATCHED),
    "one object, gan": Captioned("gan", "shapes", ONE, {**BATCHED, "conditioning": "label"}),
    "scenes, text-gan": Captioned("text-gan", "shapes", {}, AS_RECIPE),
    "scenes, cvae": Captioned("cvae", "shapes", {}, BATCHED),
    "one object, 64 pixels, text-gan": Captioned("text-gan", "shapes-64", ONE, AS_RECIPE),
    "one object, 64 pixels, stackgan": Captioned("stackgan", "shapes-64", ONE, AS_RECIPE),
    "emoji, text-gan": Captioned("text-gan", "emoji", EMOJI, AS_RECIPE),
    "emoji, cvae": Captioned("cvae", "emoji", EMOJI, BATCHED),
}
ABLATIONS: dict[str, Settings] = {
    "as the recipe": {},
    "interpolated captions": {"interpolated": 1.0},
    "no wrong captions": {"wrong_captions": 0.0},
    "no match term": {"matching_weight": 0.0},
}
WORKS |= {  # shorter, so that the encoder has more of the run to learn first
    f"ablation, {name}": Captioned(
        "text-gan", "shapes", ONE, {**AS_RECIPE, "matching": 0.25, **options}, steps=1500
    )
    for name, options in ABLATIONS.items()
}


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


def main() -> None:
    made = parser(__doc__, WORKS, "benchmarks/results/text_to_image.json")
    made.add_argument("-n", type=int, default=2000, help="samples that are measured")
    options = made.parse_args()

    def measured(work: Work, run: Run, source: str) -> dict[str, Any]:
        found: dict[str, Any] = short(ptheta.evaluate(run.path, n=options.n))
        found["unseen captions"] = picture(run, run.path / "unseen.png")
        return found | {"floors": floors(run, options.n)}

    carry_out(WORKS, options, measured)


if __name__ == "__main__":
    main()
