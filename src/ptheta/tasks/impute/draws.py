"""Imputation: needs `Completes`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from ptheta.batch import Condition, repeated
from ptheta.capabilities import Completes, HasConditionalMean, Searches, device_of
from ptheta.compute import streams
from ptheta.compute.streams import undisturbed
from ptheta.errors import PthetaError
from ptheta.specs import DataSpec
from ptheta.tasks.conditions import check_condition
from ptheta.tasks.effort import effort
from ptheta.tasks.needs import require
from ptheta.terminal.progress import watched

CANDIDATES = 50  # default number of candidates, for approximate conditioning
AVERAGED = 200  # completions averaged for a model without a conditional mean
SEARCHED = 4  # the same if each completion needs a search
MORE = 20  # factor of candidates for a model's own conditional mean
AT_ONCE = 2**20  # maximum number of elements of candidates in memory

Completer = Callable[[Tensor, Tensor, Condition | None], Tensor]


@undisturbed()
@torch.no_grad()
def impute(
    model: nn.Module,
    x: Tensor,
    known: Tensor | None = None,
    *,
    draws: int = 1,
    seed: int = 0,
    condition: Condition | None = None,
    candidates: int = CANDIDATES,
    numbers: Sequence[int] | None = None,
) -> Tensor:
    """Complete examples x (B, ...) `draws` times, sampling the unknown elements: (draws, B, ...).

    Known elements are returned unchanged.

    known: bool, as x; default: the elements that are not NaN
    candidates: completions to choose from, for models that condition approximately
    numbers: numbers of the examples, by default from 0: a completion depends on the seed and this
        number only, not on the batch
    Raises PthetaError if the model cannot complete, and for counts below 1.
    """
    completer = require(model, Completes, "complete")

    def complete(x: Tensor, known: Tensor, y: Condition | None) -> Tensor:
        once = [1] * (x.ndim - 1)
        every = None if y is None else repeated(y, draws)
        made = completer.complete(
            x.repeat(draws, *once), known.repeat(draws, *once), every, candidates
        )
        several: Tensor = made.unflatten(0, (draws, len(x)))
        return several

    _check(draws=draws, candidates=candidates)
    if not len(x):  # every row of a table is whole
        return x.cpu().expand(draws, *x.shape).clone()
    work = _Work(model, seed, draws * candidates, numbers)
    return torch.cat(list(work.parts(complete, x, known, condition)), 1)


@undisturbed()
@torch.no_grad()
def imputed(
    model: nn.Module,
    x: Tensor,
    known: Tensor | None = None,
    *,
    seed: int = 0,
    condition: Condition | None = None,
    candidates: int = CANDIDATES,
    numbers: Sequence[int] | None = None,
) -> Tensor:
    """The single best completion (B, ...): the conditional mean of unknown numbers, the most
    probable category. Arguments as in `impute`.

    For a model without `conditional_mean`, `AVERAGED` completions are averaged, or `SEARCHED` if
    each needs a search; for a model with it, `MORE` times as many candidates are used.
    """
    _check(candidates=candidates)
    require(model, Completes, "complete")
    if not len(x):
        return x.cpu().clone()
    if isinstance(model, HasConditionalMean):
        own, many = model, MORE * candidates

        def mean(x: Tensor, known: Tensor, y: Condition | None) -> Tensor:
            return own.conditional_mean(x, known, y, many)[None]

        work = _Work(model, seed, many, numbers)
        return torch.cat(list(work.parts(mean, x, known, condition)), 1)[0]
    every = impute(
        model,
        x,
        known,
        draws=SEARCHED if isinstance(model, Searches) else AVERAGED,
        seed=seed,
        condition=condition,
        candidates=candidates,
        numbers=numbers,
    )
    known = _known(x, known)
    return torch.where(known, x.cpu(), averaged(_spec(model), every))


def averaged(spec: DataSpec, draws: Tensor) -> Tensor:
    """The mean of completions (M, B, ...) as examples (B, ...); the mode of categories."""
    total = sum(spec.scaled(draw).double() for draw in draws)
    assert isinstance(total, Tensor)
    return spec.unscaled((total / len(draws)).to(torch.get_default_dtype()))


class _Work:
    """Completion in small batches. each: candidates in memory per example"""

    def __init__(
        self, model: nn.Module, seed: int, each: int, numbers: Sequence[int] | None
    ) -> None:
        self.model, self.seed, self.each, self.numbers = model, seed, each, numbers

    def parts(
        self, complete: Completer, x: Tensor, known: Tensor | None, condition: Condition | None
    ) -> Iterator[Tensor]:
        """The completions of each part, (M, b, ...), with known elements unchanged."""
        device, y = device_of(self.model), check_condition(self.model, condition)
        known = _known(x, known)
        numbers = range(len(x)) if self.numbers is None else self.numbers
        size = max(1, AT_ONCE // max(1, self.each * x[:1].numel()))
        one = x[:1].to(device), known[:1].to(device), None if y is None else y[:1]
        with effort(self.model, lambda: complete(*one), min(size, len(x))):
            for at in watched(range(0, len(x), size), "imputing"):
                part = slice(at, min(at + size, len(x)))
                given, open_ = x[part].to(device), known[part].to(device)
                with streams.own(self.seed, numbers[part]):
                    made = complete(given, open_, None if y is None else y[part]).cpu()
                yield torch.where(known[part], x[part].cpu(), made)


def _known(x: Tensor, known: Tensor | None) -> Tensor:
    """The mask of known elements: bool, as x, on the CPU. Raises PthetaError for another shape."""
    if known is None:
        return ~x.isnan().cpu() if x.is_floating_point() else torch.ones_like(x, dtype=torch.bool)
    if known.dtype != torch.bool or known.shape not in (x.shape, x.shape[1:]):
        raise PthetaError(
            f"known is {known.dtype} of shape {tuple(known.shape)}, and the examples have shape "
            f"{tuple(x.shape)}: give a bool mask of that shape, or of one example"
        )
    return known.cpu().expand(x.shape)


def _spec(model: nn.Module) -> DataSpec:
    spec = model.spec
    assert isinstance(spec, DataSpec)
    return spec


def _check(**counts: int) -> None:
    for name, value in counts.items():
        if value < 1:
            raise PthetaError(f"{name} = {value}: give at least one")
