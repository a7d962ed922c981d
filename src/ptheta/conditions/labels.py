"""Labels: one of several classes."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ptheta.batch import Condition
from ptheta.conditions.base import Named, tensor_of
from ptheta.data.offers import Offers
from ptheta.errors import PthetaError, unknown
from ptheta.specs import VectorSpec

if TYPE_CHECKING:
    from ptheta.data.dataset import Dataset


@dataclass(frozen=True)
class Labels(Named):
    """One of several classes: int64 (B,), indices in `names`."""

    kind: ClassVar[str] = "labels"

    def check(self, condition: Condition) -> Condition:
        labels = tensor_of(condition, self.kind)
        if labels.is_floating_point() or labels.dtype == torch.bool:
            raise PthetaError(f"labels of type {labels.dtype}: want whole numbers, such as int64")
        if labels.ndim != 1:
            raise PthetaError(f"labels of shape {tuple(labels.shape)}: want (B,)")
        for label in labels.unique().tolist():
            self.check_number(label)
        return labels

    def check_number(self, label: int) -> None:
        """Raise PthetaError for an index without a name."""
        if not 0 <= label < len(self):
            raise PthetaError(
                f"unknown label {label}: the labels of this model are 0 to {len(self) - 1}"
            )

    def number(self, text: str) -> int:
        """The index of a label name; an index is accepted as well if no name is a number.

        Accented letters may be composed or decomposed, as file systems differ.

        Raises:
            PthetaError: for an unknown label.
        """
        if text in self.names:
            return self.names.index(text)
        alike = [i for i, name in enumerate(self.names) if _composed(name) == _composed(text)]
        if len(alike) == 1:
            return alike[0]
        by_place = text.isdecimal() and len(text) <= len(str(len(self)))
        if by_place and int(text) < len(self) and not any(map(_is_number, self.names)):
            return int(text)
        raise unknown("label", text, self.names)

    def parse(self, text: str) -> Condition:
        return torch.tensor([self.number(text)])

    def examples(self, n: int, start: int = 0) -> Condition:
        """The labels in turn."""
        return torch.arange(start, start + n) % len(self)

    def describe(self, condition: Condition) -> list[str]:
        return [self.names[k] for k in tensor_of(condition, self.kind).tolist()]

    def vector(self, condition: Condition) -> Tensor:
        """One-hot."""
        hot = one_hot(tensor_of(condition, self.kind), len(self))
        return hot.to(torch.get_default_dtype())

    @classmethod
    def of_data(cls, data: Dataset, source: str) -> Labels:
        """The labels that occur in training data, by name. Raises PthetaError if there are none."""
        if data.labels is None:
            table = isinstance(data.spec, VectorSpec)
            offers = "" if table else f" (it offers {Offers.of(data)})"
            cure = (
                "name their column with --label-column"
                if table
                else "put the images into one subfolder for each class"
            )
            raise PthetaError(
                f"{source} has no labels{offers}, and the model is conditional on them: {cure}, or "
                "train an unconditional model"
            )
        return cls(data.present_classes())

    def take(self, data: Dataset, rows: np.ndarray) -> Condition | None:
        if data.labels is None:
            return None
        return torch.from_numpy(data.labels[rows].astype(np.int64))

    def adapted(self, data: Dataset) -> Dataset:
        return replace(data.with_classes(self.names), condition=self)


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _is_number(name: str) -> bool:
    """Whether a name is a number, such as -1 or 2.0, and could be confused with an index."""
    try:
        float(name)
    except ValueError:
        return False
    return True
