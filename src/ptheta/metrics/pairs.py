"""Translations of pairs: outputs of a model compared with the known targets.

The test inputs are those chosen by `metrics.conditions`, each once. The same metrics are computed
on training pairs to detect overfitting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import torch
from torch import Tensor

from ptheta.capabilities import Samples, Translates
from ptheta.data.dataset import Dataset
from ptheta.extractors.features import extract
from ptheta.measures import errors
from ptheta.measures.intervals import Groups, draws, estimate, mean_estimate
from ptheta.measures.results import Estimate
from ptheta.measures.segmentation import grouped_scores
from ptheta.measures.sharpness import ratio_of_means
from ptheta.measures.similarity import scales, ssim
from ptheta.metrics.conditions import asked_rows, image_part
from ptheta.metrics.context import Context, shared, together
from ptheta.metrics.copies import UNKNOWN
from ptheta.metrics.labeller import Labeller, labeller
from ptheta.specs import ImageSpec, LabelMapSpec
from ptheta.tasks.conditions import with_conditions
from ptheta.tasks.sample import sample
from ptheta.terminal.progress import stage

TRAINING_PAIRS = 200  # maximum number of training pairs
INPUTS, STYLES = 64, 4  # inputs with several outputs, and outputs per input
TEST, TRAIN = "", "train"  # (pairs, suffix of the names of their results)


@dataclass(frozen=True)
class Answers:
    """Outputs for inputs: uint8 (n, C, H, W). wanted: their targets, same shape; given: the inputs,
    uint8 (n, C', H', W')"""

    made: Tensor
    wanted: Tensor
    given: Tensor

    @property
    def groups(self) -> Groups:
        """Jackknife groups of the pairs, the same for every model."""
        return Groups(len(self.made), "real")


Each = Callable[[Answers], Estimate]


# -- requirements


def of_pairs(ctx: Context) -> bool:
    """The model is image-conditional, and the test data has paired inputs."""
    if not isinstance(ctx.model, Samples) or image_part(ctx.model) is None:
        return False
    return with_conditions(ctx.the_model, ctx.test).has_conditions


def of_varied_pairs(ctx: Context) -> bool:
    """As `of_pairs`, and the model is stochastic."""
    return of_pairs(ctx) and (not isinstance(ctx.model, Translates) or ctx.model.varied())


def of_made_labels(ctx: Context) -> bool:
    """As `of_pairs`, and the outputs are label maps."""
    return of_pairs(ctx) and isinstance(ctx.test.spec, LabelMapSpec)


def of_given_labels(ctx: Context) -> bool:
    """As `of_pairs`, and the inputs are label maps."""
    part = image_part(ctx.model) if of_pairs(ctx) else None
    made_labels = isinstance(ctx.test.spec, LabelMapSpec)
    return part is not None and isinstance(part.spec, LabelMapSpec) and not made_labels


def training_pairs(ctx: Context) -> str:
    """Why no labeller can be trained; "" if it can."""
    if ctx.train is None:
        return ctx.no_copies or UNKNOWN
    return "" if ctx.train.inputs is not None else f"{ctx.train.name} has no inputs"


# -- outputs


@together
def answers(ctx: Context) -> Mapping[str, Answers]:
    """Outputs for test inputs, and for training inputs if known."""
    model = ctx.the_model
    test = with_conditions(model, ctx.test)
    rows = asked_rows(test, min(ctx.n, len(test)), ctx.seed)
    found = {TEST: _answers(ctx, test, rows, ctx.samples[: len(rows)])}
    if ctx.train is not None:
        train = with_conditions(model, ctx.train.with_fixed_binarisation())
        some = asked_rows(train, min(TRAINING_PAIRS, len(train)), ctx.seed)
        with stage("training pairs"):
            found[TRAIN] = _answers(ctx, train, some, _made(ctx, train, some, ctx.seed))
    return found


def _answers(ctx: Context, data: Dataset, rows: Tensor, made: Tensor) -> Answers:
    part = image_part(ctx.model)
    given = None if part is None else part.take(data, data.rows(rows.numpy()))
    assert isinstance(given, Tensor)  # see `of_pairs`
    return Answers(made, data.batch(rows.numpy()).x, given)


def _made(ctx: Context, data: Dataset, rows: Tensor, seed: int) -> Tensor:
    """One output for the input of each of these examples."""
    condition = data.conditions(rows.numpy())
    return sample(ctx.the_model, len(rows), seed=seed, condition=condition)


def of_each(what: Each, ctx: Context) -> Mapping[str, Estimate]:
    """An estimate for test pairs, and the same for training pairs."""
    return _with_training({part: what(some) for part, some in answers(ctx).items()}, ctx)


def _with_training(found: Mapping[str, Estimate], ctx: Context) -> Mapping[str, Estimate]:
    """Both estimates; without training pairs, the reason instead of theirs."""
    unknown = Estimate(None, reason=ctx.no_copies or UNKNOWN)
    return {TEST: found[TEST], TRAIN: found.get(TRAIN, unknown)}


# -- pixel errors


def l1_of(some: Answers) -> Estimate:
    """Mean absolute difference to the target, out of 255."""
    return mean_estimate(errors.l1(some.made, some.wanted), some.groups)


def psnr_of(some: Answers) -> Estimate:
    """The mean over pairs of the peak signal-to-noise ratio."""
    return mean_estimate(errors.psnr(some.made, some.wanted), some.groups)


def ssim_of(some: Answers) -> Estimate:
    """Structural similarity to the target."""
    height, width = some.made.shape[2:]
    if not scales(height, width):
        return Estimate(None, reason=f"images of {height}x{width} are smaller than its window")
    return mean_estimate(ssim(some.made, some.wanted), some.groups)


l1_to_target, psnr_to_target, ssim_to_target = (
    partial(of_each, what) for what in (l1_of, psnr_of, ssim_of)
)


# -- labels


@dataclass(frozen=True)
class Labelled:
    """Labels of pixels, int64 (n, H, W). found: of the outputs; wanted: the true ones; real:
    predicted for the real images, if the labeller is used"""

    found: Tensor
    wanted: Tensor
    count: int
    real: Tensor | None = None


@shared
def made_labels(ctx: Context) -> Mapping[str, Labelled]:
    """Labels of generated label maps."""
    spec = ctx.test.spec
    assert isinstance(spec, LabelMapSpec)
    return {
        part: Labelled(spec.numbers(some.made), spec.numbers(some.wanted), spec.labels)
        for part, some in answers(ctx).items()
    }


@shared
def read_labels(ctx: Context) -> Mapping[str, Labelled]:
    """Labels predicted for translated images, compared with those of the inputs."""
    part = image_part(ctx.model)
    assert part is not None
    assert ctx.train is not None
    spec: ImageSpec = part.spec
    assert isinstance(spec, LabelMapSpec)
    network, found = labeller(ctx.train), {}
    for name, some in answers(ctx).items():
        wanted = spec.numbers(some.given)
        found[name] = read_by(network, some.made, some.wanted, wanted, spec.labels)
    return found


def read_by(network: Labeller, made: Tensor, real: Tensor, wanted: Tensor, labels: int) -> Labelled:
    """Labels predicted for generated and real images, uint8 (n, C, H, W). wanted: the input label
    maps, int64 (n, H', W')"""
    found, ceiling = (_sized(network.label(x), wanted) for x in (made, real))
    return Labelled(found, wanted, labels, ceiling)


def _sized(labels: Tensor, like: Tensor) -> Tensor:
    """Resize labels to the height and width of others."""
    if labels.shape == like.shape:
        return labels
    near = torch.nn.functional.interpolate(labels[:, None].double(), like.shape[1:], mode="nearest")
    return near[:, 0].long()


Labels = Callable[[Context], Mapping[str, Labelled]]


def label_score(labels: Labels, which: int, ctx: Context) -> Mapping[str, Estimate]:
    """One of the scores of `ptheta.measures.segmentation`, by its index in `Scores`."""
    found = {part: score_of(some, which) for part, some in labels(ctx).items()}
    return _with_training(found, ctx)


def score_of(some: Labelled, which: int) -> Estimate:
    """The score; if the labeller is used, with its score on real images in the note."""
    groups = Groups(len(some.found), "real")
    whole, without = grouped_scores(some.found, some.wanted, some.count, groups)
    found = draws(real=without[which]) if groups.count else None
    about: dict[str, object] = {"labels": some.count}
    note = ""
    if some.real is not None:
        ceiling = grouped_scores(some.real, some.wanted, some.count, groups)[0][which].item()
        about["ceiling"] = round(ceiling, 4)
        note = f"{ceiling:.3f} on the real pictures"
    return estimate(whole[which].item(), found, about, note=note)


# -- several outputs for one input


@together
def styles(ctx: Context) -> Tensor:
    """Several outputs for each of some test inputs: uint8 (n, STYLES, C, H, W)."""
    test = with_conditions(ctx.the_model, ctx.test)
    rows = asked_rows(test, min(INPUTS, len(test)), ctx.seed)
    with stage("several answers"):
        made = _made(ctx, test, rows.repeat_interleave(STYLES), ctx.seed + 1)
    return made.view(len(rows), STYLES, *made.shape[1:])


def _two_of(each: Tensor) -> tuple[Tensor, Tensor]:
    """All pairs of the outputs for each input: two tensors (n * pairs, ...)."""
    first, second = torch.tensor(list(combinations(range(each.shape[1]), 2))).T
    return each[:, first].flatten(0, 1), each[:, second].flatten(0, 1)


def style_l1(ctx: Context) -> Estimate:
    """Mean absolute difference of two outputs for one input, out of 255."""
    made = styles(ctx)
    each = errors.l1(*_two_of(made)).view(len(made), -1).mean(1)
    return mean_estimate(each, Groups(len(made), "real"), {"inputs": len(made), "styles": STYLES})


def style_distance(ctx: Context) -> Estimate:
    """Mean feature distance of two outputs for one input, divided by that of two real images."""
    made = styles(ctx)
    features = extract(made.flatten(0, 1), ctx.extractor, processes=ctx.processes).features
    a, b = _two_of(features.double().unflatten(0, made.shape[:2]))
    own = (a - b).norm(dim=1).view(len(made), -1).mean(1)
    real = ctx.real.features.double()
    order = torch.randperm(len(real), generator=torch.Generator().manual_seed(0))
    apart = torch.empty(len(real), dtype=torch.float64)
    apart[order] = (real[order] - real[order.roll(1)]).norm(dim=1)
    if not apart.any():
        return Estimate(None, reason="the real images have one feature vector")
    groups = Groups(len(made), "fake"), Groups(len(real), "real")
    value, found = ratio_of_means(own, apart, *groups)
    return estimate(value, found, {"inputs": len(made), "styles": STYLES})
