"""The metrics of translations: a part of `ptheta.metrics.table.METRICS`."""

from __future__ import annotations

from functools import partial

from ptheta.metrics import domains, pairs
from ptheta.metrics.metric import Metric, Presentation, Role, Section
from ptheta.specs import ImageSpec

DIFFERENCES = Presentation(paired=True)  # shown between runs
_translation = partial(Metric, section=Section.TRANSLATION, of=(ImageSpec,))
_pairs = partial(_translation, asked=pairs.of_pairs, shown=DIFFERENCES)
_made = partial(_translation, asked=pairs.of_made_labels, better="higher", shown=DIFFERENCES)
_read = partial(
    _translation,
    asked=pairs.of_given_labels,
    needs=(pairs.training_pairs,),
    better="higher",
    shown=DIFFERENCES,
)
_styles = partial(_translation, asked=pairs.of_varied_pairs)
_domains = partial(_translation, asked=domains.of_domains, better="lower", shown=DIFFERENCES)
_partners = partial(_translation, asked=domains.of_partners)
_scenes = partial(_translation, asked=domains.of_scenes, better="higher")
PIXEL, CLASSES, IOU = range(3)  # of `ptheta.measures.segmentation.Scores`

_PAIRS: tuple[Metric, ...] = (
    _pairs(
        "l1_to_target{pairs}",
        pairs.l1_to_target,
        "mean absolute difference of an answer and its target",
        unit="of 255",
        better="lower",
        shown=Presentation(Role.TARGET, paired=True),
    ),
    _pairs(
        "psnr_to_target{pairs}",
        pairs.psnr_to_target,
        "peak signal-to-noise ratio of an answer and its target, mean over pairs",
        unit="dB",
        better="higher",
    ),
    _pairs(
        "ssim_to_target{pairs}",
        pairs.ssim_to_target,
        "structural similarity of an answer and its target",
        better="higher",
    ),
    _made(
        "pixel_accuracy{pairs}",
        partial(pairs.label_score, pairs.made_labels, PIXEL),
        "share of pixels that have the label of the target",
    ),
    _made(
        "class_accuracy{pairs}",
        partial(pairs.label_score, pairs.made_labels, CLASSES),
        "mean over labels of the share of their pixels that have them",
    ),
    _made(
        "iou{pairs}",
        partial(pairs.label_score, pairs.made_labels, IOU),
        "mean over labels of intersection over union with the target",
    ),
    _read(
        "labeller_pixel_accuracy{pairs}",
        partial(pairs.label_score, pairs.read_labels, PIXEL),
        "share of pixels in which the labeller finds the label they were made of",
    ),
    _read(
        "labeller_class_accuracy{pairs}",
        partial(pairs.label_score, pairs.read_labels, CLASSES),
        "mean over labels of the share of their pixels in which the labeller finds them",
    ),
    _read(
        "labeller_iou{pairs}",
        partial(pairs.label_score, pairs.read_labels, IOU),
        "mean over labels of intersection over union of what the labeller finds",
    ),
    _styles(
        "style_l1",
        pairs.style_l1,
        "mean absolute difference of two answers to one input",
        unit="of 255",
    ),
    _styles(
        "style_distance_{extractor}",
        pairs.style_distance,
        "distance in features of two answers to one input, over that of two test images",
        unit="times real",
    ),
)
_DOMAINS: tuple[Metric, ...] = (
    _domains(
        "translation_fd_to_{domain}_{extractor}",
        domains.translation_fd,
        "Frechet distance of what was carried over and test images of the domain",
    ),
    _domains(
        "translation_kd_to_{domain}_{extractor}",
        domains.translation_kd,
        "kernel distance of what was carried over and test images of the domain",
        shown=Presentation(Role.DOMAIN, paired=True),
    ),
    _domains(
        "cycle_l1_to_{domain}",
        domains.cycle_l1,
        "mean absolute difference of an image and itself carried over and back",
        unit="of 255",
    ),
    _partners(
        "partner_l1_to_{domain}",
        domains.partner_l1,
        "mean absolute difference of what was carried over and the same thing there",
        unit="of 255",
        better="lower",
    ),
    _partners(
        "partner_psnr_to_{domain}",
        domains.partner_psnr,
        "peak signal-to-noise ratio of what was carried over and the same thing there",
        unit="dB",
        better="higher",
    ),
    _partners(
        "partner_ssim_to_{domain}",
        domains.partner_ssim,
        "structural similarity of what was carried over and the same thing there",
        better="higher",
    ),
    _scenes(
        "scene_look_to_{domain}",
        domains.scene_look,
        "share of scenes whose fill and background, read off, are those of the domain",
    ),
    _scenes(
        "scene_kept_to_{domain}",
        domains.scene_kept,
        "share of scenes whose shapes, colours and places, read off, are kept",
    ),
)
OF_TRANSLATIONS: tuple[Metric, ...] = (*_PAIRS, *_DOMAINS)
