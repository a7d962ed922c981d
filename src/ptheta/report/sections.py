"""How the report presents each metric: in which table, and where else."""

from __future__ import annotations

from collections.abc import Iterable

from ptheta.metrics.metric import IN_ITS_TABLE, Presentation, Section
from ptheta.metrics.table import metric_of

NOTES = {  # notes below the tables; {example} and {examples} are replaced
    Section.LIKELIHOOD: (
        "On the held-out {examples}. = exact, ≤ upper bound on the bits (from a lower bound on "
        "the likelihood), ≈ estimate (of an energy-based model, with the normalising constant "
        "estimated from both sides): different kinds are not ranked against each other. For "
        "continuous data all are densities, in the units of the data. Models without a "
        "likelihood have no entry, whatever the quality of their samples."
    ),
    Section.DISTANCE: (
        "Named after the network whose features they use; only those with inception-2015 are "
        "the published FID, KID and IS. For vectors: divergences of the two densities if both "
        "are known, and two-sample tests of samples against held-out rows. The grey rows are "
        "baselines without learning."
    ),
    Section.FIDELITY: (
        "Precision and density ask whether a sample could be real; recall, coverage and the "
        "classes, whether everything real is covered; sharpness, whether edges are as strong as "
        "in real images (noise is sharp as well). Modes are those of a known density. No single "
        "column ranks the models."
    ),
    Section.CAPTIONS: (
        "Samples for the captions of test images; seen and unseen are captions that occurred in "
        "training or not. Match is computed from the pixels by a rule; retrieval uses a network "
        "trained on the real training images, which favours copies of them. Next to each "
        "number: the score of the real images with the same captions, and the score of the same "
        "samples with other captions, which is chance level. The grey rows are baselines "
        "without learning."
    ),
    Section.TRANSLATION: (
        "For pairs: errors of the outputs against the targets of test inputs, and (names with "
        "train) of training inputs; labels of outputs are predicted by a network trained on the "
        "real pairs, whose score on real images is an upper limit. Blur lowers L1 and raises "
        "PSNR: read them together with the distances. For domains: test images translated to "
        "each domain; cycle is a translation there and back. The grey rows are baselines "
        "without learning."
    ),
    Section.MEMORISATION: (
        "Distances to the nearest training {example}, of samples and of held-out {examples}; "
        "and to the nearest test {example} (names with test), of samples and of training "
        "{examples}. The copying statistic is about N(0, 1) if both are alike; far below 0 "
        "indicates copies, far above 0 {examples} far from the data. A copied training or test "
        "set has the best quality scores, and is only detected here."
    ),
    Section.COST: "Measured on the machine that wrote this report; training times as recorded "
    "during training.",
}


# sections with baselines
HELD = {Section.CAPTIONS, Section.TRANSLATION, Section.COMPLETION}


def section_of(name: str) -> Section:
    """The section of a result of this name; fidelity for a metric unknown to this version."""
    metric = metric_of(name)
    return Section.FIDELITY if metric is None else metric.section


def repeated(name: str, among: Iterable[str]) -> bool:
    """Whether another of these metrics contains the same information."""
    other = presentation(name).repeats
    return bool(other) and any((m := metric_of(o)) and m.family == other for o in among)


def presentation(name: str) -> Presentation:
    """How the report shows the results of this name outside its table."""
    metric = metric_of(name)
    return IN_ITS_TABLE if metric is None else metric.shown
