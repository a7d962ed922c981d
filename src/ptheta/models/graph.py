"""Graphical models: the random variables of a model and their dependences.

A model defines its graph (`graph()`): the generative arrows of p, the inference arrows of q, and
plates. `ptheta.report.graphs` draws it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, get_args, runtime_checkable

from ptheta.errors import PthetaError, unknown

Role = Literal["observed", "latent", "deterministic", "given"]
Part = Literal["generative", "inference"]
EXAMPLES = "N examples"  # the plate that every example's variables are in


@dataclass(frozen=True)
class Variable:
    """A node.

    name: in mathtext, such as "x" or "x_{<i}"
    role: observed (data), latent (drawn, not seen), deterministic (a function of its parents), or
        given (a condition, which the model has no distribution of)
    what: a few words, with the size
    plates: those that it is in, the outermost first
    """

    name: str
    role: Role
    what: str
    plates: tuple[str, ...] = (EXAMPLES,)

    def __post_init__(self) -> None:
        if self.role not in get_args(Role):
            raise unknown("role", self.role, get_args(Role))


@dataclass(frozen=True)
class Arrow:
    """A dependence of `target` on `source`. part: p (generative) or q (inference); law: in words"""

    source: str
    target: str
    part: Part = "generative"
    law: str = ""


@dataclass(frozen=True)
class Graph:
    """A graphical model.

    Raises PthetaError for an arrow with an unknown end, a duplicate name, and a cycle among the
    arrows of one part.
    """

    variables: tuple[Variable, ...]
    arrows: tuple[Arrow, ...]

    def __post_init__(self) -> None:
        names = [v.name for v in self.variables]
        if len(set(names)) < len(names):
            raise PthetaError(f"variables {', '.join(names)}: give each name once")
        for arrow in self.arrows:
            for end in (arrow.source, arrow.target):
                if end not in names:
                    raise unknown("variable", end, names)
        for part in get_args(Part):
            self.order(part)

    def of(self, name: str) -> Variable:
        """The variable of this name."""
        return next(v for v in self.variables if v.name == name)

    def parents(self, name: str, part: Part = "generative") -> tuple[str, ...]:
        return tuple(a.source for a in self.arrows if a.target == name and a.part == part)

    def order(self, part: Part = "generative") -> list[str]:
        """The variables, each behind its parents. Raises PthetaError where no order is such."""
        left, done = [v.name for v in self.variables], list[str]()
        while left:
            ready = [name for name in left if set(self.parents(name, part)) <= set(done)]
            if not ready:
                raise PthetaError(f"the {part} arrows among {', '.join(left)} form a cycle")
            done += ready
            left = [name for name in left if name not in ready]
        return done

    def given(self, condition: str, *targets: str, inferred: Sequence[str] = ()) -> Graph:
        """The same graph with a condition c on which these variables depend.

        condition: its description; targets, inferred: targets of generative and inference arrows
        """
        arrows = [Arrow("c", target) for target in targets]
        arrows += [Arrow("c", target, "inference") for target in inferred]
        more = Variable("c", "given", condition)
        return replace(self, variables=(more, *self.variables), arrows=(*self.arrows, *arrows))


@runtime_checkable
class HasGraph(Protocol):
    def graph(self) -> Graph:
        """The model's random variables, plates and arrows."""
        ...
