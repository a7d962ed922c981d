"""Models with a likelihood on vectors: exact sums, the order of columns, missing cells."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

import ptheta
from ptheta import tasks
from ptheta.batch import Batch
from ptheta.capabilities import (
    Decodes,
    Discriminates,
    Encodes,
    HasBound,
    HasLogProb,
    Samples,
    some_conditions,
)
from ptheta.compute.streams import seeded
from ptheta.data.points.toys import toy
from ptheta.errors import PthetaError
from ptheta.metrics.likelihood import likelihood
from ptheta.models import registry
from ptheta.specs import Column, VectorSpec
from tests.conftest import VECTORS, config_options, examples, loaded, pairs, tiny

WORDS = VectorSpec(
    (
        Column("a", "category", ("x", "y", "z")),
        Column("k", "integer", low=2, high=5, center=3, scale=1.0),
        Column("b", "category", ("u", "v")),
    )
)
EVERY_ROW = torch.tensor(list(itertools.product(range(3), range(2, 6), range(2)))).float()
IN_ORDER = [
    ("made", {"hidden": (40,)}),
    ("made", {"hidden": ()}),
    ("made", {"hidden": (30, 20), "direct": True}),
    ("nade", {}),
    ("nade", {"likelihood": "logistic", "components": 2}),
]
MISSING = VectorSpec(
    (
        Column("height", center=1.7, scale=0.1, missing=True),
        Column("pet", "category", ("cat", "dog", "owl"), missing=True),
        Column("age", "integer", low=0, high=99, center=40, scale=20),
    )
)


def lively(name: str, spec: VectorSpec, **options: Any) -> Any:
    """A tiny model whose weights are all drawn."""
    model = tiny(name, spec, **options).eval()
    draw = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=draw))
    return model


@pytest.mark.parametrize("classes", [0, 2])
@pytest.mark.parametrize(("name", "options"), [*IN_ORDER, ("made", {"orders": 3})])
def test_rows_of_words_and_whole_numbers_sum_to_one(name, options, classes):
    model = lively(name, WORDS, classes=classes, **options)
    y = torch.ones(len(EVERY_ROW), dtype=torch.int64) if classes else None
    with torch.no_grad():
        total = model.log_prob(EVERY_ROW, y).exp().sum().item()
    assert total == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("classes", [0, 2])
@pytest.mark.parametrize(("name", "options"), IN_ORDER)
def test_a_column_sees_the_earlier_ones_and_the_sampler_draws_by_them(name, options, classes):
    model = lively(name, VECTORS, classes=classes, **options)
    x = examples(VECTORS, 5)
    y = torch.arange(5) % 2 if classes else None
    other = examples(VECTORS, 5, seed=8)
    with torch.no_grad():
        before = model.conditionals(x, y).log_prob(other)
        for column in range(VECTORS.dims):
            changed = x.clone()
            changed[:, column] = other[:, column]
            after = model.conditionals(changed, y).log_prob(other)
            assert torch.equal(after[:, : column + 1], before[:, : column + 1])
        if options.get("hidden") != ():
            assert (after - before).abs().sum() == 0  # nobody sees the last
            changed = x.clone()
            changed[:, 0] = other[:, 0]
            assert (model.conditionals(changed, y).log_prob(other) - before).abs().sum() > 0
        u = model.noise(5)
        drawn = model.sample_from_noise(u, y)
        again, passes = model.fixed_point_sample(u, y)
    torch.testing.assert_close(drawn, again, atol=1e-4, rtol=1e-4)
    assert passes <= VECTORS.dims
    VECTORS.check_drawn(drawn)


def test_an_ensemble_of_orders_is_the_mixture_of_its_members():
    model = lively("made", VECTORS, orders=3)
    x = VECTORS.check_drawn(model.sample(6))
    with torch.no_grad():
        each = [model.of_order(m, x).log_prob_of_example(x) for m in range(3)]
        wanted = torch.stack(each).logsumexp(0) - math.log(3)
        torch.testing.assert_close(model.log_prob(x), wanted)
    orders = {tuple(masks.order.tolist()) for masks in model.masks}
    assert len(orders) > 1


@pytest.mark.parametrize("name", ["made", "nade"])
def test_known_cells_that_come_first_are_conditioned_on_exactly(name):
    """Rows of two columns of words: draws given the first have the conditional's frequencies."""
    spec = VectorSpec((WORDS.columns[0], WORDS.columns[2]))
    model, n = lively(name, spec), 4000
    x = torch.full((n, 2), math.nan)
    x[:, 0] = 1
    known = torch.tensor([True, False]).expand(n, 2)
    with seeded(0):
        drawn = model.complete(x, known)
    assert (drawn[:, 0] == 1).all()
    rows = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    with torch.no_grad():
        wanted = model.log_prob(rows).softmax(0)[1].item()
    assert drawn[:, 1].mean().item() == pytest.approx(wanted, abs=5 * 0.5 / n**0.5)
    with pytest.raises(PthetaError, match="cells are missing"):
        model.complete(torch.full((1, 2), math.nan), known[:1])


