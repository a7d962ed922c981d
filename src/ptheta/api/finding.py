"""The `outliers` function: find examples unlike the training data of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypedDict, Unpack

import numpy as np
import torch
from torch import Tensor, nn

from ptheta import tasks
from ptheta.api.example_sets import read_as
from ptheta.api.found import Found, names_of, write
from ptheta.api.on_device import on_device
from ptheta.api.written import Places
from ptheta.capabilities import Encodes, condition_of, device_of
from ptheta.data.dataset import Dataset
from ptheta.data.memory import Source
from ptheta.data.selection import matching
from ptheta.data.trained import DataMatch, joined
from ptheta.errors import PthetaError
from ptheta.extractors.base import Extractor
from ptheta.extractors.placed import placed
from ptheta.extractors.table import load_extractor
from ptheta.runs.folder import Run
from ptheta.tasks.conditions import with_conditions
from ptheta.tasks.outliers.codes import CODES, Codes
from ptheta.tasks.outliers.find import FALSE_ALARMS, both_kinds
from ptheta.tasks.outliers.known import Known, lacks_conditions
from ptheta.tasks.outliers.table import DEFAULT, defined, entry

ALL = "all"  # all supported scores
CALIBRATED = 100  # minimum number of held-out examples preferred for setting a threshold
SHOWN = 8  # examples in the image


class Finding(TypedDict, total=False):
    """How outliers are scored.

    Attributes:
        score: names in `ptheta.tasks.outliers.SCORES`, the first of which ranks and flags; or "all"
            that the run supports, after the default one
        background: run of a background model, for the likelihood ratio
        extractor: features of the neighbours and mahalanobis scores: a name, "codes" (the model's
            latent codes), or an extractor object
        false_alarms: fraction of examples like the training data that may be flagged
        samples: importance samples for a bound
        weights: "best" or "last" weights of the run
        device: as for `ptheta.sample`, also of the background model
    """

    score: Sequence[str]
    background: str | Path | Run | None
    extractor: str | Extractor | None
    false_alarms: float
    samples: int
    weights: str
    seed: int
    device: str | None


@on_device
def outliers(
    run: str | Path | Run,
    source: Source,
    *,
    split: str | None = None,
    data: Source | None = None,
    outlier_where: Sequence[str] = (),
    label_column: str | None = None,
    normal: Source | None = None,
    out: str | Path | None = None,
    show: str | Path | None = None,
    n: int = SHOWN,
    force: bool = False,
    **how: Unpack[Finding],
) -> Found:
    """Score how unlike the run's training data the examples of a source are, and flag outliers.

    Scores are higher for more unusual examples. The threshold is set on held-out examples, so that
    few examples like the training data exceed it.

    Args:
        run: run folder, or a `Run`
        source: any data that `ptheta.open_data` reads
        split: split of the source; default: test, or all of a source without splits
        data: new location of the run's data
        outlier_where: NAME=VALUE, such as label=shoe, that marks known outliers
        label_column: column of the labels, if the source has columns and the name is unusual
        normal: second source, of examples that are not outliers; then all of `source` counts as
            outliers
        out: .csv to write a row for each example to
        show: image to write, with the n highest-scoring examples
        n: examples in that image
        force: overwrite existing files
        how: the fields of `Finding`

    Raises:
        PthetaError: if the model does not support a score, or if the run's training data is not
            available
    """
    places = Places.at(out, show, source, normal, force=force)
    if normal is not None and outlier_where:
        raise PthetaError(
            "with --normal all other examples are outliers: leave --outlier-where out"
        )
    opened = Run.open(run)
    places.images(opened.spec, "the worst")
    scored = opened.other(source, split, label_column)
    outlier = _known_outliers(scored, outlier_where) if outlier_where else None
    others = None if normal is None else opened.other(normal)
    bank, held_out, remarks = _apart(opened.own(data), scored, others)
    known = _known(opened, bank, how)
    found = tasks.outliers(
        *(known.model, scored, bank, held_out),
        normal=others,
        scores=_asked(how.get("score", (DEFAULT,)), known, scored),
        background=known.background,
        extractor=known.extractor,
        false_alarms=how.get("false_alarms", FALSE_ALARMS),
        samples=known.samples,
        seed=known.seed,
    )
    remarks = (*remarks, *read_as(scored), *(read_as(others) if others is not None else ()))
    detection = found.detection(outlier) if outlier is not None or others is not None else {}
    write(places, known, scored, found, outlier, n)
    return Found(names_of(scored), found, detection, remarks, places.table, places.picture)


def _known_outliers(data: Dataset, where: Sequence[str]) -> Tensor:
    """Known outliers, bool (N,). Raises PthetaError if all are outliers, or none."""
    outlier = torch.from_numpy(matching(data, where, "--outlier-where"))
    both_kinds(int(outlier.sum()), int((~outlier).sum()))
    return outlier


def _apart(
    match: DataMatch, scored: Dataset, others: Dataset | None
) -> tuple[Dataset, Dataset | None, tuple[str, ...]]:
    """The reference bank; unseen examples like it, to set the threshold; and remarks.

    Held-out examples that are scored are not used for the threshold. If few are left, and there
    are more validation examples, these are used instead. Scored examples are removed from the
    bank, since each would be its own neighbour.
    """
    assert match.images is not None  # training data was found above
    seen = [data.keys() for data in (scored, others) if data is not None]
    bank, choices = match.images, []
    for data, what in ((match.held_out, "held-out"), (match.reserve, "reserve")):
        if data is None:
            continue
        fresh = ~np.isin(data.keys(), np.concatenate(seen))
        if fresh.any():
            choices.append((data.subset(fresh), what))
    if not choices:
        why = (
            "all held-out examples are scored, so there is none to set a threshold: nothing is "
            "flagged"
        )
        return bank, None, (why,)
    held_out, what = max(choices, key=lambda choice: min(len(choice[0]), CALIBRATED))
    if what == "held-out":
        for data, kind in choices:
            bank = joined(bank, data) if kind == "reserve" else bank
    remark = f"threshold set on {len(held_out):,} {what} {held_out.examples}"
    return bank, held_out, (remark,)


def _known(run: Run, bank: Dataset, how: Finding) -> Known:
    """The inputs that scores may use."""
    model = run.model(how.get("weights", "best"))
    background = how.get("background")
    return Known(
        model,
        with_conditions(model, bank),
        None if background is None else _background(run, background),
        _extractor(how.get("extractor"), model),
        samples=how.get("samples", Known.samples),
        seed=how.get("seed", Known.seed),
    )


def _background(run: Run, path: str | Path | Run) -> nn.Module:
    """The background model, on the device of the run. Raises PthetaError if it was trained on other
    data."""
    other = replace(Run.open(path), device=run.device)
    if other.spec != run.spec:
        raise PthetaError(
            f"--background {other.path} was trained on {other.spec}, and {run.path} on "
            f"{run.spec}: give a run on the same data, with the same size and levels"
        )
    model = other.model()
    if condition_of(model) is not None:
        raise PthetaError(f"--background {other.path} is conditional: give an unconditional run")
    return model


def _extractor(asked: str | Extractor | None, model: nn.Module) -> Extractor | None:
    if asked == CODES and isinstance(model, Encodes):
        return Codes(model)
    chosen = load_extractor(asked) if isinstance(asked, str) else asked
    return None if chosen is None else placed(chosen, device_of(model))


def _asked(names: Sequence[str], known: Known, scored: Dataset) -> tuple[str, ...]:
    """The distinct score names; all that are defined without conditions for data that lacks those
    of the model. Raises PthetaError for an unknown one."""
    if tuple(names) == (ALL,):
        every = defined(known)
        if lacks_conditions(known.model, scored):
            every = [name for name in every if not entry(name).needs]
        names = (DEFAULT, *every)
    for name in names:
        entry(name)
    return tuple(dict.fromkeys(names))
