"""The parts of autoregressive models against their definitions, and completion against Bayes."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F

from ptheta.likelihoods import LogisticMixture
from ptheta.models.nade import NADE, NADEConfig
from ptheta.nets import sparse_prefix
from ptheta.nets.diagonal import diagonal_bilstm, diagonals
from ptheta.nets.gate import gate
from ptheta.nets.masked import RowConv2d, by_pixel
from ptheta.pixels import ImageSpec, to_symmetric
from tests.laws.autoregressive import lively, random_images


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
@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
def test_nade_is_its_definition(sparse, activation, monkeypatch):
    """h_d = f(c + W[:, <d] x_<d), one sub-pixel after the other: in blocks and by changes."""
    monkeypatch.setattr(sparse_prefix, "available", lambda device: sparse)
    spec = ImageSpec(1, 4, 5, 2)
    torch.manual_seed(0)
    model = NADE(spec, NADEConfig(hidden=7, block=6, activation=activation))
    x = random_images(spec, 3)
    x[0], x[1] = 0, 255
    f = torch.sigmoid if activation == "sigmoid" else torch.relu
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
@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
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


@pytest.mark.parametrize(("name", "options"), [("pixelcnn", {}), ("made", {"orders": 3})])
def test_many_candidates_approach_exact_conditioning(name, options):
    """p(unknown | known) by enumeration of a tiny model, where known pixels come last."""
    spec = ImageSpec(1, 2, 3, 2)
    model = lively(name, spec, **options)
    given = random_images(spec, 1, seed=4)
    known = torch.tensor([0, 0, 0, 0, 1, 1]).bool().view(1, 1, 2, 3)
    fills = torch.tensor(list(itertools.product((0, 255), repeat=4)), dtype=torch.uint8)
    every = given.repeat(16, 1, 1, 1).flatten(1)
    every[:, :4] = fills
    every = every.view(-1, 1, 2, 3)
    member, order = 0, model.order
    if name == "made":  # the member that `complete` takes
        early = [known.flatten()[m.order].float().cumsum(0).sum().item() for m in model.masks]
        member = early.index(max(early))
        order = model.masks[member].order.tolist()
    assert sorted(order) == list(range(6))
    with torch.no_grad():
        p = model.member_conditionals(member, every, None).log_prob(every).sum((1, 2, 3))
        exact = p.softmax(0)
        torch.manual_seed(0)
        x, mask = given.repeat(4000, 1, 1, 1), known.expand(4000, 1, 2, 3)

        def distance(candidates: int) -> float:
            drawn = model.complete(x, mask, None, candidates).flatten(1)[:, :4]
            codes = (drawn > 0).long() @ torch.tensor([8, 4, 2, 1])
            share = torch.bincount(codes, minlength=16) / 4000
            return 0.5 * (share - exact).abs().sum().item()

        assert distance(100) < 0.05
        if name == "pixelcnn":
            assert distance(1) > 0.05
