"""How a label enters a GAN: what the generator is given, what the discriminator is given, and what
terms are added. Each entry of `CONDITIONING` is one way."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from ptheta.conditions import Labels
from ptheta.config import Entry
from ptheta.games import Terms
from ptheta.nets.adversarial.discriminator import Projection


@dataclass(frozen=True)
class Conditioning(Entry):
    """The label is given to the generator alone, as an extension of z.

    To be extended: each method says what a network of `classes` labels gets. Labels are (B,) int64.

    condition: kind of the condition that it takes ("none": of a model without one)
    """

    condition: str = Labels.kind

    def generator_dim(self, classes: int) -> int:
        """Numbers that the generator is given beside z."""
        return classes

    def generator_input(self, labels: Tensor, classes: int) -> Tensor:
        """These numbers: (B, generator_dim)."""
        return one_hot(labels, classes)

    def discriminator_dim(self, classes: int) -> int:
        """Numbers that the discriminator is given beside the image."""
        return 0

    def discriminator_input(self, labels: Tensor, classes: int) -> Tensor | None:
        """These numbers: (B, discriminator_dim), or None."""
        return None

    def label_term(self, classes: int, width: int) -> nn.Module | None:
        """A layer of features (B, width) and labels, (B,), that is added to the outputs."""
        return None

    def aux_dim(self, classes: int) -> int:
        """Size of the discriminator's auxiliary output."""
        return 0

    def real_terms(self, aux: Tensor | None, labels: Tensor | None, weight: float) -> Terms:
        """What the discriminator pays for its auxiliary output on real images."""
        return {}

    def fake_terms(self, aux: Tensor | None, labels: Tensor | None, weight: float) -> Terms:
        """What both players pay for the auxiliary output on generated images."""
        return {}


class BothNetworks(Conditioning):
    """Mirza & Osindero 2014 (arXiv:1411.1784): the discriminator is given the label, too."""

    def discriminator_dim(self, classes: int) -> int:
        return classes

    def discriminator_input(self, labels: Tensor, classes: int) -> Tensor:
        return one_hot(labels, classes)


class Auxiliary(Conditioning):
    """Odena et al. 2017 (arXiv:1610.09585): the discriminator classifies real and fake images, and
    both players minimise its cross-entropy."""

    def aux_dim(self, classes: int) -> int:
        return classes

    def real_terms(self, aux: Tensor | None, labels: Tensor | None, weight: float) -> Terms:
        return _class_term("class_of_real", aux, labels, weight)

    def fake_terms(self, aux: Tensor | None, labels: Tensor | None, weight: float) -> Terms:
        return _class_term("class_of_fake", aux, labels, weight)


def _class_term(name: str, aux: Tensor | None, labels: Tensor | None, weight: float) -> Terms:
    if aux is None or labels is None:
        return {}
    return {name: weight * cross_entropy(aux, labels, reduction="none")}


class ProjectedLabel(Conditioning):
    """Miyato & Koyama 2018 (arXiv:1802.05637): the label's embedding is projected on the
    features."""

    def label_term(self, classes: int, width: int) -> nn.Module:
        return Projection(classes, width)


CONDITIONING: dict[str, Conditioning] = {
    "none": Conditioning(condition="none"),
    "label": BothNetworks(about="both networks are given it (1411.1784)"),
    "auxiliary": Auxiliary(about="the discriminator classifies (1610.09585)"),
    "projection": ProjectedLabel(
        about="its embedding is projected on the features (1802.05637)",
        excludes={"autoencoding": "a reconstruction error is not linear in features"},
    ),
}
