"""The evaluation of a model: every metric that its capabilities define, by one protocol."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

import ptheta
from ptheta.capabilities import Clusters, HasJoint, Samples, conditional, some_conditions
from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError
from ptheta.metrics.ais import ais
from ptheta.metrics.clustering import clustering_accuracy
from ptheta.metrics.features import Extractor, Features, default_extractor, extract, extractor
from ptheta.metrics.frechet import (
    LEAST_TO_EXTRAPOLATE,
    Gaussian,
    fit,
    frechet,
    frechet_error,
    frechet_infinity,
)
from ptheta.metrics.images import check_same_spec, check_samples, fixed
from ptheta.metrics.kernel import kernel_distance
from ptheta.metrics.likelihood import batches, bound_terms, likelihood
from ptheta.metrics.manifold import manifold
from ptheta.metrics.memorisation import copying_test
from ptheta.metrics.neighbours import copied_share, nearest, ratio_of_medians
from ptheta.metrics.reference import reference
from ptheta.metrics.results import Evaluation, Result
from ptheta.metrics.score import class_score, effective_classes
from ptheta.metrics.speed import sampling_speed
from ptheta.pixels import seeded
from ptheta.tasks.sample import sample

VERSION = 3  # of the definitions below; part of every protocol
NEIGHBOURS = 500  # images compared with the training set
CLOSENESS = ("train_distance_ratio", "copied_share", "copying_z")
MANIFOLD = ("precision", "recall", "density", "coverage")
K = 5  # neighbours that make an image's ball
MANIFOLD_IMAGES = 10_000  # of either side, for the balls
# the names that the published metrics have; of any other network they would be wrong
PUBLISHED = {"inception-2015": ("fid", "kid", "inception_score")}
GIVEN = "_given_label"  # of p(x | y): another quantity, so it has another name
NO_SAMPLES, NO_DENSITY = "it cannot sample", "no likelihood"


def evaluate(
    model: nn.Module,
    test: Dataset,
    train: Dataset,
    *,
    n: int = 1000,
    is_k: int = 50,
    ais_images: int = 0,
    extractor: str | Extractor | None = None,
    seed: int = 0,
    samples: Tensor | None = None,
) -> Evaluation:
    """Measures a model in eval mode.

    test: held-out images, which likelihood and distances refer to
    train: the training images, for the nearest neighbours
    n: images drawn; is_k: importance samples of a likelihood bound
    ais_images: test images whose log p(x) is also estimated by annealed importance sampling
    extractor: of the features, a name or an object (default: by the data's name)
    samples: images already drawn from the model with this seed, uint8 (>= n, C, H, W)

    What is not defined for the model is a result without a value. Raises PthetaError for fewer
    than two images, for data of another size or levels than the model's, for samples with values
    that are none of its levels, and for a log_prob that is a density.
    """
    if n < 2:
        raise PthetaError(f"n = {n} images are too few for distances: draw at least two")
    if len(test) < 2:
        raise PthetaError(f"{test.name} has {len(test)} test image: give at least two")
    for data in (test, train):
        check_same_spec(model.spec, data)  # type: ignore[arg-type]
    if samples is not None and len(samples) < n:
        raise PthetaError(f"{len(samples)} samples for n = {n}: give n of them, or a smaller n")
    test, by, protocol = _protocol(test, extractor, n, seed)
    results = [*_likelihood(model, test, is_k, seed, protocol)]
    results += _bound(model, test, results[1], seed, protocol)
    if isinstance(model, Clusters):
        results.append(_clustering(model, test, protocol))
    if ais_images:
        results.append(_annealed(model, test, ais_images, seed, protocol))
    if isinstance(model, Samples):
        if samples is None:
            samples = sample(model, n, seed=seed)
        check_samples(samples, test.spec)
        results += _distances(extract(samples[:n], by), reference(test, by), by, protocol)
        results += _closeness(samples[:n], test, train, protocol)
        rate, repeats = sampling_speed(model, some_conditions(model, 64))
        about = {"batch": 64, "repeats": repeats, "threads": torch.get_num_threads()}
        results.append(
            Result("sampling_speed", rate, "images/s", better="higher", protocol=protocol | about)
        )
    else:
        names = [*_distance_names(by), *CLOSENESS, "sampling_speed"]
        results += [Result(name, None, reason=NO_SAMPLES, protocol=protocol) for name in names]
    count = sum(p.numel() for p in model.parameters())
    results.append(Result("parameters", count, protocol=protocol))
    return Evaluation(tuple(results), protocol)


def score(
    images: Tensor,
    test: Dataset,
    train: Dataset,
    *,
    n: int | None = None,
    extractor: str | Extractor | None = None,
    seed: int = 0,
) -> Evaluation:
    """Measures images that were made anywhere, uint8 (N, C, H, W), as those of a model are.

    n: at most so many of them, drawn by `seed`; default all. test, train, extractor: see `evaluate`
    Raises PthetaError for fewer than two images and for images of another size or channels.
    """
    if images.dtype != torch.uint8 or images.shape[1:] != test.spec.shape:
        raise PthetaError(
            f"images of {tuple(images.shape[1:])} and {test.name} of {test.spec}: "
            "bring both to the same size and channels"
        )
    if n is not None and n < len(images):
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
        images = images[order[:n]]
    if len(images) < 2:
        raise PthetaError(f"{len(images)} image is too few for distances: give at least two")
    test, by, protocol = _protocol(test, extractor, len(images), seed)
    results = _distances(extract(images, by), reference(test, by), by, protocol)
    return Evaluation((*results, *_closeness(images, test, train, protocol)), protocol)


def floor(
    test: Dataset,
    train: Dataset,
    *,
    n: int = 1000,
    extractor: str | Extractor | None = None,
    seed: int = 0,
) -> Evaluation:
    """What real images score: n training images in the place of the samples."""
    test, by, protocol = _protocol(test, extractor, n, seed)
    real = fixed(train).shuffled(seed)
    real = real.subset(slice(0, min(n, len(real))))
    results = _distances(extract(real, by), reference(test, by), by, protocol)
    return Evaluation(tuple(results), protocol)


def _protocol(
    test: Dataset, asked: str | Extractor | None, n: int, seed: int
) -> tuple[Dataset, Extractor, dict[str, Any]]:
    """The test images with fixed binarisation, the extractor, and what describes both."""
    test = fixed(test)
    if asked is None or isinstance(asked, str):
        by = extractor(asked or default_extractor(test.name, test.spec))
    else:
        by = asked
    return (
        test,
        by,
        {
            "data": test.name,
            "split": test.split,
            "levels": test.levels,
            "fingerprint": test.fingerprint(),
            "extractor": by.name,
            "extractor_digest": by.digest,
            "extractor_reads": by.reads,
            "real_images": len(test),
            "samples": n,
            "seed": seed,
            "statistics": "float64",
            "metrics_version": VERSION,
            "ptheta": ptheta.__version__,
            "torch": torch.__version__,
        },
    )


def _likelihood(
    model: nn.Module, test: Dataset, is_k: int, seed: int, protocol: Mapping[str, Any]
) -> list[Result]:
    found = likelihood(model, test, is_k=is_k, seed=seed)
    if found is None:
        return [
            Result(name, None, unit, better="lower", reason=NO_DENSITY, protocol=protocol)
            for name, unit in (("bits_per_dim", "bits/dim"), ("nll", "nats/image"))
        ]
    given = GIVEN if conditional(model) else ""
    about = {**protocol, "how": found.how}
    names = (f"bits_per_dim{given}", f"nll{given}")
    if found.infinite:
        why = f"-log p is infinite for {found.infinite:,} of {found.images:,} images"
        return [
            Result(name, None, unit, better="lower", reason=why, protocol=about)
            for name, unit in zip(names, ("bits/dim", "nats/image"), strict=True)
        ]
    bits, error = found.bits(test.spec.dims)
    return [
        Result(names[0], bits, "bits/dim", found.relation, error, "lower", "", about),
        Result(names[1], found.nats, "nats/image", found.relation, found.error, "lower", "", about),
    ]


def _bound(
    model: nn.Module, test: Dataset, nll: Result, seed: int, protocol: Mapping[str, Any]
) -> list[Result]:
    """-ELBO, its terms, and how much tighter the importance bound is."""
    terms = bound_terms(model, test, seed=seed)
    if not terms or nll.value is None:
        return []
    unit, about = "nats/image", {**protocol, "how": "ELBO"}
    given = GIVEN if conditional(model) else ""
    value, error = terms.pop("elbo")
    tighter = {**about, "to": nll.protocol["how"]}
    # not ranked: how loose a bound is says nothing of the likelihood
    return [
        Result(f"neg_elbo{given}", value, unit, "<=", error, "", "", about),
        *(
            Result(f"elbo_{k}{given}", v, unit, error=e, protocol=about)
            for k, (v, e) in terms.items()
        ),
        Result(f"elbo_gap{given}", value - nll.value, unit, protocol=tighter),
    ]


def _annealed(
    model: nn.Module, test: Dataset, images: int, seed: int, protocol: Mapping[str, Any]
) -> Result:
    """-log p of the first test images by annealed importance sampling."""
    name, unit = f"nll_ais{GIVEN if conditional(model) else ''}", "nats/image"
    if not isinstance(model, HasJoint):
        reason = "it has no p(z) and p(x | z)"
        return Result(name, None, unit, better="lower", reason=reason, protocol=protocol)
    values, rates = [], []
    with seeded(seed):
        for x, y in batches(model, test.subset(slice(0, images)), 50):
            log_p, rate = ais(model, x, y)
            values.append(-log_p.cpu())
            rates.append(rate.cpu())
    nats = torch.cat(values)
    error = (nats.std() / len(nats) ** 0.5).item() if len(nats) > 1 else None
    about = {
        **protocol,
        "how": "AIS, 16 chains, 500 temperatures, 5 leapfrog steps",
        "images": len(nats),
        "acceptance": round(torch.cat(rates).mean().item(), 3),
    }
    return Result(name, nats.mean().item(), unit, "<=", error, "lower", "", about)


def _clustering(model: nn.Module, test: Dataset, protocol: Mapping[str, Any]) -> Result:
    """How well the model's own categories fit the labels."""
    name, labelled = "clustering_accuracy", test.labels is not None and not test.by_attributes
    if not labelled:
        reason = f"{test.name} has no labels"
        return Result(name, None, better="higher", reason=reason, protocol=protocol)
    value, error = clustering_accuracy(model, test)
    return Result(name, value, error=error, better="higher", protocol=protocol)


def _distance_names(by: Extractor) -> list[str]:
    fd, kd, scored = PUBLISHED.get(by.name, (f"fd_{by.name}", f"kd_{by.name}", f"score_{by.name}"))
    scores = [scored, f"classes_{by.name}"] if by.classes else []
    return [
        fd,
        f"{fd}_infinity" if by.name in PUBLISHED else f"fd_infinity_{by.name}",
        kd,
        *scores,
        *(f"{name}_{by.name}" for name in MANIFOLD),
    ]


def _distances(
    fake: Features, real: Features, by: Extractor, protocol: Mapping[str, Any]
) -> list[Result]:
    """Frechet and kernel distance, and with a classifier its score and balance."""
    d = fake.features.shape[1]
    if len(fake) < 10 * d:
        warnings.warn(
            f"{len(fake)} samples are few for a Frechet distance in {d} dimensions, which is then "
            "too large: prefer the kernel distance, or draw more",
            stacklevel=3,
        )
    names = iter(_distance_names(by))
    about = dict(protocol)
    on_real = fit(real.features)
    fd = frechet(fit(fake.features), on_real)
    fd_error = frechet_error(fake.features, real.features)
    kd, kd_error = kernel_distance(fake.features, real.features)
    results = [
        Result(next(names), fd, error=fd_error, better="lower", protocol=about),
        _extrapolated(next(names), fake.features, on_real, about),
        Result(next(names), kd, error=kd_error, better="lower", protocol=about),
    ]
    if fake.logits is not None:
        # of 100 images at least: the score of fewer is too low
        splits = max(1, min(10, len(fake) // 100))
        score, score_error = class_score(fake.logits, splits)
        classes, counts = effective_classes(fake.logits)
        results += [
            Result(next(names), score, error=score_error, better="higher", protocol=about),
            Result(
                next(names),
                classes,
                f"of {by.classes}",
                better="higher",
                protocol={**about, "counts": counts.tolist()},
            ),
        ]
    return results + _manifold(list(names), fake.features, real.features, about)


def _extrapolated(name: str, fake: Tensor, on_real: Gaussian, about: Mapping[str, Any]) -> Result:
    """The Frechet distance of infinitely many samples."""
    if len(fake) < LEAST_TO_EXTRAPOLATE:
        reason = f"{len(fake)} samples are too few to extrapolate from"
        return Result(name, None, better="lower", reason=reason, protocol=about)
    value, error = frechet_infinity(fake, on_real)
    return Result(name, value, error=error, better="lower", protocol=about)


def _manifold(
    names: Sequence[str], fake: Tensor, real: Tensor, about: Mapping[str, Any]
) -> list[Result]:
    """Precision, recall, density and coverage by K neighbours."""
    fake, real = fake[:MANIFOLD_IMAGES], real[:MANIFOLD_IMAGES]
    about = {**about, "neighbours": K, "compared": [len(fake), len(real)]}
    if min(len(fake), len(real)) <= K:
        reason = f"{min(len(fake), len(real))} images have no {K} neighbours each"
        return [Result(n, None, better="higher", reason=reason, protocol=about) for n in names]
    values, errors = manifold(real, fake, K)
    return [
        Result(n, value, error=error, better="higher", protocol=about)
        for n, value, error in zip(names, values, errors, strict=True)
    ]


def _closeness(
    fake: Tensor, test: Dataset, train: Dataset, protocol: Mapping[str, Any]
) -> list[Result]:
    held_out = test.batch(slice(0, NEIGHBOURS)).x
    own, real = nearest(fake[:NEIGHBOURS], train)[1], nearest(held_out, train)[1]
    about = {**protocol, "training_images": len(train), "compared": [len(own), len(real)]}
    ratio, ratio_error = ratio_of_medians(own, real)
    share, share_error = copied_share(own, real)
    return [
        Result(CLOSENESS[0], ratio, error=ratio_error, protocol=about),
        Result(CLOSENESS[1], share, error=share_error, protocol=about),
        Result(CLOSENESS[2], copying_test(own, real), error=1.0, protocol=about),
    ]
