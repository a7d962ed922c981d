"""The metrics of images of captions: a part of `ptheta.metrics.table.METRICS`."""

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
        "share of samples that show all that their caption says, read off the pixels",
        asked=captions.of_scenes,
        shown=_shown,
    ),
    _caption(
        "caption_match_of_{term}",
        captions.caption_parts,
        "share of samples in which this part is as the caption says",
        asked=captions.of_scenes,
    ),
    _caption(
        "caption_retrieval{captions}",
        captions.caption_retrieval,
        "share of samples whose caption a judge, trained apart, finds among ten",
        asked=captions.of_captions,
        needs=(captions.training_captions, captions.enough_captions),
        shown=_shown,
    ),
    Metric(
        "caption_variety",
        variety.caption_variety,
        "how much samples of one caption differ: 1 as training images do, 0 not at all",
        Section.CAPTIONS,
        of=(ImageSpec,),
        asked=captions.of_captions,
        needs=(captions.training_captions, variety.has_pairs),
    ),
)
