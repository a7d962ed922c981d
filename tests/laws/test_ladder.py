"""Ladder VAE: layers of codes, their KL, and bounds, against densities of torch."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import distributions as D

import ptheta
from ptheta.batch import Batch
from ptheta.distributions.latents import Normal
from ptheta.errors import PthetaError
from ptheta.metrics.layers import layer_kl
from ptheta.models.variational.ladder_vae import combined
from ptheta.specs import ImageSpec
from tests.conftest import VECTORS, examples, pairs, tiny
from tests.contracts.test_tasks import bars

SPEC = ImageSpec(1, 4, 4, 2)
WAYS = pytest.mark.parametrize("bottom_up", [False, True], ids=["ladder", "plain"])


def density(q: Normal) -> Any:
    return D.Independent(D.Normal(q.mean, (0.5 * q.log_var).exp()), 1)


def test_combined_is_the_normalised_product_of_two_gaussians():
    a = Normal(torch.tensor([[1.0]]), torch.tensor([[0.3]]))
    b = Normal(torch.tensor([[-2.0]]), torch.tensor([[-0.9]]))
    z = torch.linspace(-12, 12, 20_001)[:, None]
    product = (density(a).log_prob(z) + density(b).log_prob(z)).exp()
    wanted = product / torch.trapezoid(product, z[:, 0])
    torch.testing.assert_close(density(combined(a, b)).log_prob(z).exp(), wanted)


@WAYS
@pytest.mark.parametrize("layers", [(3, 2), (4, 3, 2), (3, 2, 2, 2, 1)])
def test_the_kl_of_layers_adds_up_to_the_kl(bottom_up, layers):
    """The mean over draws of log q(z | x) - log p(z), from densities of torch, is the sum of the
    layers' parts; and so is the term that is trained on."""
    model = tiny("ladder-vae", SPEC, layers=layers, bottom_up=bottom_up).eval()
    x = examples(SPEC, 1).repeat(6000, 1, 1, 1)
    with torch.no_grad():
        drawn = model.infer(x)
        log_q = sum(density(q).log_prob(z) for q, z in zip(drawn.q, drawn.z, strict=True))
        log_p = D.Normal(0.0, 1.0).log_prob(drawn.z[-1]).sum(1)
        for i in range(len(layers) - 1):
            log_p = log_p + density(model.above(i, drawn.z[i + 1])).log_prob(drawn.z[i])
        torch.testing.assert_close(model.log_prior(torch.cat(drawn.z, 1)), log_p)
        torch.testing.assert_close(drawn.log_ratio(), log_p - log_q)
        parts = model.layer_kl(x)
        terms = model.bound_terms(x)
        logged = Batch(x[:50])
        loss = model.loss(logged)
    assert parts.shape == (6000, len(layers))
    kl = log_q - log_p
    for other in (parts.sum(1), terms["kl"]):
        slack = 4 * math.hypot(other.std().item(), kl.std().item()) / math.sqrt(6000)
        assert abs(other.mean() - kl.mean()).item() < slack
    every = torch.stack([logged.logs[f"kl_{i + 1}"] for i in range(len(layers))], 1)
    torch.testing.assert_close(every.sum(1), loss["kl"].sum(1))


@WAYS
def test_the_bounds_are_in_their_order(bottom_up):
    """E[ELBO] <= E[IWAE-5] <= log p, which many samples of the prior give."""
    model = tiny("ladder-vae", SPEC, layers=(2, 2), bottom_up=bottom_up).eval()
    x = examples(SPEC, 3)
    many = x.repeat(1500, 1, 1, 1)
    with torch.no_grad():
        elbo = model.elbo(many).view(1500, 3)
        iwae = model.importance_bound(many, 5).view(1500, 3)
        z = model.sample_latent(40_000)
        log_p = torch.stack(
            [model.log_likelihood(one[None].expand(40_000, -1, -1, -1), z) for one in x]
        )
        truth = log_p.logsumexp(1) - math.log(40_000)
        tight = model.importance_bound(x, 20_000)
    assert (elbo.mean(0) < iwae.mean(0)).all()
    assert (iwae.mean(0) < tight + 4 * iwae.std(0) / math.sqrt(1500)).all()
    torch.testing.assert_close(tight, truth, atol=0.05, rtol=0)


