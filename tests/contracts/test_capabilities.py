"""One contract for each capability, over the whole registry."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ptheta.capabilities import CAPABILITIES, capabilities, some_conditions
from ptheta.corruption import NOISES
from ptheta.errors import PthetaError
from ptheta.models import registry
from ptheta.specs import DataSpec, ImageSpec
from tests.conftest import MODELS, VECTORS, examples, pairs, tiny

SPECS = [ImageSpec(1, 16, 16, 2), ImageSpec(3, 16, 18, 256)]


def able(capability: str) -> list[str]:
    return [m for m in MODELS if capability in capabilities(registry.entry(m).load_model())]


def over(capability: str):
    """Every model that has it, on grey binary and on colour images, and on vectors."""
    return pairs(able(capability), *SPECS, VECTORS)


def seeded_eval(name: str, spec: DataSpec):
    model = tiny(name, spec).eval()
    torch.manual_seed(7)
    return model


@pairs(MODELS, SPECS[0], VECTORS)
def test_every_model_can_something_and_says_so(name, spec):
    model = tiny(name, spec)
    assert set(capabilities(model)) <= set(CAPABILITIES)
    assert capabilities(model) == capabilities(type(model))
    assert capabilities(model)
    assert model.spec == spec
    assert model.condition is None or model.condition.kind in model.takes


@over("denoises")
def test_denoises(name, spec):
    if not isinstance(spec, ImageSpec):
        return
    model = seeded_eval(name, spec)
    x = examples(spec, 3)
    with torch.no_grad():
        for noise in NOISES:
            made = model.denoise(x, noise, 0.5, some_conditions(model, 3))
            assert made.shape == x.shape
            assert made.dtype == torch.uint8
            assert torch.equal(model.denoise(x, noise, 0.0, some_conditions(model, 3)), x)


@over("samples")
def test_samples(name, spec):
    model = seeded_eval(name, spec)
    with torch.no_grad():
        y = some_conditions(model, 4)
        x = model.sample(4, y)
        torch.manual_seed(7)
        again = model.sample(4, y)
    assert x.shape == (4, *spec.shape)
    assert torch.equal(spec.check_drawn(x), x)
    assert torch.equal(x, again)
    assert len(x.flatten(1).unique(dim=0)) > 1


def check_score(score, x):
    """(B,) finite nats, a number of each image alone."""
    values = score(x)
    assert values.shape == (len(x),)
    assert values.isfinite().all()
    return values


@over("log_prob")
def test_log_prob(name, spec):
    model, x = seeded_eval(name, spec), examples(spec, 5)
    with torch.no_grad():
        values = check_score(model.log_prob, x)
        torch.testing.assert_close(model.log_prob(x.flip(0)), values.flip(0), rtol=1e-4, atol=1e-3)
        torch.testing.assert_close(model.log_prob(x[:1]), values[:1], rtol=1e-4, atol=1e-3)
    assert not spec.discrete or (values < 0).all()


@over("log_prob_estimate")
def test_log_prob_estimate(name, spec):
    model, x = seeded_eval(name, spec), examples(spec, 3)
    y = some_conditions(model, len(x))
    found = check_score(lambda x: model.log_prob_estimate(x, y).value, x)
    again = model.log_prob_estimate(x, y)
    assert again.noise.shape == again.bias.shape == found.shape
    assert (again.noise >= 0).all()
    assert again.bias.isfinite().all()
    assert model.estimated_by()


@over("steps")
def test_steps(name, spec):
    model = seeded_eval(name, spec)
    y = some_conditions(model, 3)
    made = [model.sample_in_steps(3, steps, None, y) for steps in (1, 2)]
    assert all(torch.equal(spec.check_drawn(x), x) for x in made)
    assert not torch.equal(*made)


@over("bound")
def test_bound(name, spec):
    model, x = seeded_eval(name, spec), examples(spec, 5)
    y = some_conditions(model, len(x))
    with torch.no_grad():
        elbo = torch.stack([check_score(lambda x: model.elbo(x, y), x) for _ in range(20)])
        tighter = check_score(lambda x: model.importance_bound(x, 20, y), x)
        torch.manual_seed(1)
        total = model.elbo(x, y)
        torch.manual_seed(1)
        terms = model.bound_terms(x, y)
    assert all(term.shape == (len(x),) for term in terms.values())
    torch.testing.assert_close(-sum(terms.values()), total)
    assert (tighter >= elbo.mean(0) - 3 * elbo.std(0)).all()


@over("conditionals")
def test_conditionals(name, spec):
    model, x = seeded_eval(name, spec), examples(spec, 5)
    with torch.no_grad():
        p = model.conditionals(x)
        assert p.shape == x.shape
        torch.testing.assert_close(p.log_prob(x).flatten(1).sum(1), model.log_prob(x))


@over("completes")
def test_completes(name, spec):
    model, x = seeded_eval(name, spec), examples(spec, 2)
    known = torch.zeros(x.shape, dtype=torch.bool)
    known.view(2, spec.shape[0], -1)[:, : spec.shape[0] // 2 + 1, : spec.dims // 4] = True
    known[:, ..., -1] = True  # some that come late
    y = some_conditions(model, 2)
    for candidates in (1, 2):
        filled = model.complete(x, known, y, candidates)
        assert filled.shape == x.shape
        assert torch.equal(filled[known], x[known])
        assert torch.equal(spec.check_drawn(filled), filled)


@over("encodes")
def test_encodes(name, spec):
    model, x = seeded_eval(name, spec), examples(spec, 5)
    y = some_conditions(model, len(x))
    one = None if y is None else y[2:3]
    with torch.no_grad():
        z = model.encode(x, y)
        torch.testing.assert_close(model.encode(x[2:3], one), z[2:3], rtol=1e-4, atol=1e-4)
    assert z.ndim == 2
    assert len(z) == len(x)
    assert z.is_floating_point()
    if "prior" in capabilities(model):
        assert z.shape == model.sample_latent(len(x), y).shape
    if "posterior" in capabilities(model):
        with torch.no_grad():
            q = model.posterior(x, y)
        torch.testing.assert_close(q.mean, z)
        assert q.log_var.shape == z.shape


@over("decodes")
def test_decodes(name, spec):
    model = seeded_eval(name, spec)
    y = some_conditions(model, 5)
    with torch.no_grad():
        if "prior" in capabilities(model):
            z = model.sample_latent(5, y)
        else:
            z = model.encode(examples(spec, 5), y)
        x = model.decode(z, y)
        assert torch.equal(model.decode(z, y), x)
    assert x.shape == (5, *spec.shape)
    assert torch.equal(spec.check(x), x)


@over("generates")
def test_generates(name, spec):
    """What is decoded, before it is rounded, with gradients in z."""
    model = seeded_eval(name, spec)
    y = some_conditions(model, 4)
    with torch.no_grad():
        if "prior" in capabilities(model):
            z = model.sample_latent(4, y)
        else:
            z = model.encode(examples(spec, 4), y)
        x = model.decode(z, y)
    z.requires_grad_()
    made = model.generated(z, y)
    assert made.shape == (4, *spec.scaled_shape)
    # the mean of pixels of few levels has them all
    levels = (spec, replace(spec, levels=256)) if isinstance(spec, ImageSpec) else (spec,)
    rounded = [one.unscaled(made.detach()) for one in levels]
    assert any(torch.allclose(one.float(), x.float(), 1e-4, 1, True) for one in rounded)
    (slope,) = torch.autograd.grad(made.nan_to_num().square().sum(), z)
    assert slope.isfinite().all()
    assert slope.any()


@over("joint")
def test_joint(name, spec):
    """log p(z) and log p(x | z) of each pair, with gradients in z."""
    model, x = seeded_eval(name, spec), examples(spec, 5)
    y = some_conditions(model, len(x))
    z = model.sample_latent(len(x), y).detach().requires_grad_()
    prior, likelihood = model.log_prior(z, y), model.log_likelihood(x, z, y)
    assert prior.shape == likelihood.shape == (len(x),)
    (grad,) = torch.autograd.grad((prior + likelihood).sum(), z)
    assert grad.isfinite().all()
    assert grad.abs().sum() > 0


@over("discriminates")
def test_discriminates(name, spec):
    model, x = seeded_eval(name, spec), examples(spec, 5)
    y = some_conditions(model, len(x))
    with torch.no_grad():
        d = check_score(lambda x: model.discriminate(x, y), x)
        few = model.discriminate(x[:2], None if y is None else y[:2])
        torch.testing.assert_close(few, d[:2], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("capability", ["log_prob", "bound", "encodes", "discriminates"])
def test_images_of_another_size_are_refused_in_one_line(capability):
    method = {"bound": "elbo", "encodes": "encode", "discriminates": "discriminate"}
    for name in able(capability):
        model = tiny(name, SPECS[0])
        for wrong in (
            torch.zeros(2, 3, 16, 16, dtype=torch.uint8),
            torch.zeros(2, 1, 16, 16),
            torch.zeros(2, 1, 9, 16, dtype=torch.uint8),
        ):
            y = some_conditions(model, 2)
            call = getattr(model, method.get(capability, capability))
            with pytest.raises(PthetaError, match="this model takes uint8") as error:
                call(wrong) if y is None else call(wrong, y)
            assert "\n" not in str(error.value)


def test_conditional_pixelcnn_asks_for_its_labels():
    model = tiny("pixelcnn", SPECS[0], classes=3)
    with pytest.raises(PthetaError, match="conditional on labels and got none"):
        model.log_prob(examples(SPECS[0], 5))
