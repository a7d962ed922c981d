"""Metrics of given pairs: each image of one set is compared with the image at the same position in
the other."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Unpack

import numpy as np
import torch
from torch import Tensor

from ptheta.config import brief
from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError
from ptheta.measures import errors
from ptheta.measures.results import About, Estimate, Result
from ptheta.metrics import pairs
from ptheta.metrics.labeller import label_spec, labeller, wanted_labels
from ptheta.metrics.protocol import VERSION
from ptheta.metrics.reading import Examples, Read, images_in, same_images
from ptheta.metrics.table import METRICS
from ptheta.specs import LabelMapSpec

Palette = Sequence[tuple[int, ...]]
MOST_LABELS = 256  # each part of the maps needs n^2 counts


class Segmentation(NamedTuple):
    """pixel accuracy, mean class accuracy and mean IoU (arXiv:1411.4038)"""

    pixel: Result
    classes: Result
    iou: Result


def l1(a: Examples, b: Examples, **how: Unpack[Read]) -> Result:
    """Mean absolute difference of pairs, out of 255.

    a: generated images; b: targets in the same order; for folders, in the order of file names
    how: see `ptheta.metrics.reading.Read`
    """
    return _of_pixels("l1_to_target{pairs}", pairs.l1_of, a, b, how)


def psnr(a: Examples, b: Examples, **how: Unpack[Read]) -> Result:
    """Peak signal-to-noise ratio of pairs, dB, the mean over pairs. Arguments: see `l1`."""
    return _of_pixels("psnr_to_target{pairs}", pairs.psnr_of, a, b, how)


def ssim(a: Examples, b: Examples, **how: Unpack[Read]) -> Result:
    """Structural similarity of pairs, the mean over pairs. Arguments: see `l1`."""
    return _of_pixels("ssim_to_target{pairs}", pairs.ssim_of, a, b, how)


def _of_pixels(
    metric: str,
    what: Callable[[pairs.Answers], Estimate],
    a: Examples,
    b: Examples,
    how: Read,
) -> Result:
    made, wanted = same_images((a, b), how)
    errors.check_pairs(made, wanted)
    return METRICS[metric].result(what(pairs.Answers(made, wanted, wanted)), _about(made))


def segmentation_scores(
    a: Examples, b: Examples, palette: Palette | None = None, **how: Unpack[Read]
) -> Segmentation:
    """Segmentation scores of predicted label maps.

    a: predicted label maps; b: true ones, in the same order: integers (N, H, W), or images
    palette: for images, the colour of each label, (v,) or (r, g, b); a pixel has the label of the
        nearest colour
    how: see `l1`
    Raises PthetaError for images without a palette, for maps of different sizes or numbers, and for
    more than `MOST_LABELS` labels.
    """
    found, wanted, labels = _labels(a, b, palette, how)
    some = pairs.Labelled(found, wanted, labels)
    names = ("pixel_accuracy{pairs}", "class_accuracy{pairs}", "iou{pairs}")
    return _segmentation(some, names, _about(found))


def labeller_scores(
    a: Examples, train: Dataset, test: Dataset, **how: Unpack[Read]
) -> Segmentation:
    """Segmentation scores of images translated from label maps: the prediction of the labeller
    (`ptheta.metrics.labeller`) compared with the input label maps.

    a: one generated image for each example of `test`, in order
    train, test: pairs with label maps as inputs; the labeller is trained on `train`
    how: see `l1`
    Raises PthetaError for inputs that are not label maps, and for another number of images.
    """
    network = labeller(train)
    made, rows = images_in(a, how), torch.arange(len(test))
    real, wanted = test.batch(slice(None)).x, wanted_labels(test, rows)
    errors.check_pairs(made, real)
    some = pairs.read_by(network, made, real, wanted, label_spec(train).labels)
    names = (f"labeller_{name}{{pairs}}" for name in ("pixel_accuracy", "class_accuracy", "iou"))
    return _segmentation(some, names, _about(made))


def _segmentation(some: pairs.Labelled, names: Iterable[str], about: About) -> Segmentation:
    """The three scores, named by entries of the table."""
    return Segmentation(
        *(METRICS[name].result(pairs.score_of(some, i), about) for i, name in enumerate(names))
    )


def _labels(
    a: Examples, b: Examples, palette: Palette | None, how: Read
) -> tuple[Tensor, Tensor, int]:
    """Both as integers (N, H, W), and the number of labels."""
    if palette is not None:
        x, y = same_images((a, b), how)
        spec = LabelMapSpec(*x.shape[1:], palette=_colours(palette))
        return spec.numbers(x), spec.numbers(y), spec.labels
    return _numbered(_integers(a), _integers(b))


def _colours(palette: Palette) -> tuple[tuple[int, ...], ...]:
    """The palette as a tensor. Raises PthetaError unless it contains colours as integers."""
    try:
        return tuple(tuple(operator.index(v) for v in colour) for colour in palette)
    except TypeError:
        raise PthetaError(
            f"palette {brief(palette)}: want a tuple of integers for each colour, (v,) or (r, g, b)"
        ) from None


def _numbered(found: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor, int]:
    """Both with the occurring labels renumbered from 0, which does not change any score."""
    occurring, numbers = torch.cat([found.flatten(), wanted.flatten()]).unique(return_inverse=True)
    if occurring[0] < 0:
        raise PthetaError("labels below 0: number them from 0 on")
    if len(occurring) > MOST_LABELS:
        raise PthetaError(
            f"{len(occurring):,} different labels, and at most {MOST_LABELS:,} are counted: give "
            "semantic label maps, not instance maps"
        )
    f, w = numbers.split([found.numel(), wanted.numel()])
    return f.view(found.shape), w.view(wanted.shape), len(occurring)


def _integers(given: Examples) -> Tensor:
    """Label maps as integers. Raises PthetaError for other input."""
    if isinstance(given, np.ndarray) and given.dtype.kind in "biu":
        given = torch.from_numpy(given.astype(np.int64))
    whole = isinstance(given, Tensor) and not (given.is_floating_point() or given.is_complex())
    if not isinstance(given, Tensor) or not whole or given.ndim != 3 or not given.numel():
        raise PthetaError(
            "label maps are integers (N, H, W), or images with a palette: give one of these"
        )
    return given.long()


def _about(made: Tensor) -> About:
    return {"images": len(made), "metrics_version": VERSION}
