"""The `decode` function: decode codes from a file or an array."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ptheta import tasks
from ptheta.api.code_files import CodeRows, read_codes, tensor_of
from ptheta.api.draw import DIGITS, USUAL, identity, named
from ptheta.api.encoding import Encoded
from ptheta.api.export import SUFFIXES, Images
from ptheta.api.given import names_of_results
from ptheta.api.grid import Grid, Output
from ptheta.api.metadata import LABEL
from ptheta.api.on_device import on_device
from ptheta.api.record import Identity
from ptheta.api.rows import Rows, check_rows, write_rows
from ptheta.batch import Condition
from ptheta.capabilities import Decodes, condition_of
from ptheta.conditions import Labels, parts_of, word
from ptheta.errors import PthetaError
from ptheta.files.out import check_new, refuse_source
from ptheta.runs.folder import Run
from ptheta.specs import VectorSpec, images_only
from ptheta.tasks.codes import check_codes
from ptheta.tasks.conditions import rows_asked
from ptheta.tasks.needs import require
from ptheta.tasks.sample import BATCH, Part

Given = str | Path | Tensor | np.ndarray | Encoded


@on_device
def decode(
    run: str | Path | Run,
    codes: Given,
    *,
    condition: Mapping[str, Sequence[str]] | None = None,
    out: str | Path | None = None,
    scale: int | None = None,
    weights: str = "best",
    force: bool = False,
    device: str | None = None,
) -> Grid | Rows:
    """Decode latent codes into examples (the mean, if the decoder is a distribution).

    Args:
        run: run folder, or a `Run`
        codes: file written by `encode` or `invert` (.npy, .csv, .parquet), a result of `encode`, or
            an array, float (N, L)
        condition: conditions for a conditional model, such as {"labels": ["cat"]}, cycled through;
            default: the labels stored with the codes
        out: for images, an image, array or folder (whose files take the names stored with the
            codes); for vectors, a table, array or image
        scale: as for `sample`
        weights: "best" or "last" weights of the run
        force: overwrite an existing file
        device: as for `ptheta.sample`

    Raises:
        PthetaError: if the model cannot decode, if the codes do not fit the model, or if a
            conditional model has no condition
    """
    opened = Run.open(run)
    of_rows = isinstance(opened.spec, VectorSpec)
    path = check_rows(out, scale, USUAL, force) if of_rows else None
    output = Output.at(None if of_rows else out, None if of_rows else scale)
    if output.path is not None and output.path.suffix.lower() in SUFFIXES:
        check_new(output.path, (), "--out", force)
    known = _known(codes)
    for place in (path, output.path):
        if place is not None and isinstance(codes, str | Path):
            refuse_source(place, codes, "codes")
    model = opened.model(weights)
    require(model, Decodes, "decode")
    check_codes(model, known.z)
    rows = _conditions(model, known, condition)
    labels = _labels_of(model, rows, known)
    if of_rows:
        x = tasks.decode(model, known.z, rows)
        if path is not None:
            write_rows(opened, path, x, labels, model)
        assert isinstance(opened.spec, VectorSpec)
        return Rows(x, opened.spec, f"{len(x):,} rows", path, labels)
    output.check(len(known.z), opened.spec)
    images = _images(opened, weights, model, known, rows, labels)
    return output.write(images, f"{images.n:,} images", None)


def _known(codes: Given) -> CodeRows:
    if isinstance(codes, Encoded):
        return CodeRows(codes.z, codes.names if codes.of_files else None, codes.labels)
    if isinstance(codes, str | Path):
        return read_codes(codes)
    return CodeRows(tensor_of(codes, "codes"))


def _conditions(
    model: nn.Module, known: CodeRows, asked: Mapping[str, Sequence[str]] | None
) -> Condition | None:
    """The condition of each code; None for an unconditional model.

    Raises PthetaError if it is unknown, or invalid for the model.
    """
    spec, n = condition_of(model), len(known.z)
    if spec is None and not asked:
        return None
    if not asked and known.labels is not None and _labels_spec(model) is not None:
        asked = {Labels.kind: known.labels}
    if not asked:
        assert spec is not None
        raise PthetaError(
            f"this model is conditional on {word(spec)}: give the conditions of the codes "
            "(--label and similar; in Python condition=...), or a table with a label column"
        )
    rows = rows_asked(model, asked)
    if len(rows) > n:
        raise PthetaError(f"{len(rows)} conditions for {n} codes: give at most one per code")
    return rows[torch.arange(n) % len(rows)]


def _labels_spec(model: nn.Module) -> Labels | None:
    """The label spec of a model's condition."""
    parts = parts_of(condition_of(model))
    return next((part for part in parts if isinstance(part, Labels)), None)


def _labels_of(model: nn.Module, rows: Condition | None, known: CodeRows) -> tuple[str, ...] | None:
    """The label of each decoded example: that of the condition, else that stored with the code."""
    spec = condition_of(model)
    if isinstance(spec, Labels) and rows is not None:
        return tuple(spec.describe(rows))
    return None if known.labels is None else tuple(known.labels)


def _images(
    run: Run,
    weights: str,
    model: nn.Module,
    known: CodeRows,
    rows: Condition | None,
    labels: tuple[str, ...] | None,
) -> Images:
    """The decoded images, generated in batches while they are written."""
    spec, n = images_only(run.spec, "a picture"), len(known.z)
    codes = hashlib.sha256(known.z.numpy().tobytes()).hexdigest()[:DIGITS]
    asked: Identity = {
        **identity(run, weights),
        "verb": "decode",
        "codes with hash": codes,
        "images": n,
        "condition": None if rows is None else named(run, rows),
    }

    def parts(start: int) -> Iterator[Part]:
        for first in range(start, n, BATCH):
            some = slice(first, min(first + BATCH, n))
            x = tasks.decode(model, known.z[some], None if rows is None else rows[some])
            yield Part(first, x)

    metadata = None if labels is None else (lambda i: {LABEL: labels[i]})
    return replace(Images(n, spec.shape, asked, parts, names=_names(known)), metadata=metadata)


def _names(known: CodeRows) -> tuple[str, ...]:
    """File names stored with the codes. Duplicates are prefixed by their folders: cat-1.png for
    cat/1.png. Empty if unknown."""
    files = [Path(name) for name in known.files or ()]
    for some in range(1, 1 + max((len(file.parts) for file in files), default=0)):
        names = ["-".join(_named_parts(file)[-some:]) for file in files]
        if len(set(names)) == len(names):
            return names_of_results([Path(name) for name in names])
    return ()


def _named_parts(file: Path) -> list[str]:
    return [part for part in file.parts if part not in (file.anchor, "..")]
