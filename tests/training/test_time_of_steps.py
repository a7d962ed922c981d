"""What a dry run says of the time of a step."""

from __future__ import annotations

import click
import pytest
import torch
from click.testing import CliRunner

import ptheta
from ptheta.api.rehearsing import DryRun
from ptheta.cli.commands import cli

IMAGES = torch.randint(0, 256, (60, 1, 8, 8), dtype=torch.uint8)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0123, "12.3 ms"), (0.9994, "999 ms"), (0.9996, "1 s"), (12.34, "12.3 s")],
)
def test_steps_of_a_second_or_more_are_told_in_seconds(seconds, said):
    found = DryRun(
        *("vae", "default", "pets", 9, 0, "3x8x8", None, 5, "cpu"), seconds, steps=3, minutes=1
    )
    assert f"3 steps of {said}: about 60 seconds" in str(found)


def test_a_fit_makes_passes_over_the_data_until_it_ends():
    closed = ptheta.dry_run("gaussian", IMAGES)
    assert "\n1 pass over the data of" in str(closed)
    mixture = ptheta.dry_run("mixture", IMAGES, components=2, epochs=3)
    assert mixture.passes
    assert mixture.steps <= 3


def test_a_fit_that_has_not_ended_may_end_sooner():
    found = DryRun(
        *("mixture", "default", "pets", 9, 0, "3x8x8", None, 5, "cpu", 1.0), 500, 8.3, passes=True
    )
    assert "at most 500 passes over the data of 1 s: about 8 minutes" in str(found)


def test_a_dry_run_needs_no_folder_and_a_training_one(strokes):
    words = ["train", "gaussian", "--data", str(strokes)]
    done = CliRunner().invoke(cli, [*words, "--dry-run"])
    assert done.exception is None, done.exception
    assert "nothing is written" in done.output
    missing = CliRunner().invoke(cli, words, standalone_mode=False).exception
    assert isinstance(missing, click.MissingParameter)
