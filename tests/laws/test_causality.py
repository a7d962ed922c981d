"""Each sub-pixel sees exactly the earlier ones: the forbidden and the required dependencies."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ptheta.compute.streams import seeded
from ptheta.nets.masked import MaskedConv2d
from ptheta.specs import ImageSpec, quantise
from tests.conftest import tiny
from tests.laws.autoregressive import FAMILY, double, influence, lively, naive, random_images

NOTHING, SOMETHING = 1e-10, 1e-7

# options under which a model sees far enough for all that is required below
WIDE: dict[str, dict[str, Any]] = {
    "made": {"hidden": (600,)},
    "pixelcnn": {"features": 24, "head": 48, "blocks": 3},
    "gated-pixelcnn": {"features": 12, "head": 48},
    "multiscale-pixelcnn": {"features": 24, "head": 48},
    "row-lstm": {"features": 12, "head": 48},
    "diagonal-bilstm": {"features": 12, "head": 48},
}


@pytest.mark.parametrize("levels", [2, 4, 256])
@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("name", FAMILY)
def test_each_sub_pixel_sees_its_past_and_nothing_else(name, colours, levels):
    spec = ImageSpec(colours, 4, 5, levels)
    with double():
        model = lively(name, spec, **WIDE.get(name, {}))
        seen = influence(model)
    assert seen.triu().max() < NOTHING
    place = {p: t for t, p in enumerate(model.order)}
    for p, t in place.items():
        row, column = divmod(p, spec.width)
        for colour in range(colours):
            i = t * colours + colour
            for other in range(colour):  # G sees R, B sees R and G, at their own pixel
                assert seen[i, t * colours + other] > SOMETHING
            for near, exists in ((p - 1, column > 0), (p - spec.width, row > 0)):
                if exists and place[near] < t:  # every colour of the left and upper neighbours
                    first = place[near] * colours
                    assert (seen[i, first : first + colours] > SOMETHING).all()


@pytest.mark.parametrize("name", FAMILY)
def test_late_sub_pixels_are_those_after_an_unknown_one_and_change_none_before(name):
    spec = ImageSpec(3, 3, 4, 4)
    model, x = lively(name, spec), random_images(spec, 4)
    known = torch.rand(x.shape, generator=torch.Generator().manual_seed(2)) < 0.8
    late, before = model.late(known), torch.zeros_like(known)
    for image in range(len(x)):
        unknown = seen_late = False
        for p in model.order:
            for place in ((image, c, *divmod(p, spec.width)) for c in range(spec.channels)):
                assert late[place] == (known[place] & unknown)
                seen_late |= bool(late[place])
                unknown |= not known[place]
                before[place] = not known[place] and not seen_late
    assert before.any()
    drawn = []
    for given in (x, torch.where(late, 255 - x, x)):
        with seeded(1):
            drawn.append(model.complete(given, known)[before])
    assert torch.equal(drawn[0], drawn[1])


@pytest.mark.parametrize("features", [7, 8])
@pytest.mark.parametrize("name", ["pixelcnn", "gated-pixelcnn", "row-lstm", "diagonal-bilstm"])
def test_features_need_not_divide_among_the_colours(name, features):
    """What is left over belongs to the first colours: no sub-pixel sees ahead, and the sampler
    draws what the conditionals say."""
    spec = ImageSpec(3, 3, 4, 4)
    with double():
        assert influence(lively(name, spec, features=features)).triu().max() < NOTHING
    model = lively(name, spec, features=features)
    u = torch.rand(3, *spec.shape, generator=torch.Generator().manual_seed(1))
    assert torch.equal(model.sample_from_noise(u), naive(model, u))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("fvsbn", {}),
        ("nade", {}),
        ("gated-pixelcnn", {"layers": 7, "first_kernel": 3, "kernel": 5}),
        ("image-transformer", {}),
    ],
)
def test_whole_past_is_seen(name: str, options: dict[str, Any]) -> None:
    """No blind spot: every earlier pixel counts."""
    spec = ImageSpec(1, 5, 7, 2)
    with double():
        seen = influence(lively(name, spec, **options), bases=10)
    past = torch.ones(35, 35).tril(-1) > 0
    assert (seen[past] > NOTHING).all()
    assert seen[~past].max() < NOTHING


def test_diagonal_bilstm_sees_its_past_but_for_the_end_of_the_row_above():
    """The last pixel of a row is first shown to the row below, by the first kernel, and travels on
    to the left only from the row after: all else before a pixel is seen by a single layer."""
    spec = ImageSpec(1, 5, 7, 2)
    with double():
        seen = influence(lively("diagonal-bilstm", spec, layers=1, features=12), bases=10)
    expected = torch.ones(35, 35).tril(-1) > 0
    for row in range(1, 5):
        # first_kernel = 3 shows it to the last two columns
        expected[row * 7 : row * 7 + 5, row * 7 - 1] = False
    assert torch.equal(seen > NOTHING, expected)


def test_row_lstm_sees_a_triangle():
    spec = ImageSpec(1, 5, 9, 2)
    with double():
        model = lively("row-lstm", spec, layers=1, features=12, first_kernel=1, kernel=3)
        seen = influence(model, bases=10)[4 * 9 + 4].view(5, 9) > NOTHING
    assert not seen.any()  # a 1x1 kernel of type A sees nothing at all
    with double():
        model = lively("row-lstm", spec, layers=1, features=12, first_kernel=3, kernel=3)
        seen = influence(model, bases=10)[4 * 9 + 4].view(5, 9) > NOTHING
    expected = torch.zeros(5, 9, dtype=torch.bool)
    for up in range(5):
        # one column more on each side for each row up; the row convolution reaches one further left
        expected[4 - up, max(0, 4 - up - 2) : min(9, 4 + up + 1)] = True
    expected[4, 4:] = False
    assert torch.equal(seen, expected)


def test_made_in_another_order_sees_that_past():
    spec = ImageSpec(3, 3, 4, 2)
    with double():
        model = lively("made", spec, hidden=(900, 900), orders=3)
        model.masks = model.masks[1:2]  # a random one
        seen = influence(model)
    assert model.order != sorted(model.order)
    assert seen.triu().max() < NOTHING
    assert (seen.diagonal(-1) > SOMETHING).all()


def test_stacked_kernels_have_the_known_blind_spot():
    """Stacked masked kernels never reach far to the right of the row above (the known blind spot
    of arXiv:1606.05328); all other earlier pixels within reach are seen."""
    spec = ImageSpec(1, 7, 9, 2)
    with double():
        model = lively("pixelcnn", spec, features=8, blocks=6, first_kernel=3)
        seen = influence(model, bases=10)[4 * 9 + 4].view(7, 9) > NOTHING
    expected = torch.zeros(7, 9, dtype=torch.bool)
    for row in range(5):
        # each row up widens the view by one to the right; to the left it is the whole row
        expected[row, : min(9, 4 + (4 - row) + 1)] = True
    expected[4, 4:] = False
    assert torch.equal(seen, expected)


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("kind", ["A", "B"])
@pytest.mark.parametrize("colours", [1, 3])
def test_cropped_kernel_equals_the_masked_full_kernel(colours, kind, dilation):
    torch.manual_seed(0)
    conv = MaskedConv2d(6, 9, 5, kind, colours, dilation)
    full = torch.zeros(9, 6, 5, 5)
    full[:, :, :3] = conv.kernel().detach()
    x = torch.randn(2, 6, 7, 8)
    wanted = torch.nn.functional.conv2d(x, full, conv.bias, padding=2 * dilation, dilation=dilation)
    torch.testing.assert_close(conv(x), wanted, atol=1e-5, rtol=1e-5)
    assert full[:, :, 2, 3:].abs().max() == 0


SPECS = [
    ImageSpec(1, 6, 7, 2),
    ImageSpec(3, 4, 3, 2),
    ImageSpec(1, 5, 4, 4),
    ImageSpec(1, 5, 4, 16),
    ImageSpec(3, 4, 5, 256),
]
# options that change the path of the sampler
VARIANTS: dict[str, dict[str, Any]] = {
    "pixelcnn": {"position": True, "dilation": 2, "blocks": 3, "features": 12},
    "gated-pixelcnn": {"position": True, "kernel": 5},
    "made": {"hidden": (30, 20), "direct": True},
    "nade": {"activation": "relu"},
    "fvsbn": {"likelihood": "logistic", "components": 3},
}


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("classes", [0, 2])
@pytest.mark.parametrize("name", FAMILY)
def test_sampling_equals_its_definition(name, spec, classes):
    """The same noise gives the image of one full pass for each sub-pixel, at every level count."""
    options = VARIANTS.get(name, {}) if classes else {}
    model = lively(name, spec, classes=classes, **options)
    u = torch.rand(3, *spec.shape, generator=torch.Generator().manual_seed(1))
    y = torch.tensor([0, 1, 1]) if classes else None
    x = naive(model, u, y)
    assert torch.equal(model.sample_from_noise(u, y), x)
    assert torch.equal(quantise(x, spec.levels), x)
    assert torch.equal(model.fixed_point_sample(u, y)[0], x)


@pytest.mark.parametrize("spec", [SPECS[0], SPECS[1], SPECS[4]], ids=str)
@pytest.mark.parametrize("name", FAMILY)
def test_completion_keeps_what_is_given(name, spec):
    """Given pixels stay, and what follows is drawn as the full passes would draw it."""
    model = lively(name, spec)
    x = random_images(spec, 4)
    known = torch.rand(x.shape, generator=torch.Generator().manual_seed(2)) < 0.5
    known[:, :, :2] = True  # whole rows, so that the sampler may skip them
    u = torch.rand(x.shape, generator=torch.Generator().manual_seed(3))
    filled = model.sample_from_noise(u, None, x, known)
    assert torch.equal(filled, naive(model, u, None, x, known))
    assert torch.equal(filled[known], x[known])
    drawn = model.complete(x, known)
    assert torch.equal(drawn[known], x[known])
    assert not torch.equal(drawn, x)


def test_fixed_point_needs_few_passes_where_little_is_seen():
    """A sub-pixel is right as soon as all that it sees is: independent ones at once."""
    model = tiny("fvsbn", ImageSpec(1, 6, 6, 2))
    with torch.no_grad():
        model.weight.zero_()
    assert model.fixed_point_sample(torch.rand(4, 1, 6, 6))[1] <= 2
