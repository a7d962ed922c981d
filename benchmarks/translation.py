"""How well images are translated: facades, emoji and scenes, beside what a sceptic would try.

    python -m benchmarks.translation --data FOLDER --runs FOLDER [--only NAME ...] [--seeds 0 1 2]

--data holds `facades/train`, `facades/test` (photo left, label map right in one picture) and
`emoji/train.parquet`, `emoji/test.parquet` (columns google and twitter, pairs). Each work is
trained with its seed on one thread by a number of steps, so that what else the machine does
changes no result; runs that are there are gone on with and measured again. Numbers are of the test
part, and of as many training pairs beside. Writes benchmarks/results/translation.json.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

import ptheta
from benchmarks.works import Settings, Work, carry_out, parser
from ptheta.data import open_images
from ptheta.measures.results import Evaluation
from ptheta.measures.segmentation import confusion, scores
from ptheta.runs.folder import Run
from ptheta.specs import LabelMapSpec

COLOURS = 12  # of the label maps of facades
HALVES: Settings = {"pairs": "side-by-side", "size": 64}
PLANES: Settings = {**HALVES, "label_maps": "target", "label_colours": COLOURS}
FROM_LABELS: Settings = {**HALVES, "reverse": True, "label_maps": "input", "label_colours": COLOURS}
EMOJI: Settings = {
    "pairs": "columns",
    "input_column": "google",
    "image_column": "twitter",
    "size": 32,
}
DOMAINS: Settings = {"domain_columns": ("google", "twitter"), "size": 32}
ONE_STYLE: Settings = {"image_column": "twitter", "size": 32}
GREY: Settings = {**ONE_STYLE, "pairs": "grey"}
EDGES: Settings = {**ONE_STYLE, "pairs": "edges"}
L1_ALONE: Settings = {"adversarial_weight": 0.0}
# at the default's rates, and at equal ones, the generator without a target runs away from the
# discriminator, which answers 1/2 ever after
GAN_ALONE: Settings = {"l1_weight": 0.0, "lr": 2e-4, "d_lr": 1e-3}
MOVED: Settings = {"augment": ("flip", "shift")}
BOLD: Settings = {"cycle_weight": 5.0, "identity_weight": 0.2, "d_features": 48, "d_lr": 4e-4}


@dataclass(frozen=True)
class Translated(Work):
    """measure: numbers beside those of its evaluation, from the run and its source"""

    measure: Callable[[Run, str], dict[str, Any]] | None = None


def as_labels(run: Run, source: str) -> dict[str, Any]:
    """Pictures of label maps, scored by the nearest of the colours."""
    maps = open_images(source, **PLANES)
    spec = maps.spec
    assert isinstance(spec, LabelMapSpec)
    found = {}
    for part in ("train", "test"):
        data = run.data(part)
        some = range(min(len(data), 106))
        batch = data.batch(some)
        with torch.no_grad():
            out = run.model().translate(batch.condition)  # type: ignore[operator]
        counts = confusion(spec.numbers(out), spec.numbers(batch.x), spec.labels)
        found[part] = [round(float(score), 4) for score in scores(counts)]
    return {"pixel, class, IoU": found}


WORKS: dict[str, Translated] = {
    "facades to labels, planes, cross-entropy": Translated(
        "pix2pix", "facades", PLANES, L1_ALONE | MOVED
    ),
    "facades to labels, colours, L1": Translated(
        "pix2pix", "facades", HALVES, L1_ALONE | MOVED, measure=as_labels
    ),
    "facades to labels, colours, L1 + cGAN": Translated(
        "pix2pix", "facades", HALVES, MOVED, measure=as_labels
    ),
    "facades to labels, colours, cGAN": Translated(
        "pix2pix", "facades", HALVES, GAN_ALONE | MOVED, measure=as_labels
    ),
    "labels to facades, L1": Translated(
        "pix2pix", "facades", FROM_LABELS, L1_ALONE | MOVED, steps=1500
    ),
    "labels to facades, L1 + cGAN": Translated(
        "pix2pix", "facades", FROM_LABELS, MOVED, steps=1500
    ),
    "labels to facades, cGAN": Translated(
        "pix2pix", "facades", FROM_LABELS, GAN_ALONE | MOVED, steps=1500
    ),
    "day-night, cyclegan": Translated("cyclegan", "day-night", steps=6000),
    "emoji, domains, cyclegan": Translated("cyclegan", "emoji", DOMAINS, BOLD, steps=1500),
    "emoji, pairs, L1": Translated("pix2pix", "emoji", EMOJI, L1_ALONE | MOVED, steps=6000),
    "emoji, pairs, L1 + cGAN": Translated("pix2pix", "emoji", EMOJI, MOVED),
    "emoji, grey to colour": Translated("pix2pix", "emoji", GREY, MOVED, steps=1500),
    "emoji, edges to photo": Translated("pix2pix", "emoji", EDGES, MOVED, steps=1500),
}


def short(evaluation: Evaluation) -> dict[str, Any]:
    rows = {}
    for r in evaluation.results:
        if r.value is not None:
            error = "" if r.error is None else f" +- {r.error:.2g}"
            floors = f" ({r.note})" if r.note else ""
            rows[r.metric] = f"{r.value:.5g}{error} {r.unit}".rstrip() + floors
    return rows


def measured(work: Translated, run: Run, source: str) -> dict[str, Any]:
    found = short(ptheta.evaluate(run.path))
    return found if work.measure is None else found | work.measure(run, source)


def main() -> None:
    options = parser(__doc__, WORKS, "benchmarks/results/translation.json").parse_args()
    carry_out(WORKS, options, measured, threads=1)


if __name__ == "__main__":
    main()
