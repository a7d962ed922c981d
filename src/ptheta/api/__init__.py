"""The Python interface: one function for each command of the command line, with the same name.

Functions that use a trained model take its run: the path of a run folder, or a `Run`.
`ptheta.tasks` and `ptheta.metrics` have the same functions for a model and tensors in memory.
"""

from ptheta.api.chains import Chained, chain
from ptheta.api.changing import Moved, arithmetic
from ptheta.api.classified import Classification
from ptheta.api.classifying import classify
from ptheta.api.clustering import Clustering, cluster
from ptheta.api.compared import Compared
from ptheta.api.comparing import compare, demo, write_report
from ptheta.api.compressing import Compressed, compress, decompress
from ptheta.api.contexts import Seen, context
from ptheta.api.decoding import decode
from ptheta.api.densities import Likely, density
from ptheta.api.encoding import Encoded, encode
from ptheta.api.finding import outliers
from ptheta.api.grid import Grid
from ptheta.api.images import sample, surprise
from ptheta.api.imputing import Imputed, impute, score_imputation
from ptheta.api.inpainting import inpaint
from ptheta.api.inverting import Inversions, invert
from ptheta.api.latent import fit, latents, manifold, probe
from ptheta.api.launching import launch
from ptheta.api.layering import layers
from ptheta.api.measuring import Unwritten, closest, evaluate, evaluate_images
from ptheta.api.nearby import Nearby
from ptheta.api.neighbouring import neighbours
from ptheta.api.packing import Packed, pack
from ptheta.api.plugging import register
from ptheta.api.pushing import Pushed, push
from ptheta.api.ratios import Real, ratio
from ptheta.api.rehearsing import DryRun, dry_run
from ptheta.api.repairing import denoise, reconstruct
from ptheta.api.rows import Rows
from ptheta.api.scattering import Scattered, scatter
from ptheta.api.scoring_completions import score_inpainting
from ptheta.api.sweeping import sweep
from ptheta.api.tracking import Logged, log
from ptheta.api.tradeoffs import Traded, tradeoff
from ptheta.api.training import create, load, train
from ptheta.api.translating import Translations
from ptheta.api.translation import translate
from ptheta.api.traversing import traverse
from ptheta.api.useful import Useful, usefulness
from ptheta.api.walking import Walks, interpolate
from ptheta.data import describe, list_datasets, open_data
from ptheta.metrics.metric import MetricInfo
from ptheta.metrics.table import list_metrics
from ptheta.models.about import ModelInfo, list_models
from ptheta.runs.folder import is_run
from ptheta.tasks.matrix import list_tasks

__all__ = [
    "Chained",
    "Classification",
    "Clustering",
    "Compared",
    "Compressed",
    "DryRun",
    "Encoded",
    "Grid",
    "Imputed",
    "Inversions",
    "Likely",
    "Logged",
    "MetricInfo",
    "ModelInfo",
    "Moved",
    "Nearby",
    "Packed",
    "Pushed",
    "Real",
    "Rows",
    "Scattered",
    "Seen",
    "Traded",
    "Translations",
    "Unwritten",
    "Useful",
    "Walks",
    "arithmetic",
    "chain",
    "classify",
    "closest",
    "cluster",
    "compare",
    "compress",
    "context",
    "create",
    "decode",
    "decompress",
    "demo",
    "denoise",
    "density",
    "describe",
    "dry_run",
    "encode",
    "evaluate",
    "evaluate_images",
    "fit",
    "impute",
    "inpaint",
    "interpolate",
    "invert",
    "is_run",
    "latents",
    "launch",
    "layers",
    "list_datasets",
    "list_metrics",
    "list_models",
    "list_tasks",
    "load",
    "log",
    "manifold",
    "neighbours",
    "open_data",
    "outliers",
    "pack",
    "probe",
    "push",
    "ratio",
    "reconstruct",
    "register",
    "sample",
    "scatter",
    "score_imputation",
    "score_inpainting",
    "surprise",
    "sweep",
    "tradeoff",
    "train",
    "translate",
    "traverse",
    "usefulness",
    "write_report",
]
