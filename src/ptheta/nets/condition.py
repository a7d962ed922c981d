"""A condition as numbers that a network adds to its activations."""

from __future__ import annotations

from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.conditions import ConditionSpec, Labels


class VectorEmbedding(nn.Linear):
    """Any condition, by way of its vector: (B, width). What is 0 everywhere adds nothing."""

    def __init__(self, condition: ConditionSpec, width: int) -> None:
        super().__init__(condition.size, width, bias=False)
        self.condition = condition

    def forward(self, condition: Condition) -> Tensor:
        return super().forward(self.condition.vector(condition).to(self.weight.dtype))


def embedding(condition: ConditionSpec | None, width: int) -> nn.Module | None:
    """Conditions -> (B, width); None for an unconditional model. Labels have a table of rows."""
    if condition is None:
        return None
    if isinstance(condition, Labels):
        return nn.Embedding(len(condition), width)
    return VectorEmbedding(condition, width)
