"""Samples of a run, drawn while they are written (see `ptheta.api.export`)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple, Unpack

import torch
from torch import nn

from ptheta.api.choosing import AS_IT_IS, Choosing, about_of, shows
from ptheta.api.export import Images
from ptheta.api.metadata import Metadata, metadata_of
from ptheta.batch import Condition, Together
from ptheta.capabilities import condition_of
from ptheta.compute import memory
from ptheta.compute.parts import called
from ptheta.conditions import parts_of
from ptheta.config import brief
from ptheta.errors import PthetaError
from ptheta.files.atomic import digest
from ptheta.files.captions import in_rows
from ptheta.models.autoencoders.fitted import Fitted
from ptheta.models.variational.grid_prior import WithGridPrior
from ptheta.runs.folder import Run
from ptheta.runs.prior import digest_of_prior
from ptheta.tasks.conditions import rows_between, spec_of
from ptheta.tasks.sample import (
    BATCH,
    Part,
    Wanted,
    rows_wanted,
    sample,
    sample_batches,
    sampling_threads,
)
from ptheta.training.translations import conditions_shown, image_part

FEW = 3  # maximum number of conditions named in a message
FEW_INPUTS = 8  # number of inputs, each with several images of the same noise
DRAW = "draw"  # what processes that share a job draw together
DIGITS = 16  # length of a hash in hexadecimal digits
DECIDES = {
    "model",
    "config",
    "spec",
    "condition",
}  # keys of config.json that determine how weights are used


class How(NamedTuple):
    """Sampling options.

    weights, prior: as for `Run.model`
    same_noise: draw all conditions from the same noise, so that only the condition differs
    between: number of interpolation steps between two conditions, all from the same noise
    choosing: rejection, truncation and temperature
    """

    weights: str = "best"
    prior: str = "auto"
    same_noise: bool = False
    between: int | None = None
    choosing: Choosing = AS_IT_IS

    def model(self, run: Run) -> nn.Module:
        """The model with these options. Raises PthetaError if it does not support them."""
        if self.choosing.reject is not None and (self.same_noise or self.between is not None):
            raise PthetaError("--reject is random and cannot keep the noise fixed: leave it out")
        return self.choosing.applied(run, run.model(self.weights, self.prior))


USUAL = How()


def samples(
    run: Run,
    n: int,
    how: How = USUAL,
    *,
    seed: int = 0,
    batch_size: int = BATCH,
    **wanted: Unpack[Wanted],
) -> Images:
    """n samples of a run, identical to those of `ptheta.tasks.sample`.

    seed, batch_size, wanted: as for `sample`
    Raises PthetaError as `Run.model` and `sample` do, before anything is drawn.
    """
    model = how.model(run)
    rows = rows_wanted(model, wanted)
    if rows is not None and how.between is None:
        _check_all_drawn(n, rows)
    captions, title = _texts(model, rows, n)
    if rows is None and image_part(model) is not None:
        rows = _test_inputs(run, model, min(n, FEW_INPUTS) if how.same_noise else n)
        captions = tuple(f"input {i + 1}" for i in range(len(rows))) if how.same_noise else ()
        wanted = Wanted(condition=rows)
    drawn = {"images": n, "seed": seed, "batch": batch_size}
    asked = {
        **_depends(run, model, how),
        **drawn,
        **_batch_identity(run, model, rows, n, batch_size),
    }

    def batches(start: int) -> Iterator[Part]:
        return sample_batches(model, n, seed=seed, batch_size=batch_size, start=start, **wanted)

    def parts(start: int) -> Iterator[Part]:
        with called(DRAW, start):
            return batches(start)

    first = Images(n, run.spec.shape, asked, parts, batch_size, captions)
    images = replace(
        first,
        in_turn=bool(captions),
        title="; ".join(filter(None, (title, shows(model)))),
        metadata=_metadata(model, rows),
        chosen=about_of(model),
        shows=shows(model),
    )
    if how.between is not None:
        return _walk(model, rows, how.between, seed, images)
    if how.same_noise:
        spec = spec_of(model)
        every = spec.examples(spec.count) if rows is None else rows
        return _of_the_same_noise(model, every, seed, images)
    batches(0)  # invalid requests fail here, before drawing
    return images


def _check_all_drawn(n: int, wanted: Condition) -> None:
    if n < len(wanted):
        count = len(wanted)
        raise PthetaError(f"-n {n}: {count} conditions need at least {count} images")


def _depends(run: Run, model: nn.Module, how: How) -> dict[str, str | int]:
    """What all samples of a run depend on."""
    fitted = digest_of_prior(run.path) if isinstance(model, Fitted | WithGridPrior) else None
    # of another torch, they may differ in the last bit
    prior, torch_ = (fitted or "own")[:DIGITS], str(torch.__version__)
    every = {**identity(run, how.weights), "prior": prior, "torch": torch_}
    where = {} if run.device.type == "cpu" else {"device": run.device.type}
    return {**every, **where, **how.choosing.asked(about_of(model))}


def _batch_identity(
    run: Run, model: nn.Module, rows: Condition | None, n: int, batch_size: int
) -> dict[str, str | int | None]:
    """Further settings that n images depend on: the conditions, and the number of threads, which
    may change sums in the last bit."""
    condition = None if rows is None else named(run, rows)
    return {"condition": condition, "threads": sampling_threads(model, n, batch_size)}


def _test_inputs(run: Run, model: nn.Module, n: int) -> Condition:
    """Default inputs of an image-conditional model: test inputs of the run's data, in turn."""
    memory.require(
        n * sum(part.size for part in parts_of(run.asked)),
        f"{n:,} inputs take",
        "ask for fewer images",
    )
    try:
        rows = conditions_shown(model, n, lambda: run.data("test"))
    except PthetaError as error:
        raise PthetaError(
            f"this model is conditional on images, and no test inputs are available ({error}): "
            "give an input with --image"
        ) from None
    assert rows is not None  # the model is conditional
    return rows


