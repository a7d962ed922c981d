"""Recording of a model's Markov chains, step by step. Needs `HasChain`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.capabilities import HasChain, HasEnergy, some_conditions
from ptheta.compute.streams import seeded, undisturbed
from ptheta.errors import PthetaError
from ptheta.models.base import Model
from ptheta.tasks.effort import effort
from ptheta.tasks.needs import require
from ptheta.terminal.progress import watched

Classify = Callable[[Tensor], Tensor]  # images -> classes, int64 (n,)


@dataclass(frozen=True)
class Walk:
    """Recorded Markov chains.

    states: every few steps, (frames, chains, *shape), starting with the initial state
    means: mean of each state in network scale: (chains, steps)
    energies: E(x), if the model has an energy; classes: predictions of a classifier, int64
    """

    states: Tensor
    means: Tensor
    energies: Tensor | None
    classes: Tensor | None


@undisturbed()
@torch.no_grad()
def chain(
    model: nn.Module,
    steps: int = 1000,
    chains: int = 8,
    *,
    every: int = 50,
    burn: int = 0,
    classify: Classify | None = None,
    seed: int = 0,
) -> Walk:
    """Run Markov chains from the model's initial states.

    every: steps between two recorded states; burn: steps discarded at the start
    classify: classifier of images
    Raises PthetaError if the model has no chain, and for counts below 1.
    """
    moving = require(model, HasChain, "run a Markov chain")
    for name, value, least in (
        *(("steps", steps, 2), ("chains", chains, 1), ("every", every, 1)),
        ("burn", burn, 0),
    ):
        if value < least:
            raise PthetaError(f"{name} = {value}: give {least} or more")
    with seeded(seed):
        y = some_conditions(model, chains)
        x = moving.chain_start(chains, y)
        one = None if y is None else y[:1]
        with effort(model, lambda: moving.transition(x[:1], one), chains):
            return _walked(moving, x, y, (burn, steps, every), classify)


def _walked(
    moving: HasChain,
    x: Tensor,
    y: Condition | None,
    counts: tuple[int, int, int],
    classify: Classify | None,
) -> Walk:
    burn, steps, every = counts
    energy = moving if isinstance(moving, HasEnergy) else None
    states, means = list[Tensor](), list[Tensor]()
    energies, classes = list[Tensor](), list[Tensor]()
    for step in watched(range(1 - burn, steps + 1), "steps of the chain"):
        if step >= 1:
            if (step - 1) % every == 0:
                states.append(x.cpu())
            means.append(_mean(moving, x))
            if energy is not None:
                energies.append(energy.energy(x).cpu().double())
            if classify is not None:
                classes.append(classify(x.cpu()))
        if step < steps:
            x = moving.transition(x, y)
    return Walk(
        torch.stack(states),
        torch.stack(means, 1),
        torch.stack(energies, 1) if energies else None,
        torch.stack(classes, 1) if classes else None,
    )


def _mean(moving: HasChain, x: Tensor) -> Tensor:
    seen = moving.spec.compared(x) if isinstance(moving, Model) else x
    return seen.flatten(1).double().mean(1).cpu()
