"""The evaluation of a model: every metric that its capabilities define, by one protocol."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.capabilities import (
    Clusters,
    Decodes,
    HasJoint,
    HasPrior,
    Samples,
    condition_of,
    conditional,
    device_of,
)
from ptheta.compute.streams import seeded
from ptheta.conditions import Labels
from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError
from ptheta.extractors.features import Extractor, Features, chosen, default_extractor, extract
from ptheta.extractors.reference import reference
from ptheta.measures.intervals import Groups, drawn, mean_result
from ptheta.measures.results import Evaluation, Result
from ptheta.metrics import closeness as near
from ptheta.metrics import fidelity as beside
from ptheta.metrics.ais import ais
from ptheta.metrics.clustering import clustering_accuracy
from ptheta.metrics.conditions import conditions_like, draw, said
from ptheta.metrics.images import check_same_spec, check_samples
from ptheta.metrics.likelihood import batches, bound_terms, likelihood
from ptheta.metrics.path_length import PATHS, path_length
from ptheta.metrics.protocol import protocol
from ptheta.metrics.speed import SPEED_OF, sampling_speed
from ptheta.tasks.sample import BATCH
from ptheta.terminal.progress import stage, unwatched

GIVEN = "_given_label"  # of p(x | y): another quantity, so it has another name
NO_SAMPLES, NO_DENSITY = "it cannot sample", "no likelihood"


def evaluate(
    model: nn.Module,
    test: Dataset,
    train: Dataset | None,
    *,
    n: int = 1000,
    is_k: int = 50,
    ais_images: int = 0,
    extractor: str | Extractor | None = None,
    seed: int = 0,
    samples: Tensor | None = None,
    processes: int = 1,
    no_copies: str = "",
    about: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Measures a model in eval mode.

    test: held-out images, which likelihood and distances refer to
    train: what the model was trained on, for the nearest neighbours; None where that is not known,
        and no_copies then says why: whether samples are copies is not defined
    n: images drawn; is_k: importance samples of a likelihood bound
    ais_images: test images whose log p(x) is also estimated by annealed importance sampling
    extractor: of the features, a name or an object (default: by what the data is)
    samples: images already drawn from the model, uint8 (>= n, C, H, W); of a conditional model by
        `ptheta.metrics.conditions.draw` with this n and seed
    processes: that share the extraction of features
    about: added to every protocol, such as the hash of the checkpoint

    What is not defined for the model is a result without a value. Raises PthetaError for fewer
    than two images, for data of another size or levels than the model's, for samples with values
    that are none of its levels, and for a log_prob that is a density.
    """
    _check(model, test, train, n, is_k, ais_images, samples)
    test = test.with_fixed_binarisation()
    by, why = chosen(test, extractor)
    kept = protocol(test, by, n, seed, {**why, **_sampler(model, test), **(about or {})})
    results = [*_likelihood(model, test, is_k, seed, kept)]
    results += _bound(model, test, results[1], seed, kept)
    if isinstance(model, Clusters):
        results.append(_clustering(model, test, kept))
    if ais_images:
        results.append(_annealed(model, test, ais_images, seed, kept))
    if isinstance(model, Samples):
        asked = conditions_like(model, test, n, seed)
        if samples is None:
            with stage("drawing samples"):
                samples = draw(model, test, n, seed)
        samples = check_samples(samples, test.spec)[:n]
        fake, real = extract(samples, by, processes=processes), reference(test, by, processes)
        with stage("distances"):
            found = beside.fidelity(samples, fake, real, by, kept, _class_names(test, by))
        found += _by_label(model, asked, fake, real, test, by, kept)
        found += near.closeness(
            *(samples, fake, real, test, train, by, found[0], kept),
            no_copies=no_copies,
            repeats=test.repeated(),
        )
        with stage("path length"):
            found.append(_path_length(model, by, real, test, seed, kept))
        with stage("sampling speed"), unwatched():
            found.append(sampling_speed(model, conditions_like(model, test, SPEED_OF, seed), kept))
    else:
        paths = f"path_length_{by.name}"
        names = [*beside.names(by), *near.names(by), paths, "sampling_speed"]
        found = [Result(name, None, reason=NO_SAMPLES, protocol=kept) for name in names]
    count = sum(p.numel() for p in model.parameters())
    return Evaluation(
        (*results, *found, Result("parameters", count, error=0.0, protocol=kept)), kept
    )


def _check(
    model: nn.Module,
    test: Dataset,
    train: Dataset | None,
    n: int,
    is_k: int,
    ais_images: int,
    samples: Tensor | None,
) -> None:
    """Raises PthetaError for what `evaluate` cannot measure."""
    if n < 2:
        raise PthetaError(f"n = {n} images are too few for distances: draw at least two")
    if is_k < 1 or ais_images < 0:
        raise PthetaError(f"is_k = {is_k}, ais_images = {ais_images}: want 1 and 0, or more")
    if len(test) < 2:
        raise PthetaError(f"{test.name} has {len(test)} test image: give at least two")
    for data in (test, train):
        if data is not None:
            check_same_spec(model.spec, data)  # type: ignore[arg-type]
    if samples is not None and len(samples) < n:
        raise PthetaError(f"{len(samples)} samples for n = {n}: give n of them, or a smaller n")