def identity(run: Run, weights: str | None = None) -> dict[str, str]:
    """Identity of a run's images: what all of them depend on. weights: as for `Run.model`."""
    about = json.dumps(run.about.model_dump(include=DECIDES), sort_keys=True)
    return {"model": _hash(about), "weights": digest(run.weights_file(weights))[:DIGITS]}


def _texts(model: nn.Module, rows: Condition | None, n: int) -> tuple[tuple[str, ...], str]:
    """A caption for each condition of n images, none for a plain grid; and a title if all have the
    same condition."""
    spec = condition_of(model)
    if spec is None:
        return (), ""
    count = spec.count if rows is None else min(len(rows), n)
    if count > 1 and not in_rows(count, n):
        return (), ""
    texts = spec.describe(spec.examples(count) if rows is None else rows[torch.arange(count)])
    return (tuple(texts), "") if count > 1 else ((), texts[0])


def _metadata(model: nn.Module, rows: Condition | None) -> Metadata | None:
    """Metadata for each image in a folder: its condition."""
    spec = condition_of(model)
    if spec is None:
        return None
    return metadata_of(spec, spec.examples(spec.count) if rows is None else rows)


def _walk(
    model: nn.Module, rows: Condition | None, steps: int, seed: int, images: Images
) -> Images:
    """Interpolates between two conditions, one row for each step, all rows from the same noise.
    Raises PthetaError unless two are given."""
    spec = spec_of(model)
    if rows is None:
        raise PthetaError("--between needs two conditions, the first and the last: none is given")
    walk = rows_between(model, rows, steps)
    first, last = spec.describe(rows)
    shares = (f"{100 * step / (steps - 1):.0f} %" for step in range(1, steps - 1))
    asked = {**images.asked, "between": steps}
    images = replace(images, asked=asked, captions=(first, *shares, last), metadata=None)
    return _of_the_same_noise(model, walk, seed, images)


def _of_the_same_noise(model: nn.Module, wanted: Condition, seed: int, images: Images) -> Images:
    """One row of images for each condition, all rows from the same noise.

    images: the images as if drawn in turn, for their number and captions
    Raises PthetaError if there are fewer images than conditions.
    """
    _check_all_drawn(images.n, wanted)
    columns, metadata = images.n // len(wanted), images.metadata

    def parts(start: int) -> Iterator[Part]:
        for first in range(start, columns * len(wanted), columns):
            same = wanted[torch.full((columns,), first // columns)]
            yield Part(first, sample(model, columns, seed=seed, condition=same))

    total = columns * len(wanted)
    return replace(
        images,
        n=total,
        asked={**images.asked, "images": total, "noise": "the same for each condition"},
        parts=parts,
        batch=columns,
        in_turn=False,
        metadata=None if metadata is None else lambda i: metadata(i // columns),
    )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def named(run: Run, condition: Condition) -> str:
    """The first of what is asked for, in words, and a hash of all of it."""
    asked = run.asked
    assert asked is not None
    words = "; ".join(asked.describe(condition[:FEW]))
    return f"{brief(words)} ({len(condition)} in all, {_hash_of(condition)})"


def _hash_of(condition: Condition) -> str:
    """Hash of all conditions."""
    parts = condition.parts if isinstance(condition, Together) else {"": condition}
    found = hashlib.sha256()
    for kind, rows in parts.items():
        found.update(f"{kind} {rows.dtype} {tuple(rows.shape)} ".encode())
        found.update(rows.cpu().contiguous().numpy().tobytes())
    return found.hexdigest()[:DIGITS]
