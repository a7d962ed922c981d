"""The table of outlier scores, by name."""

from __future__ import annotations

from ptheta.capabilities import Discriminates, Encodes, HasBound, HasEnergy, HasLogProb
from ptheta.errors import unknown
from ptheta.specs import ImageSpec
from ptheta.tasks.needs import Autoencodes
from ptheta.tasks.outliers import floors, models
from ptheta.tasks.outliers.combined import combined
from ptheta.tasks.outliers.distances import (
    asked,
    both,
    closest,
    gradients,
    mahalanobis,
    nearest,
    numbers,
    patches,
    relative,
)
from ptheta.tasks.outliers.known import Known, Score

IMAGES = (ImageSpec,)
LIKELIHOOD = (HasLogProb, HasEnergy, HasBound)

# to add a score, add an entry here
SCORES: dict[str, Score] = {
    "log-likelihood": Score(
        "negative log-likelihood",
        "-log p(x)",
        models.log_likelihood,
        needs=(HasLogProb,),
    ),
    "elbo": Score(
        "negative lower bound of the log-likelihood",
        "-ELBO(x)",
        models.elbo,
        needs=(HasBound,),
        paper="arXiv:1312.6114",
    ),
    "importance-bound": Score(
        "negative tighter bound with importance samples",
        "-log (1/k) sum_k p(x, z_k) / q(z_k | x)",
        models.importance,
        needs=(HasBound,),
        paper="arXiv:1509.00519",
    ),
    "energy": Score("its energy", "E(x)", models.energy, needs=(HasEnergy,)),
    "discriminator": Score(
        "negative discriminator output",
        "-D(x)",
        models.discriminator,
        needs=(Discriminates,),
        paper="arXiv:1406.2661",
    ),
    "reconstruction": Score(
        "reconstruction error",
        "|x - decode(encode(x))| / sqrt(D)",
        models.reconstruction,
        needs=(Autoencodes,),
    ),
    "latent": Score(
        "Mahalanobis distance of the code to training codes",
        "sqrt((z - m)' C^-1 (z - m)), z = encode(x)",
        models.latent,
        needs=(Encodes,),
    ),
    "typicality": Score(
        "typicality: likelihood too low or too high",
        "|-log p(x) - mean of -log p of training examples|",
        models.typicality,
        needs=LIKELIHOOD,
        paper="arXiv:1906.02994",
    ),
    "background": Score(
        "log-likelihood ratio to a background model",
        "-(log p(x) - log p_0(x))",
        models.background_ratio,
        needs=LIKELIHOOD,
        paper="arXiv:1906.02845",
        background=True,
    ),
    "compression": Score(
        "log-likelihood corrected for the compressed size",
        "-(log p(x) + L(x)), L the least of its sizes as PNG and by zlib, in nats",
        models.compression_ratio,
        needs=LIKELIHOOD,
        of=IMAGES,
        paper="arXiv:1909.11480",
    ),
    "neighbours": Score(
        "mean distance to the 10 nearest training examples in features",
        "mean_j |h - h_j|",
        nearest(asked),
    ),
    "relative-neighbours": Score(
        "mean distance to the 10 nearest, relative to their own mean distances",
        "mean_j |h - h_j| / mean_j r(h_j), r the mean distance to the 10 nearest",
        relative(asked),
        paper="Breunig et al. 2000",
    ),
    "mahalanobis": Score(
        "Mahalanobis distance to the mean of features",
        "sqrt((h - m)' C^-1 (h - m))",
        mahalanobis(asked),
        paper="arXiv:1807.03888",
    ),
    "combined": Score(
        "sum of standardised neighbour distances in edge and patch features",
        "sum_i (log s_i(x) - mean) / deviation, over the four distances",
        combined({"edges": both(gradients), "patches": both(patches)}, {"numbers": both(numbers)}),
    ),
    "zero-pixels": Score(
        "share of sub-pixels that are 0", "mean of x = 0", floors.zero_pixels, of=IMAGES, floor=True
    ),
    "png-bytes": Score("negative size as PNG", "-bytes", floors.png_bytes, of=IMAGES, floor=True),
    "nearest": Score(
        "distance to the nearest training example, in pixels or standardised columns",
        "min_j |x - x_j|",
        closest(numbers),
        floor=True,
    ),
    "pca-error": Score(
        "PCA reconstruction error, 64 components (at most half the dimensions)",
        "|x - m - V V' (x - m)| / sqrt(D)",
        floors.principal_error,
        floor=True,
    ),
    "gaussian": Score(
        "Gaussian density of the pixels or columns",
        "-log N(x; m, C)",
        floors.gaussian_surprise,
        floor=True,
    ),
    "independent-pixels": Score(
        "independent histograms of the pixels",
        "-sum_i log p_i(x_i)",
        floors.independent_pixels,
        of=IMAGES,
        floor=True,
    ),
}
DEFAULT = "combined"


def entry(name: str) -> Score:
    """The score of this name. Raises PthetaError, with the most similar name, if unknown."""
    if name not in SCORES:
        raise unknown("score", name, SCORES)
    return SCORES[name]


def defined(known: Known) -> list[str]:
    """The scores that are defined for these inputs."""
    return [name for name, score in SCORES.items() if not lacks(score, known)]


def lacks(score: Score, known: Known) -> str:
    """Why a score is not defined for these inputs; empty if it is."""
    if not isinstance(known.spec, score.of):
        return f"it needs images, and these are {known.spec}"
    if score.background and known.background is None:
        return "there is no background model: give --background"
    if score.needs and not isinstance(known.model, score.needs):
        return "the model lacks what it needs"
    return ""
