"""The conditionals of a NADE of binary pixels, where a pixel that is off changes nothing.

With x_d in {0, 1} the hidden input a_d = a_0 + sum_{k < d} x_k W_k changes only after a pixel that
is on. So the hidden units are computed once for each such pixel (an eighth of MNIST's), and the
logits h . V_d, their gradients and that of V are products with sparse matrices whose entries are
the pairs (hidden vector, pixel it predicts).

Hidden vectors are kept packed: number j of all images (after j pixels that are on), then number
j + 1, ...; images with more pixels on come first, so those that still have a number j are a prefix.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import Any, ClassVar, Protocol, TypeVar

import torch
from torch import Tensor

from ptheta.errors import PthetaError, unknown
from ptheta.nets.activations import ACTIVATIONS, ActivationName, ByHand
from ptheta.nets.autograd import Saved


def available(device: torch.device) -> bool:
    """Whether this device has the sparse products (on a GPU the dense ones are as fast)."""
    return device.type == "cpu" and torch.backends.mkl.is_available()


def _csr(crow: Tensor, column: Tensor, values: Tensor, size: tuple[int, int]) -> Tensor:
    with warnings.catch_warnings():  # torch says once that the layout is in beta
        warnings.simplefilter("ignore")
        return torch.sparse_csr_tensor(crow, column, values, size, check_invariants=False)


F = TypeVar("F", bound=Callable[..., object])


class _Decorator(Protocol):
    def __call__(self, function: F, /) -> F: ...


# what torch leaves without types
_forward: _Decorator = torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
_backward: _Decorator = torch.amp.custom_bwd(device_type="cpu")


class _Saved(Saved, Protocol):
    bounds: list[tuple[int, int]]
    activation: ByHand


class _SparsePrefix(torch.autograd.Function):
    apply: ClassVar[Callable[[Tensor, Tensor, Tensor, Tensor, ByHand], Tensor]]

    @staticmethod
    @_forward
    def forward(
        ctx: _Saved, on: Tensor, start: Tensor, w: Tensor, v: Tensor, activation: ByHand
    ) -> Tensor:
        (n, dims), device = on.shape, on.device
        order = on.sum(1).argsort(descending=True)
        on = on[order].long()
        after = on.cumsum(1)
        before = after - on  # pixels that are on before d: the number of the hidden vector
        sizes = torch.bincount(after[:, -1]).flip(0).cumsum(0).flip(0)  # images with a number j
        ends = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])
        images = torch.arange(n, device=device)

        rows, columns = on.nonzero(as_tuple=True)
        changed = torch.empty(len(columns), dtype=torch.long, device=device)
        changed[ends[after[rows, columns]] + rows - n] = columns  # the pixel behind each change
        a = torch.empty(n + len(columns), w.shape[1], dtype=w.dtype, device=device)
        a[:n] = start[order]
        torch.index_select(w, 0, changed, out=a[n:])
        bounds = list(pairwise(ends.tolist()))
        for (first, _), (low, high) in pairwise(bounds):
            a[low:high] += a[first : first + high - low]
        h = activation.in_place(a)

        vector = (ends[before] + images[:, None]).flatten()  # of each (image, pixel)
        entries = torch.argsort(vector, stable=True)  # sorted: compressed rows
        crow = torch.searchsorted(vector[entries], torch.arange(len(h) + 1, device=device))
        pixel = torch.arange(dims, device=device).repeat(n)[entries]
        pairs = _csr(crow, pixel, h.new_zeros(n * dims), (len(h), dims))
        found = torch.sparse.sampled_addmm(pairs, h, v.t(), beta=0.0).values()
        out = torch.empty(n * dims, dtype=h.dtype, device=device)
        out[entries] = found
        ctx.save_for_backward(h, v, order, changed, vector, entries, crow, pixel)
        ctx.bounds, ctx.activation = bounds, activation
        result = torch.empty_like(out.view(n, dims))
        result[order] = out.view(n, dims)
        return result

    @staticmethod
    @_backward
    def backward(ctx: _Saved, *grads: Tensor) -> Any:
        h, v, order, changed, vector, entries, crow, pixel = ctx.saved_tensors
        g = grads[0][order]
        n, dims = g.shape
        da = _csr(crow, pixel, g.flatten()[entries], (len(h), dims)) @ v
        each = torch.arange(dims + 1, device=g.device) * n
        by_pixel = _csr(each, vector.view(n, dims).t().flatten(), g.t().flatten(), (dims, len(h)))
        dv = by_pixel @ h
        ctx.activation.backward(da, h)
        for (first, _), (low, high) in reversed(list(pairwise(ctx.bounds))):
            da[first : first + high - low] += da[low:high]
        start = torch.empty_like(da[:n])
        start[order] = da[:n]
        dw = torch.zeros_like(v).index_add_(0, changed, da[n:])
        return None, start, dw, dv, None


def sparse_prefix(
    on: Tensor, start: Tensor, w: Tensor, v: Tensor, activation: ActivationName = "sigmoid"
) -> Tensor:
    """f(start + sum_{k < d} on_k w_k) . v_d for every d.

    on: (B, D) bool. start: (B, H). w, v: (D, H). Returns (B, D). Only where `available`.
    Raises PthetaError for another activation, and for one that has no backward pass by hand.
    """
    if activation not in ACTIVATIONS:
        raise unknown("activation", activation, ACTIVATIONS)
    by_hand = ACTIVATIONS[activation].by_hand
    if by_hand is None:
        raise PthetaError(f"activation {activation} has no hand-written backward pass: add one")
    return _SparsePrefix.apply(on, start, w, v, by_hand)
