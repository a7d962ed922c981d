"""Classifiers that take less time."""

from dataclasses import replace
from functools import partial

import pytest

from ptheta.tasks.usefulness import LEARNERS
from ptheta.tasks.usefulness.learners import by_convolutions, by_forest

FEW_TREES, FEW_STEPS = 12, 80


@pytest.fixture(scope="module", autouse=True)
def quick_learners():
    forest = replace(LEARNERS["forest"], fit=partial(by_forest, trees=FEW_TREES))
    convnet = replace(LEARNERS["convnet"], fit=partial(by_convolutions, steps=FEW_STEPS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(LEARNERS, "forest", forest)
        patch.setitem(LEARNERS, "convnet", convnet)
        yield
