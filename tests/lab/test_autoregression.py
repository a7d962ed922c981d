"""The page on autoregression: the runs that it takes, and the parts that its numbers rest on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import ptheta
from ptheta.lab.asked import Asked
from ptheta.lab.pages.autoregression import _product
from ptheta.lab.pages.autoregression_drawing import _costs, chosen, drawing
from ptheta.lab.pages.autoregression_masks import _of_depth
from ptheta.runs.folder import Run


def test_a_run_of_another_kind_is_refused_in_one_line():
    for runs, words in (
        (("example:vae",), "shows an autoregressive model of images"),
        (("example:pixelcnn", "example:pixelcnn"), "shows one run, and 2 are given"),
    ):
        with pytest.raises(ptheta.PthetaError, match=words) as said:
            ptheta.learn("autoregression", runs=runs)
        assert "\n" not in str(said.value)
    with pytest.raises(ptheta.PthetaError, match="leave --runs out"):
        ptheta.learn("likelihood", runs=("example:pixelcnn",))


def test_a_given_run_is_drawn():
    run = chosen(Asked(3, (Run.open("example:pixelcnn"),)))
    section = drawing(run, Asked(3, (run,)))
    assert run.name in section.text[0]


def test_the_chain_rule_holds_with_zeros_in_the_table():
    table = np.random.default_rng(0).dirichlet(np.ones(8)).reshape(2, 2, 2)
    table[0, 1] = 0
    table /= table.sum()
    for order in ((0, 1, 2), (2, 0, 1)):
        assert np.allclose(_product(table, order), table, rtol=0, atol=1e-12)


def test_samplers_draw_the_same_image_at_different_cost():
    with torch.random.fork_rng():
        cost = _costs(5, Asked(7))
    assert (cost.passes, cost.steps, cost.wrong) == (25, 25, 0)
    assert cost.rounds <= 25


def test_what_masks_let_through_does_not_depend_on_the_weights():
    """A pixel that a single path reaches is seen, although some units are inactive."""
    for seed in (11, 12):
        one, two = _of_depth(4, (9, 10), Asked(seed))
        assert (int(one.seen.sum()), int(two.seen.sum())) == (34, 40)