def score(
    images: Tensor,
    test: Dataset,
    train: Dataset,
    *,
    n: int | None = None,
    extractor: str | Extractor | None = None,
    seed: int = 0,
    processes: int = 1,
    about: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Measures images that were made anywhere, uint8 (N, C, H, W), as those of a model are.

    n: at most so many of them, drawn by `seed`; default all. The rest: see `evaluate`
    Raises PthetaError for fewer than two images and for images of another size or channels.
    """
    if images.dtype != torch.uint8 or images.shape[1:] != test.spec.shape:
        raise PthetaError(
            f"images of {tuple(images.shape[1:])} and {test.name} of {test.spec}: "
            "bring both to the same size and channels"
        )
    # they may lie in the order of their classes, and parts of them are measured as parts
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    images = images[order[:n]]
    if len(images) < 2:
        raise PthetaError(f"{len(images)} image is too few for distances: give at least two")
    test = test.with_fixed_binarisation()
    by, why = chosen(test, extractor)
    kept = protocol(test, by, len(images), seed, {**why, **(about or {})})
    fake, real = extract(images, by, processes=processes), reference(test, by, processes)
    found = beside.fidelity(images, fake, real, by, kept, _class_names(test, by))
    closeness = near.closeness(
        images, fake, real, test, train, by, found[0], kept, repeats=test.repeated()
    )
    return Evaluation((*found, *closeness), kept)


def floor(
    test: Dataset,
    train: Dataset,
    *,
    n: int = 1000,
    extractor: str | Extractor | None = None,
    seed: int = 0,
) -> Evaluation:
    """What real images score: n training images in the place of the samples."""
    test = test.with_fixed_binarisation()
    by, why = chosen(test, extractor)
    some = train.with_fixed_binarisation().shuffled(seed)
    images = some.batch(slice(0, min(n, len(some)))).x
    kept = protocol(test, by, len(images), seed, why)
    found = beside.fidelity(
        images, extract(images, by), reference(test, by), by, kept, _class_names(test, by)
    )
    return Evaluation(tuple(found), kept)


def _class_names(test: Dataset, by: Extractor) -> tuple[str, ...]:
    """Of the extractor's classes, where it was trained on this kind of data."""
    return test.classes if by.name == default_extractor(test) else ()


def _sampler(model: nn.Module, test: Dataset) -> dict[str, Any]:
    """How the samples are drawn from the model, for the protocol."""
    first = next(model.parameters(), None)
    return {
        "sampler": {"batch": BATCH, "condition": said(model, test)},
        "dtype": "none" if first is None else str(first.dtype).removeprefix("torch."),
        "device": device_of(model).type,
    }


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
    groups, per_bit = Groups(found.images, "real"), test.spec.dims * math.log(2)
    return [
        mean_result(name, each, groups, about, unit=unit, relation=found.relation, better="lower")
        for name, unit, each in (
            (names[0], "bits/dim", found.each / per_bit),
            (names[1], "nats/image", found.each),
        )
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
        for x, y in batches(model, test.subset(slice(0, images)), 50, "annealing"):
            log_p, rate = ais(model, x, y)
            values.append(-log_p.cpu())
            rates.append(rate.cpu())
    nats = torch.cat(values)
    about = {
        **protocol,
        "how": "AIS, 16 chains, 500 temperatures, 5 leapfrog steps",
        "images": len(nats),
        "acceptance": round(torch.cat(rates).mean().item(), 3),
    }
    groups = Groups(len(nats), "real")
    return mean_result(name, nats, groups, about, unit=unit, relation="<=", better="lower")


def _clustering(model: nn.Module, test: Dataset, protocol: Mapping[str, Any]) -> Result:
    """How well the model's own categories fit the labels."""
    name, labelled = "clustering_accuracy", test.labels is not None
    if not labelled:
        reason = f"{test.name} has no labels"
        return Result(name, None, better="higher", reason=reason, protocol=protocol)
    return drawn(name, *clustering_accuracy(model, test), protocol, better="higher")


def _by_label(
    model: nn.Module,
    asked: Condition | None,
    fake: Features,
    real: Features,
    test: Dataset,
    by: Extractor,
    protocol: Mapping[str, Any],
) -> list[Result]:
    """How well samples follow their labels; nothing for a model that takes none."""
    if not isinstance(condition_of(model), Labels) or not isinstance(asked, Tensor):
        return []
    if test.labels is None:
        name, reason = f"kd_within_label_{by.name}", f"{test.name} has no labels"
        return [Result(name, None, better="lower", reason=reason, protocol=protocol)]
    labels = torch.from_numpy(test.labels[test.rows(slice(None))].astype("int64"))
    return beside.by_label(fake, asked.cpu(), real, labels, by, protocol, test.classes)


def _path_length(
    model: nn.Module,
    by: Extractor,
    real: Features,
    test: Dataset,
    seed: int,
    protocol: Mapping[str, Any],
) -> Result:
    """How evenly images change along a path through the latent space."""
    name = f"path_length_{by.name}"
    if not isinstance(model, Decodes) or not isinstance(model, HasPrior):
        reason = "it has no codes with a prior"
        return Result(name, None, better="lower", reason=reason, protocol=protocol)
    condition = conditions_like(model, test, PATHS, seed)
    each, unit = path_length(model, by, real.features, condition, paths=PATHS, seed=seed)
    about = {**protocol, "paths": len(each), "unit": unit}
    return mean_result(name, each, Groups(len(each), "fake"), about, better="lower")
