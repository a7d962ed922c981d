"""Autoencoders and their hybrids: PCA, penalties against full Jacobians, losses in closed form."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch.nn.functional import softplus

from ptheta.batch import Batch
from ptheta.corruption import corrupt
from ptheta.errors import PthetaError
from ptheta.games import Clock
from ptheta.losses.adversarial import log_odds
from ptheta.models.autoencoders.ae import PIXEL_ERRORS
from ptheta.nets.coders import CODERS
from ptheta.specs import ImageSpec, to_symmetric, to_unit
from tests.conftest import tiny

SPEC = ImageSpec(1, 16, 16)


def images(n: int = 6, spec: ImageSpec = SPEC) -> torch.Tensor:
    torch.manual_seed(5)
    return torch.randint(0, 256, (n, *spec.shape), dtype=torch.uint8)


def test_a_linear_autoencoder_with_squared_error_spans_the_principal_subspace():
    spec, n, k = ImageSpec(1, 4, 5), 300, 3
    torch.manual_seed(0)
    factors = torch.randn(n, k) @ torch.diag(torch.tensor([40.0, 25.0, 15.0])) @ torch.randn(k, 20)
    noisy = 128 + 0.2 * factors + 2 * torch.randn(n, 20)
    x = noisy.round().clamp(0, 255).byte().view(n, *spec.shape)
    model = tiny("ae", spec, net="linear", latent=k)
    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=2000, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        loss = model.terms(Batch(x))["reconstruction"].mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    centred = to_unit(x).flatten(1) - to_unit(x).flatten(1).mean(0)
    _, _, v = torch.linalg.svd(centred, full_matrices=False)
    linear = model.decoder[0][0]
    basis, _ = torch.linalg.qr(linear.weight.detach())
    cosines = torch.linalg.svdvals(basis.T @ v[:k].T)  # of the principal angles
    assert cosines.min() > 0.999
    best = (centred - centred @ v[:k].T @ v[:k]).square().sum(1).mean()
    assert closure().item() == pytest.approx(best.item(), rel=1e-3)


def test_the_contractive_penalty_is_the_jacobian_in_expectation():
    model = tiny("ae", ImageSpec(1, 4, 4), contractive=1.0)
    s = to_symmetric(images(2, ImageSpec(1, 4, 4))).requires_grad_()
    torch.manual_seed(0)
    draws = torch.stack([model.contraction(s, model.encoder(s)).detach() for _ in range(4000)])
    jacobian = torch.autograd.functional.jacobian(lambda t: model.encoder(t), s)
    wanted = torch.stack([jacobian[i, :, i].square().sum() for i in range(2)])
    assert ((draws.mean(0) - wanted).abs() < 4 * draws.std(0) / math.sqrt(4000)).all()
    terms = model.terms(Batch(images(2, ImageSpec(1, 4, 4))))
    terms["contraction"].sum().backward()
    assert all(p.grad is not None for p in model.encoder.parameters() if p.ndim == 2)


@pytest.mark.parametrize("loss", ["squared", "cross-entropy"])
def test_the_error_is_a_sum_over_pixels(loss):
    model = tiny("ae", SPEC, loss=loss)
    out, x = torch.zeros(1, 1, 16, 16), torch.full((1, 1, 16, 16), 255, dtype=torch.uint8)
    wanted = 256 * (1.0 if loss == "squared" else math.log(2))
    assert model.errors(out, x).item() == pytest.approx(wanted)


@pytest.mark.parametrize("loss", PIXEL_ERRORS)
def test_an_error_falls_towards_the_pixel(loss):
    """Its slope has the sign of what the decoder says less what is there."""
    error, u = PIXEL_ERRORS[loss], torch.linspace(0.1, 0.9, 9)[:, None]
    out = torch.linspace(-2, 2, 40).expand(9, 40).clone().requires_grad_()
    error.loss(out, u.expand_as(out)).sum().backward()
    assert out.grad is not None
    assert torch.equal(out.grad.sign(), (error.to_unit(out.detach()) - u).sign())


@pytest.mark.parametrize("net", CODERS)
@pytest.mark.parametrize("name", ["ae", "vae", "vae-gan"])
def test_every_network_takes_odd_sizes_and_colours(name, net):
    spec = ImageSpec(3, 19, 26)
    model = tiny(name, spec, net=net).eval()
    x = images(2, spec)
    with torch.no_grad():
        assert model.decode(model.encode(x)).shape == x.shape


def test_noises_do_what_they_say():
    x = torch.full((40, 1, 32, 32), 102, dtype=torch.uint8)
    torch.manual_seed(0)
    g = corrupt(x, "gaussian", 0.1).float()
    assert g.mean().item() == pytest.approx(102, abs=0.5)
    assert g.std().item() == pytest.approx(25.5, abs=0.5)
    m = corrupt(x, "masking", 0.3)
    assert set(m.unique().tolist()) == {0, 102}
    assert (m == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    s = corrupt(x, "salt-and-pepper", 0.4)
    assert set(s.unique().tolist()) == {0, 102, 255}
    assert (s == 255).float().mean().item() == pytest.approx(0.2, abs=0.01)
    assert torch.equal(corrupt(x, "gaussian", 0.0), x)
    with pytest.raises(PthetaError, match="did you mean 'masking'"):
        corrupt(x, "maskin", 0.1)


def test_a_denoising_autoencoder_is_shown_damage_and_asked_for_the_clean_image():
    model = tiny("dae", SPEC, noise="masking", level=1.0)
    x = images()
    assert (model.corrupted(x) == 0).all()
    out = model.decoder(model.encoder(to_symmetric(torch.zeros_like(x))))
    torch.testing.assert_close(model.terms(Batch(x))["reconstruction"], model.errors(out, x))


def test_log_odds_is_minus_log_d_plus_log_one_minus_d():
    d = torch.linspace(-8, 8, 9).double()
    wanted = -torch.log(d.sigmoid()) + torch.log(1 - d.sigmoid())
    torch.testing.assert_close(log_odds(d), wanted)


def played(name: str):
    """A model in eval mode (so that a batch's statistics play no part) and a step's batch."""
    model = tiny(name, SPEC).eval()
    batch = Batch(images())
    game = model.game()
    shared = game.prepare(batch, Clock(1, frozenset(game.players)))
    return model, batch, {m.player: partial(m.loss, shared=shared) for m in game.moves}, shared


def test_losses_of_the_vae_gan_match_their_formulas():
    model, batch, losses, shared = played("vae-gan")
    encoder = losses["encoder"](batch)
    decoder = losses["decoder"](batch)
    judge = losses["discriminator"](batch)
    d = model.discriminator
    s, rebuilt, drawn = shared.x, shared.reconstructed, shared.sampled
    torch.testing.assert_close(rebuilt, model.generate(shared.z))
    f_real, f_fake = (d.features_and_logits(t)[0] for t in (s, rebuilt))
    error = 0.5 * (f_real - f_fake).square().sum(1)
    torch.testing.assert_close(encoder["features"], error)
    torch.testing.assert_close(decoder["features"], model.config.gamma * error)
    fooled = softplus(-d.logits(rebuilt)) + softplus(-d.logits(drawn))
    torch.testing.assert_close(decoder["adversarial"], fooled)
    wanted = softplus(-d.logits(s)) + softplus(d.logits(rebuilt)) + softplus(d.logits(drawn))
    torch.testing.assert_close(judge["adversarial"], wanted)
    q = model.posterior(batch.x)
    kl = 0.5 * (q.mean**2 + q.log_var.exp() - q.log_var - 1)
    torch.testing.assert_close(encoder["kl"], kl)


def test_losses_of_the_alpha_gan_match_their_formulas():
    model, batch, losses, shared = played("alpha-gan")
    encoder, decoder = losses["encoder"](batch), losses["decoder"](batch)
    critic = losses["critic"](batch)
    s, z, rebuilt, drawn = shared.x, shared.z, shared.reconstructed, shared.sampled
    error = model.config.weight * (s - rebuilt).abs().sum((1, 2, 3))
    torch.testing.assert_close(encoder["reconstruction"], error)
    torch.testing.assert_close(decoder["reconstruction"], error)
    torch.testing.assert_close(encoder["adversarial"], -model.critic(z).squeeze(1))
    d = model.discriminator.logits
    torch.testing.assert_close(decoder["adversarial"], -d(rebuilt) - d(drawn))
    on_prior, on_code = batch.logs["C(z)"], batch.logs["C(E(x))"]
    wanted = -torch.log(on_prior) - torch.log(1 - on_code)
    torch.testing.assert_close(critic["adversarial"], wanted, rtol=1e-4, atol=1e-4)


def test_losses_of_the_aae_match_their_formulas():
    model, batch, losses, shared = played("aae")
    terms = losses["autoencoder"](batch)
    s, z = shared.x, shared.z
    torch.testing.assert_close(z, model.code(s))
    wanted = (model.generate(z) - s).square().sum((1, 2, 3))
    torch.testing.assert_close(terms["reconstruction"], wanted)
    fooled = model.config.weight * softplus(-model.critic(z).squeeze(1))
    torch.testing.assert_close(terms["adversarial"], fooled)
