"""Common code of models that accept any condition, including captions."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ptheta.batch import Between, Condition
from ptheta.conditions import ConditionSpec, Worded, text_of
from ptheta.nets.text.options import TextOptions
from ptheta.optimizers import OptimizerConfig
from ptheta.specs import DataSpec

OF_TEXT = ("text_encoder", "text_unit")


@dataclass(frozen=True)
class TextConditional(TextOptions, Worded, OptimizerConfig):
    """A config of a model that may be given any condition, captions among them."""

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        if text_of(condition) is None:
            usual, values = type(self).__dataclass_fields__, vars(self)
            for name in OF_TEXT:
                if values[name] != usual[name].default:
                    return (
                        f"{name} = {values[name]} is an option of captions, which this model does "
                        "not take: leave it out, or choose --condition text"
                    )
        return super().unsupported(spec, condition)


class ReadsBetween:
    """A model with embedded conditions (`nets.condition`), which can interpolate between two of
    them."""

    def between(self, first: Condition, second: Condition, share: Tensor) -> Condition:
        return Between.of(first, second, share)