def test_the_last_cell_is_met_by_resampling():
    """The first of two words given the second: nearer to exact, the more candidates."""
    spec = VectorSpec((WORDS.columns[0], WORDS.columns[2]))
    model, n = lively("made", spec), 4000
    x = torch.zeros(n, 2)
    x[:, 1] = 1
    known = torch.tensor([False, True]).expand(n, 2)
    rows = torch.tensor([[a, 1.0] for a in range(3)])
    with torch.no_grad():
        wanted = model.log_prob(rows).softmax(0)
    with seeded(0):
        drawn = model.complete(x, known, candidates=30)
    share = torch.bincount(drawn[:, 0].long(), minlength=3) / n
    torch.testing.assert_close(share, wanted, atol=0.04, rtol=0)


@pairs(["vae", "iwae", "cvae"], MISSING)
def test_missing_cells_are_left_out_of_the_likelihood_and_told_to_the_encoder(name, spec):
    model = lively(name, spec)
    x = examples(spec, 6)
    holes = x.clone()
    holes[::2, 0] = holes[1, 1] = math.nan
    y = torch.zeros(6, dtype=torch.int64) if model.condition is not None else None
    z = torch.randn(6, 3)
    p = model.likelihood(z, y)
    left = torch.where(holes.isnan(), 0.0, p.log_prob(x)).sum(1)
    torch.testing.assert_close(model.log_likelihood(holes, z, y), left)
    with torch.no_grad():
        told, filled = model.encode(holes, y), model.encode(spec.unscaled(spec.scaled(x) * 0), y)
    assert told.isfinite().all()
    assert not torch.allclose(told[0], filled[0])
    batch = Batch(holes, y)
    for term in model.loss(batch).values():
        assert term.isfinite().all()
        term.sum().backward(retain_graph=True)
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def able_to_learn_vectors() -> list[str]:
    return [name for name in registry.MODELS if VectorSpec in loaded(name).specs]


@pytest.mark.parametrize("name", able_to_learn_vectors())
def test_who_cannot_do_without_a_cell_names_the_columns_and_who_can(name):
    if loaded(name).takes_missing:
        tiny(name, MISSING)
        return
    with pytest.raises(
        PthetaError, match=r"height, pet: .* choose one of vae, iwae, cvae"
    ) as error:
        tiny(name, MISSING)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("prior", ["vamp", "flow"])
def test_learned_priors_are_of_vectors_as_well(prior):
    model = lively("vae", MISSING, prior=prior, pseudo_inputs=5)
    holes = examples(MISSING, 4)
    holes[0, 0] = math.nan
    assert model.elbo(holes).isfinite().all()
    MISSING.check_drawn(model.sample(3))


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("vae", {"net": "conv"}, "net = conv is for images"),
        ("ae", {"net": "resize"}, "net = resize is for images"),
        ("ae", {"loss": "cross-entropy"}, "cross-entropy needs grey values"),
        ("vae", {"likelihood": "bernoulli"}, "likelihood = bernoulli is for pixels"),
        ("made", {"likelihood": "categorical"}, "likelihood = categorical is for pixels"),
        ("vae", {"sigma": "shared"}, "sigma = shared is for pixels"),
    ],
)
def test_options_of_images_are_refused_before_anything_is_built(name, options, reason):
    config: object = ptheta.config.build(registry.entry(name).load_config(), options)
    said = loaded(name).unsupported(VECTORS, None, config)
    assert said is not None
    assert reason in said
    with pytest.raises(PthetaError, match=reason):
        ptheta.create(name, VECTORS, **options)


