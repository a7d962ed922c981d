"""The `classify` function: Bayes classification with a class-conditional model."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict, Unpack

from torch import Tensor

from ptheta import tasks
from ptheta.api.classified import MODEL, Classification
from ptheta.api.example_sets import known_labels, seen_in_training, shown_to, some_of
from ptheta.api.found import names_of
from ptheta.api.limits import check_numbers
from ptheta.api.on_device import on_device
from ptheta.api.written import Places
from ptheta.conditions import Labels
from ptheta.data.dataset import Dataset
from ptheta.data.memory import Source
from ptheta.errors import PthetaError, unknown
from ptheta.measures.classification import Classified, measured
from ptheta.report import figures
from ptheta.runs.folder import Run
from ptheta.tasks.classify import FLOORS, SAMPLES, Labelled, Posterior, log_prior
from ptheta.tasks.classify.bayes import labels_of
from ptheta.terminal.progress import watched

PRIORS = ("training", "uniform")


class Reading(TypedDict, total=False):
    """How examples are read and classified.

    Attributes:
        split, label_column: of the source, as for `ptheta.outliers`
        data: new location of the run's data
        n: number of examples, chosen at random by the seed; default: all
        prior: p(y): "training" (class frequencies in the training data) or "uniform"
        samples: importance samples for the bound, if the model has no exact likelihood
        weights: "best" or "last" weights of the run
        device: as for `ptheta.sample`
    """

    split: str | None
    label_column: str | None
    data: Source | None
    n: int | None
    prior: str
    samples: int
    weights: str
    seed: int
    device: str | None


@on_device
def classify(
    run: str | Path | Run,
    source: Source | None = None,
    *,
    out: str | Path | None = None,
    show: str | Path | None = None,
    force: bool = False,
    **how: Unpack[Reading],
) -> Classification:
    """Classify examples by Bayes' rule with a run conditional on labels.

    p(y | x) is proportional to p(x | y) p(y). If the examples have labels, the predictions are
    evaluated and compared with baselines.

    Args:
        run: run folder, or a `Run`
        source: any data that `ptheta.open_data` reads; default: the run's held-out examples
        out: .csv to write a row for each example to
        show: .png to draw the reliability diagram and the confusion matrix to
        force: overwrite existing files
        how: the fields of `Reading`

    Raises:
        PthetaError: if the model is not conditional on labels or has no likelihood, or if the class
            prior needs training examples that are not available
    """
    check_numbers(n=how.get("n"), samples=how.get("samples"), seed=how.get("seed"))
    prior = how.get("prior", PRIORS[0])
    if prior not in PRIORS:
        raise unknown("prior", prior, PRIORS)
    places = Places.at(out, show, source, force=force, drawn=(".png",))
    opened, seed = Run.open(run), how.get("seed", 0)
    model = opened.model(how.get("weights", "best"))
    labels = labels_of(model)
    data, remarks = shown_to(
        opened, source, how.get("split"), how.get("data"), how.get("label_column")
    )
    data = some_of(data, how.get("n"), seed)
    known, why = known_labels(data, labels)
    if show is not None and known is None:
        raise _no_labels(data, why)
    bank, lacking = _trained(opened, how.get("data"), labels, prior)
    shares = None if bank is None or prior != PRIORS[0] else log_prior(bank[1], len(labels))
    found = tasks.classify(
        model, data, prior=shares, samples=how.get("samples", SAMPLES), seed=seed
    )
    lines = [*remarks, why, lacking, "" if bank is None else seen_in_training(data, bank[0])]
    done = Classification(
        *(names_of(data), found, known, _measured(found, data, known, bank, seed)),
        remarks=tuple(filter(None, lines)),
        **places.where,
    )
    if places.table is not None:
        done.write(places.table, data)
    if places.picture is not None and known is not None:
        figures.classified(found.log_p, known, found.names, places.picture)
    return done


def _no_labels(data: Dataset, why: str) -> PthetaError:
    return PthetaError(
        f"--show needs labels, and {data.name} has none{why and ' of the run'}: leave it out, or "
        "give data with labels"
    )


Bank = tuple[Dataset, Tensor]  # training examples with their labels, int64 (N,)


def _trained(run: Run, place: Source | None, labels: Labels, prior: str) -> tuple[Bank | None, str]:
    """The run's training examples; None with a remark if they are not available.

    Raises PthetaError if they are not available but needed for the prior.
    """
    try:
        data = run.own(place).images
    except PthetaError as error:
        if prior == PRIORS[0]:
            raise PthetaError(f"{error}; or use --prior uniform") from None
        return None, "the run's training data is not available: no baselines"
    assert data is not None  # it is there
    y = known_labels(data, labels)[0]
    assert y is not None
    return (data, y), ""


def _measured(
    found: Posterior, data: Dataset, y: Tensor | None, bank: Bank | None, seed: int
) -> dict[str, Classified]:
    """Evaluates the model's probabilities and the baselines."""
    if y is None:
        return {}
    every = {MODEL: measured(found.log_p, y, seed=seed)}
    if bank is None:
        return every
    train, labels = bank[0].with_fixed_binarisation(), bank[1]
    known = Labelled(train.batch(slice(None)).x, labels)
    x = data.with_fixed_binarisation().batch(slice(None)).x
    for name, floor in watched(list(FLOORS.items()), "floors"):
        log_p = floor.fit(data.spec, known, len(found.names), x)
        every[name] = measured(log_p, y, sure=floor.sure, seed=seed)
    return every
