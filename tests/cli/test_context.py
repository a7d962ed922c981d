"""`ptheta context`: what it prints, draws and refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import ptheta
from tests.cli.command import Done, command

RUN = "example:pixelcnn"


def said(*words: object) -> Done:
    done = command("context", *words)
    assert "Traceback" not in done.stderr
    return done


def test_it_prints_and_draws(tmp_path: Path):
    done = said(RUN, "-n", 2, "--pixel", "20,4", "--out", tmp_path / "a.png")
    assert done.status == 0, done.stderr
    assert "pixel in row 20, column 4" in done.stdout
    assert "564" in done.stdout  # 20 * 28 + 4
    assert Image.open(tmp_path / "a.png").width > 400
    found = json.loads(said(RUN, "-n", 2, "--pixel", "20,4", "--json").stdout)
    assert found["seen"] + found["blind"] == found["before"] == 564
    assert found["ahead"] == 0


def test_colours_are_said(tmp_path: Path):
    options: Any = {"features": 6, "blocks": 1, "first_kernel": 3, "head": 6, "evaluate_every": 0}
    run = ptheta.train(
        "pixelcnn", "shapes", tmp_path / "run", size=8, levels=4, steps=1, batch_size=4, **options
    )
    seen = ptheta.context(run, n=2)
    assert seen.blocks()[0].lines == [
        "of its own colours, R sees nothing, G sees R, B sees R and G"
    ]
    assert seen.context.ahead == 0


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((RUN, "--pixel", "28,0"), "rows go from 0 to 27"),
        ((RUN, "--pixel", "3"), "want a row and a column, such as 14,14"),
        ((RUN, "--out", "x.gif"), "want .png"),
        (("example:vae",), "it has no `conditionals`"),
    ],
)
def test_it_refuses(words: tuple[str, ...], why: str):
    done = said(*words)
    assert done.status != 0
    assert why in done.stderr
