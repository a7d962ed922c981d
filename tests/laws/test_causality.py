"""Each sub-pixel sees exactly the earlier ones: the forbidden and the required dependencies."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ptheta.nets.masked import MaskedConv2d
from ptheta.pixels import ImageSpec, quantise
from tests.conftest import tiny


def causal_jacobian(model: Any, spec: ImageSpec) -> torch.Tensor:
    """|d logits_i / d x_j| in sub-pixel order (row, column, colour): (D, D)."""
    import ptheta.models.pixelcnn as module

    # the model reads uint8; differentiate through a float stand-in of the scaled images
    x = torch.rand(1, *spec.shape, dtype=torch.double, requires_grad=True)
    kept = module.to_symmetric
    module.to_symmetric = lambda _: x * 2 - 1  # type: ignore[assignment]
    try:
        p = model.conditionals(torch.zeros(1, *spec.shape, dtype=torch.uint8))
    finally:
        module.to_symmetric = kept
    logits = p.logits if spec.levels == 2 else p.logits.logsumexp(1) + p.logits.square().sum(1)
    rows = []
    for out in logits[0].permute(1, 2, 0).flatten():
        (g,) = torch.autograd.grad(out, x, retain_graph=True)
        rows.append(g[0].permute(1, 2, 0).flatten().abs())
    return torch.stack(rows)


@pytest.mark.parametrize("position", [False, True])
@pytest.mark.parametrize("levels", [2, 4])
@pytest.mark.parametrize("colours", [1, 3])
def test_jacobian_is_strictly_lower_triangular(colours, levels, position):
    spec = ImageSpec(colours, 5, 6, levels)
    model = tiny("pixelcnn", spec, features=24, head=48, blocks=3, position=position).double()
    with torch.no_grad():
        for name, p in model.named_parameters():  # so that hardly any ReLU is shut for good
            p.mul_(2 if name.endswith("weight") else 0)
    jacobian = torch.stack([causal_jacobian(model, spec) for _ in range(4)]).sum(0)
    assert jacobian.triu().max() == 0
    for i in range(spec.dims):
        pixel, colour = divmod(i, colours)
        row, column = divmod(pixel, spec.width)
        for other in range(colour):  # G sees R, B sees R and G, at their own pixel
            assert jacobian[i, pixel * colours + other] > 0
        for earlier in range(colours):
            if column > 0:  # every colour of the left neighbour
                assert jacobian[i, (pixel - 1) * colours + earlier] > 0
            if row > 0:  # and of the upper neighbour
                assert jacobian[i, (pixel - spec.width) * colours + earlier] > 0


def test_receptive_field_covers_all_but_the_blind_spot():
    """Stacked masked kernels never reach far to the right of the row above (the known blind spot
    of arXiv:1606.05328); all other earlier pixels within reach are seen."""
    spec = ImageSpec(1, 7, 9, 2)
    model = tiny("pixelcnn", spec, features=8, blocks=6, first_kernel=3).double()
    seen = causal_jacobian(model, spec)[4 * 9 + 4].view(7, 9) > 0
    expected = torch.zeros(7, 9, dtype=torch.bool)
    for row in range(5):
        # each row up widens the view by one to the right; to the left it is the whole row
        expected[row, : min(9, 4 + (4 - row) + 1)] = True
    expected[4, 4:] = False
    assert torch.equal(seen, expected)


@pytest.mark.parametrize("kind", ["A", "B"])
@pytest.mark.parametrize("colours", [1, 3])
def test_cropped_kernel_equals_the_masked_full_kernel(colours, kind):
    torch.manual_seed(0)
    conv = MaskedConv2d(6, 9, 5, kind, colours)
    full = torch.zeros(9, 6, 5, 5)
    full[:, :, :3] = conv.kernel().detach()
    x = torch.randn(2, 6, 7, 8)
    wanted = torch.nn.functional.conv2d(x, full, conv.bias, padding=2)
    torch.testing.assert_close(conv(x), wanted, atol=1e-5, rtol=1e-5)
    assert full[:, :, 2, 3:].abs().max() == 0


@pytest.mark.parametrize(
    "spec",
    [ImageSpec(1, 6, 7, 2), ImageSpec(1, 5, 4, 16), ImageSpec(3, 4, 5, 256), ImageSpec(3, 4, 3, 2)],
    ids=str,
)
@pytest.mark.parametrize("classes", [0, 2])
def test_sampling_equals_its_definition(spec, classes):
    """The stored-features sampler gives the image of one full pass for each sub-pixel."""
    model = tiny("pixelcnn", spec, classes=classes, position=bool(classes))
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p))
    u = torch.rand(3, *spec.shape)
    y = torch.tensor([0, 1, 1]) if classes else None
    x = torch.zeros(3, *spec.shape, dtype=torch.uint8)
    with torch.no_grad():
        for i in range(spec.height):
            for j in range(spec.width):
                for c in range(spec.channels):
                    x[:, c, i, j] = model.conditionals(x, y).icdf(u)[:, c, i, j]
    assert torch.equal(model.sample_from_noise(u, y), x)
    assert torch.equal(quantise(x, spec.levels), x)
