"""How the report shows each metric: in which table, and where else its numbers stand."""

from __future__ import annotations

from collections.abc import Iterable

from ptheta.metrics.metric import IN_ITS_TABLE, Presentation, Section
from ptheta.metrics.table import metric_of

NOTES = {  # what the reader of a table must know, by what the examples are called
    Section.LIKELIHOOD: (
        "On the held-out {examples}. = exact, ≤ an upper bound on the bits (from a lower bound on "
        "the likelihood), ≈ an estimate between two sides (of an energy whose normalisation is "
        "estimated from both): none is ranked against another kind. Of real numbers all are of a "
        "density, in the units of the data. A model without any has none, whatever its samples "
        "look like."
    ),
    Section.DISTANCE: (
        "Named after the network whose features they use; only those of inception-2015 are the "
        "published FID, KID and IS. Of vectors: divergences of the two densities where both are "
        "known, and tests that tell samples from held-out rows. The grey rows need no learning."
    ),
    Section.FIDELITY: (
        "Precision and density ask whether a sample could be real; recall, coverage and the "
        "classes, whether everything real is there; sharpness, whether edges are as strong as in "
        "real images (noise is sharp, too). Modes are those of a density that is known. No row is "
        "good by one column."
    ),
    Section.CAPTIONS: (
        "Samples of the captions of test images; seen and unseen are captions that training had "
        "and had not. Match is read off the pixels by a rule; retrieval is by a network that "
        "learned from the real training part, and knows copies of it best. Beside each number: "
        "what the real images of the same captions get, and what the same samples get for captions "
        "of others, which is chance. The grey rows need no learning."
    ),
    Section.TRANSLATION: (
        "Of pairs: how far answers are from the targets of the test inputs, and (names with train) "
        "of training inputs; labels of made pictures are read by a network that learned from the "
        "real pairs, and what it reads off real pictures is the most that can be reached. Blur "
        "lowers L1 and raises PSNR: read them beside the distances. Of domains: test images "
        "carried over to each; cycle is there and back. The grey rows need no learning."
    ),
    Section.MEMORISATION: (
        "Distances to the nearest training {example}, of samples beside those of held-out "
        "{examples}; and to the nearest test {example} (names with test), beside those of training "
        "{examples}. The copying test is about N(0, 1) where both are alike; far below 0 are "
        "copies, far above 0 {examples} away from the data. A copied training or test set has the "
        "best distances there are, and must be given away here."
    ),
    Section.COST: "On the machine that wrote this; training as it was when it ran.",
}


# sections in which a model is held to floors
HELD = {Section.CAPTIONS, Section.TRANSLATION, Section.COMPLETION}


def section_of(name: str) -> Section:
    """The table that a result of this name stands in; of a metric that this version does not know,
    that of fidelity."""
    metric = metric_of(name)
    return Section.FIDELITY if metric is None else metric.section


def repeated(name: str, among: Iterable[str]) -> bool:
    """Whether another of these metrics says what this one does."""
    other = presentation(name).repeats
    return bool(other) and any((m := metric_of(o)) and m.family == other for o in among)


def presentation(name: str) -> Presentation:
    """How the report shows the results of this name outside their table."""
    metric = metric_of(name)
    return IN_ITS_TABLE if metric is None else metric.shown
