"""The parts of autoregressive models against their definitions, and completion against Bayes."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from ptheta import tasks
from ptheta.distributions.pixels import LogisticMixture
from ptheta.errors import PthetaError
from ptheta.models.autoregressive.nade import NADE, NADEConfig
from ptheta.nets import sparse_prefix
from ptheta.nets.activations import ACTIVATIONS
from ptheta.nets.diagonal import diagonal_bilstm, diagonals
from ptheta.nets.gate import gate
from ptheta.nets.masked import RowConv2d, by_pixel
from ptheta.specs import ImageSpec, to_symmetric
from tests.conftest import tiny
from tests.laws.autoregressive import FAMILY, all_images, lively, random_images


def test_gate_is_tanh_times_sigmoid():
    x = torch.randn(3, 8, 2, 5, dtype=torch.double, requires_grad=True)
    a, b = x.chunk(2, 1)
    torch.testing.assert_close(gate(x), a.tanh() * (2 * b).sigmoid())
    assert torch.autograd.gradcheck(lambda t: gate(t, -2), (x,))


def recursion(x, w, bias, state):
    """The two-dimensional LSTM cell by cell, as the paper defines it."""
    n, _, height, width = x.shape
    f = state.shape[1] // 2
    out = x.new_zeros(n, f, height, width)
    for direction in range(2):
        image = x.flip(3) if direction else x
        h: dict[tuple[int, int], torch.Tensor] = {}
        c: dict[tuple[int, int], torch.Tensor] = {}
        zero = x.new_zeros(n, f)
        for i, j in itertools.product(range(height), range(width)):
            gates = image[:, :, i, j] @ w[direction] + bias[direction]
            gates = gates + h.get((i, j - 1), zero) @ state[direction, :f]
            gates = gates + h.get((i - 1, j), zero) @ state[direction, f:]
            a, b, o, g = gates.chunk(4, 1)
            c[i, j] = a.sigmoid() * g.tanh() + b.sigmoid() * c.get((i, j - 1), zero)
            h[i, j] = o.sigmoid() * c[i, j].tanh()
            row, column = (i + 1, width - 1 - j) if direction else (i, j)
            if row < height:
                out[:, :, row, column] = out[:, :, row, column] + h[i, j]
    return out


@pytest.mark.parametrize(("height", "width"), [(3, 5), (5, 3), (4, 4), (1, 4), (4, 1)])
def test_diagonal_bilstm_is_its_recursion(height, width):
    torch.manual_seed(0)
    x = torch.randn(2, 3, height, width, dtype=torch.double, requires_grad=True)
    w = torch.randn(2, 3, 8, dtype=torch.double, requires_grad=True)
    bias = torch.randn(2, 8, dtype=torch.double, requires_grad=True)
    state = torch.randn(2, 4, 8, dtype=torch.double, requires_grad=True)
    given = (x, w, bias, state)
    a, b = diagonal_bilstm(*given), recursion(*given)
    torch.testing.assert_close(a, b)
    weight = torch.randn_like(a)
    ours = torch.autograd.grad((a * weight).sum(), given)
    theirs = torch.autograd.grad((b * weight).sum(), given)
    for p, q in zip(ours, theirs, strict=True):
        torch.testing.assert_close(p, q)


def test_diagonals_hold_every_cell_once():
    for height, width in ((3, 5), (5, 3), (1, 1), (28, 28)):
        parts = diagonals(height, width)
        assert len(parts) == height + width - 1
        assert parts[-1].stop == height * width
        assert all(a.stop == b.start for a, b in itertools.pairwise(parts))
        # each cell but those of the first column has a left neighbour, in the diagonal before
        assert sum(d.left[0].stop - d.left[0].start for d in parts) == height * (width - 1)
        assert sum(d.above[0].stop - d.above[0].start for d in parts) == (height - 1) * width
        for d, before in zip(parts[1:], parts, strict=False):
            for to, origin in (d.left, d.above):
                assert to.stop - to.start == origin.stop - origin.start
                assert d.start <= to.start <= to.stop <= d.stop
                assert before.start <= origin.start <= origin.stop <= before.stop


def test_row_convolution_equals_the_masked_full_kernel():
    torch.manual_seed(0)
    conv = RowConv2d(6, 12, 5, "B", 3, parts=2)
    full = torch.cat([conv.kernel().detach(), torch.zeros(12, 6, 1, 2)], 3)
    x = torch.randn(2, 6, 4, 7)
    wanted = F.conv2d(x, full, conv.bias, padding=(0, 2))
    torch.testing.assert_close(conv(x), wanted)
    assert conv(by_pixel(x)).stride(1) == 1  # channels stay last in memory


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_nade_is_its_definition(sparse, activation, monkeypatch):
    """h_d = f(c + W[:, <d] x_<d), one sub-pixel after the other: in blocks and by changes."""
    monkeypatch.setattr(sparse_prefix, "available", lambda device: sparse)
    spec = ImageSpec(1, 4, 5, 2)
    torch.manual_seed(0)
    model = NADE(spec, NADEConfig(hidden=7, block=6, activation=activation))
    x = random_images(spec, 3)
    x[0], x[1] = 0, 255
    f = ACTIVATIONS[activation].function
    flat = x.flatten(1).float() / 255
    logits = []
    for d in range(spec.dims):
        h = f(model.c + flat[:, :d] @ model.w[:d])
        logits.append(h @ model.v[d] + model.b[d])
    torch.testing.assert_close(
        model.conditionals(x).logits.flatten(1),  # type: ignore[attr-defined]
        torch.cat(logits, 1),
    )


@pytest.mark.skipif(
    not sparse_prefix.available(torch.device("cpu")), reason="no sparse products in this torch"
)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_of_the_sparse_nade(activation):
    torch.manual_seed(0)
    on = torch.rand(4, 6) < 0.4
    on[0], on[1] = True, False
    shapes = ((4, 5), (6, 5), (6, 5))
    inputs = [torch.randn(s, dtype=torch.double, requires_grad=True) for s in shapes]
    assert torch.autograd.gradcheck(
        lambda a, w, v: sparse_prefix.sparse_prefix(on, a, w, v, activation), inputs
    )


def test_colours_share_the_components_of_a_mixture():
    """pixelcnn++: log sum_k w_k p_k(r) p_k(g | r) p_k(b | r, g), eq. 3 of the paper."""
    spec = ImageSpec(3, 2, 3, 16)
    model = lively("pixelcnn++", spec, components=3)
    x = random_images(spec, 4)
    with torch.no_grad():
        out = model.features(x, None)
        m = 3
        weights, loc, log_scale, coupling = out.split([m, 3 * m, 3 * m, 3 * m], 1)
        loc, log_scale = loc.unflatten(1, (m, 3)), (log_scale - 2).unflatten(1, (m, 3))
        log_scale = log_scale.clamp(min=torch.tensor(0.2 / 15).log())
        a, b, c = coupling.tanh().unflatten(1, (m, 3)).unbind(2)
        s = to_symmetric(x)[:, None]
        means = torch.stack(
            [
                loc[:, :, 0],
                loc[:, :, 1] + a * s[:, :, 0],
                loc[:, :, 2] + b * s[:, :, 0] + c * s[:, :, 1],
            ],
            2,
        )
        each = LogisticMixture(means * 0, means, log_scale, 16).component_log_prob(x).sum(2)
        joint = torch.logsumexp(each + weights.log_softmax(1), 1).sum((1, 2))
        torch.testing.assert_close(model.log_prob(x), joint, rtol=1e-4, atol=1e-3)


GRID = ImageSpec(1, 2, 2, 2)
PER_MASK = 1000
QUICK = ("fvsbn", "nade", "made", "pixelcnn")
COMPLETED = [
    *(pytest.param(m, 1.5, {}, None, marks=() if m in QUICK else pytest.mark.slow) for m in FAMILY),
    ("made", 8, {"orders": 3}, None),
    ("made", 4, {"orders": 3, "direct": True, "classes": 2}, 1),
]


def conditional_given(model, given, known, labels):
    """p(image | known pixels of `given`) over all images of GRID, by enumeration: (16,)."""
    every = all_images(GRID)
    y = None if labels is None else torch.full((len(every),), labels)
    fits = ((every == given) | ~known).flatten(1).all(1)
    return model.log_prob(every, y).masked_fill(~fits, -math.inf).softmax(0)


def completed(model, given, masks, candidates, labels):
    """The shares of all images of GRID among completions for each of the masks: (16, 16)."""
    x, known = given.expand(PER_MASK * 16, -1, -1, -1), masks.repeat_interleave(PER_MASK, 0)
    y = None if labels is None else torch.full((len(x),), labels)
    torch.manual_seed(0)
    drawn = (model.complete(x, known, y, candidates) > 0).flatten(1).long()
    codes = drawn @ torch.tensor([8, 4, 2, 1])
    counts = torch.zeros(16, 16).index_put_(
        (torch.arange(16).repeat_interleave(PER_MASK), codes), torch.ones(()), accumulate=True
    )
    return counts / PER_MASK


@pytest.mark.parametrize(("name", "factor", "options", "labels"), COMPLETED)
def test_many_candidates_approach_exact_conditioning(name, factor, options, labels):
    """Whatever the mask, completions follow p(unknown | known), labels and ensembles included."""
    model, given = lively(name, GRID, factor, **options), random_images(GRID, 1, seed=4)
    masks = all_images(GRID) > 0  # every mask there is
    with torch.no_grad():
        exact = torch.stack([conditional_given(model, given, mask, labels) for mask in masks])
    one, many = (
        (completed(model, given, masks, k, labels) - exact).abs().sum(1).max() / 2 for k in (1, 30)
    )
    assert many < 0.07  # of which 0.05 is the noise of so few draws
    if name in ("nade", "pixelcnn"):
        assert one > 2 * many


def test_one_candidate_of_each_member_is_exact_where_the_known_pixel_comes_first():
    model, given = lively("made", GRID, factor=3, orders=6), random_images(GRID, 1, seed=4)
    first = [int(masks.order[0]) for masks in model.masks]
    pixel = max(first, key=first.count)  # six members of four pixels: two at least begin alike
    model.masks = [m for m, p in zip(model.masks, first, strict=True) if p == pixel]
    assert len(model.masks) > 1
    known = (torch.arange(4) == pixel).view(1, 1, 2, 2)
    with torch.no_grad():
        exact = conditional_given(model, given, known[0], None)
        shares = completed(model, given, known.expand(16, -1, -1, -1), 1, None).mean(0)
    assert 0.5 * (shares - exact).abs().sum() < 0.01


@pytest.mark.parametrize("use", ["conditionals", "stepper", "order", "fixed_point_sample"])
def test_an_ensemble_refuses_what_only_one_order_has(use):
    model = tiny("made", GRID, orders=2)
    calls = {
        "conditionals": lambda: tasks.surprise(model, random_images(GRID, 1)),
        "stepper": lambda: model.stepper(1),
        "order": lambda: model.order,
        "fixed_point_sample": lambda: model.fixed_point_sample(torch.rand(1, *GRID.shape)),
    }
    with pytest.raises(PthetaError, match="a mixture of 2 pixel orders"):
        calls[use]()
