"""What the page on evaluation states."""

from __future__ import annotations

import math

import pytest
import torch

import ptheta
from ptheta.capabilities import HasChain, Samples
from ptheta.lab.asked import Asked
from ptheta.lab.pages.evaluation import Judged, alike, clearest, fooling, parzen
from ptheta.lab.trained import given
from ptheta.measures import frechet
from ptheta.measures.two_sample import two_sample
from ptheta.runs.folder import Run


def test_noise_can_be_made_that_scores_better_than_digits():
    x = torch.randint(0, 256, (60, 1, 28, 28), generator=torch.Generator().manual_seed(0))
    noise = x.to(torch.uint8)
    real = ptheta.open_data("digits", "test").batch(slice(0, 300)).x
    made = Judged.of(fooling(noise))
    assert Judged.of(noise).score < 1.5
    assert made.score > Judged.of(real).score
    within, marginal = made.entropies
    assert made.score == pytest.approx(math.exp(marginal - within))


def test_the_clearest_image_of_each_class_has_the_highest_score():
    x = ptheta.open_data("digits", "test").batch(slice(0, 400)).x
    assert Judged.of(clearest(x)).score > 9.9


def test_the_frechet_distance_of_draws_with_the_same_moments_is_0():
    """Of features that are no Gaussian, a test separates them."""
    generator = torch.Generator().manual_seed(0)
    h = torch.rand(400, 5, generator=generator, dtype=torch.float64).square()
    twin = alike(h, 0)
    assert frechet.frechet(frechet.fit(h), frechet.fit(twin)) < 1e-9
    assert two_sample(twin, h, permutations=0).scores.auc > 0.6


def test_parzen_windows_prefer_centres_of_clusters_to_true_draws():
    """The mean of several draws lies nearer to others than a draw, in many dimensions."""
    generator = torch.Generator().manual_seed(0)
    draws = torch.randn(3000, 30, generator=generator, dtype=torch.float64)
    true, x, chosen, more = draws.split([100, 500, 500, 1900])
    centres = more[:1800].reshape(100, 18, 30).mean(1)
    widths = (0.5, 0.7, 1.0, 1.4)
    best, _ = parzen(centres, x, chosen, widths)
    found, _ = parzen(true, x, chosen, widths)
    truth = -15 * math.log(2 * math.pi * math.e)
    assert found < best < truth + 0.5


def test_a_parzen_estimate_is_the_log_density_of_its_mixture():
    centres = torch.tensor([[0.0], [2.0]], dtype=torch.float64)
    found, width = parzen(centres, torch.zeros(1, 1).double(), torch.zeros(1, 1).double(), [0.5])
    normal = torch.distributions.Normal(0.0, 0.5)
    p = [float(normal.log_prob(torch.tensor(at)).exp()) for at in (0.0, 2.0)]
    assert width == 0.5
    assert found == pytest.approx(math.log(sum(p) / 2))


@pytest.mark.slow
def test_all_numbers_of_the_page_agree():
    for seed in (0, 1):
        assert not ptheta.learn("evaluation", seed=seed).disagree


def test_a_run_that_cannot_do_what_a_page_needs_is_refused():
    data = ptheta.open_data("digits", "test", levels=4)
    asked = Asked(runs=[Run.open("example:vae")])
    assert [one.name for one in given(asked, "evaluation", Samples, "sample", data)] == ["vae"]
    (other,) = given(asked, "evaluation", Samples, "sample", data, ("vae", "noise"))
    assert other.name == "example:vae"  # where the page has another row of that name
    with pytest.raises(ptheta.PthetaError, match=r"models that can chain, and vae cannot"):
        given(asked, "evaluation", HasChain, "chain", data)
    with pytest.raises(ptheta.PthetaError, match="runs on the same examples"):
        given(asked, "evaluation", Samples, "sample", ptheta.open_data("digits", levels=2))
