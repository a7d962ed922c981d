"""Laws of the networks from image to image, and of what rates their images patch by patch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ptheta.nets.norms import normalisation
from ptheta.nets.translation.padding import cropped, mirrored, reflected, to_least, to_multiple
from ptheta.nets.translation.patch import (
    PATCHES,
    MultiScaleDiscriminator,
    PatchDiscriminator,
    PatchOptions,
    per_example,
    split,
)
from ptheta.nets.translation.unet import CODE_PLACES, UNet, UNetOptions, halvings


def support(output: Tensor, x: Tensor) -> tuple[int, int]:
    """The rows and columns that an output of one image depends on, as far as there are any."""
    (grad,) = torch.autograd.grad(output, x, retain_graph=True)
    there = grad.abs().sum((0, 1)) > 0
    rows, columns = there.any(1).nonzero(), there.any(0).nonzero()
    return int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1


def middle(logits: Tensor) -> Tensor:
    return logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2]


@pytest.fixture(autouse=True)
def double():
    """In float32 the gradient at the corners of a large patch is lost."""
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(("patch", "side"), [*((name, 64) for name in PATCHES), ("image", 256)])
def test_the_jacobian_of_a_patch_has_the_stated_support(patch, side):
    d = PatchDiscriminator(2, side, PatchOptions(patch, features=1, norm="none"))
    n = 2 * d.receptive_field + 8
    x = torch.randn(1, 2, n, n, requires_grad=True)
    assert support(middle(d(x).logits), x) == (d.receptive_field, d.receptive_field)


def test_the_papers_patches_are_of_1_16_70_and_286_pixels():
    fields = {
        name: PatchDiscriminator(3, 256, PatchOptions(name, features=1)).receptive_field
        for name in PATCHES
    }
    assert fields == {"1": 1, "16": 16, "34": 34, "70": 70, "image": 286}
    logits = PatchDiscriminator(3, 256, PatchOptions("70", features=1))(torch.zeros(1, 3, 256, 256))
    assert logits.logits.shape == (1, 1, 30, 30)


@pytest.mark.parametrize("side", [1, 9, 32, 64, 128, 300])
def test_a_discriminator_of_the_whole_image_sees_all_of_it(side):
    assert PatchDiscriminator(1, side, PatchOptions("image", 1)).receptive_field >= side


def test_each_scale_of_a_pyramid_sees_what_it_states():
    d = MultiScaleDiscriminator(1, 64, PatchOptions("16", features=1, norm="none"), 3)
    assert d.receptive_fields == (16, 33, 67)
    x = torch.randn(1, 1, 192, 192, requires_grad=True)
    found = [support(middle(output.logits), x) for output in d(x)]
    assert found == [(side, side) for side in d.receptive_fields]


@pytest.mark.parametrize("patch", PATCHES)
@pytest.mark.parametrize("size", [(1, 1), (2, 9), (7, 5), (33, 18)])
def test_patches_of_images_of_any_size(patch, size):
    d = MultiScaleDiscriminator(3, min(size), PatchOptions(patch, features=2), 2)
    x = torch.rand(4, 3, *size)
    outputs = d(x)
    for output in outputs:
        assert output.logits.shape[:2] == (4, 1)
        assert per_example(output.logits).shape == (4,)
        assert output.logits.isfinite().all()
    assert sum(len(set(per_example(output.logits).tolist())) for output in outputs) > 2
    first, rest = split(outputs, 1)
    for output, one, others in zip(outputs, first, rest, strict=True):
        assert torch.equal(torch.cat([one.logits, others.logits]), output.logits)
        for whole, a, b in zip(output.features, one.features, others.features, strict=True):
            assert torch.equal(torch.cat([a, b]), whole)


@pytest.mark.parametrize(("n", "before", "after"), [(1, 0, 3), (2, 5, 4), (5, 4, 4), (3, 11, 2)])
def test_what_is_mirrored_is_so_at_any_margin(n, before, after):
    expected = np.pad(np.arange(n), (before, after), mode="reflect")
    assert mirrored(n, before, after).tolist() == expected.tolist()


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (3, 4), (13, 9)])
@pytest.mark.parametrize("multiple", [1, 2, 16])
def test_margins_are_put_around_and_taken_away(size, multiple):
    x = torch.randn(2, 3, *size)
    margins = to_multiple(size, multiple)
    padded = reflected(x, margins)
    assert all(side % multiple == 0 for side in padded.shape[2:])
    assert all(new - old < multiple for new, old in zip(padded.shape[2:], size, strict=True))
    assert torch.equal(cropped(padded, margins), x)
    assert sum(int(n) for n in to_least(size, 5)) == sum(max(0, 5 - side) for side in size)


SIZES = [(1, 1), (1, 40), (2, 3), (7, 5), (16, 16), (17, 31), (33, 8), (65, 33)]


@pytest.mark.parametrize("made_for", [(1, 1), (16, 16), (33, 70)])
@pytest.mark.parametrize("size", SIZES)
def test_a_unet_takes_images_of_any_size(made_for, size):
    net = UNet(2, 3, made_for, UNetOptions(features=2))
    x = torch.randn(2, 2, *size)
    out = net(x)
    assert out.shape == (2, 3, *size)
    margins = to_multiple(size, 2 ** halvings(*made_for))
    torch.testing.assert_close(out, cropped(net(reflected(x, margins)), margins))
    out.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
def test_a_unet_is_blind_nowhere_and_halves_down_to_one_pixel(norm):
    assert [halvings(s, s) for s in (1, 2, 3, 31, 32, 256, 512)] == [1, 1, 1, 4, 5, 8, 8]
    net = UNet(1, 1, (16, 16), UNetOptions(features=8, norm=norm))
    x = torch.randn(2, 1, 16, 16, requires_grad=True)
    out = net(x)
    (grad,) = torch.autograd.grad(out[0, 0, 0, 0], x)
    assert (grad[0] != 0).all()


@pytest.mark.parametrize("place", CODE_PLACES)
def test_a_code_changes_the_image_at_once_and_on_the_way(place):
    net = UNet(1, 1, (8, 8), UNetOptions(features=2, latent=3, code_place=place))
    x, z = torch.randn(2, 1, 8, 8), torch.randn(2, 3, requires_grad=True)
    out = net(x, z)
    (grad,) = torch.autograd.grad(out[0].sum(), z)
    assert (grad[0] != 0).all()
    assert (grad[1] == 0).all()
    counts = [down[0].in_channels for down in net.downs]
    extra = {"input": [3, 0, 0], "all": [3, 3, 3]}
    if place in extra:
        assert counts == [a + b for a, b in zip([1, 2, 4], extra[place], strict=True)]


def test_dropout_is_noise_at_use_only_where_asked():
    x = torch.randn(2, 1, 16, 16)
    for at_use in (False, True):
        net = UNet(1, 1, (16, 16), UNetOptions(2, dropout=0.5, noise_in_sampling=at_use))
        assert not torch.equal(net(x), net(x))
        net.eval()
        assert torch.equal(net(x), net(x)) != at_use


def test_an_instance_norm_is_of_each_map_and_leaves_a_single_place_alone():
    x = 3 * torch.randn(4, 2, 5, 6) + 7
    layer = normalisation("instance", 2, 4)
    assert layer is not None
    out = layer(x)
    torch.testing.assert_close(out.mean((2, 3)), torch.zeros(4, 2), atol=1e-9, rtol=0)
    torch.testing.assert_close(out.var((2, 3), correction=0), torch.ones(4, 2), atol=1e-4, rtol=0)
    for alone in (x[..., :1, :1], x[:1, :, :1, :1], x[..., 0, 0]):
        assert torch.equal(layer(alone), alone)
