"""Samples by rejection, by chains, of truncated codes and at temperatures, against their laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from ptheta import tasks
from ptheta.batch import Condition
from ptheta.compute import streams
from ptheta.compute.streams import seeded
from ptheta.distributions.pixels import Bernoulli, Categorical
from ptheta.errors import PthetaError
from ptheta.models.adversarial.latents import truncated_normal
from ptheta.specs import DataSpec, ImageSpec, VectorSpec
from ptheta.tasks.reject import LEAST, WAYS, Metropolis, Rejection, bound_of
from ptheta.tasks.tempered import tempered, truncated
from tests.conftest import VECTORS, tiny

SPEC = ImageSpec(1, 8, 8, 2)
P = torch.tensor([0.4, 0.3, 0.1, 0.1, 0.05, 0.05], dtype=torch.float64)  # of the model
Q = torch.tensor([0.1, 0.1, 0.3, 0.2, 0.1, 0.2], dtype=torch.float64)  # of the data


class Loaded(nn.Module):
    """A die of the law P, whose discriminator says log Q / P."""

    condition = None
    spec: DataSpec = VectorSpec.of(1)

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        return streams.categorical(P.log().expand(n, -1))[:, None].float()

    def log_ratio(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        return (Q / P).log()[x[:, 0].long()]


def same(s: Tensor) -> Tensor:
    return s


def faces(x: Tensor) -> np.ndarray:
    return torch.bincount(x[:, 0].long(), minlength=6).numpy()


@pytest.mark.parametrize("way", WAYS)
def test_what_is_chosen_is_of_the_law_of_the_data(way):
    bound = bound_of((Q / P).log())
    n = 6000
    with seeded(0):
        drawn = WAYS[way].make(Loaded(), same, bound).sample(n)
    assert stats.chisquare(faces(drawn), n * Q.numpy()).pvalue > 0.01
    with seeded(0):
        plain = Loaded().sample(n)
    assert stats.chisquare(faces(plain), n * Q.numpy()).pvalue < 1e-6


def test_rejection_keeps_the_share_that_it_says():
    with seeded(3):
        rated = Loaded().log_ratio(Loaded().sample(20_000))
        bound = bound_of(rated)
        model = Rejection(Loaded(), same, bound)
        model.sample(4000)
    greatest = (Q / P).max().item()
    assert bound.log_m == pytest.approx(math.log(greatest))
    assert bound.share == pytest.approx(1 / greatest, rel=0.05)
    assert bound.cut == 0.0
    assert model.kept / model.drawn == pytest.approx(bound.share, rel=0.1)


def test_m_is_lowered_where_too_few_would_be_kept():
    log_r = torch.zeros(1000).double()
    log_r[0] = 8.0
    bound = bound_of(log_r)
    assert bound.share == pytest.approx(LEAST, rel=1e-3)
    assert bound.log_m < 8.0
    assert 0 < bound.cut < 1
    assert "above M is cut off" in Rejection(Loaded(), same, bound).about


@pytest.mark.parametrize("way", WAYS)
def test_chosen_samples_are_the_seeds(way):
    model = WAYS[way].make(Loaded(), same, bound_of((Q / P).log()))
    first = tasks.sample(model, 40, seed=1, batch_size=16)
    assert torch.equal(first, tasks.sample(model, 40, seed=1, batch_size=16))
    parts = list(tasks.sample_batches(model, 40, seed=1, batch_size=16))
    again = tasks.sample_batches(model, 40, seed=1, batch_size=16, start=parts[0].stop)
    assert torch.equal(torch.cat([part.x for part in again]), first[16:])
    assert torch.equal(first[:16], tasks.sample(model, 16, seed=1, batch_size=16))


def test_each_condition_has_its_own_samples():
    class Told(Loaded):
        def sample(self, n: int, condition: Condition | None = None) -> Tensor:
            assert isinstance(condition, Tensor)
            return super().sample(n) + 10 * condition[:, None]

        def log_ratio(self, x: Tensor, condition: Condition | None = None) -> Tensor:
            return super().log_ratio(x % 10)

    asked = torch.arange(30) % 3
    for kind in (Rejection, Metropolis):
        with seeded(2):
            drawn = kind(Told(), same, bound_of((Q / P).log())).sample(30, asked)
        assert torch.equal((drawn[:, 0] / 10).floor().long(), asked)


# -- truncation


@pytest.mark.parametrize("at", [0.05, 0.7, 2.0])
def test_truncated_normal_numbers_have_the_moments_of_their_law(at):
    with seeded(0):
        z = truncated_normal(200, 500, torch.device("cpu"), at).double().flatten()
    law = stats.truncnorm(-at, at)
    assert z.abs().max() <= at
    assert z.mean().item() == pytest.approx(0.0, abs=5 * law.std() / len(z) ** 0.5)
    assert z.var().item() == pytest.approx(law.var(), rel=0.02)
    assert stats.kstest(z[:20_000].numpy(), law.cdf).pvalue > 0.01


@pytest.mark.parametrize("name", ["gan", "infogan", "cgan"])
def test_a_gan_draws_truncated_codes(name):
    model = tiny(name, SPEC).eval()
    seen: list[Tensor] = []
    model.generator.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    x = tasks.sample(truncated(model, 0.3), 8)
    assert x.shape == (8, *SPEC.shape)
    assert seen[-1][:, : model.config.latent].abs().max() <= 0.3
    tasks.sample(model, 64)
    assert seen[-1][:, : model.config.latent].abs().max() > 1
    with pytest.raises(PthetaError, match="prior = uniform has no tails"):
        tasks.sample(truncated(tiny("gan", SPEC, prior="uniform").eval(), 0.3), 2)
    with pytest.raises(PthetaError, match=r"^this model cannot sample truncated codes: it has no"):
        truncated(tiny("made", SPEC), 0.5)


# -- temperature


COOLED = [
    *(("made", SPEC), ("nade", SPEC), ("pixelcnn", SPEC), ("vae", SPEC), ("cvae", SPEC)),
    *(("realnvp", SPEC), ("nice", VECTORS), ("multiscale-pixelcnn", SPEC)),
]


@pytest.mark.parametrize(("name", "spec"), COOLED)
def test_temperature_one_is_plain_sampling_bit_for_bit(name, spec):
    model = tiny(name, spec).eval()
    plain = tasks.sample(model, 6, seed=4)
    assert torch.equal(tasks.sample(tempered(model, 1.0), 6, seed=4), plain)
    assert torch.equal(tasks.sample(model, 6, seed=4), plain)
    cold = tasks.sample(tempered(model, 1e-6), 6, seed=4)
    assert cold.shape == plain.shape
    assert torch.equal(tasks.sample(model, 6, seed=4), plain)  # it is as it was


def test_cold_samples_are_the_mode_of_every_conditional():
    model = tiny("fvsbn", ImageSpec(1, 3, 3, 2)).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())))
    cold = tasks.sample(tempered(model, 1e-6), 5, seed=0)
    assert len(cold.unique(dim=0)) == 1
    with torch.no_grad():
        p = model.conditionals(cold[:1])
        greater = p.log_prob(cold[:1]) > p.log_prob(255 - cold[:1])
    assert greater.all()


@pytest.mark.parametrize("kind", [Bernoulli, Categorical])
def test_a_cooled_distribution_is_the_power_of_itself(kind):
    shape = (2, 1, 2, 2) if kind is Bernoulli else (2, 3, 1, 2, 2)
    p = kind(torch.randn(shape, generator=torch.Generator().manual_seed(0)).double())
    values = [0, 255] if kind is Bernoulli else [0, 128, 255]
    every = [torch.full((2, 1, 2, 2), v, dtype=torch.uint8) for v in values]
    log_p = torch.stack([p.log_prob(x) for x in every])
    wanted = (log_p / 0.4).log_softmax(0)
    found = torch.stack([p.tempered(0.4).log_prob(x) for x in every])
    torch.testing.assert_close(found, wanted)


def test_cold_codes_of_a_vae_are_the_mean_of_its_prior():
    model = tiny("vae", SPEC).eval()
    seen: list[Tensor] = []
    decoded = model.likelihood

    def watched(z: Tensor, y: Condition | None = None) -> object:
        seen.append(z)
        return decoded(z, y)

    model.likelihood = watched
    tasks.sample(tempered(model, 0.5), 64, seed=0)
    cooled = seen[-1]
    tasks.sample(model, 64, seed=0)
    torch.testing.assert_close(cooled, 0.5 * seen[-1])


def test_where_no_temperature_is_defined_it_is_refused():
    with pytest.raises(PthetaError, match=r"^this model cannot sample at a temperature: it has no"):
        tempered(tiny("gan", SPEC), 0.5)
    mixed = tempered(tiny("pixelcnn++", ImageSpec(1, 8, 8)).eval(), 0.5)
    with pytest.raises(PthetaError, match="mixtures of densities"):
        tasks.sample(mixed, 2)
    vamp = tempered(tiny("vae", SPEC, prior="vamp").eval(), 0.5)
    with pytest.raises(PthetaError, match="its prior is not Gaussian"):
        tasks.sample(vamp, 2)
    for bad in (0.0, -1.0, math.inf):
        with pytest.raises(PthetaError, match="want a finite number above 0"):
            tempered(tiny("made", SPEC), bad)


# -- precision against recall


def test_a_tradeoff_ends_in_plain_samples_and_beside_real_ones():
    model = tiny("made", SPEC).eval()
    draw = torch.Generator().manual_seed(0)
    real, train = (
        torch.randint(0, 2, (60, *SPEC.shape), generator=draw, dtype=torch.uint8) * 255
        for _ in range(2)
    )
    found = tasks.tradeoff(model, real, train, lambda x: x.flatten(1).float(), [1e-6, 1.0])
    cold, plain = found.points
    assert found.by == "temperature"
    assert (plain.precision, plain.recall) == (found.plain.precision, found.plain.recall)
    assert cold.recall.value == 0.0  # of one image alone no ball has a width
    assert found.floor.precision.value is not None
    assert found.floor.precision.value > 0.3
    again = tasks.tradeoff(model, real, real, lambda x: x.flatten(1).float(), [1.0])
    assert (again.floor.precision.value, again.floor.recall.value) == (1.0, 1.0)
    with pytest.raises(PthetaError, match=r"5 held-out examples: .* need 6 or more"):
        tasks.tradeoff(model, real[:5], train, lambda x: x.flatten(1).float())
    with pytest.raises(PthetaError, match=r"^this model cannot trade precision for recall"):
        tasks.tradeoff(tiny("rbm", SPEC), real, train, lambda x: x.flatten(1).float())
