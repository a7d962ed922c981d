"""Every model says its random variables; the graphs are drawn."""

from __future__ import annotations

import pytest

from ptheta.capabilities import Encodes, HasConditionals, HasPosterior, HasPrior, Samples
from ptheta.errors import PthetaError
from ptheta.models.autoencoders.fitted import Fitted
from ptheta.models.graph import EXAMPLES, Arrow, Graph, Variable
from ptheta.report import graphs
from ptheta.specs import ImageSpec
from tests.conftest import MODELS, VECTORS, pairs, tiny

SPEC = ImageSpec(1, 16, 16, 2)
LATENT = {"latent", "deterministic"}


@pairs(MODELS, SPEC, VECTORS)
def test_a_graph_has_what_the_model_can_do(name, spec):
    model = tiny(name, spec)
    graph = model.graph()
    said = " ".join([*(v.what for v in graph.variables), *(a.law for a in graph.arrows)])
    assert spec == SPEC or ("image" not in said and "pixel" not in said)
    roles = {v.name: v.role for v in graph.variables}
    inferred = {a.target for a in graph.arrows if a.part == "inference"}
    assert "observed" in roles.values()
    assert all(EXAMPLES in v.plates for v in graph.variables)
    assert graph.order()
    assert (model.condition is not None) == ("given" in roles.values())
    if isinstance(model, HasPrior) and isinstance(model, Samples):
        assert "latent" in roles.values()
    if isinstance(model, HasPosterior):
        assert roles[next(iter(inferred))] == "latent"
    if isinstance(model, Encodes):
        assert any(roles[a.target] in LATENT for a in graph.arrows if a.source != "c")
    if isinstance(model, HasConditionals):
        assert all(role in ("observed", "given") for role in roles.values())


@pytest.mark.parametrize("name", ["vae", "cvae", "avb", "iwae", "infogan", "dae", "pixelcnn"])
def test_a_graph_is_drawn_without_overlap(name):
    graph = tiny(name, SPEC).graph()
    at = list(graphs.places(graph).values())
    assert len(set(at)) == len(at)
    drawn = graphs.draw(graph)
    assert drawn == graphs.draw(graph)
    assert drawn.lstrip().startswith(b"<?xml")
    assert graphs.draw(graph, ".png").startswith(b"\x89PNG")


def test_what_is_no_graph_is_refused():
    x, z = Variable("x", "observed", "data"), Variable("z", "latent", "code")
    for variables, arrows in (
        ((x, x), ()),
        ((x,), (Arrow("z", "x"),)),
        ((x, z), (Arrow("z", "x"), Arrow("x", "z"))),
    ):
        with pytest.raises(PthetaError):
            Graph(variables, arrows)
    both = Graph((x, z), (Arrow("z", "x"), Arrow("x", "z", "inference")))
    assert both.order() == ["z", "x"]
    assert both.order("inference") == ["x", "z"]
    assert Fitted.graph is not None
