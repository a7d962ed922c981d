"""Graphical models: what a graph states, and the graph and the players of every model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from textwrap import wrap
from typing import NamedTuple, TypeAlias

import numpy as np
from markupsafe import escape
from matplotlib.axes import Axes
from torch import nn

from ptheta.games import Game
from ptheta.lab.asked import Asked
from ptheta.lab.draw import COLOURS, figure
from ptheta.lab.parts import Figure, Number, Numbers, Page, Part, Section, Table
from ptheta.models import registry
from ptheta.models.about import example
from ptheta.models.base import Plays
from ptheta.models.graph import Graph, HasGraph
from ptheta.models.taxonomy import TREE, Branch, Leaf, leaves
from ptheta.report import graphs
from ptheta.report.plots import GROUP

Place: TypeAlias = tuple[str, ...]

WIDEST = 44  # letters of a line of the tree
EXACT = 1e-12  # rounding of sums of probabilities


class Declared(NamedTuple):
    """What a model declares about itself.

    graph: its random variables; None if it does not declare any
    game: its players; None for a model that is fitted in closed form or by EM
    """

    name: str
    family: str
    model: nn.Module
    graph: Graph | None
    game: Game[object] | None


def page(asked: Asked) -> Page:
    models = declared()
    families = list(dict.fromkeys(one.family for one in models))
    return Page(
        "Graphs",
        "A graph of random variables states how a joint distribution factorises. The graphs and "
        "the players on this page are drawn from what each model of ptheta declares.",
        [
            _statement(models, asked),
            _taxonomy(models),
            *(_family(name, [one for one in models if one.family == name]) for name in families),
        ],
        [
            "Goodfellow 2016, arXiv:1701.00160 (figure 9, the taxonomy)",
            "Pearl 1988; Koller & Friedman 2009 (the local Markov property of a directed graph)",
        ],
    )


@cache
def declared() -> tuple[Declared, ...]:
    """Every registered model, built with default options without memory for its weights."""
    found = []
    for name, entry in registry.models().items():
        model = example(name)
        if model is None:
            continue
        graph = model.graph() if isinstance(model, HasGraph) else None
        game = model.game() if isinstance(model, Plays) else None
        found.append(Declared(name, entry.family, model, graph, game))
    return tuple(found)


# -- what a graph states


def _statement(models: Sequence[Declared], asked: Asked) -> Section:
    rows = []
    for graph, names in _distinct(models).items():
        rows += _laws(f"`{names[0]}`", graph, asked.rng(names[0]))
    return Section(
        "What a graph states",
        [
            "Each variable is drawn given its parents, the variables from which solid arrows lead "
            "to it. The joint distribution is the product over the variables. It follows that a "
            "variable is independent of all others that are not its descendants, given its "
            "parents. A graph with fewer arrows needs fewer numbers: a table of n binary variables "
            "has $2^n - 1$, and the product has $2^k$ for a variable with k parents. Below, pa "
            "is the set of parents, and I the mutual information, which is 0 where variables are "
            "independent.",
            "Shaded circles are data, open ones latent variables, double ones functions of their "
            "parents, and tinted ones conditions that are given. A plate is a box whose content is "
            "repeated. Dashed red arrows are the inference model q, which is another factorisation "
            "and not part of p.",
            "The numbers fill each graph with random tables of binary variables, whatever kind of "
            "variables the model has.",
            "A player is a part of a model that is trained by an optimiser of its own, such as the "
            "generator and the discriminator of a GAN.",
        ],
        [
            "p(x_1, \\dots, x_n) = \\prod_i p(x_i | \\mathrm{pa}(x_i))",
            "I(x_i; \\text{non-descendants} | \\mathrm{pa}(x_i)) = 0",
        ],
        [Numbers(rows, "Laws of the distinct graphs")],
        "ptheta models vae --graph vae.png",
    )


def _distinct(models: Sequence[Declared]) -> dict[Graph, list[str]]:
    """The graphs that differ, and the models that declare them."""
    found: dict[Graph, list[str]] = {}
    for one in models:
        if one.graph is not None:
            found.setdefault(one.graph, []).append(one.name)
    return found


def _laws(name: str, graph: Graph, rng: np.random.Generator) -> list[Number]:
    """Of a joint of binary variables with random tables along the arrows."""
    order = graph.order()
    joint = filled(graph, rng)
    rows = [Number(f"{name}: sum of the joint probabilities", float(joint.sum()), 1.0, EXACT)]
    apart = [left for v in order if (left := information(graph, joint, v)) is not None]
    if apart:
        what = f"{name}: largest information of non-descendants, given the parents, nats"
        rows.append(Number(what, max(apart), 0.0, EXACT))
    return rows


def filled(graph: Graph, rng: np.random.Generator) -> np.ndarray:
    """A random joint of binary variables with the graph's generative arrows, an axis for each
    variable in `graph.order()`."""
    order = graph.order()
    joint = np.ones((2,) * len(order))
    for v in order:
        axes = [order.index(p) for p in graph.parents(v)]
        table = rng.dirichlet((1.0, 1.0), size=(2,) * len(axes))
        shape = [1] * len(order)
        for axis in (*axes, order.index(v)):
            shape[axis] = 2
        # the axes of the table in their order in the joint
        table = table.transpose(np.argsort([*axes, order.index(v)]))
        joint = joint * table.reshape(shape)
    return joint


def information(graph: Graph, joint: np.ndarray, name: str) -> float | None:
    """I(variable; other non-descendants | parents), nats; None where there are no others."""
    order = graph.order()
    below, parents = {name}, set(graph.parents(name))
    for v in order:
        if below & set(graph.parents(v)):
            below.add(v)
    others = [v for v in order if v not in below | parents]
    if not others:
        return None
    one, some, given = [name], others, sorted(parents)
    entropies = (
        _entropy(order, joint, [*one, *given]),
        _entropy(order, joint, [*some, *given]),
        -_entropy(order, joint, given),
        -_entropy(order, joint, [*one, *some, *given]),
    )
    return sum(entropies)


def _entropy(order: Sequence[str], joint: np.ndarray, names: Sequence[str]) -> float:
    """Of some variables, the others summed out."""
    p = joint.sum(tuple(i for i, v in enumerate(order) if v not in names))
    return float(-(p * np.log(p)).sum())


# -- the taxonomy


def _taxonomy(models: Sequence[Declared]) -> Section:
    every = leaves()
    held = [name for leaf in every for names in leaf.models.values() for name in names]
    rows = [(", ".join(leaf.path), leaf.about, _listed(leaf)) for leaf in every]
    return Section(
        "The taxonomy",
        [
            "Models differ in how they treat $p(x)$: with an explicit density, exact or "
            "approximate, with samples alone, or not as a distribution at all. The place of a "
            "model follows from what it can do (its capabilities); a model stands at the first "
            "leaf, from the top, that it qualifies for.",
        ],
        [],
        [
            Figure(_tree(every), "The tree, with every model at its leaf."),
            Table(("leaf", "what it has", "models"), rows, "The same in words", words=True),
            Numbers(
                [
                    Number("models at the leaves", len(held), len(registry.models())),
                    Number("of these, different ones", len(set(held)), len(registry.models())),
                ]
            ),
        ],
        "ptheta models --tree",
    )


def _listed(leaf: Leaf) -> str:
    """The models of a leaf by family."""
    families = (f"{f}: {', '.join(f'`{n}`' for n in names)}" for f, names in leaf.models.items())
    return "; ".join(families)


def _tree(every: Sequence[Leaf]) -> Callable[[], str]:
    texts, heights, top = dict[Place, str](), dict[Place, float](), 0.0
    for leaf in every:
        names = ", ".join(name for names in leaf.models.values() for name in names)
        lines = wrap(names, WIDEST)
        texts[leaf.path] = "\n".join(
            [f"{leaf.path[-1]} ({sum(map(len, leaf.models.values()))})", *lines]
        )
        heights[leaf.path] = top - (len(lines) + 1) / 2
        top -= len(lines) + 2

    def draw(axes: Sequence[Axes]) -> None:
        _branch(axes[0], TREE, (), heights, texts)
        axes[0].set(xlim=(-0.05, 5.2), ylim=(top, 0.6))
        axes[0].axis("off")

    return figure(draw, "The taxonomy of the models", width=7.6, height=-0.16 * top)


def _branch(
    axis: Axes,
    branch: Branch,
    path: Place,
    heights: Mapping[Place, float],
    texts: Mapping[Place, str],
) -> float:
    """Draws a branch with its twigs, and returns its height."""
    below = [_branch(axis, t, (*path, t.name), heights, texts) for t in branch.twigs]
    height = sum(below) / len(below) if below else heights[path]
    depth = len(path)
    for other in below:
        axis.plot([depth + 0.66, depth + 0.96], [height, other], color=COLOURS[0], lw=1)
    axis.text(depth, height, texts.get(path, branch.name), fontsize=8, va="center")
    return height


# -- the families


def _family(name: str, models: Sequence[Declared]) -> Section:
    parts: list[Part] = []
    for graph, names in _distinct(models).items():
        listed = ", ".join(f"`{n}`" for n in names)
        parts.append(Figure(_picture(graph), f"{listed}: {_words(graph)}"))
    playing = [one for one in models if one.game is not None]
    if playing:
        parts.append(
            Table(
                ("model", "players (parameters)", "who moves in a step"),
                [*map(_players, playing)],
                words=True,
            )
        )
        parts.append(Numbers([_owned(name, playing)]))
    fitted = ", ".join(f"`{one.name}`" for one in models if one.game is None)
    return Section(
        name.capitalize(),
        [f"Fitted in closed form or by EM, without players: {fitted}."] if fitted else [],
        [],
        parts,
        f"ptheta models {models[0].name} --graph {models[0].name}.png",
    )


def _picture(graph: Graph) -> Callable[[], str]:
    def drawn() -> str:
        return _svg(graph)

    return drawn


@cache
def _svg(graph: Graph) -> str:
    """On white also in dark mode: the fills of the circles have a meaning."""
    text = GROUP.sub("<g", graphs.draw(graph).decode())
    start = f'<svg role="img" aria-label="{escape(_arrows(graph))}" style="background:#fff"'
    return text[text.index("<svg") :].replace("<svg", start, 1)


def _arrows(graph: Graph) -> str:
    """The arrows in words, for readers who cannot see them."""
    kinds = {"": [a for a in graph.arrows if a.part != "inference"]}
    kinds["; dashed: "] = [a for a in graph.arrows if a.part == "inference"]
    said = [
        start + ", ".join(f"{a.source} to {a.target}" for a in arrows)
        for start, arrows in kinds.items()
        if arrows
    ]
    return f"Arrows {''.join(said)}" if said else f"{graph.order()[0]} alone, without arrows"


def _words(graph: Graph) -> str:
    """The generative factorisation in a formula, and what is a function of its parents."""
    factors, functions = [], []
    for v in graph.order():
        given, role = ", ".join(graph.parents(v)), graph.of(v).role
        if role == "deterministic" and given:
            functions.append(f", \\; {v} = {v}({given})")
        elif role != "given" and not _inferred_only(graph, v):
            factors.append(f"p({v} | {given})" if given else f"p({v})")
    return f"${' '.join(factors)}{''.join(functions)}$"


def _inferred_only(graph: Graph, name: str) -> bool:
    """Whether only arrows of the inference model touch a variable."""
    parts = {a.part for a in graph.arrows if name in (a.source, a.target)}
    return parts == {"inference"}


def _players(one: Declared) -> tuple[str, str, str]:
    """The players with the numbers of their parameters, and the moves of a step."""
    assert one.game is not None
    counts = {name: _parameters(p.parameters()) for name, p in one.game.players.items()}
    players = "; ".join(f"{name} ({count:,})" for name, count in counts.items())
    moves = [
        move.player if move.every == 1 else f"{move.player} every {move.every} steps"
        for move in one.game.moves
    ]
    return f"`{one.name}`", players, ", ".join(moves)


def _owned(family: str, playing: Sequence[Declared]) -> Number:
    held, trained = 0, 0
    for one in playing:
        assert one.game is not None
        players = one.game.players.values()
        held += _parameters({id(p): p for q in players for p in q.parameters()}.values())
        trained += _parameters(p for p in one.model.parameters() if p.requires_grad)
    return Number(
        f"{family}: trained parameters that belong to a player, all models",
        held,
        trained,
        how="theory: all parameters with a gradient",
    )


def _parameters(parameters: Iterable[nn.Parameter]) -> int:
    return sum(p.numel() for p in parameters)
