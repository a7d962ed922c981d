"""VQ-VAE: codebook updates against their formula, gradients, dead codes, and its prior."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

import ptheta
from ptheta.batch import Batch
from ptheta.compute import streams
from ptheta.errors import PthetaError
from ptheta.metrics.likelihood import likelihood
from ptheta.models.variational.codebook import SMALL, Codebook, Seen, perplexity, used
from ptheta.models.variational.grid_prior import WithGridPrior, order_of, reordered
from ptheta.nets.grids import halved, image_decoder, image_encoder
from ptheta.specs import ImageSpec, from_levels, to_levels
from tests.conftest import VECTORS, examples, pairs, tiny

SPEC = ImageSpec(1, 8, 8, 2)


def book(**options: Any) -> Codebook:
    torch.manual_seed(0)
    return Codebook(
        **{"size": 4, "dims": 3, "decay": 0.9, "least": 0.0, "learned": False, **options}
    )


def test_the_moving_averages_are_those_of_the_paper():
    """Appendix A.1 as loops, over several steps; a code of which nothing is assigned decays."""
    codes = book()
    counts, sums = codes.counts.tolist(), codes.sums.clone()
    for step in range(5):
        z = torch.randn(20, 3)
        k = codes.nearest(z) if step else torch.zeros(20, dtype=torch.int64)
        codes.update(Seen(z, k))
        for i in range(4):
            mine = z[k == i]
            counts[i] = 0.9 * counts[i] + 0.1 * len(mine)
            sums[i] = 0.9 * sums[i] + 0.1 * mine.sum(0)
        n = sum(counts)
        for i in range(4):
            smoothed = (counts[i] + SMALL) / (n + 4 * SMALL) * n
            torch.testing.assert_close(codes.vectors[i], sums[i] / smoothed)


def test_the_averages_converge_to_the_means_of_clusters():
    """What is assigned stays the same: e_k -> the mean of it, as of one step of k-means."""
    codes = book(size=2, dims=2)
    z = torch.tensor([[0.0, 1.0], [2.0, 1.0], [-4.0, 0.0]])
    for _ in range(300):
        codes.update(Seen(z, torch.tensor([0, 0, 1])))
    torch.testing.assert_close(
        codes.vectors, torch.tensor([[1.0, 1.0], [-4.0, 0.0]]), atol=1e-3, rtol=0
    )


def test_the_nearest_code_is_the_one_of_least_distance():
    codes, z = book(size=9), torch.randn(50, 3)
    wanted = torch.cdist(z, codes.vectors).argmin(1)
    assert torch.equal(codes.nearest(z), wanted)


@pytest.mark.parametrize("learned", [False, True])
def test_a_dead_code_takes_the_place_of_an_output_and_the_others_stay(learned):
    codes = book(least=0.5, decay=0.5, learned=learned)
    z = torch.randn(40, 3)
    k = torch.arange(40) % 3  # the fourth is never used
    dead = 0
    for _ in range(8):
        before = codes.vectors.detach().clone()
        died = int(codes.update(Seen(z, k)))
        dead += died
        if learned and not died:
            assert torch.equal(codes.vectors, before)
        if died:
            assert died == 1
            assert (codes.vectors[3] == z).all(1).any()
            torch.testing.assert_close(codes.counts[3], codes.counts[:3].mean(), rtol=0.5, atol=0)
    assert dead >= 1
    untouched = book(least=0.0, decay=0.5)
    assert sum(untouched.update(Seen(z, k)) for _ in range(8)) == 0


def test_what_is_drawn_does_not_depend_on_which_codes_are_dead():
    ends = []
    for least in (0.0, 10.0):
        codes = book(least=least)
        torch.manual_seed(4)
        codes.update(Seen(torch.randn(10, 3), torch.zeros(10, dtype=torch.int64)))
        ends.append(torch.get_rng_state())
    assert torch.equal(*ends)


def test_perplexity_of_even_and_single_use():
    assert perplexity(torch.arange(6).repeat(3), 6).item() == pytest.approx(6)
    assert perplexity(torch.zeros(9, dtype=torch.int64), 6).item() == pytest.approx(1)
    assert used(torch.tensor([[0, 2], [2, 2]]), 6).item() == pytest.approx(2 / 6)


def test_the_decoders_gradient_goes_straight_to_the_encoder():
    """The reconstruction alone: d loss / dz at the encoder is d loss / de at the decoder."""
    model = tiny("vq-vae", SPEC, commitment=0.0)
    x = examples(SPEC, 3)
    z = model.rows(x).detach().requires_grad_()
    e = model.code_vectors()[model.numbers(z)].requires_grad_()
    (of_z,) = torch.autograd.grad(model.of_rows(model.rounded(z)).log_prob_of_example(x).sum(), z)
    (of_e,) = torch.autograd.grad(model.of_rows(e).log_prob_of_example(x).sum(), e)
    torch.testing.assert_close(of_z, of_e)
    assert of_z.abs().max() > 0


@pytest.mark.parametrize("codebook", ["ema", "gradient"])
def test_the_terms_of_the_loss(codebook):
    model = tiny("vq-vae", SPEC, codebook=codebook, commitment=0.5)
    x = examples(SPEC, 5)
    terms = model.loss(Batch(x))
    z = model.rows(x)
    distance = torch.cdist(z, model.code_vectors()).amin(2).square().sum(1)
    torch.testing.assert_close(terms["commitment"], 0.5 * distance, rtol=1e-4, atol=1e-5)
    log_p = model.of_code_map(model.code_map(x)).log_prob_of_example(x)
    torch.testing.assert_close(terms["reconstruction"], -log_p)
    sum(term.sum() for term in terms.values()).backward()
    assert all(p.grad is not None for p in model.parameters())
    assert ("codebook" in terms) == (codebook == "gradient")
    if codebook == "gradient":
        torch.testing.assert_close(terms["codebook"], distance, rtol=1e-4, atol=1e-5)
        assert model.codebook.vectors.grad.abs().max() > 0


def test_two_processes_move_the_codes_as_one_does():
    """Each holds half of the batch, and gathers what the other assigned."""
    x = examples(SPEC, 8)
    first = tiny("vq-vae", SPEC)
    z = first.rows(x).detach()
    whole = {z.shape[1:]: z, z.shape[1:2]: first.numbers(z)}
    found = []
    for rank, size in ((0, 1), (0, 2), (1, 2)):
        model = tiny("vq-vae", SPEC)
        torch.manual_seed(3)
        with streams.shared(rank, size, lambda part: whole[part.shape[1:]]):
            model.loss(Batch(x[rank::size]))
            model.after(1)
        found.append(model.codebook.vectors.clone())
    assert not torch.equal(found[0], first.codebook.vectors)
    for other in found[1:]:
        torch.testing.assert_close(other, found[0])


@pytest.mark.parametrize("size", [(1, 1), (5, 9), (28, 28), (17, 16)])
def test_grids_of_any_size(size):
    sizes = halved(size[0], size[1], 3)
    assert sizes[-1] == (math.ceil(size[0] / 8), math.ceil(size[1] / 8))
    encoder, decoder = image_encoder(3, sizes, 2, 4, 1), image_decoder(2, sizes, 5, 4, 1)
    z = encoder(torch.randn(2, 3, *size))
    assert z.shape == (2, 2, *sizes[-1])
    assert decoder(z).shape == (2, 5, *size)


@pairs(["vq-vae"], SPEC, ImageSpec(3, 9, 6, 256), VECTORS)
def test_codes_decode_to_what_their_map_stands_for(name, spec):
    model = tiny(name, spec).eval()
    x = examples(spec, 4)
    with torch.no_grad():
        m = model.code_map(x)
        assert torch.equal(model.code_spec().check(m), m)
        wanted = model.of_code_map(m).mean_example()
        z = model.encode(x)
        assert torch.equal(model.decode(z), wanted)
        # a point near to a code is rounded to it
        assert torch.equal(model.decode(z + 1e-4), wanted)


# -- its prior


def test_the_order_of_codes_is_a_permutation_along_their_main_axis():
    torch.manual_seed(0)
    vectors = torch.randn(16, 3) * torch.tensor([5.0, 1.0, 0.1])
    order = order_of(vectors)
    assert sorted(order.tolist()) == list(range(16))
    along = vectors[order][:, 0]
    assert torch.corrcoef(torch.stack([along, torch.arange(16.0)]))[0, 1].abs() > 0.9
    assert torch.equal(order, order_of(vectors + 7))
    m = from_levels(torch.randint(0, 16, (2, 1, 3, 3)), 16)
    back = reordered(reordered(m, order), order.argsort())
    assert torch.equal(back, m)
    assert torch.equal(to_levels(reordered(m, order), 16), order[to_levels(m, 16)])


def small() -> WithGridPrior:
    """Images of 2x2 pixels, a map of one code of three, and a made as their prior."""
    spec = ImageSpec(1, 2, 2, 2)
    coder = tiny("vq-vae", spec, halvings=1, codes=3).eval()
    prior = tiny("made", coder.code_spec(), likelihood="categorical").eval()
    return WithGridPrior(coder, prior, torch.tensor([2, 0, 1])).eval()


def test_the_bound_with_a_prior_is_below_the_likelihood_by_enumeration():
    """p(x) = sum over all maps; the bound is the term of one of them, and sums of p(x) are one."""
    model = small()
    bits = torch.cartesian_prod(*[torch.tensor([0, 255])] * 4).view(16, 1, 2, 2).to(torch.uint8)
    with torch.no_grad():
        h, w = model.model.code_spec().shape[1:]
        every = torch.cartesian_prod(*[torch.arange(3)] * (h * w)).reshape(-1, 1, h, w)
        total = torch.zeros(16)
        of_maps = torch.zeros(())
        for k in every:
            m = from_levels(k[None], 3)
            p = model.of_maps.log_prob(reordered(m, model.level)).exp()
            of_maps += p[0]
            one = model.model.of_code_map(m.expand(16, -1, -1, -1))
            total += p * one.log_prob_of_example(bits).exp()
        elbo = model.elbo(bits)
    torch.testing.assert_close(of_maps, torch.tensor(1.0))
    torch.testing.assert_close(total.sum(), torch.tensor(1.0))
    assert (elbo <= total.log() + 1e-5).all()
    terms = model.bound_terms(bits)
    torch.testing.assert_close(-sum(terms.values()), elbo)
    torch.manual_seed(0)
    drawn = model.sample(4000).flatten(1).ge(128)
    numbers = (drawn * torch.tensor([8, 4, 2, 1])).sum(1)
    share = numbers.bincount(minlength=16) / 4000
    assert (share - total).abs().max() < 0.04


def test_a_run_draws_once_a_prior_is_fitted(tmp_path, strokes):
    options: dict[str, Any] = {"codes": 16, "dims": 4, "features": 8, "blocks": 1, "halvings": 2}
    run = ptheta.train("vq-vae", strokes, tmp_path / "vq", steps=60, **options)
    logged = run.metrics()[-1] | run.metrics()[-2]
    assert 1 <= logged["vq-vae/perplexity"] <= 16
    with pytest.raises(PthetaError, match=r"ptheta fit RUN --model pixelcnn"):
        ptheta.sample(run, 2)
    with pytest.raises(PthetaError, match=r"ptheta fit .*vq --model pixelcnn"):
        ptheta.fit(run)
    with pytest.raises(PthetaError, match="prior does not exist"):
        run.model(prior="fitted")
    with pytest.raises(PthetaError, match="gan is no model of images with log p"):
        ptheta.fit(run, model="gan")
    asked: dict[str, Any] = {
        "steps": 40,
        "hidden": (32,),
        "condition": "labels",
        "checkpoint_every": 20,
    }
    model = ptheta.fit(run, model="made", **asked)
    assert isinstance(model, WithGridPrior)
    x = ptheta.tasks.sample(run.model(), 4, seed=1, condition=torch.tensor([0, 1, 0, 1]))
    assert x.shape == (4, 1, 16, 16)
    assert run.kinds == ("labels",)
    found = likelihood(run.model(), run.data("test"), is_k=1)
    assert found is not None
    assert found.relation == "<="
    with pytest.raises(PthetaError, match="prior of these weights, made: give --resume"):
        ptheta.fit(run, model="made", **asked)
    longer = ptheta.fit(run, model="made", resume=True, **(asked | {"steps": 60}))
    assert ptheta.Run.open(run.path / "prior").metrics()[-1]["step"] == 60
    assert isinstance(longer, WithGridPrior)
    assert not torch.equal(longer.elbo(*first(run)), model.elbo(*first(run)))
    # other weights of the run have no prior yet
    ptheta.train("vq-vae", strokes, tmp_path / "vq", resume=True, steps=80)
    with pytest.raises(PthetaError, match="was fitted to other weights"):
        run.model(prior="fitted")


def first(run: ptheta.Run) -> tuple[torch.Tensor, torch.Tensor]:
    batch = run.data("test").batch(slice(0, 3))
    return batch.x, batch.extra["labels"]


def test_a_run_that_goes_on_is_the_same_to_the_bit(tmp_path, strokes):
    options: dict[str, Any] = {
        "codes": 16,
        "dims": 4,
        "features": 8,
        "blocks": 1,
        "revive": 0.9,
        "batch_size": 16,
    }
    whole = ptheta.train("vq-vae", strokes, tmp_path / "a", steps=12, **options)
    ptheta.train("vq-vae", strokes, tmp_path / "b", steps=6, **options)
    resumed = ptheta.train("vq-vae", strokes, tmp_path / "b", resume=True, steps=12)
    a, b = (run.model().state_dict() for run in (whole, resumed))
    assert a.keys() == b.keys()
    assert all(torch.equal(a[key], b[key]) for key in a)
