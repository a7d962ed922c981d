"""Uses of a trained model, each defined by the capabilities it needs."""

from ptheta.tasks.chain import chain
from ptheta.tasks.classify import classify
from ptheta.tasks.cluster import cluster
from ptheta.tasks.codes import decode, encode
from ptheta.tasks.compress import compress, decompress
from ptheta.tasks.context import context
from ptheta.tasks.denoise import denoise, psnr
from ptheta.tasks.density import density
from ptheta.tasks.fit import fit
from ptheta.tasks.impute.draws import impute, imputed
from ptheta.tasks.inpaint import inpaint, region
from ptheta.tasks.interpolate import interpolate
from ptheta.tasks.invert import invert
from ptheta.tasks.outliers import outliers
from ptheta.tasks.probe import probe
from ptheta.tasks.ratio import ratio
from ptheta.tasks.reconstruct import reconstruct
from ptheta.tasks.sample import sample, sample_batches
from ptheta.tasks.scatter import scatter
from ptheta.tasks.surprise import surprise
from ptheta.tasks.tradeoff import tradeoff
from ptheta.tasks.translate import translate
from ptheta.tasks.traverse import traverse
from ptheta.tasks.walks import manifold, most_used

__all__ = [
    "chain",
    "classify",
    "cluster",
    "compress",
    "context",
    "decode",
    "decompress",
    "denoise",
    "density",
    "encode",
    "fit",
    "impute",
    "imputed",
    "inpaint",
    "interpolate",
    "invert",
    "manifold",
    "most_used",
    "outliers",
    "probe",
    "psnr",
    "ratio",
    "reconstruct",
    "region",
    "sample",
    "sample_batches",
    "scatter",
    "surprise",
    "tradeoff",
    "translate",
    "traverse",
]
