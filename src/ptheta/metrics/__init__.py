"""The table of metrics, the evaluation of models, and functions that compute the same metrics for
two given sets of examples: `frechet_distance(made, real)`.

Names are imported lazily, since most of them have heavy dependencies.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ptheta.measures.results import Estimate, Evaluation, Result
    from ptheta.metrics.evaluate import evaluate_images, real_baseline
    from ptheta.metrics.metric import Metric, Presentation, Role, Section
    from ptheta.metrics.pair_sets import (
        Segmentation,
        l1,
        labeller_scores,
        psnr,
        segmentation_scores,
        ssim,
    )
    from ptheta.metrics.sensitivity import DAMAGES
    from ptheta.metrics.sets import (
        PRDC,
        frechet_distance,
        inception_score,
        kernel_distance,
        memorisation,
        prdc,
        sharpness,
    )
    from ptheta.metrics.table import METRICS, list_metrics
    from ptheta.metrics.vector_sets import (
        ClassifierTest,
        GridDivergence,
        ModeCoverage,
        Tested,
        grid_divergence,
        mmd,
        mode_coverage,
        two_sample_test,
    )

__all__ = [
    "DAMAGES",
    "METRICS",
    "PRDC",
    "ClassifierTest",
    "Estimate",
    "Evaluation",
    "GridDivergence",
    "Metric",
    "ModeCoverage",
    "Presentation",
    "Result",
    "Role",
    "Section",
    "Segmentation",
    "Tested",
    "evaluate_images",
    "frechet_distance",
    "grid_divergence",
    "inception_score",
    "kernel_distance",
    "l1",
    "labeller_scores",
    "list_metrics",
    "memorisation",
    "mmd",
    "mode_coverage",
    "prdc",
    "psnr",
    "real_baseline",
    "segmentation_scores",
    "sharpness",
    "ssim",
    "two_sample_test",
]

_VECTORS, _PAIRS = "ptheta.metrics.vector_sets", "ptheta.metrics.pair_sets"
# modules of the names that are not in `ptheta.metrics.sets`. No name may equal that of a module of
# this package: importing the module would replace it
_HOMES = {
    "DAMAGES": "ptheta.metrics.sensitivity",
    "METRICS": "ptheta.metrics.table",
    "Estimate": "ptheta.measures.results",
    "Evaluation": "ptheta.measures.results",
    "ClassifierTest": _VECTORS,
    "GridDivergence": _VECTORS,
    "Metric": "ptheta.metrics.metric",
    "ModeCoverage": _VECTORS,
    "Presentation": "ptheta.metrics.metric",
    "Result": "ptheta.measures.results",
    "Role": "ptheta.metrics.metric",
    "Section": "ptheta.metrics.metric",
    "Segmentation": _PAIRS,
    "Tested": _VECTORS,
    "evaluate_images": "ptheta.metrics.evaluate",
    "grid_divergence": _VECTORS,
    "l1": _PAIRS,
    "labeller_scores": _PAIRS,
    "list_metrics": "ptheta.metrics.table",
    "mmd": _VECTORS,
    "mode_coverage": _VECTORS,
    "psnr": _PAIRS,
    "real_baseline": "ptheta.metrics.evaluate",
    "segmentation_scores": _PAIRS,
    "ssim": _PAIRS,
    "two_sample_test": _VECTORS,
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'ptheta.metrics' has no attribute {name!r}; it has {__all__}")
    return getattr(import_module(_HOMES.get(name, "ptheta.metrics.sets")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
