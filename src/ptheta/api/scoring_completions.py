"""Evaluation of completions of masked test images."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from ptheta.api.limits import check_numbers
from ptheta.api.on_device import on_device
from ptheta.capabilities import Completes, conditional
from ptheta.data.memory import Source
from ptheta.data.turns import in_turn
from ptheta.masks import TESTED
from ptheta.metrics.completion_scores import How, Scores, score
from ptheta.runs.folder import Run
from ptheta.specs import images_only
from ptheta.tasks.conditions import with_conditions
from ptheta.tasks.needs import require

MEASURED = 50  # test images


@on_device
def score_inpainting(
    run: str | Path | Run,
    data: Source | None = None,
    *,
    n: int = MEASURED,
    each: int = 4,
    candidates: int = 1,
    search_steps: int | None = None,
    weights: str = "best",
    seed: int = 0,
    masks: Sequence[str] = TESTED,
    device: str | None = None,
) -> Scores:
    """Evaluate the completion of masked test images, mask by mask, next to baselines.

    Baselines (`ptheta.metrics.floors`) are fitted to the run's training images; if these are not
    available, there are none.

    Args:
        run: run folder, or a `Run`
        data: new location of the run's data, or other images
        n: number of test images
        each: completions per image
        candidates, search_steps, weights: as for `inpaint`
        seed: random seed
        masks: names in `ptheta.masks.MASKS` of the parts that are hidden
        device: as for `ptheta.sample`

    Returns:
        The scores of the model, then those of each baseline.

    Raises:
        PthetaError: as `inpaint` does
    """
    check_numbers(n=n, each=each, candidates=candidates, seed=seed)
    opened = Run.open(run, weights)
    images_only(opened.spec, "an area to complete")
    found = opened.look(data)
    if (text := opened.remark(found, data, copies=False)) is not None:
        warnings.warn(text, stacklevel=3)
    model = opened.model()
    require(model, Completes, "inpaint")
    test = with_conditions(model, found.test)
    batch = in_turn(test).batch(slice(0, n))
    y = batch.condition if conditional(model) else None
    how = How(each, candidates, search_steps, seed)
    return score(model, batch.x, y, found.train, how, masks)
