"""The evaluation of a model: every metric defined for its capabilities, by one protocol."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypedDict, Unpack

import torch
from torch import Tensor, nn

from ptheta import plugins
from ptheta.capabilities import device_of
from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError
from ptheta.extractors.base import Extractor
from ptheta.extractors.placed import placed
from ptheta.extractors.table import choose_extractor
from ptheta.measures.results import About, Evaluation, Result
from ptheta.metrics import needs
from ptheta.metrics.conditions import answers_wanted, sampled_conditions
from ptheta.metrics.context import Context, Given
from ptheta.metrics.distances import warn_of_few
from ptheta.metrics.images import check_same_spec
from ptheta.metrics.metric import Metric, Section
from ptheta.metrics.protocol import protocol
from ptheta.metrics.stored import Held
from ptheta.metrics.table import METRICS
from ptheta.specs import ImageSpec
from ptheta.tasks.sample import BATCH
from ptheta.training.group import CPU


class Counts(TypedDict, total=False):
    """Sample size and seed of an evaluation.

    n: number of images; seed: random seed; processes: that share the extraction of features
    """

    n: int
    seed: int
    processes: int


class Settings(Counts, total=False):
    """Settings of an evaluation. Other fields: see `ptheta.metrics.context.Context`.

    is_k: importance samples of a likelihood bound
    ais_images: number of test images for annealed importance sampling
    no_copies: why the training data is unknown, if it is
    """

    is_k: int
    ais_images: int
    no_copies: str


class Options(Settings, total=False):
    """`Settings` and precomputed inputs.

    extractor: feature extractor, a name or an object; default: by the kind of data
    samples: images already drawn from the model, uint8 (>= n, C, H, W); of a conditional model by
        `ptheta.metrics.conditions.draw` with this n and seed
    about: added to every protocol, such as the hash of the checkpoint
    """

    extractor: str | Extractor | None
    samples: Tensor | None
    about: About | None


def evaluate(
    model: nn.Module, test: Dataset, train: Dataset | None, **options: Unpack[Options]
) -> Evaluation:
    """Evaluate a model in eval mode: `measured` of the `context` of these arguments."""
    return measured(context(model, test, train, **options))


def context(
    model: nn.Module,
    test: Dataset,
    train: Dataset | None,
    *,
    extractor: str | Extractor | None = None,
    samples: Tensor | None = None,
    about: About | None = None,
    **settings: Unpack[Settings],
) -> Context:
    """The context of an evaluation.

    test: held-out images, for likelihoods and distances
    train: training data of the model, for the detection of copies; None if unknown: metrics of
        copies are then not defined
    extractor, samples, about, settings: those of `Options`

    Raises PthetaError for fewer than two images, for data of another size or levels than the
    model's, and for samples with values outside its levels.
    """
    test = test.with_fixed_binarisation()
    chosen, why = choose_extractor(test, extractor)
    chosen = placed(chosen, device_of(model))
    ctx = Context(test, chosen, {}, model, train, **settings)
    _check(ctx)
    ctx = replace(ctx, n=answers_wanted(model, test, ctx.n))
    if samples is not None:
        ctx = replace(ctx, given=Given(_first(samples, ctx)))
    made_by = {**why, **_sampler(model, test), "no_copies": ctx.no_copies, **(about or {})}
    return replace(ctx, protocol=protocol(test, chosen, ctx.n, ctx.seed, made_by))


def measured(
    ctx: Context, known: Held | None = None, metrics: Iterable[Metric] = METRICS.values()
) -> Evaluation:
    """Compute the requested metrics.

    known: results of an earlier evaluation by the same protocol (`ptheta.metrics.stored`), which
        are reused

    A metric that is not defined for the model is a result without a value. Raises PthetaError for a
    log_prob that is a density.
    """
    plugins.load()  # load plug-ins before the table is read
    known = known or {}
    results: list[Result] = []
    distances = False  # whether any metric has to be computed
    for metric in metrics:
        if metric.name in known:
            results += known[metric.name]
            continue
        rows = metric.results(ctx)
        results += rows
        distances = distances or (bool(rows) and metric.section is Section.DISTANCE)
    if distances and not needs.samples(ctx):
        warn_of_few(ctx)
    return Evaluation(tuple(results), ctx.protocol)


def _check(ctx: Context) -> None:
    """Raise PthetaError for inputs that `evaluate` does not support."""
    if ctx.n < 2:
        raise PthetaError(
            f"n = {ctx.n} {ctx.test.examples} are too few for distances: draw at least two"
        )
    if ctx.is_k < 1 or ctx.ais_images < 0:
        raise PthetaError(
            f"is_k = {ctx.is_k}, ais_images = {ctx.ais_images}: want 1 and 0, or more"
        )
    if len(ctx.test) < 2:
        raise PthetaError(
            f"{ctx.test.name} has {len(ctx.test)} test {ctx.test.example}: give at least two"
        )
    spec = ctx.the_model.spec
    for data in (ctx.test, ctx.train):
        if data is not None:
            check_same_spec(spec, data)


def _first(samples: Tensor, ctx: Context) -> Tensor:
    """The first n samples. Raises PthetaError for too few, and for invalid samples."""
    if len(samples) < ctx.n:
        raise PthetaError(f"{len(samples)} samples for n = {ctx.n}: give n of them, or a smaller n")
    return ctx.test.spec.check_drawn(samples)[: ctx.n]


def _sampler(model: nn.Module, test: Dataset) -> dict[str, object]:
    """Description of the sampling method, for the protocol."""
    first = next(model.parameters(), None)
    return {
        "sampler": {
            "batch": BATCH,
            "noise": "of each batch",
            "condition": sampled_conditions(model, test),
        },
        "dtype": "none" if first is None else str(first.dtype).removeprefix("torch."),
    }


def _check_made(x: Tensor, test: Dataset) -> None:
    """Raise PthetaError for generated examples that do not match the test examples."""
    if not isinstance(test.spec, ImageSpec):
        test.spec.check_drawn(x)
    elif x.dtype != torch.uint8 or x.shape[1:] != test.spec.shape:
        raise PthetaError(
            f"images of {tuple(x.shape[1:])} and {test.name} of {test.spec}: convert both to the "
            "same size and channels"
        )


class ImageOptions(Counts, total=False):
    """`Counts`, and those of `Options` that apply to images from any source. device: where features
    are computed; by default on the CPU"""

    extractor: str | Extractor | None
    about: About | None
    device: torch.device


def evaluate_images(
    images: Tensor, test: Dataset, train: Dataset, **options: Unpack[ImageOptions]
) -> Evaluation:
    """Evaluate images from any source, uint8 (N, C, H, W), as the samples of a model; or vectors,
    float32 (N, D), if `test` contains vectors.

    options: with `n`, at most n images, chosen by `seed`; else all. Others: see `evaluate`
    Raises PthetaError for fewer than two images, for images of another size or channels, and for
    vectors of other columns or with missing cells.
    """
    return measured(images_context(images, test, train, **options))


def images_context(
    images: Tensor,
    test: Dataset,
    train: Dataset,
    *,
    extractor: str | Extractor | None = None,
    about: About | None = None,
    device: torch.device = CPU,
    **options: Unpack[Counts],
) -> Context:
    """The context of `evaluate_images`. Raises as that does."""
    _check_made(images, test)
    # they may be sorted by class, and some metrics use consecutive parts
    seed = options.get("seed", 0)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    images = images[order[: options.get("n")]]
    if len(images) < 2:
        raise PthetaError(
            f"{len(images)} {test.example} is too few for distances: give at least two"
        )
    test = test.with_fixed_binarisation()
    chosen, why = choose_extractor(test, extractor)
    chosen = placed(chosen, device)
    of = protocol(test, chosen, len(images), seed, {**why, **(about or {})})
    return Context(test, chosen, of, train=train, given=Given(images), **options)


def real_baseline(
    test: Dataset,
    train: Dataset,
    *,
    n: int = 1000,
    extractor: str | Extractor | None = None,
    seed: int = 0,
    device: torch.device = CPU,
) -> Evaluation:
    """The metrics of real images: n training images instead of samples."""
    test = test.with_fixed_binarisation()
    chosen, why = choose_extractor(test, extractor)
    chosen = placed(chosen, device)
    some = train.with_fixed_binarisation().shuffled(seed)
    images = some.batch(slice(0, min(n, len(some)))).x
    of = protocol(test, chosen, len(images), seed, why)
    metrics = (m for m in METRICS.values() if m.section is not Section.MEMORISATION)
    return measured(Context(test, chosen, of, given=Given(images)), metrics=metrics)
