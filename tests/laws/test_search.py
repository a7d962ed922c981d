"""A GAN completes an example by the code whose example agrees with what is known."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ptheta import tasks
from ptheta.compute.streams import own
from ptheta.errors import PthetaError
from ptheta.models import registry
from ptheta.models.adversarial.pair import Pair
from ptheta.models.adversarial.search import searched
from ptheta.specs import ImageSpec
from tests.conftest import MODELS, VECTORS, conditions, examples, pairs, tiny
from tests.laws.autoregressive import lively

SEARCHING = [m for m in MODELS if issubclass(registry.entry(m).load_model(), Pair)]
SPEC = ImageSpec(1, 8, 8)


class Linear(nn.Module):
    """Codes to images by a matrix, in the place of a generator."""

    def __init__(self, latent: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.matrix = torch.randn(latent, *shape) / (4 * latent**0.5)

    def forward(self, z: Tensor, drawn: bool = True) -> Tensor:
        return torch.einsum("bl,lchw->bchw", z, self.matrix)


@pytest.fixture
def linear() -> Any:
    """A GAN that can be inverted."""
    model = tiny("dcgan", SPEC, search_steps=120).eval()
    made = Linear(6, SPEC.shape)
    model.generate = lambda z, condition=None, drawn=True: made(z)
    return model


def truth(model: Any, n: int) -> Tensor:
    torch.manual_seed(3)
    return model.spec.unscaled(model.generate(torch.randn(n, 6)))


def test_the_code_that_made_an_image_is_found(linear):
    x = truth(linear, 2)
    known = ~tasks.region("centre", SPEC).expand(x.shape)
    done = tasks.inpaint(linear, x.masked_fill(~known, 0), known, seed=1)
    assert torch.equal(done[known], x[known])
    assert (done.int() - x.int()).abs().max() <= 1
    with own(1, range(2)):
        z = searched(linear, x.masked_fill(~known, 0), known, None, 1).z
    gap = linear.spec.unscaled(linear.generate(z)).int() - x.int()
    assert gap.abs().max() <= 1


def objectives(model: Any, x: Tensor, known: Tensor, restarts: int) -> Tensor:
    with own(5, range(len(x))):
        return searched(model, x, known, conditions(model, len(x)), restarts).objective


@pytest.mark.parametrize("name", ["dcgan", "infogan", "wgan-gp"])
def test_more_restarts_and_more_steps_never_make_it_worse(name):
    model, x = lively(name, SPEC), examples(SPEC, 3)
    known = torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) < 0.5
    by_restarts = [objectives(model, x, known, k) for k in (1, 8)]
    assert all((b <= a).all() for a, b in pairwise(by_restarts))
    by_steps = []
    for steps in (0, 40):
        model.search_steps = steps
        by_steps.append(objectives(model, x, known, 8))
    assert (by_steps[1] < by_steps[0]).all()


def context(model: Any, x: Tensor, known: Tensor, made: Tensor) -> Tensor:
    gap = (model.spec.scaled(made) - model.spec.scaled(x)).abs() * known
    return gap.flatten(1).sum(1) / known.flatten(1).sum(1)


def test_a_search_is_nearer_than_the_nearest_of_many_samples():
    model, n = lively("dcgan", SPEC, search_steps=60), 200
    with torch.no_grad():
        x = model.sample(3)
        known = ~tasks.region("lower", SPEC).expand(x.shape)
        drawn = model.sample(n)
        nearest = torch.stack([context(model, x, known, s.expand(3, -1, -1, -1)) for s in drawn])
        with own(5, range(3)):
            z = searched(model, x, known, None, 4).z
        assert (context(model, x, known, model.decode(z)) < nearest.min(0).values).all()


@pairs(SEARCHING, SPEC, VECTORS)
def test_a_completion_depends_on_the_seed_and_the_number_of_its_example_alone(name, spec):
    """To the bit, whatever stands beside it."""
    model, x = lively(name, spec, search_steps=2), examples(spec, 3)
    known = torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) < 0.5
    y = conditions(model, 3)

    def done(seed: int, rows: list[int]) -> Tensor:
        own_y = None if y is None else y[torch.tensor(rows)]
        with own(seed, rows):
            return model.complete(x[rows], known[rows], own_y, 1)

    whole = done(1, [0, 1, 2])
    assert torch.equal(done(1, [2, 0]), whole[[2, 0]])
    if spec is SPEC:  # a few rows may be met best by the same words and whole numbers
        assert not torch.equal(done(2, [0, 1, 2]), whole)


def test_how_long_is_searched_is_asked_for():
    model, x = lively("dcgan", SPEC), examples(SPEC, 2)
    known, before = ~tasks.region("centre", SPEC), model.search_steps
    few, many = (tasks.inpaint(model, x, known, search_steps=n) for n in (0, 20))
    assert not torch.equal(few, many)
    assert model.search_steps == before
    with pytest.raises(PthetaError, match="completes without a search: leave it out"):
        tasks.inpaint(tiny("vae", SPEC), x, known, search_steps=5)
    with pytest.raises(PthetaError, match="want 0 or more"):
        tasks.inpaint(model, x, known, search_steps=-1)
