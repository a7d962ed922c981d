"""Captions as numbers: networks that read them, and the match of a caption and an image."""

from ptheta.nets.text.encoders import (
    ENCODERS,
    Encoded,
    Encoder,
    TextEncoder,
    TextEncoderName,
    new_encoder,
)
from ptheta.nets.text.matcher import Matcher

__all__ = [
    "ENCODERS",
    "Encoded",
    "Encoder",
    "Matcher",
    "TextEncoder",
    "TextEncoderName",
    "new_encoder",
]
