"""Generative stochastic networks and the chains of denoising autoencoders, by enumeration."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ptheta.batch import Batch
from ptheta.compute import streams
from ptheta.corruption import corrupt
from ptheta.models.autoencoders.gsn import GSN
from ptheta.specs import Column, ImageSpec, VectorSpec
from tests.conftest import examples, tiny

SPEC = ImageSpec(1, 1, 2, 2)  # four images
LEVEL = 0.4


def images() -> Tensor:
    bits = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=torch.uint8)
    return (255 * bits).view(4, 1, 1, 2)


def number(x: Tensor) -> Tensor:
    """Of each image in `images`: (n,)"""
    return ((x > 127).flatten(1) * torch.tensor([2, 1])).sum(1)


def damage() -> Tensor:
    """C(x~ | x) of salt and pepper: a pixel is another with half the level."""
    bits = (images() > 127).flatten(1)
    differ = bits[:, None] != bits[None]
    half = torch.full((), LEVEL / 2, dtype=torch.float64)
    return torch.where(differ, half, 1 - half).prod(2)


def stationary(step: Tensor) -> Tensor:
    """p = p T"""
    return torch.linalg.matrix_power(step, 4096)[0]


def model(name: str = "gsn", **options: Any) -> Any:
    made = tiny(name, SPEC, noise="salt-and-pepper", level=LEVEL, **options).eval()
    torch.manual_seed(2)
    with torch.no_grad():
        for p in made.parameters():
            p.mul_(3)
    return made


def white(made: Any, damaged: Tensor) -> Tensor:
    """P(pixel is white | x~), (n, 2), float64."""
    with torch.no_grad():
        if isinstance(made, GSN):
            p = made.restored(damaged)
            return p.log_prob(torch.full_like(damaged, 255)).exp().flatten(1).double()
        out = made.decoder(made.encoder(made.seen(damaged)))
    return out.clamp(0, 1).flatten(1).double()


@pytest.mark.parametrize("name", ["gsn", "dae"])
def test_the_long_run_of_the_chain_is_its_stationary_distribution(name):
    made, bits = model(name), (images() > 127).flatten(1)
    on = white(made, images())[:, None]  # P(x' | x~) is a product over pixels
    restored = torch.where(bits[None], on, 1 - on).prod(2)
    wanted = stationary(damage() @ restored)
    torch.manual_seed(0)
    with torch.no_grad():
        x = made.chain_start(3000)
        counts = torch.zeros(4)
        for step in range(40):
            x = made.transition(x)
            if step >= 15:
                counts += number(x).bincount(minlength=4)
    assert (counts / counts.sum() - wanted).abs().max() < 0.01


class Tabular(GSN):
    """Of a table P(x | x~), (4, 4): as if it had been trained to the end."""

    table: Tensor

    def restored(self, damaged: Tensor) -> Any:
        rows = self.table[number(damaged)]

        class Law:
            def sample(self) -> Tensor:
                return images()[streams.categorical(rows.log())]

        return Law()


def test_what_is_learned_perfectly_gives_the_data_back():
    """Theorem 1: with P(x | x~) of the joint p(x) C(x~ | x) the chain has p(x)."""
    p = torch.tensor([0.1, 0.5, 0.15, 0.25], dtype=torch.float64)
    joint = p[:, None] * damage()
    table = (joint / joint.sum(0)).T  # P(x | x~)
    torch.testing.assert_close(stationary(damage() @ table), p)
    made = model()
    made.__class__, made.table = Tabular, table
    torch.manual_seed(0)
    x = made.chain_start(4000)
    for _ in range(15):
        x = made.transition(x)
    assert (number(x).bincount(minlength=4) / 4000 - p).abs().max() < 0.02


def test_the_damage_is_what_it_is_taken_for():
    torch.manual_seed(0)
    drawn = corrupt(images().repeat(20_000, 1, 1, 1), "salt-and-pepper", LEVEL, SPEC)
    table = torch.stack([number(drawn[i::4]).bincount(minlength=4) / 20_000 for i in range(4)])
    torch.testing.assert_close(table.double(), damage(), atol=0.012, rtol=0)


def test_the_loss_is_that_of_what_was_damaged():
    """Without noise -log P(x | x); with walkback the mean over states of the chain from x."""
    x = examples(SPEC, 50)
    quiet = tiny("gsn", SPEC, noise="salt-and-pepper", level=0.0)
    loss = quiet.loss(Batch(x))["restoration"]
    torch.testing.assert_close(loss, -quiet.restored(x).log_prob_of_example(x))
    made = tiny("gsn", SPEC, walkback=3, level=LEVEL)
    torch.manual_seed(1)
    found = made.loss(Batch(x))["restoration"]
    torch.manual_seed(1)
    state, terms = x, []
    for i in range(3):
        law = made.restored(made.damaged(state))
        terms.append(-law.log_prob_of_example(x))
        if i < 2:
            state = law.sample()
    torch.testing.assert_close(found, torch.stack(terms).mean(0))


def test_a_trained_network_has_nearly_the_distribution_of_its_data():
    """Two pixels that are equal: P(x | x~) is no product, and what is lost is what the factors
    cannot say; that either pixel is as often white is kept."""
    torch.manual_seed(0)
    x = images()[streams.categorical(torch.tensor([0.6, 0.05, 0.05, 0.3]).log().expand(1000, -1))]
    made = tiny("gsn", SPEC, noise="salt-and-pepper", level=LEVEL)
    optimizer = torch.optim.Adam(made.parameters(), lr=1e-2)
    for _ in range(120):
        optimizer.zero_grad()
        made.loss(Batch(x))["restoration"].mean().backward()
        optimizer.step()
    with torch.no_grad():
        x = made.chain_start(4000)
        for _ in range(50):
            x = made.transition(x)
    share = number(x).bincount(minlength=4) / 4000
    assert share[0] + share[3] > 0.6
    assert abs(share[3] + share[1] - 0.35) < 0.06


def test_words_are_drawn_by_their_probabilities():
    """Of a denoising autoencoder: the softmax of what the decoder gives."""
    spec = VectorSpec((Column("pet", "category", ("cat", "dog", "owl")),))
    made = tiny("dae", spec, noise="salt-and-pepper", level=0.0).eval()
    with torch.no_grad():
        for p in made.parameters():
            p.mul_(4)
        x = torch.full((20_000, 1), 1.0)
        wanted = made.decoder(made.encoder(made.seen(x[:1]))).softmax(1)[0]
        torch.manual_seed(0)
        share = made.transition(x)[:, 0].long().bincount(minlength=3) / 20_000
    torch.testing.assert_close(share, wanted, atol=0.012, rtol=0)
