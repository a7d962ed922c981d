"""What an object of the interface says of itself: short, and what matters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ptheta import schemas
from ptheta.batch import Batch
from ptheta.conditions import Labels
from ptheta.data import open_data
from ptheta.data.sources import ImageSet
from ptheta.data.trained import Record, match_data
from ptheta.measures.results import Draws, Evaluation, Result
from ptheta.runs import plan
from ptheta.runs.folder import Run
from ptheta.runs.sweeps import Sweep
from ptheta.specs import ImageSpec

LONG = "/" + "a folder/" * 400 + "caf\udce9"


def test_reprs_are_short_and_say_what_matters():
    data = open_data("digits", "test")
    names = tuple(f"class {i}" * 50 for i in range(500))
    named = replace(data, name=LONG, classes=names, skipped=names, notes=names)
    record = Record.of(data, None)
    made = replace(plan.make("vae", "digits", {"steps": 7}), source=LONG)
    about = schemas.Config.model_construct(
        dataset=schemas.Data(name=LONG, images=1, classes=list(names))
    )
    run = Run(Path(LONG), made, data.spec, Labels(names), about)
    draws = Draws(tuple(np.arange(100.0).tolist()))
    results = [
        Result(f"metric_{i}", i / 7, "bits/dim", error=0.1, note="of a kind " * 20, draws=draws)
        for i in range(40)
    ]
    batch = Batch(torch.zeros(2, 1, 3, 3), logs={"loss": torch.zeros(9999)})
    whole = ImageSet(torch.zeros(900, 1, 28, 28, dtype=torch.uint8), names)
    wanted = [
        (named, ("test", "2,000 images of 1x28x28", "500 classes")),
        (data.batch(range(5)), ("uint8 (5, 1, 28, 28)", "int64 (5,)")),
        (batch, ("float32 (2, 1, 3, 3)", "1 logged")),
        (record, ("2,000 images", record.fingerprint)),
        (match_data(record, named, named), ("same", "2,000 images", "0 missing")),
        (made, ("'vae'", "'default'", "7 steps", "seed 0")),
        (run, ("vae", str(ImageSpec(1, 28, 28)))),
        (Sweep(Path(LONG), [run] * 30, dict.fromkeys(names, "why")), ("30 runs", "500 failed")),
        (Evaluation(tuple(results), {"extractor": LONG}), ("metric_0 0", "40 results in all")),
        (whole, ("(900, 1, 28, 28)",)),
    ]
    for thing, words in wanted:
        text = repr(thing)
        assert text.startswith(type(thing).__name__)
        assert len(text) < 300, text
        assert text.isprintable()
        assert all(word in text for word in words), text