def test_a_density_may_lie_below_zero_nats_and_a_probability_may_not():
    points = ptheta.VectorDataset("p", "test", 1e-3 * torch.randn(30, 1).numpy(), NARROW)
    found = likelihood(tiny("made", NARROW), points)
    assert found is not None
    assert found.density
    assert found.nats < 0

    class Wrong(torch.nn.Module):
        def log_prob(self, x: torch.Tensor, condition: object = None) -> torch.Tensor:
            return torch.ones(len(x))

    rows = ptheta.VectorDataset("w", "test", EVERY_ROW.numpy(), WORDS)
    with pytest.raises(PthetaError, match="have probabilities"):
        likelihood(Wrong(), rows)


def test_a_prior_fitted_to_the_codes_of_an_autoencoder_gives_vectors():
    model = tiny("ae", VECTORS)
    with torch.no_grad():
        fitted = tasks.fit(model, model.encode(examples(VECTORS, 60)), components=2)
    VECTORS.check_drawn(fitted.sample(4))
    assert "image" not in fitted.graph().of("x").what


NARROW = VectorSpec((Column("x", scale=1e-3),))


@pytest.mark.parametrize("name", ["made", "nade"])
def test_a_mixture_of_gaussians_is_learned_to_its_entropy(name):
    """points-1d-pair: within 0.03 nats of the truth on the same points after 150 steps."""
    truth = toy("points-1d-pair")
    x = torch.from_numpy(truth.split("train")[0])
    spec = VectorSpec((Column("x", center=float(x.mean()), scale=float(x.std())),))
    hidden = {"hidden": (16,)} if name == "made" else {"hidden": 16}
    model = tiny(name, spec, components=4, **hidden)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    for step in range(150):
        loss = model.loss(Batch(x[step * 100 : step * 100 + 500]))["nll"].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    test = torch.from_numpy(truth.split("test")[0])
    with torch.no_grad():
        gap = (truth.log_density(test) - model.log_prob(test)).mean().item()
    assert gap + 0.005 >= 0
    assert gap < 0.03


def test_components_are_the_same_option_everywhere():
    for name in ("vae", "iwae", "cvae", "avb", "made", "nade"):
        assert "components" in config_options(name)


ASKED: dict[type, Callable[[Any, torch.Tensor, Any], torch.Tensor]] = {
    HasLogProb: lambda model, x, condition: model.log_prob(x, condition),
    HasBound: lambda model, x, condition: model.elbo(x, condition),
    Encodes: lambda model, x, condition: model.encode(x, condition),
    Discriminates: lambda model, x, condition: model.discriminate(x, condition),
}


@pytest.mark.parametrize("name", able_to_learn_vectors())
def test_no_cell_is_taken_for_0_that_was_never_missing_in_training(name):
    """Whatever a model says of rows: a cell of a column that was whole is told of, not filled."""
    x = examples(VECTORS, 4)
    x[1, 0] = math.nan
    model = tiny(name, VECTORS).eval()
    condition = some_conditions(model, 4)
    for capability, ask in ASKED.items():
        if isinstance(model, capability):
            with pytest.raises(PthetaError, match="missing"):
                ask(model, x, condition)


@pytest.mark.parametrize("name", ["vae", "iwae", "cvae"])
def test_a_column_that_lacked_cells_excuses_no_other(name):
    spec = VectorSpec((Column("age", missing=True), Column("height")))
    model = tiny(name, spec).eval()
    condition = some_conditions(model, 4)
    x = torch.zeros(4, 2)
    x[1, 0] = math.nan
    assert model.elbo(x, condition).isfinite().all()
    x[2, 1] = math.nan
    with pytest.raises(PthetaError, match="cells of height are missing, but were complete"):
        model.elbo(x, condition)


@pytest.mark.parametrize("name", able_to_learn_vectors())
def test_weights_that_are_no_numbers_draw_nothing_that_looks_fine(name):
    """Of words alone: an argmax of NaN is some word."""
    words = VectorSpec(
        (Column("pet", "category", ("cat", "dog")), Column("b", "category", ("x", "y", "z")))
    )
    model = tiny(name, words).eval()
    for p in model.parameters():
        p.data.fill_(math.nan)
    drawn = []
    try:
        asked = some_conditions(model, 4)
        if isinstance(model, Samples):
            drawn.append(model.sample(4, asked))
        if isinstance(model, Encodes) and isinstance(model, Decodes):
            drawn.append(model.decode(model.encode(examples(words, 4), asked), asked))
    except (PthetaError, ValueError, RuntimeError):  # torch refuses to draw from NaN
        return
    assert drawn
    for x in drawn:
        with pytest.raises(PthetaError, match="NaN"):
            words.check_drawn(x)
