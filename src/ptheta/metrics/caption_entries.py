"""The metrics of text-to-image models: a part of `ptheta.metrics.table.METRICS`."""

from __future__ import annotations

from functools import partial

from ptheta.metrics import captions, variety
from ptheta.metrics.metric import Metric, Presentation, Role, Section
from ptheta.specs import ImageSpec

_caption = partial(Metric, section=Section.CAPTIONS, of=(ImageSpec,), better="higher")
_shown = Presentation(Role.CAPTION, paired=True)

OF_CAPTIONS: tuple[Metric, ...] = (
    _caption(
        "caption_match{captions}",
        captions.caption_match,
        "fraction of samples that show everything in their caption, determined from the pixels",
        asked=captions.of_scenes,
        shown=_shown,
    ),
    _caption(
        "caption_match_of_{term}",
        captions.caption_parts,
        "fraction of samples in which this part matches the caption",
        asked=captions.of_scenes,
    ),
    _caption(
        "caption_retrieval{captions}",
        captions.caption_retrieval,
        "fraction of samples whose caption a separately trained judge finds among ten",
        asked=captions.of_captions,
        needs=(captions.training_captions, captions.enough_captions),
        shown=_shown,
    ),
    Metric(
        "caption_variety",
        variety.caption_variety,
        "diversity of samples with the same caption: 1 as for training images, 0 if identical",
        Section.CAPTIONS,
        of=(ImageSpec,),
        asked=captions.of_captions,
        needs=(captions.training_captions, variety.has_pairs),
    ),
)