def test_a_ladder_whose_data_say_nothing_has_the_prior_in_lower_layers():
    """Precision 0 from below: q(z_1 | z_2, x) is p(z_1 | z_2), and the KL of layer 1 is 0."""
    model = tiny("ladder-vae", SPEC, layers=(3, 2)).eval()
    with torch.no_grad():
        model.up[0].variance.weight.zero_()
        model.up[0].variance.bias.fill_(1e8)
        model.up[0].mean.weight.zero_()
        parts = model.layer_kl(examples(SPEC, 5))
    assert parts[:, 0].abs().max() < 1e-4
    assert parts[:, 1].min() > 0


@pairs(["ladder-vae"], SPEC, ImageSpec(3, 5, 6, 256), VECTORS)
def test_codes_of_all_layers(name, spec):
    model = tiny(name, spec, batch_norm=True).train()
    x = examples(spec, 6)
    model.loss(Batch(x))  # statistics of batch normalisation
    model.eval()
    with torch.no_grad():
        z = model.encode(x)
        assert z.shape == (6, 6)
        torch.testing.assert_close(model.encode(x[:2]), z[:2])
        assert model.decode(z).shape == x.shape
        upper = z.clone()
        upper[:, 4:] += 1  # given z_1, x does not depend on what is above
        assert torch.equal(model.decode(z), model.decode(upper))
        torch.testing.assert_close(
            model.log_likelihood(x, z), model.likelihood(z[:, :4]).log_prob_of_example(x)
        )


def test_what_is_no_ladder_is_refused():
    for layers in ((4,), (4, 4, 4, 4, 4, 4)):
        with pytest.raises(PthetaError, match="layers of codes: give 2 to 5"):
            tiny("ladder-vae", SPEC, layers=layers)


def test_the_report_is_the_mean_over_examples_and_a_vae_has_one_layer():
    spec = ImageSpec(1, 8, 8, 2)
    model, data = tiny("ladder-vae", spec).eval(), bars(300)
    found = layer_kl(model, data, "ladder", n=250, seed=3)
    assert found.n == 250
    assert sum(found.kl) == pytest.approx(found.total)
    torch.manual_seed(3)
    with torch.no_grad():
        wanted = model.layer_kl(data.batch(slice(0, 250)).x).mean(0)
    assert found.kl == pytest.approx(wanted.tolist(), rel=0.2)
    vae = tiny("vae", spec).eval()
    one = layer_kl(vae, data, "vae", n=250)
    with torch.no_grad():
        kl = vae.bound_terms(data.batch(slice(0, 250)).x)["kl"]
    assert one.kl == pytest.approx([kl.mean().item()], rel=1e-5)
    assert one.errors == pytest.approx([kl.std().item() / math.sqrt(250)], rel=1e-4)
    with pytest.raises(PthetaError, match="cannot say what its layers of codes carry"):
        layer_kl(tiny("ae", spec), data, "ae")
    with pytest.raises(PthetaError, match="at least two examples"):
        layer_kl(model, data, "ladder", n=1)


def test_a_run_that_goes_on_is_the_same_to_the_bit(tmp_path, strokes):
    small: dict[str, Any] = {
        "hidden": (8,),
        "units": (8,),
        "layers": (4, 2),
        "batch_norm": True,
        "batch_size": 16,
    }
    whole = ptheta.train("ladder-vae", strokes, tmp_path / "a", steps=8, **small)
    ptheta.train("ladder-vae", strokes, tmp_path / "b", steps=4, **small)
    resumed = ptheta.train("ladder-vae", strokes, tmp_path / "b", resume=True, steps=8)
    a, b = (run.model().state_dict() for run in (whole, resumed))
    assert all(torch.equal(a[key], b[key]) for key in a)
    found = ptheta.layers([whole, resumed], 20)
    first, second = found.runs
    assert first.kl == second.kl
