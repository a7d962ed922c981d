"""The metrics of translations: a part of `ptheta.metrics.table.METRICS`."""

from __future__ import annotations

from functools import partial

from ptheta.metrics import domains, pairs
from ptheta.metrics.metric import Metric, Presentation, Role, Section
from ptheta.specs import ImageSpec

DIFFERENCES = Presentation(paired=True)  # differences between runs are shown
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
PIXEL, CLASSES, IOU = range(3)  # indices in `ptheta.measures.segmentation.Scores`

_PAIRS: tuple[Metric, ...] = (
    _pairs(
        "l1_to_target{pairs}",
        pairs.l1_to_target,
        "mean absolute difference of output and target",
        unit="of 255",
        better="lower",
        shown=Presentation(Role.TARGET, paired=True),
    ),
    _pairs(
        "psnr_to_target{pairs}",
        pairs.psnr_to_target,
        "peak signal-to-noise ratio of output and target, mean over pairs",
        unit="dB",
        better="higher",
    ),
    _pairs(
        "ssim_to_target{pairs}",
        pairs.ssim_to_target,
        "structural similarity of output and target",
        better="higher",
    ),
    _made(
        "pixel_accuracy{pairs}",
        partial(pairs.label_score, pairs.made_labels, PIXEL),
        "fraction of pixels with the label of the target",
    ),
    _made(
        "class_accuracy{pairs}",
        partial(pairs.label_score, pairs.made_labels, CLASSES),
        "fraction of each label's pixels with that label, averaged over labels",
    ),
    _made(
        "iou{pairs}",
        partial(pairs.label_score, pairs.made_labels, IOU),
        "intersection over union with the target, averaged over labels",
    ),
    _read(
        "labeller_pixel_accuracy{pairs}",
        partial(pairs.label_score, pairs.read_labels, PIXEL),
        "fraction of pixels for which the labeller predicts the label of the input",
    ),
    _read(
        "labeller_class_accuracy{pairs}",
        partial(pairs.label_score, pairs.read_labels, CLASSES),
        "fraction of each label's pixels for which the labeller predicts it, averaged over labels",
    ),
    _read(
        "labeller_iou{pairs}",
        partial(pairs.label_score, pairs.read_labels, IOU),
        "intersection over union of the labeller's prediction, averaged over labels",
    ),
    _styles(
        "style_l1",
        pairs.style_l1,
        "mean absolute difference of two outputs for one input",
        unit="of 255",
    ),
    _styles(
        "style_distance_{extractor}",
        pairs.style_distance,
        "feature distance of two outputs for one input, relative to that of two test images",
        unit="times real",
    ),
)
_DOMAINS: tuple[Metric, ...] = (
    _domains(
        "translation_fd_to_{domain}_{extractor}",
        domains.translation_fd,
        "Frechet distance of translated images and test images of the domain",
    ),
    _domains(
        "translation_kd_to_{domain}_{extractor}",
        domains.translation_kd,
        "kernel distance of translated images and test images of the domain",
        shown=Presentation(Role.DOMAIN, paired=True),
    ),
    _domains(
        "cycle_l1_to_{domain}",
        domains.cycle_l1,
        "mean absolute difference of an image and its translation there and back",
        unit="of 255",
    ),
    _partners(
        "partner_l1_to_{domain}",
        domains.partner_l1,
        "mean absolute difference of a translated image and its true counterpart",
        unit="of 255",
        better="lower",
    ),
    _partners(
        "partner_psnr_to_{domain}",
        domains.partner_psnr,
        "peak signal-to-noise ratio of a translated image and its true counterpart",
        unit="dB",
        better="higher",
    ),
    _partners(
        "partner_ssim_to_{domain}",
        domains.partner_ssim,
        "structural similarity of a translated image and its true counterpart",
        better="higher",
    ),
    _scenes(
        "scene_look_to_{domain}",
        domains.scene_look,
        "fraction of scenes with the fill and background of the domain",
    ),
    _scenes(
        "scene_kept_to_{domain}",
        domains.scene_kept,
        "fraction of scenes with unchanged shapes, colours and positions",
    ),
)
OF_TRANSLATIONS: tuple[Metric, ...] = (*_PAIRS, *_DOMAINS)
