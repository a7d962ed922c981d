"""The drift penalty: d(x)^2 of real examples alone, beside any statistic of a batch."""

from __future__ import annotations

import torch

from ptheta.batch import Batch
from ptheta.games import Clock
from ptheta.losses.penalties import PENALTIES, Evaluation
from ptheta.specs import ImageSpec
from tests.conftest import tiny

SPEC = ImageSpec(1, 16, 16)


def test_it_is_the_square_of_each_output():
    d = torch.tensor([-2.0, 0.0, 3.0], requires_grad=True)
    cost = PENALTIES["drift"].cost(Evaluation(torch.zeros(3, 1), d, lambda x: x[:, 0]))
    assert torch.equal(cost.detach(), torch.tensor([4.0, 0.0, 9.0]))
    (grad,) = torch.autograd.grad(cost.sum(), d)
    assert torch.equal(grad, 2 * d.detach())


def test_it_is_of_real_examples_with_its_own_weight():
    model = tiny("gan", SPEC, loss="wasserstein", penalty=("drift",), d_norm="none")
    torch.manual_seed(0)
    batch = Batch(torch.randint(0, 256, (4, *SPEC.shape), dtype=torch.uint8))
    shared = model.prepare(batch, Clock(1, frozenset({"discriminator"})))
    terms = model.discriminator_loss(batch, shared)
    torch.testing.assert_close(terms["drift"], 1e-3 * model.discriminate(batch.x).square())
