"""Laws of translation without pairs: who learns what, there and back again, and past images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import ptheta
from ptheta.batch import Batch
from ptheta.capabilities import Translates
from ptheta.compute import streams
from ptheta.errors import PthetaError
from ptheta.models.translation.domains import by_domain
from ptheta.models.translation.pool import Drawn, ImagePool
from ptheta.nets.translation.generators import GENERATORS, GeneratorOptions
from ptheta.specs import ImageSpec
from ptheta.training.engine import Engine
from ptheta.training.group import Group
from tests.conftest import examples, tiny

SPEC = ImageSpec(3, 16, 16)
WAYS: dict[str, dict[str, Any]] = {
    "two": {"classes": 2},
    "two, shared": {"classes": 2, "shared": True},
    "three": {"classes": 3},
    "two, masks": {"classes": 2, "output": "mask"},
    "u-nets": {"classes": 2, "generator": "unet"},
}


def made(way: str, **options: Any) -> Any:
    return tiny("cyclegan", SPEC, **{**WAYS[way], **options})


def batch(domains: int, n: int = 6) -> Batch:
    return Batch(examples(SPEC, n), torch.arange(n) % domains)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# -- the game


def test_every_network_gets_its_gradient_from_its_own_move_alone(way):
    model = made(way)
    game, images = model.game(), batch(WAYS[way]["classes"])
    engine = Engine(model, game, Group())
    shared = engine.prepare(game, 1, images)
    theirs = {"discriminator": model.discriminator, "generator": model.generator}
    for move in game.moves:
        model.zero_grad(set_to_none=True)
        engine.gradients(move, images, shared)
        for name, network in theirs.items():
            moved = [p.grad is not None and bool(p.grad.any()) for p in network.parameters()]
            assert all(moved) if name == move.player else not any(moved)


@pytest.mark.parametrize("part", ["identity_weight", "cycle_weight", "pool"])
def test_every_part_can_be_left_out(way, part):
    model = made(way, **{part: 0})
    game, images = model.game(), batch(WAYS[way]["classes"])
    engine = Engine(model, game, Group())
    shared = engine.prepare(game, 1, images)
    terms = game.moves[1].loss(images, shared)
    assert "adversarial" in terms
    if part != "pool":
        assert part.removesuffix("_weight") not in terms
    else:
        assert model.past is None


def test_images_go_to_another_domain(way):
    model, domains = made(way), WAYS[way]["classes"]
    of = torch.arange(300) % domains
    to = model.others(of)
    assert (to != of).all()
    pairs = {tuple(pair) for pair in torch.stack([of, to], 1).tolist()}
    assert len(pairs) == domains * (domains - 1)


def test_a_generator_of_changes_that_makes_none_copies(way):
    model, images = made(way, output="change"), batch(WAYS[way]["classes"])
    for p in model.generator.parameters():
        nn.init.zeros_(p)
    assert torch.equal(model.translate(images.x, model.others(images.condition)), images.x)


class Copies(nn.Module):
    """Leaves every image as it is."""

    def forward(self, x: Tensor, to: Tensor) -> Tensor:
        return x


def test_generators_that_copy_have_no_cycle_error(way):
    model, images = made(way), batch(WAYS[way]["classes"])
    game = model.game()
    model.generator = Copies()
    shared = Engine(model, game, Group()).prepare(game, 1, images)
    terms = game.moves[1].loss(images, shared)
    assert not terms["cycle"].any()
    assert not terms["identity"].any()
    to = model.others(images.condition)
    there = model.translate(images.x, to)
    assert torch.equal(model.translate(there, images.condition), images.x)


def test_in_one_pass_every_image_is_as_alone(way):
    model, images = made(way).eval(), batch(WAYS[way]["classes"])
    x, of = SPEC.scaled(images.x), images.condition
    assert isinstance(of, Tensor)
    with torch.no_grad():
        together, rated = model.generator(x, of), model.discriminator(x, of).logits
        for i in range(len(x)):
            one = slice(i, i + 1)
            torch.testing.assert_close(model.generator(x[one], of[one])[0], together[i])
            torch.testing.assert_close(model.discriminator(x[one], of[one]).logits[0], rated[i])


def test_networks_of_domains_get_the_images_of_their_domain():
    x, of = torch.arange(6.0)[:, None], torch.tensor([2, 0, 2, 1, 0, 2])
    found = by_domain(lambda k, rows: rows + 100 * k, x, of, 4)
    assert torch.equal(found, x + 100 * of[:, None])


# -- translation


@pytest.mark.parametrize("size", [(16, 16), (1, 1), (5, 40), (33, 18)])
def test_images_of_any_size_are_carried_over(way, size):
    model = made(way).eval()
    assert isinstance(model, Translates)
    x = examples(ImageSpec(3, *size), 3)
    with torch.no_grad():
        found = model.translate(x, torch.tensor([1, 0, 1]))
        own = model.translate(x[:1], torch.tensor([1]))
    assert found.shape == x.shape
    assert found.dtype == torch.uint8
    assert (found[:1].int() - own.int()).abs().max() <= 1


@pytest.mark.parametrize(
    ("x", "to", "says"),
    [
        (examples(SPEC, 2), None, "translates images to 0 or 1, but no target domain was given"),
        (examples(SPEC, 2), torch.tensor([0, 2]), "unknown label 2"),
        (examples(SPEC, 2), torch.tensor([0]), "2 images and 1 domains"),
        (examples(ImageSpec(1, 16, 16), 1), torch.tensor([0]), "this model takes uint8"),
        (torch.zeros(3, 16, 16, dtype=torch.uint8), torch.tensor([0]), "this model takes uint8"),
    ],
)
def test_what_cannot_be_carried_over_is_one_line(x, to, says):
    with pytest.raises(PthetaError, match=says) as error:
        made("two").translate(x, to)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("condition", "options", "says"),
    [
        (None, {}, "got no domains"),
        (ptheta.Labels(("a",)), {}, "got 'a' alone"),
        (ptheta.Labels(("a", "b")), {"loss": "relativistic"}, "does not rate the images"),
        (ptheta.Labels(("a", "b")), {"norm": "batch"}, "norm = batch mixes the images"),
        (ptheta.Labels(("a", "b")), {"kernel": 4}, "must be odd: give 5"),
        (ptheta.Labels(("a", "b")), {"generator": "hd"}, "choose residual or unet"),
    ],
)
def test_what_is_no_such_model_is_one_line(condition, options, says):
    with pytest.raises(PthetaError, match=says) as error:
        ptheta.create("cyclegan", SPEC, condition=condition, **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", GENERATORS)
def test_a_generator_is_told_its_code(name):
    net = GENERATORS[name].make(3, 3, (16, 16), GeneratorOptions(4, 1, latent=2)).eval()
    x, codes = torch.rand(1, 3, 16, 16), torch.eye(2)
    with torch.no_grad():
        assert not torch.allclose(net(x, codes[:1]), net(x, codes[1:]))


# -- past images


def step(pool: ImagePool, x: Tensor, domains: Tensor) -> Tensor:
    drawn = pool.draw(x, domains)
    pool.update(drawn)
    return drawn.rated


def test_a_full_pool_returns_a_past_image_with_probability_one_half():
    torch.manual_seed(0)
    pool = ImagePool(50, 2, (1,))
    ages, old = [], 0
    for t in range(800):
        domains = torch.arange(4) % 2
        # an image says its domain and its step
        x = (10_000.0 * domains + t)[:, None]
        found = step(pool, x, domains)[:, 0]
        assert torch.equal(found // 10_000, domains.float())
        if t < 25:
            assert torch.equal(found, x[:, 0])
        else:
            age = t - found % 10_000
            old += int((age > 0).sum())
            ages += age[age > 0].tolist()
    assert pool.filled.tolist() == [50, 50]
    n = 4 * 775
    assert abs(old - n / 2) < 4 * (n / 4) ** 0.5
    # one of 50 is replaced by each image with probability 1/2, two of a domain in a step
    assert sum(ages) / len(ages) == pytest.approx(50, rel=0.15)


def gathering(parts: list[Drawn]) -> Callable[[Tensor], Tensor]:
    """What puts the rows of one process between those of the others."""

    def gather(here: Tensor) -> Tensor:
        of_all = next(rows for rows in zip(*parts, strict=True) if any(here is r for r in rows))
        return torch.stack(of_all, 1).flatten(0, 1)

    return gather


def test_the_pools_of_shares_are_the_pool_of_one_process():
    x, domains = torch.rand(40, 12, 2), torch.arange(12) % 3
    alone, shares = ImagePool(5, 3, (2,)), [ImagePool(5, 3, (2,)) for _ in range(2)]
    for t in range(40):
        torch.manual_seed(t)
        whole = step(alone, x[t], domains)
        parts = []
        for rank, pool in enumerate(shares):
            torch.manual_seed(t)
            with streams.shared(rank, 2):
                parts.append(pool.draw(x[t, rank::2], domains[rank::2]))
        gather = gathering(parts)
        for rank, pool in enumerate(shares):
            with streams.shared(rank, 2, gather):
                pool.update(parts[rank])
        assert torch.equal(torch.stack([p.rated for p in parts], 1).flatten(0, 1), whole)
        assert all(torch.equal(pool.images, alone.images) for pool in shares)
    assert alone.filled.tolist() == [5, 5, 5]


def test_a_pool_smaller_than_a_batch_keeps_the_last():
    torch.manual_seed(0)
    pool = ImagePool(2, 1, (1,))
    for t in range(50):
        step(pool, torch.full((30, 1), float(t)), torch.zeros(30, dtype=torch.int64))
    assert (pool.images > 45).all()


# -- whole runs


def test_domains_of_different_counts_train(tmp_path):
    torch.manual_seed(0)
    x = torch.randint(0, 256, (50, 3, 16, 16), dtype=torch.uint8)
    y = torch.tensor([0] * 40 + [1] * 7 + [2] * 3)
    how: dict[str, Any] = {
        "features": 4,
        "blocks": 1,
        "d_features": 4,
        "steps": 3,
        "sample_every": 0,
    }
    run = ptheta.train("cyclegan", (x, y), tmp_path / "r", batch_size=6, **how)
    model: Any = run.model()
    assert model.domains() == ("0", "1", "2")
    assert model.translate(x[:2], torch.tensor([1, 1])).shape == (2, 3, 16, 16)
    with pytest.raises(PthetaError, match="equally among 3 domains: give --batch-size 6 or 9"):
        ptheta.train("cyclegan", (x, y), tmp_path / "s", batch_size=8, **how)


@pytest.mark.slow
def test_two_processes_train_as_one(strokes, tmp_path):
    how: dict[str, Any] = {
        "features": 4,
        "blocks": 1,
        "d_features": 4,
        "steps": 4,  # in some ten steps, rounding grows: test_sharing takes float64
        "batch_size": 8,
        "pool": 3,
    }
    how |= {"augment": ("flip", "shift"), "sample_every": 0}
    one = ptheta.train("cyclegan", strokes, tmp_path / "one", **how)
    two = ptheta.train("cyclegan", strokes, tmp_path / "two", processes=2, **how)
    for a, b in zip(one.model().parameters(), two.model().parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)
