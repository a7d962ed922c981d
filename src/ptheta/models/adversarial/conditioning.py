"""Conditioning of GANs: inputs of generator and discriminator, and additional loss terms. Each
entry of `CONDITIONING` is one method."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ptheta.batch import Condition
from ptheta.conditions import ConditionSpec, Labels, classes_of
from ptheta.conditions.base import tensor_of
from ptheta.config import Entry
from ptheta.games import Terms
from ptheta.models.base import EVERY_KIND
from ptheta.nets.adversarial.discriminator import Projection, VectorProjection
from ptheta.nets.condition import Vectors
from ptheta.nets.text.options import TextOptions

LABELS_ALONE = (Labels.kind,)


@dataclass(frozen=True)
class Conditioning(Entry):
    """Base class: the condition enters only the generator, concatenated with z.

    Subclasses override the inputs of the networks. A learned embedding, such as that of a caption
    encoder, is separate for each network.

    takes: kinds of conditions that are supported
    """

    takes: tuple[str, ...] = EVERY_KIND

    def generator_dim(self, spec: Vectors) -> int:
        """Dimensions of the generator's input in addition to z."""
        return spec.size

    def generator_input(self, spec: Vectors, condition: Condition) -> Tensor:
        """These numbers: (B, generator_dim)."""
        return spec.vector(condition)

    def discriminator_dim(self, spec: Vectors) -> int:
        """Dimensions of the discriminator's input in addition to the example."""
        return 0

    def discriminator_input(self, spec: Vectors, condition: Condition) -> Tensor | None:
        """These numbers: (B, discriminator_dim), or None."""
        return None

    def logit_term(self, spec: ConditionSpec, width: int, options: TextOptions) -> nn.Module | None:
        """A layer of features (B, width) and conditions -> (B,), that is added to the outputs.

        options: how captions are read
        """
        return None

    def aux_dim(self, spec: ConditionSpec) -> int:
        """Size of the discriminator's auxiliary output."""
        return 0

    def real_terms(self, aux: Tensor | None, condition: Condition | None, weight: float) -> Terms:
        """Auxiliary loss of the discriminator on real examples."""
        return {}

    def fake_terms(self, aux: Tensor | None, condition: Condition | None, weight: float) -> Terms:
        """Auxiliary loss on generated examples, shared by both players."""
        return {}


class BothNetworks(Conditioning):
    """Mirza & Osindero 2014 (arXiv:1411.1784): the discriminator is given the condition, too."""

    def discriminator_dim(self, spec: Vectors) -> int:
        return spec.size

    def discriminator_input(self, spec: Vectors, condition: Condition) -> Tensor:
        return spec.vector(condition)


class Auxiliary(Conditioning):
    """Odena et al. 2017 (arXiv:1610.09585): the discriminator classifies real and fake examples,
    and both players minimise its cross-entropy."""

    def aux_dim(self, spec: ConditionSpec) -> int:
        return classes_of(spec)

    def real_terms(self, aux: Tensor | None, condition: Condition | None, weight: float) -> Terms:
        return _class_term("class_of_real", aux, condition, weight)

    def fake_terms(self, aux: Tensor | None, condition: Condition | None, weight: float) -> Terms:
        return _class_term("class_of_fake", aux, condition, weight)


def _class_term(name: str, aux: Tensor | None, condition: Condition | None, weight: float) -> Terms:
    if aux is None or condition is None:
        return {}
    labels = tensor_of(condition, Labels.kind)
    return {name: weight * cross_entropy(aux, labels, reduction="none")}


class Projected(Conditioning):
    """Miyato & Koyama 2018 (arXiv:1802.05637): the embedding of the condition is projected on the
    features."""

    def logit_term(self, spec: ConditionSpec, width: int, options: TextOptions) -> nn.Module:
        if isinstance(spec, Labels):
            return Projection(len(spec), width)
        return VectorProjection(spec, width, options)


CONDITIONING: dict[str, Conditioning] = {
    "none": Conditioning(takes=()),
    "label": BothNetworks(about="input of both networks (1411.1784)"),
    "auxiliary": Auxiliary(
        about="auxiliary classifier in the discriminator (1610.09585)", takes=LABELS_ALONE
    ),
    "projection": Projected(
        about="projection discriminator (1802.05637)",
        excludes={"autoencoding": "a reconstruction error is not linear in features"},
    ),
}
