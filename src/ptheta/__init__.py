"""ptheta: learn p_theta(x) from data, then sample, evaluate, encode and compare.

Importing this package does not import torch; the first use of a name below does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ptheta import (
        api,
        callbacks,
        data,
        distributions,
        extractors,
        losses,
        metrics,
        models,
        nets,
        tasks,
        trackers,
    )
    from ptheta.api import (
        arithmetic,
        chain,
        classify,
        closest,
        cluster,
        compare,
        compress,
        context,
        create,
        decode,
        decompress,
        demo,
        denoise,
        density,
        dry_run,
        encode,
        evaluate,
        evaluate_images,
        fit,
        impute,
        inpaint,
        interpolate,
        invert,
        latents,
        launch,
        layers,
        load,
        log,
        manifold,
        neighbours,
        outliers,
        pack,
        probe,
        push,
        ratio,
        reconstruct,
        register,
        sample,
        scatter,
        surprise,
        sweep,
        tradeoff,
        train,
        translate,
        traverse,
        usefulness,
        write_report,
    )
    from ptheta.conditions import Attributes, Labels
    from ptheta.data import (
        Dataset,
        ImageDataset,
        VectorDataset,
        describe,
        list_datasets,
        open_data,
        open_images,
    )
    from ptheta.errors import PthetaError
    from ptheta.lab.make import learn
    from ptheta.metrics.table import list_metrics
    from ptheta.models.about import list_models
    from ptheta.models.own import ModelEntry
    from ptheta.runs.folder import Run
    from ptheta.specs import ImageSpec, VectorSpec
    from ptheta.tasks.matrix import list_tasks

__version__ = "0.1.0"

__all__ = [
    "Attributes",
    "Dataset",
    "ImageDataset",
    "ImageSpec",
    "Labels",
    "ModelEntry",
    "PthetaError",
    "Run",
    "VectorDataset",
    "VectorSpec",
    "api",
    "arithmetic",
    "callbacks",
    "chain",
    "classify",
    "closest",
    "cluster",
    "compare",
    "compress",
    "context",
    "create",
    "data",
    "decode",
    "decompress",
    "demo",
    "denoise",
    "density",
    "describe",
    "distributions",
    "dry_run",
    "encode",
    "evaluate",
    "evaluate_images",
    "extractors",
    "fit",
    "impute",
    "inpaint",
    "interpolate",
    "invert",
    "latents",
    "launch",
    "layers",
    "learn",
    "list_datasets",
    "list_metrics",
    "list_models",
    "list_tasks",
    "load",
    "log",
    "losses",
    "manifold",
    "metrics",
    "models",
    "neighbours",
    "nets",
    "open_data",
    "open_images",
    "outliers",
    "pack",
    "probe",
    "push",
    "ratio",
    "reconstruct",
    "register",
    "sample",
    "scatter",
    "surprise",
    "sweep",
    "tasks",
    "trackers",
    "tradeoff",
    "train",
    "translate",
    "traverse",
    "usefulness",
    "write_report",
]

_MODULES = (
    "api",
    "callbacks",
    "data",
    "distributions",
    "extractors",
    "losses",
    "metrics",
    "models",
    "nets",
    "tasks",
    "trackers",
)
_HOMES = {  # modules of names that do not need `ptheta.api`; the default is `ptheta.api`
    "Attributes": "ptheta.conditions",
    "Dataset": "ptheta.data",
    "ImageDataset": "ptheta.data",
    "ImageSpec": "ptheta.specs",
    "Labels": "ptheta.conditions",
    "ModelEntry": "ptheta.models.own",
    "PthetaError": "ptheta.errors",
    "Run": "ptheta.runs.folder",
    "VectorDataset": "ptheta.data",
    "VectorSpec": "ptheta.specs",
    "describe": "ptheta.data",
    "learn": "ptheta.lab.make",
    "list_datasets": "ptheta.data",
    "list_metrics": "ptheta.metrics.table",
    "list_models": "ptheta.models.about",
    "list_tasks": "ptheta.tasks.matrix",
    "open_data": "ptheta.data",
    "open_images": "ptheta.data",
}


if not TYPE_CHECKING:  # type checkers see the imports above and report unknown names

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module 'ptheta' has no attribute {name!r}; it has {__all__}")
        if name in _MODULES:
            return import_module(f"ptheta.{name}")
        return getattr(import_module(_HOMES.get(name, "ptheta.api")), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
