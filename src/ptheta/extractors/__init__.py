"""Feature extractors for metrics."""

from ptheta.extractors.base import Extractor
from ptheta.extractors.classifiers import Pixels, Trained
from ptheta.extractors.features import Features, extract
from ptheta.extractors.pretrained import EfficientNetLite0, Inception, Own
from ptheta.extractors.table import (
    EXTRACTORS,
    choose_extractor,
    default_extractor,
    load_extractor,
)
from ptheta.extractors.vectors import Standardised
from ptheta.extractors.vision import Clip, Dinov2

__all__ = [
    "EXTRACTORS",
    "Clip",
    "Dinov2",
    "EfficientNetLite0",
    "Extractor",
    "Features",
    "Inception",
    "Own",
    "Pixels",
    "Standardised",
    "Trained",
    "choose_extractor",
    "default_extractor",
    "extract",
    "load_extractor",
]
