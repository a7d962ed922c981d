"""The page of graphs: what a graph states holds for its tables, and not for others."""

from __future__ import annotations

import numpy as np

from ptheta.lab.pages.graphs import _distinct, _inferred_only, _words, declared, filled, information
from ptheta.models import registry
from ptheta.models.graph import Arrow, Graph, Variable


def _graph(*arrows: str) -> Graph:
    names = dict.fromkeys("".join(arrows))
    variables = tuple(Variable(name, "observed", "bit") for name in names)
    return Graph(variables, tuple(Arrow(*pair) for pair in arrows))


def test_a_variable_is_independent_of_what_is_not_below_it_given_its_parents():
    rng = np.random.default_rng(0)
    chain = _graph("ab", "bc", "cd")
    joint = filled(chain, rng)
    assert np.isclose(joint.sum(), 1)
    for name in "cd":
        assert abs(information(chain, joint, name) or 0.0) < 1e-12
    assert information(chain, joint, "a") is None
    whole = filled(_graph("ab", "ac", "ad", "bc", "bd", "cd"), rng)  # no independence
    assert (information(chain, whole, "d") or 0.0) > 1e-3


def test_tables_follow_the_arrows_whatever_their_order():
    """p(c | a, b) is read with its axes in the order of the parents."""
    graph = Graph(
        tuple(Variable(name, "observed", "bit") for name in "cab"),
        (Arrow("b", "c"), Arrow("a", "c")),
    )
    joint = filled(graph, np.random.default_rng(1))
    order = graph.order()
    alone = joint.sum(order.index("c"))
    assert np.allclose(alone, np.outer(alone.sum(1), alone.sum(0)))


def test_every_model_is_on_the_page():
    models = declared()
    assert [one.name for one in models] == list(registry.models())
    assert sum(map(len, _distinct(models).values())) == len(models)
    assert all(one.game is not None or hasattr(one.model, "fit") for one in models)


def test_formulas_leave_out_what_only_inference_uses():
    graphs = {one.name: one.graph for one in declared() if one.graph is not None}
    assert _words(graphs["avb"]) == "$p(z) p(x | z)$"
    assert _inferred_only(graphs["avb"], "e")
    assert _words(graphs["ae"]) == "$p(x), \\; z = z(x), \\; \\hat{x} = \\hat{x}(z)$"
    assert _words(graphs["gaussian"]) == "$p(x)$"
