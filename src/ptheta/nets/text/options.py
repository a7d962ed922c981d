"""How a network reads the captions that it is given."""

from __future__ import annotations

from dataclasses import dataclass

from ptheta.config import Count, option
from ptheta.nets.text.encoders import TextEncoderName

PLAIN = "bag"  # without weights of its own where words are counted


@dataclass(frozen=True)
class TextOptions:
    """bag: the model is given how often each word occurs; another encoder is learned with it."""

    text_encoder: TextEncoderName = option(PLAIN, "caption encoder (text)")
    text_width: Count = option(128, "dimensions of the caption embedding (all encoders but bag)")
