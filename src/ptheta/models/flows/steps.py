"""Steps of flows with couplings: their networks, and flows of vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from ptheta.config import Layers, NonNegative, OneOf, Parts, option
from ptheta.models.flows.affine import AffineConfig
from ptheta.nets.flows.conditioners import CONDITIONERS, perceptron
from ptheta.nets.flows.couplings import Coupling, Halves, Interleaved, Parting
from ptheta.nets.flows.laws import Affine, Law


@dataclass(frozen=True)
class CouplingConfig(AffineConfig):
    scales: Parts = option(
        3,
        "maximum number of scales (images); half of the dimensions are factored out at each",
        basic=True,
    )
    depth: Parts = option(4, "flow steps per scale, or in total (vectors)", basic=True)
    conditioner: Annotated[str, OneOf(CONDITIONERS)] = option(
        "residual", "network in the couplings (images)", basic=True
    )
    features: Layers = option(
        (32,),
        "channels of these networks per scale; the last value applies to all further scales",
        basic=True,
    )
    blocks: NonNegative = option(
        1, "blocks of these networks between the first and the last layer", basic=True
    )
    hidden: Layers = option(
        (128, 128), "units of the couplings' hidden layers (vectors)", basic=True
    )

    def coupling(self, parting: Parting, scale: int, law: Law | None = None) -> Coupling:
        """Of maps. scale: 0, 1, ...; law: in place of the config's"""
        law = law or self.law()
        make = CONDITIONERS[self.conditioner].make
        out = law.numbers * parting.moved
        features = self.features[min(scale, len(self.features) - 1)]
        return Coupling(parting, make(parting.seen, out, features, self.blocks), law)

    def of_vectors(self, dims: int, flipped: bool) -> Coupling:
        parting, law = Interleaved(dims, flipped), self.law()
        net = perceptron(parting.seen, law.numbers * parting.moved, self.hidden)
        return Coupling(parting, net, law)

    def leaving(self, channels: int, scale: int) -> Coupling:
        """The learned prior of the half that leaves, given the one that stays."""
        return self.coupling(Halves(channels, flipped=False), scale, Affine("tanh"))
