"""The pages by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from ptheta.errors import unknown

if TYPE_CHECKING:
    from ptheta.lab.asked import Asked
    from ptheta.lab.parts import Page


@dataclass(frozen=True)
class Entry:
    """A page of the lab.

    Attributes:
        module: Its file in `lab/pages/`, which has a function `page(asked) -> Page`.
        about: What it shows, in at most 62 characters.
        trains: Whether it trains models on digits or points, which takes a minute or more.
        shows: Whether it shows given runs, such as in place of models that it would train.
    """

    module: str
    about: str
    trains: bool = False
    shows: bool = False

    def load(self) -> Callable[[Asked], Page]:
        made: Callable[[Asked], Page] = import_module(f"ptheta.lab.pages.{self.module}").page
        return made


# In the order of the lectures.
PAGES: dict[str, Entry] = {
    "likelihood": Entry("likelihood", "maximum likelihood, KL divergence, hidden variables"),
    "divergences": Entry("divergences", "one Gaussian fitted to a mixture by four divergences"),
    "game": Entry("game", "the game of a GAN: optimum, saturation, equilibrium"),
    "autoencoders": Entry(
        "autoencoders", "codes with and without the KL term, holes, PCA", True, True
    ),
    "elbo": Entry("elbo", "the bound of a VAE, term by term, and its gradient"),
    "collapse": Entry(
        "collapse", "collapse of codes by depth, what dimensions do, manifold", True, True
    ),
    "losses": Entry("losses", "the loss table of GANs, trained; tricks with and without", True),
    "evaluation": Entry(
        "evaluation", "what scores of samples see, and what they do not", True, True
    ),
    "dynamics": Entry("dynamics", "update rules of two players: diverge, circle or converge"),
    "autoregression": Entry(
        "autoregression", "the chain rule, masks, drawing pixel by pixel, R, G, B", shows=True
    ),
    "graphs": Entry("graphs", "the random variables and players of every model, the taxonomy"),
}


def entry(name: str) -> Entry:
    """Raises PthetaError naming the nearest page."""
    if name not in PAGES:
        raise unknown("page", name, PAGES)
    return PAGES[name]
