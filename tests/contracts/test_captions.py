"""Pictures of conditional models: a row for each condition, with its text beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import ptheta
from ptheta import tasks
from ptheta.files.captions import captioned, hatched, headed, in_rows, rows_in_turn
from ptheta.files.images import grid, to_png
from ptheta.specs import ImageSpec
from ptheta.training.pictures import in_picture
from tests.conftest import tiny


def numbered(n: int) -> torch.Tensor:
    return torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1).expand(n, 1, 4, 4)


def test_images_in_turn_stand_in_rows_of_their_condition():
    x, columns = rows_in_turn(numbered(8), 3)
    assert columns == 3
    assert x[:, 0, 0, 0].tolist() == [0, 3, 6, 1, 4, 7, 2, 5, 255]
    assert in_rows(3, 8)
    assert not in_rows(1, 8)
    assert not in_rows(9, 8)


def test_a_text_stands_left_of_each_row_and_moves_no_pixel():
    canvas = grid(numbered(6), 3)
    plain = np.array(Image.fromarray(canvas))
    for texts in (["cat", "dog"], ["a" * 400, "ß Ж λ"]):
        made = np.array(captioned(Image.fromarray(canvas), texts))
        assert made.shape[0] == plain.shape[0]
        assert plain.shape[1] < made.shape[1] < plain.shape[1] + 300
        assert (made[:, -plain.shape[1] :] == plain).all()
        margin = made[:, : -plain.shape[1]]
        assert all((half < 200).any() for half in np.array_split(margin, 2))
    assert to_png(canvas, captions=["x", "y"]) == to_png(canvas, captions=["x", "y"])


@pytest.mark.parametrize("columns", [1, 4, 9])
def test_a_text_stands_above_each_column_and_moves_no_pixel(columns):
    """In letters of which the smallest is some 8 pixels high on a screen of 390."""
    canvas = grid(numbered(2 * columns).expand(-1, 3, -1, -1), columns).repeat(24, 0).repeat(24, 1)
    texts = ["input", *["nearest training target"] * (columns - 1)]
    made = np.array(headed(Image.fromarray(canvas), texts))
    assert made.shape[1] == canvas.shape[1]
    assert (made[-canvas.shape[0] :] == canvas).all()
    above = made[: -canvas.shape[0]]
    assert all((part < 200).any() for part in np.array_split(above, columns, axis=1))
    lines = (above[..., 0] < 200).any(1)
    high = int(lines.sum()) / (3 if columns > 1 else 1)
    assert high >= 7 * canvas.shape[1] / 390


def test_what_is_unknown_is_hatched_and_what_is_known_stays():
    x, known = torch.full((2, 3, 8, 8), 7, dtype=torch.uint8), torch.zeros(8, 8, dtype=torch.bool)
    known[:4] = True
    made = hatched(x, known)
    assert (made[:, :, :4] == 7).all()
    assert made[:, :, 4:].unique().numel() == 2


def test_a_model_is_shown_by_its_conditions():
    spec = ImageSpec(1, 8, 8, 2)
    model = tiny("cvae", spec, condition=ptheta.Labels(("cat", "dog")))
    x, columns, texts = in_picture(model, tasks.sample(model, 6))
    assert (len(x), columns, texts) == (6, 3, ["cat", "dog"])
    assert in_picture(tiny("vae", spec), x) == (x, None, [])


def test_all_conditions_are_drawn_from_the_same_noise(strokes, tmp_path):
    how: dict[str, Any] = {
        "hidden": (8,),
        "latent": 2,
        "steps": 2,
        "batch_size": 16,
        "evaluate_every": 0,
    }
    run = ptheta.train("cvae", strokes, tmp_path / "r", **how)
    x = ptheta.sample(run, 6, same_noise=True, out=tmp_path / "x.png").x
    assert x.shape == (6, 1, 16, 16)
    same = tasks.sample(run.model(), 3, condition=torch.tensor([1, 1, 1]))
    assert torch.equal(x[3:], same)
    with Image.open(tmp_path / "x.png") as picture:
        assert picture.width > 3 * 64
