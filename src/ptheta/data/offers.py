"""The metadata that a data set offers: labels, attributes, captions and masks."""

from __future__ import annotations

from dataclasses import dataclass

from ptheta.data.dataset import Dataset
from ptheta.data.names import some_of


@dataclass(frozen=True)
class Offers:
    """The conditions that a model could use.

    labels: the names of the labels that occur, in the order of their numbers; empty without labels
    attributes: the names of the attributes, of the columns of `Dataset.attributes`
    captions, masks, inputs: whether there are any
    """

    labels: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    captions: bool = False
    masks: bool = False
    inputs: bool = False

    @classmethod
    def of(cls, data: Dataset) -> Offers:
        return cls(
            labels=data.present_classes(),
            attributes=data.attributes_named(),
            captions=data.captions is not None,
            masks=data.masks is not None,
            inputs=data.inputs is not None,
        )

    def lines(self) -> dict[str, str]:
        """A few words on each kind that there is, by its name."""
        words = {
            "labels": _named(self.labels),
            "attributes": _named(self.attributes),
            "captions": "a text for each image" if self.captions else "",
            "masks": "a segmentation of each image" if self.masks else "",
            "inputs": "an input picture for each image" if self.inputs else "",
        }
        return {kind: text for kind, text in words.items() if text}

    def __str__(self) -> str:
        """The end of a sentence: `labels and captions`, or `images alone`."""
        *some, last = self.lines() or ["images alone"]
        return f"{', '.join(some)} and {last}" if some else last


def _named(names: tuple[str, ...]) -> str:
    if not names:
        return ""
    some, count = some_of(names), f" ({len(names)})"
    return some if some.endswith(" in all)") else f"{some}{count}"
