"""A taxonomy of models by their treatment of p(x): the tree of Goodfellow 2016 (arXiv:1701.00160,
figure 9), derived from capabilities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from torch import nn

from ptheta.capabilities import (
    EstimatesLogProb,
    HasBound,
    HasChain,
    HasEnergy,
    HasLogProb,
    MayBeExact,
    Samples,
)
from ptheta.models import registry


@runtime_checkable
class HasDensity(HasBound, MayBeExact, Protocol):
    """A density of real numbers, which gives a bound for discrete data."""


@dataclass(frozen=True)
class Branch:
    """A branch with twigs, or a leaf with models.

    about: a short description of its models
    can: capabilities, one of which a model of this leaf has; empty for all other models
    """

    name: str
    about: str = ""
    twigs: tuple[Branch, ...] = ()
    can: tuple[type, ...] = ()


TREE = Branch(
    "learn p(x)",
    twigs=(
        Branch(
            "explicit density",
            twigs=(
                Branch(
                    "tractable",
                    "exact log p(x), or a density (a bound for discrete data)",
                    can=(HasLogProb, HasDensity),
                ),
                Branch(
                    "approximate",
                    twigs=(
                        Branch("variational", "a lower bound of log p(x)", can=(HasBound,)),
                        Branch(
                            "Markov chain",
                            "an energy with an estimated normalisation",
                            can=(HasEnergy,),
                        ),
                        Branch(
                            "ODE",
                            "a density by the steps of a differential equation, an estimate",
                            can=(EstimatesLogProb,),
                        ),
                    ),
                ),
            ),
        ),
        Branch(
            "implicit density",
            twigs=(
                Branch("Markov chain", "samples by a Markov chain", can=(HasChain,)),
                Branch("direct", "samples in one pass", can=(Samples,)),
            ),
        ),
        Branch("not probabilistic", "does not sample without a fitted prior"),
    ),
)

Path = tuple[str, ...]  # the names of the branches on the way to a leaf


class Leaf(NamedTuple):
    """models: the registered models of this leaf, by family"""

    path: Path
    about: str
    models: Mapping[str, list[str]]


def place(cls: type[nn.Module]) -> Path:
    """The place of a class of models: the first leaf with a capability that it has."""
    leaves = ((path, leaf) for path, leaf in _leaves(TREE) if _holds(leaf, cls))
    return next(leaves)[0]


def leaves() -> list[Leaf]:
    """Every leaf, in order, with the registered models."""
    places = {name: place(entry.load_model()) for name, entry in registry.models().items()}
    found = []
    for path, leaf in _leaves(TREE):
        models: dict[str, list[str]] = {}
        for name, entry in registry.models().items():
            if places[name] == path:
                models.setdefault(entry.family, []).append(name)
        found.append(Leaf(path, leaf.about, models))
    return found


def _leaves(branch: Branch, above: Path = ()) -> Iterator[tuple[Path, Branch]]:
    for twig in branch.twigs:
        path = (*above, twig.name)
        if twig.twigs:
            yield from _leaves(twig, path)
        else:
            yield path, twig


def _holds(leaf: Branch, cls: type[nn.Module]) -> bool:
    return not leaf.can or any(issubclass(cls, can) for can in leaf.can)
