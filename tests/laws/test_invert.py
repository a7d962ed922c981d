"""Laws of inversion and of arithmetic with codes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ptheta import tasks
from ptheta.compute.streams import seeded
from ptheta.errors import PthetaError
from ptheta.models.base import Model
from ptheta.specs import ImageSpec
from ptheta.tasks.arithmetic import Groups, closed_form, codes_of, difference, moved, slope
from tests.conftest import conditions, tiny

SPEC = ImageSpec(1, 6, 6)
SIZE = 4


class Linear(Model):
    """Images that are linear in their code, half of whose minima are the only one."""

    specs = (ImageSpec,)

    def __init__(self) -> None:
        super().__init__(SPEC, None, None)
        self.layer = nn.Linear(SIZE, SPEC.dims)
        with torch.no_grad():
            self.layer.weight.mul_(0.25)
            self.layer.bias.zero_()

    def generated(self, z: Tensor, condition: None = None) -> Tensor:
        return self.layer(z).view(-1, *SPEC.shape)

    def decode(self, z: Tensor, condition: None = None) -> Tensor:
        return SPEC.unscaled(self.generated(z))

    def sample_latent(self, n: int, condition: None = None) -> Tensor:
        return torch.randn(n, SIZE)


@pytest.fixture
def linear() -> Linear:
    torch.manual_seed(0)
    return Linear()


def random_images(n: int) -> Tensor:
    return torch.randint(0, 256, (n, *SPEC.shape)).byte()


def test_the_code_of_any_image_is_that_of_least_squares(linear):
    x = random_images(5)
    found = tasks.invert(linear, x, drawn=50, steps=400)
    best = torch.linalg.lstsq(linear.layer.weight, SPEC.scaled(x).flatten(1).T).solution.T
    torch.testing.assert_close(found.codes, best.detach(), atol=2e-3, rtol=1e-3)
    left = (linear.generated(best) - SPEC.scaled(x)).square().flatten(1).mean(1) / 4
    torch.testing.assert_close(found.error, left.detach(), atol=1e-6, rtol=1e-4)


def test_own_samples_are_found_again(linear):
    with torch.no_grad():
        z = linear.sample_latent(20)
        found = tasks.invert(linear, linear.decode(z), drawn=100, steps=300)
    assert torch.cosine_similarity(found.codes, z).min() > 0.999
    assert (found.x.int() - linear.decode(z).detach().int()).abs().max() <= 1  # of 255
    assert found.floor is not None
    assert (found.error < found.floor).all()


def test_a_code_depends_on_no_other_image(linear):
    x = random_images(3)
    together = tasks.invert(linear, x, drawn=50, steps=30).codes
    for i in range(3):
        alone = tasks.invert(linear, x[i : i + 1], drawn=50, steps=30).codes
        torch.testing.assert_close(alone[0], together[i], atol=1e-4, rtol=1e-4)


def test_the_floor_is_the_best_of_the_codes_that_were_drawn(linear):
    x = random_images(2)
    found = tasks.invert(linear, x, drawn=40, restarts=2, steps=1, seed=3)
    with seeded(3), torch.no_grad():
        made = linear.generated(linear.sample_latent(40))
    gaps = (made[None] - SPEC.scaled(x)[:, None]).flatten(2).square().mean(2) / 4
    assert found.floor is not None
    torch.testing.assert_close(found.floor, gaps.min(1).values, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["ae", "vae", "gan", "bicycle-gan", "text-gan", "gmmn", "aae"])
def test_every_start_ends_no_worse_than_it_began(name):
    spec = ImageSpec(1, 8, 8)
    model: Any = tiny(name, spec).eval()
    x, y = torch.randint(0, 256, (2, 1, 8, 8)).byte(), conditions(model, 2)
    few, many = (tasks.invert(model, x, y, drawn=20, restarts=3, steps=k) for k in (1, 40))
    assert (many.error <= few.error + 1e-6).all()
    assert many.codes.isfinite().all()


def test_colours_of_a_convolutional_decoder_in_any_layout():
    model: Any = tiny("ae", ImageSpec(3, 16, 16), net="conv").eval()
    model = model.to(memory_format=torch.channels_last)
    x = torch.randint(0, 256, (2, 3, 16, 16)).byte()
    found = tasks.invert(model, x, restarts=2, steps=2)
    assert found.floor is None  # it has no prior to draw from
    assert found.x.shape == x.shape


def test_what_cannot_be_inverted_is_said_in_one_line(linear):
    x = random_images(1)
    with pytest.raises(PthetaError, match="cannot invert images: it has no"):
        tasks.invert(tiny("made", SPEC), x)
    with pytest.raises(PthetaError, match="as many codes as restarts"):
        tasks.invert(linear, x, restarts=8, drawn=3)


def test_groups_lead_from_one_mean_to_another():
    codes = {name: torch.randn(3, SIZE) + 5 * i for i, name in enumerate("abc")}
    groups = Groups(codes)
    means = torch.stack([one.mean(0) for one in codes.values()])
    assert groups.nearest(means) == ["a", "b", "c"]
    steps = groups.towards("b", means[:2], ["a", "b"])
    torch.testing.assert_close(means[0] + steps[0], means[1])
    assert not steps[1].any()
    torch.testing.assert_close(steps[0], difference(codes["a"], codes["b"]))


def test_only_what_is_near_counts_where_that_is_asked():
    """What differs is another direction at each of two places, and the mean of both is neither."""
    places = torch.tensor([[9.0, 0.0, 0.0], [-9.0, 0.0, 0.0]])
    turn = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    groups = Groups({"off": places.repeat(4, 1), "on": (places + turn).repeat(4, 1)})
    found = groups.towards("on", places, ["off", "off"], 4)
    torch.testing.assert_close(found, turn)
    torch.testing.assert_close(groups.towards("on", places, ["off", "off"])[0], turn.mean(0))


def test_partners_differ_in_what_is_wanted_alone():
    """Red is one step along the first number. The others are as varied in both groups, and the step
    to a partner leaves them as they are, whatever they are."""
    rest = torch.cartesian_prod(*[torch.arange(5.0)] * 2)
    off, on = (torch.cat([torch.full((25, 1), at), rest], 1) for at in (0.0, 1.0))
    groups = Groups({"off": off, "on": on[torch.randperm(25)]})
    inside = ((rest > 0) & (rest < 4)).all(1)  # whose partners stand evenly around them
    found = groups.towards("on", off[inside], ["off"] * 9, 1)
    assert (found[:, 0] == 1).all()
    assert found[:, 1:].abs().max() < 0.7
    whole = groups.towards("on", off[inside], ["off"] * 9)
    torch.testing.assert_close(whole, torch.tensor([1.0, 0, 0]).expand(9, 3))


def test_a_slope_is_that_of_least_squares():
    value = torch.randn(50)
    codes = value[:, None] * torch.tensor([2.0, 0.0, -1.0]) + 5
    sd = value.std(correction=0)
    torch.testing.assert_close(slope(codes, value), sd * torch.tensor([2.0, 0.0, -1.0]))
    with pytest.raises(PthetaError, match="the same value"):
        slope(codes, torch.ones(50))


def test_directions_in_closed_form_change_the_first_layer_most(linear):
    vectors = closed_form(linear, SIZE)
    torch.testing.assert_close(vectors @ vectors.T, torch.eye(SIZE), atol=1e-5, rtol=0)
    reach = (linear.layer.weight @ vectors.T).norm(dim=0)
    singular = torch.linalg.svdvals(linear.layer.weight)
    torch.testing.assert_close(reach, singular, atol=1e-5, rtol=1e-5)
    gan: Any = tiny("gan", ImageSpec(1, 8, 8))
    assert closed_form(gan, 2).shape == (2, 6)
    with pytest.raises(PthetaError, match="give 1 to 4"):
        closed_form(linear, 5)


def test_codes_that_are_moved_are_decoded_where_they_went(linear):
    codes, direction = torch.randn(2, SIZE), torch.randn(SIZE)
    made = moved(linear, codes, direction, (0.0, 2.0))
    with torch.no_grad():
        wanted = torch.stack([linear.decode(codes), linear.decode(codes + 2 * direction)], 1)
    assert torch.equal(made, wanted.flatten(0, 1))
    each = moved(linear, codes, torch.stack([direction, 0 * direction]), (1.0,))
    assert torch.equal(each[1], made[2])
    with pytest.raises(PthetaError, match="belong to different models"):
        moved(linear, codes, torch.zeros(3), (1.0,))


def test_codes_are_looked_for_where_there_is_no_encoder(linear):
    with torch.no_grad():
        z = torch.randn(2, SIZE)
        found = codes_of(linear, linear.decode(z))
    torch.testing.assert_close(found, z, atol=0.05, rtol=0.05)
    model: Any = tiny("ae", ImageSpec(1, 8, 8)).eval()
    x = torch.randint(0, 256, (3, 1, 8, 8)).byte()
    torch.testing.assert_close(codes_of(model, x), model.encode(x).detach())
