"""Samples of a run, to be written: they are drawn while they are (see `ptheta.api.export`)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Unpack

import torch
from torch import nn

from ptheta.api.export import Images
from ptheta.api.record import Identity
from ptheta.batch import Condition, Together
from ptheta.capabilities import condition_of
from ptheta.compute import memory
from ptheta.conditions import parts_of
from ptheta.config import brief
from ptheta.errors import PthetaError
from ptheta.files.atomic import digest
from ptheta.files.captions import in_rows
from ptheta.models.autoencoders.fitted import Fitted
from ptheta.runs.folder import Run
from ptheta.runs.prior import digest_of_prior
from ptheta.tasks.conditions import spec_of
from ptheta.tasks.sample import (
    BATCH,
    Part,
    Place,
    Wanted,
    rows_wanted,
    sample,
    sample_batches,
    sampling_threads,
)
from ptheta.training.translations import conditions_shown, image_part

FEW = 3  # conditions that are named
FEW_INPUTS = 8  # each with several images of the same noise
SHOWN = 16  # hexadecimal digits of a hash
DECIDES = {"model", "config", "spec", "condition"}  # of config.json, how weights are used


def samples(
    run: Run,
    n: int,
    *,
    seed: int = 0,
    weights: str = "best",
    prior: str = "auto",
    batch_size: int = BATCH,
    same_noise: bool = False,
    **wanted: Unpack[Wanted],
) -> Images:
    """n samples of a run: those of `ptheta.tasks.sample`, to the bit.

    seed, batch_size, wanted: as for `sample`
    weights, prior: as for `Run.model`
    same_noise: each condition is drawn from the same noise, so that only it makes the difference
    Raises PthetaError as these two do, before anything is drawn.
    """
    model = run.model(weights, prior)
    rows = rows_wanted(model, wanted)
    captions = _captions(model, rows, n)
    if rows is None and image_part(model) is not None:
        rows = _test_inputs(run, model, min(n, FEW_INPUTS) if same_noise else n)
        captions = tuple(f"input {i + 1}" for i in range(len(rows))) if same_noise else ()
        wanted = Wanted(condition=rows)
    fitted = digest_of_prior(run.path) if isinstance(model, Fitted) else None
    asked: Identity = {
        **identity(run, weights),
        "prior": (fitted or "own")[:SHOWN],
        "images": n,
        "seed": seed,
        "condition": None if rows is None else named(run, rows),
        "batch": batch_size,
        # sums of another number of threads, or of another torch, may differ in the last bit
        "threads": sampling_threads(model, n, batch_size),
        "torch": str(torch.__version__),
    }

    def parts(place: Place) -> Iterator[Part]:
        return sample_batches(model, n, seed=seed, batch_size=batch_size, place=place, **wanted)

    if same_noise:
        return _of_the_same_noise(model, rows, n, seed, asked, run.spec.shape, captions)
    parts(Place())  # what is asked for in vain is refused now
    return Images(n, run.spec.shape, asked, parts, batch_size, captions, in_turn=bool(captions))


def _test_inputs(run: Run, model: nn.Module, n: int) -> Condition:
    """What n images are made from where nobody says so: test inputs of the run's data, in turn."""
    memory.require(
        n * sum(part.size for part in parts_of(run.condition)),
        f"{n:,} inputs take",
        "ask for fewer images",
    )
    try:
        rows = conditions_shown(model, n, lambda: run.data("test"))
    except PthetaError as error:
        raise PthetaError(
            f"this model makes images of images, and no test inputs are there ({error}): say with "
            "--image which picture to start from"
        ) from None
    assert rows is not None  # the model is conditional
    return rows


def identity(run: Run, weights: str) -> Identity:
    """What all images of a run depend on. weights: as for `Run.model`"""
    about = json.dumps(run.about.model_dump(include=DECIDES), sort_keys=True)
    return {"model": _hash(about), "weights": digest(run.weights_file(weights))[:SHOWN]}


def _captions(model: nn.Module, rows: Condition | None, n: int) -> tuple[str, ...]:
    """A text for each of the conditions that n images are of in turn; none for a plain grid."""
    spec = condition_of(model)
    if spec is None:
        return ()
    count = spec.count if rows is None else len(rows)
    if not in_rows(count, n):
        return ()
    return tuple(spec.describe(spec.examples(count) if rows is None else rows))


def _of_the_same_noise(
    model: nn.Module,
    rows: Condition | None,
    n: int,
    seed: int,
    asked: Identity,
    shape: tuple[int, ...],
    captions: tuple[str, ...],
) -> Images:
    """A row of images for each condition, all rows from the noise of one seed.

    Raises PthetaError for an unconditional model, and for fewer images than conditions.
    """
    spec = spec_of(model)
    wanted = spec.examples(spec.count) if rows is None else rows
    columns = n // len(wanted)
    if columns < 1:
        raise PthetaError(f"{n} images of {len(wanted)} conditions: ask for one of each at least")

    def parts(place: Place) -> Iterator[Part]:
        for start in range(place.done, columns * len(wanted), columns):
            same = wanted[torch.full((columns,), start // columns)]
            row = sample(model, columns, seed=seed, condition=same)
            yield Part(start, row, Place(start + columns))

    total = columns * len(wanted)
    about = {**asked, "images": total, "noise": "the same for each condition"}
    return Images(total, shape, about, parts, columns, captions)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:SHOWN]


def named(run: Run, condition: Condition) -> str:
    """The first of what is asked for, in words, and a hash of all of it."""
    assert run.condition is not None
    words = "; ".join(run.condition.describe(condition[:FEW]))
    return f"{brief(words)} ({len(condition)} in all, {_hash_of(condition)})"


def _hash_of(condition: Condition) -> str:
    """Of all that is asked for."""
    parts = condition.parts if isinstance(condition, Together) else {"": condition}
    found = hashlib.sha256()
    for kind, rows in parts.items():
        found.update(f"{kind} {rows.dtype} {tuple(rows.shape)} ".encode())
        found.update(rows.cpu().contiguous().numpy().tobytes())
    return found.hexdigest()[:SHOWN]
