"""The report of a human study, and what metrics say of the same sources."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TypedDict, Unpack

from ptheta.api.origin import made_and_real
from ptheta.compute.streams import undisturbed
from ptheta.errors import PthetaError
from ptheta.extractors.base import Extractor
from ptheta.files.atomic import there
from ptheta.files.out import check_folder
from ptheta.files.paths import expand
from ptheta.measures.results import Evaluation
from ptheta.metrics import evaluate as metrics
from ptheta.metrics.table import METRICS
from ptheta.runs.folder import Run
from ptheta.schemas import Study, StudySource
from ptheta.study.analysis import document
from ptheta.study.analysis.analyse import Analysis, analyse, analyse_public, with_metrics
from ptheta.study.analysis.exclusions import Rules
from ptheta.study.analysis.reading import Read, read

DISTANCES = ("fd_{extractor}", "kd_{extractor}")
PREFIXES = ("fd_", "kd_")  # of the metrics that are compared with people
SAME = ("extractor", "samples", "real_images")  # in the protocols of comparable results
EVALUATION = "evaluation.json"


class StudyRules(TypedDict, total=False):
    """Least values of a person who is not excluded; None: as the study says.

    Attributes:
        least_qualification: share of right answers in the qualification
        least_attention: share of right answers to attention checks
        least_trials: main trials answered
        least_response: median response time in ms
        least_consistency: share of repeated questions answered as before
    """

    least_qualification: float | None
    least_attention: float | None
    least_trials: int | None
    least_response: float | None
    least_consistency: float | None


@undisturbed()
def study_report(
    study: str | Path,
    out: str | Path | None = None,
    *,
    protocol: str | None = None,
    measure: bool = False,
    n: int = 1000,
    extractor: str | Extractor | None = None,
    **rules: Unpack[StudyRules],
) -> tuple[Path, Analysis]:
    """Analyse the answers of a study and write a report: HTML, Markdown, JSON and raw answers.

    Args:
        study: folder of a study, its `answers.csv`, or public answers of Stein et al. 2023
        out: folder to write; by default `report` in that of the study
        protocol: which answers, if there are several protocols
        measure: compute fd and kd of the sources that have no stored evaluation
        n: maximum number of images of each source to compute them from
        extractor: feature extractor for them
        rules: the fields of `StudyRules`

    Returns:
        The page, and the analysis.

    Raises:
        PthetaError: if there are no answers to analyse
    """
    found = read(study)
    folder = check_folder(out if out is not None else found.folder / "report")
    if found.public is not None:
        result = analyse_public(found.public, found.name)
        return document.write(result, folder), result
    result = analyse(found.answers, found.study, _rules(found, rules), protocol)
    result = with_metrics(result, _metrics(found, measure, n, extractor))
    return document.write(result, folder, list(found.answers), given=found.file), result


def _rules(found: Read, given: StudyRules) -> Rules:
    """Those of the study, and those given instead."""
    said = Rules.of(found.study)
    qualification, attention = given.get("least_qualification"), given.get("least_attention")
    return Rules(
        qualification=said.qualification if qualification is None else qualification,
        attention=said.attention if attention is None else attention,
        trials=given.get("least_trials"),
        response=given.get("least_response"),
        consistency=given.get("least_consistency"),
    )


def _metrics(
    found: Read, measure: bool, n: int, extractor: str | Extractor | None
) -> dict[str, tuple[str, dict[str, float]]]:
    """Name -> (which values are better, value of each source)."""
    if found.study is None:
        return {}
    sources = [s for s in found.study.sources if s.kind != "reference"]
    known = {s.name: e for s in sources if (e := _stored(s)) is not None}
    if measure and set(known) < {s.name for s in sources}:
        known = {s.name: _measured(found.study, s, n, extractor) for s in sources}
    return _comparable(known)


def _stored(source: StudySource) -> Evaluation | None:
    """The evaluation in the folder of a run, if there is one."""
    if source.kind != "run":
        return None
    path = expand(source.path) / EVALUATION
    if not there(path):
        return None
    try:
        return Evaluation.read(path)
    except PthetaError as error:
        warnings.warn(f"{source.name}: {error}", stacklevel=4)
        return None


def _measured(
    study: Study, source: StudySource, n: int, extractor: str | Extractor | None
) -> Evaluation:
    """fd and kd of one source: of n samples of a run, or of n images of a folder."""
    wanted = [METRICS[name] for name in DISTANCES]
    if source.kind == "run":
        run = Run.open(source.path)
        ctx = metrics.context(run.model(), run.look(None).test, None, extractor=extractor, n=n)
        return metrics.measured(ctx, metrics=wanted)
    reference = next((s for s in study.sources if s.kind == "reference"), None)
    if reference is None:
        raise PthetaError(
            f"{source.name} is a folder and the study has no real images to compare it with: "
            "leave out --measure"
        )
    made, test, train = made_and_real(source.path, reference.path)
    return metrics.evaluate_images(made, test, train, n=n, extractor=extractor)


def _comparable(
    known: dict[str, Evaluation],
) -> dict[str, tuple[str, dict[str, float]]]:
    """Results of one protocol: of several sources, by one extractor and as many images."""
    protocols = {tuple(e.protocol.get(key) for key in SAME) for e in known.values()}
    if len(protocols) > 1:
        warnings.warn(
            "the sources are evaluated by different protocols, and metrics are left out: evaluate "
            "them with the same extractor and number of images",
            stacklevel=4,
        )
        return {}
    found: dict[str, tuple[str, dict[str, float]]] = {}
    for name, evaluation in known.items():
        for result in evaluation.results:
            if result.metric.startswith(PREFIXES) and result.value is not None and result.better:
                found.setdefault(result.metric, (result.better, {}))[1][name] = result.value
    return found
