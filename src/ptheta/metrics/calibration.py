"""Calibration of model comparisons: the size (false positive rate) and power of every ranked
metric's interval.

An experiment measures one of three simulated models by the functions of an evaluation: two are
equivalent, and one is slightly worse. Whether the first two are called different is a sample of the
size; whether the first and the third are, a sample of the power.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError
from ptheta.extractors.base import Extractor
from ptheta.extractors.features import Features, extract
from ptheta.masks import TESTED
from ptheta.measures.errors import squared_error
from ptheta.measures.intervals import Groups, difference, estimate, mean_estimate
from ptheta.measures.mmd import median_distance
from ptheta.measures.modes import Mixture, reached
from ptheta.measures.results import Estimate, Result
from ptheta.metrics import captions, domains, pairs, vectors
from ptheta.metrics.clustering import matched
from ptheta.metrics.completions import psnr_of
from ptheta.metrics.context import Context, Given
from ptheta.metrics.metric import measure
from ptheta.metrics.path_length import path_length
from ptheta.metrics.speed import NOISE, of_times
from ptheta.metrics.table import METRICS, metric_of
from ptheta.specs import ImageSpec

# standard deviation of the noise in pixel values; its factor for the worse model
NOISE_OF_SAMPLES, MORE = 40.0, 1.05
REAL = 2000  # real images to compare samples with
TRAINING = 2000  # training images to search for copies
WRONG, MORE_WRONG = 0.1, 0.15  # share of images in a random category
WORSE_NATS = 0.02  # relative loss of likelihood of the worse model
SLOWER = 0.7  # relative speed of the slower model


EQUAL, WORSE = (0, 1), 2  # the models of an experiment


def called(a: list[Result], b: list[Result]) -> dict[str, bool]:
    """Each ranked metric -> whether it calls the two models different."""
    found = {x.metric: difference(x, y) for x, y in zip(a, b, strict=True) if x.better}
    return {metric: gap is not None and gap.different for metric, gap in found.items()}


@dataclass(frozen=True)
class World:
    """Data of the experiments: noisy training images as samples of a model, the same with more
    noise, and real images.

    train: held out from both, to search for copies; own, extractor: the features of all images
    """

    extractor: Extractor
    own: Features
    noisier: Features
    noisy_images: Tensor
    noisier_images: Tensor
    labels: Tensor
    real: Features
    test: Dataset
    real_labels: Tensor
    train: Dataset

    @classmethod
    def of(
        cls, train: Dataset, test: Dataset, extractor: Extractor, training: int = TRAINING
    ) -> World:
        """Create from labelled data: all but some held-out training images are used as samples."""
        order = train.shuffled(0)
        kept = order.subset(slice(0, training))
        some = order.subset(slice(training, None))
        batch, real = some.batch(slice(0, len(some))), test.batch(slice(0, len(test)))
        labels, real_labels = batch.extra.get("labels"), real.extra.get("labels")
        if labels is None or real_labels is None:
            raise PthetaError(f"{train.name} has no labels: calibrate on labelled images")
        noisy, noisier = (noise(batch.x, NOISE_OF_SAMPLES * k, seed=7) for k in (1.0, MORE))
        return cls(
            extractor,
            extract(noisy, extractor),
            extract(noisier, extractor),
            noisy,
            noisier,
            labels,
            extract(real.x, extractor),
            test,
            real_labels,
            kept,
        )


def noise(x: Tensor, deviation: float, seed: int) -> Tensor:
    """Add Gaussian noise of this standard deviation to images uint8 (N, C, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    parts = [
        (part.float() + deviation * torch.randn(part.shape, generator=generator))
        for part in x.split(5000)
    ]
    return torch.cat([part.clamp(0, 255).round().to(torch.uint8) for part in parts])


def of_samples(world: World, n: int, seed: int, model: int) -> list[Result]:
    """All metrics of samples and real images: for one of three disjoint sets of n noisy images, the
    third with more noise, against the same real images."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(world.real), generator=generator)[:REAL]
    part = torch.randperm(len(world.own), generator=generator)[model * n : (model + 1) * n]
    features = world.noisier if model == WORSE else world.own
    images = world.noisier_images if model == WORSE else world.noisy_images
    given = Given(
        images[part], features.rows(part), world.real.rows(rows), labels=world.labels[part]
    )
    test = world.test.subset(rows.numpy())
    ctx = Context(test, world.extractor, train=world.train, given=given)
    ranked = [m for m in METRICS.values() if CALIBRATED.get(m.family) == "samples"]
    return measure(ctx, ranked)


def of_likelihoods(world: World, n: int, seed: int, model: int) -> list[Result]:
    """Likelihoods on n real images of one of two models of binarised pixels, which are equal in the
    mean over all images but differ on each; the worse model loses a fraction `WORSE_NATS`."""
    x = (world.test.batch(slice(0, len(world.test))).x > 127).double().flatten(1)
    p = x.mean(0).clamp(0.01, 0.99)
    each = [-(x * t.log() + (1 - x) * (1 - t).log()).sum(1) for t in (p, p.mean().expand_as(p))]
    nats = each[0] if model == 0 else each[1] - each[1].mean() + each[0].mean()
    if model == WORSE:
        nats = nats * (1 + WORSE_NATS)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:n]
    groups, bits = Groups(len(order), "real"), 1 / (x.shape[1] * math.log(2))
    return [
        mean_estimate(nats[order] * unit, groups).named(name, better="lower")
        for name, unit in (("bits_per_dim", bits), ("nll", 1.0), ("nll_ais", 1.0))
    ]


class Paths(nn.Module):
    """A model that decodes codes by a fixed random map."""

    def __init__(self, bend: float) -> None:
        super().__init__()
        self.bend, self.spec = bend, ImageSpec(1, 28, 28)
        generator = torch.Generator().manual_seed(0)
        self.map = torch.randn(8, 784, generator=generator)

    def sample_latent(self, n: int, condition: Tensor | None = None) -> Tensor:
        return torch.randn(n, 8)

    def decode(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        x = (self.bend * z @ self.map).sigmoid() * 255
        return x.round().to(torch.uint8).view(-1, 1, 28, 28)


def of_paths(world: World, n: int, seed: int, model: int) -> list[Result]:
    """Path lengths for n paths of one model, n other paths of it, or n of a less smooth model."""
    made = Paths(MORE if model == WORSE else 1.0)
    real = world.real.features
    each, _ = path_length(made, world.extractor, real, paths=n, seed=3 * seed + model)
    name = f"path_length_{world.extractor.name}"
    return [mean_estimate(each, Groups(n, "fake")).named(name, better="lower")]


def of_clusters(world: World, n: int, seed: int, model: int) -> list[Result]:
    """A clustering of n real images that assigns a tenth of them at random."""
    order = torch.randperm(len(world.test), generator=torch.Generator().manual_seed(seed))[:n]
    generator = torch.Generator().manual_seed(3 * seed + model)
    y = world.real_labels[order]
    at_random = torch.randint(10, (n,), generator=generator)
    moved = torch.rand(n, generator=generator) < (MORE_WRONG if model == WORSE else WRONG)
    found = torch.where(moved, at_random, (y + 3) % 10)
    return [estimate(*matched(found, y)).named("clustering_accuracy", better="higher")]


def of_speeds(world: World, n: int, seed: int, model: int) -> list[Result]:
    """n timings on a simulated machine whose speed varies by `NOISE` between minutes, with
    occasional delays."""
    generator = torch.Generator().manual_seed(3 * seed + model)
    minute = NOISE * torch.randn(1, generator=generator)
    times = (minute + 0.1 * torch.randn(n, generator=generator)).exp()
    times = times * (1 + 5 * (torch.rand(n, generator=generator) < 0.1))
    speed = of_times((times / (SLOWER if model == WORSE else 1.0)).tolist(), 64)
    return [speed.named("sampling_speed", better="higher")]


SPREAD, MORE_SPREAD = 1.3, 1.45  # factor of the modes' standard deviation
SHARES, WORSE_SHARES = (0.4, 0.2, 0.2, 0.2), (0.5, 0.2, 0.2, 0.1)  # weights of modes


def of_vectors(world: World, n: int, seed: int, model: int) -> list[Result]:
    """n points of four modes that are too wide and unequally weighted, of an equivalent model, or
    of one that is worse in both; compared with 500 points of four equal modes, the same for all."""
    centres = torch.tensor([[0.0, 0.0], [0.0, 4.0], [4.0, 0.0], [4.0, 4.0]])
    truth = Mixture(centres, torch.ones(4))
    worse = model == WORSE

    def points(count: int, shares: Sequence[float], spread: float, seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        part = torch.multinomial(torch.tensor(shares), count, True, generator=generator)
        return centres[part] + spread * torch.randn(count, 2, generator=generator)

    real = points(500, (0.25,) * 4, 1.0, 4 * seed + 3)
    x = points(
        n,
        WORSE_SHARES if worse else SHARES,
        MORE_SPREAD if worse else SPREAD,
        4 * seed + model,
    )
    classifier, near = vectors.classifier_estimates(x, real, 0), reached(x, truth)
    found = {
        "two_sample_auc": classifier.auc,
        "two_sample_accuracy": classifier.accuracy,
        "mmd": vectors.mmd_estimate(x, real, median_distance(real), 0),
        "good_samples": vectors.good_estimate(near),
        "mode_balance": vectors.balance_estimate(near),
    }
    return [METRICS[name].result(each, {}) for name, each in found.items()]


LABELS, CARRIED = 4, "carried over"  # number of labels; a domain
WRONG_SCENES, MORE_WRONG_SCENES = 0.2, 0.3
CAPTIONS = ("caption_match", "caption_match_of_colour", "caption_retrieval")


def of_translations(world: World, n: int, seed: int, model: int) -> list[Result]:
    """Outputs for n inputs, the same for all models: noisy targets, with more noise for the worse
    model; noisy label maps; and scenes of which some are misread."""
    order = torch.randperm(len(world.test), generator=torch.Generator().manual_seed(seed))[:n]
    wanted = world.test.batch(order.numpy()).x
    deviation = NOISE_OF_SAMPLES * (MORE if model == WORSE else 1.0)
    made = noise(wanted, deviation, seed=3 * seed + model)
    some = pairs.Answers(made, wanted, wanted)
    numbers = [x[:, 0].long() * LABELS // 256 for x in (made, wanted)]
    labels = pairs.Labelled(numbers[0], numbers[1], LABELS)
    generator = torch.Generator().manual_seed(3 * seed + model)
    wrong = MORE_WRONG_SCENES if model == WORSE else WRONG_SCENES
    right = (torch.rand(n, generator=generator) >= wrong).double()
    errors = {"l1": pairs.l1_of(some), "psnr": pairs.psnr_of(some), "ssim": pairs.ssim_of(some)}
    found = {f"{name}_to_target": each for name, each in errors.items()}
    found |= {f"partner_{name}_to_{CARRIED}": each for name, each in errors.items()}
    found[f"cycle_l1_to_{CARRIED}"] = errors["l1"]
    for of in ("", "labeller_"):
        for which, name in enumerate(("pixel_accuracy", "class_accuracy", "iou")):
            found[f"{of}{name}"] = pairs.score_of(labels, which)
    for name in ("look", "kept"):
        found[f"scene_{name}_to_{CARRIED}"] = mean_estimate(right, some.groups)
    return [*_named(found), *_named(_distances(world, n, seed, model))]


def of_captions(world: World, n: int, seed: int, model: int) -> list[Result]:
    """Samples for n captions, the same for all models; some samples are wrong."""
    generator = torch.Generator().manual_seed(3 * seed + model)
    wrong = MORE_WRONG_SCENES if model == WORSE else WRONG_SCENES
    right = (torch.rand(n, generator=generator) >= wrong).double()
    found = captions.share(captions.Right(right, right, right), Groups(n, "real"))
    return _named(dict.fromkeys(CAPTIONS, found))


def of_completions(world: World, n: int, seed: int, model: int) -> list[Result]:
    """Noisy completions of n images, the same for all models, with more noise for the worse one."""
    order = torch.randperm(len(world.test), generator=torch.Generator().manual_seed(seed))[:n]
    wanted = world.test.batch(order.numpy()).x
    deviation = NOISE_OF_SAMPLES * (MORE if model == WORSE else 1.0)
    made = noise(wanted, deviation, seed=3 * seed + model)
    found = psnr_of(squared_error(made, wanted, torch.ones_like(wanted, dtype=torch.bool)))
    return _named({f"completion_psnr_{TESTED[0]}": found})


def _named(found: Mapping[str, Estimate]) -> list[Result]:
    """Results with the names and directions of their metrics."""
    every = ((name, each, metric_of(name)) for name, each in found.items())
    return [each.named(name, better=m.better) for name, each, m in every if m is not None]


def _distances(world: World, n: int, seed: int, model: int) -> dict[str, Estimate]:
    """Distances of n translated images: one of three disjoint sets, as in `of_samples`."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(world.real), generator=generator)[:REAL]
    part = torch.randperm(len(world.own), generator=generator)[model * n : (model + 1) * n]
    made = (world.noisier if model == WORSE else world.own).features[part]
    real, groups = world.real.features[rows], (Groups(n, "fake"), Groups(len(rows), "real"))
    by = {"fd": domains.FRECHET, "kd": domains.KERNEL}
    return {
        f"translation_{name}_to_{CARRIED}_{world.extractor.name}": domains.distance_of(
            distance, made, made, real, groups
        )
        for name, distance in by.items()
    }


Experiment = Callable[[World, int, int, int], list[Result]]

# (world, number of samples, repetition, which model) -> its results
EXPERIMENTS: Mapping[str, Experiment] = {
    "samples": of_samples,
    "likelihoods": of_likelihoods,
    "paths": of_paths,
    "clusters": of_clusters,
    "speeds": of_speeds,
    "vectors": of_vectors,
    "translations": of_translations,
    "captions": of_captions,
    "completions": of_completions,
}
# every ranked metric -> the experiment that calibrates it
CALIBRATED: Mapping[str, str] = {
    **dict.fromkeys(
        (
            *("fd", "fd_infinity", "fd_memorisation", "kd", "kd_within_label", "label_accuracy"),
            *("score", "classes", "class_balance", "precision", "recall", "density", "coverage"),
            "sharpness",
        ),
        "samples",
    ),
    **dict.fromkeys(("bits_per_dim", "nll", "nll_ais"), "likelihoods"),
    **dict.fromkeys(
        ("two_sample_auc", "two_sample_accuracy", "mmd", "good_samples", "mode_balance"), "vectors"
    ),
    **dict.fromkeys(
        (
            *("l1_to_target", "psnr_to_target", "ssim_to_target", "cycle_l1_to"),
            *("pixel_accuracy", "class_accuracy", "iou"),
            *("labeller_pixel_accuracy", "labeller_class_accuracy", "labeller_iou"),
            *("partner_l1_to", "partner_psnr_to", "partner_ssim_to"),
            *("translation_fd_to", "translation_kd_to", "scene_look_to", "scene_kept_to"),
        ),
        "translations",
    ),
    **dict.fromkeys(("caption_match", "caption_match_of", "caption_retrieval"), "captions"),
    "path_length": "paths",
    "completion_psnr": "completions",
    "clustering_accuracy": "clusters",
    "sampling_speed": "speeds",
}
# metrics of two densities, which involve no samples
EXACT = frozenset({"kl", "reverse_kl", "total_variation"})


def family(metric: str) -> str:
    """The name of a metric without its extractor and condition."""
    found = metric_of(metric)
    return metric if found is None else found.family
