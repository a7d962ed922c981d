"""Pictures of conditional models: a row for each condition, with its text beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import ptheta
from ptheta import tasks
from ptheta.api import draw
from ptheta.files import captions
from ptheta.files.captions import captioned, hatched, headed, in_rows, rows_in_turn, titled
from ptheta.files.images import grid, to_png
from ptheta.specs import ImageSpec
from ptheta.tasks.sample import Wanted, rows_wanted
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


def test_what_does_not_fill_its_rows_is_said(strokes, tmp_path):
    how: dict[str, Any] = {"hidden": (8,), "latent": 2, "steps": 1, "evaluate_every": 0}
    run = ptheta.train("cvae", strokes, tmp_path / "r", batch_size=16, **how)
    drawn = {n: ptheta.sample(run, n, same_noise=True).about for n in (1 + 2 * 2, 6)}
    assert drawn[6].partition(";")[0] == "6 images"
    assert "4 images of the requested 5, 2 in each of 2 rows" in drawn[5]
    assert ptheta.sample(run, 1, labels=[1]).about.partition(";")[0] == "1 image"


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


def pixels(picture: Image.Image) -> np.ndarray[Any, Any]:
    return np.array(picture)


@pytest.mark.parametrize("wide", [1, 4, 40])
@pytest.mark.parametrize("text", ["cat", "a large red circle at the top left " * 6, "x" * 300])
def test_a_title_is_shown_whole_and_moves_no_pixel(text, wide):
    canvas = grid(numbered(2 * wide), wide).repeat(8, 0).repeat(8, 1)
    made = pixels(titled(Image.fromarray(canvas), text))
    below = made[-canvas.shape[0] :, : canvas.shape[1]]
    assert (below == canvas).all()
    above = made[: -canvas.shape[0]]
    assert made.shape[1] <= max(canvas.shape[1], 260)
    assert (above[:, -3:] > 250).all()  # no letter is cut
    size = max(11, -(-11 * canvas.shape[1] // 390))
    font = captions._font(size)
    lines = captions._wrapped(text, font, made.shape[1] - 12)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(font.getlength(line) <= made.shape[1] - 12 for line in lines)


def test_a_row_is_told_in_smaller_letters_before_it_is_cut():
    """Two texts that differ in their last word alone."""
    start = "objects=1, background=white, first_shape=circle, first_size=small, first_row="
    canvas = Image.fromarray(grid(numbered(2).repeat_interleave(2, 0), 2).repeat(16, 0))
    made = pixels(captioned(canvas, [start + "top", start + "bottom"]))
    margin = made[:, : -canvas.width]
    upper, lower = margin[: len(margin) // 2], margin[-(len(margin) // 2) :]
    assert (upper != lower).any()


@pytest.mark.parametrize(
    ("labels", "n", "rows", "above"),
    [
        (["dog"], 4, 0, "dog"),
        (["dog"], 1, 0, "dog"),
        (["dog", "cat", "dog"], 2, 2, ""),
        ([], 1, 0, ""),
    ],
)
def test_a_picture_says_what_it_was_asked_for(labels, n, rows, above):
    model = tiny("cvae", ImageSpec(1, 8, 8, 2), condition=ptheta.Labels(("cat", "dog")))
    asked = rows_wanted(model, Wanted(labels=labels or None))
    texts, title = draw._texts(model, asked, n)
    assert (len(texts), title) == (rows, above)
    assert texts == tuple(labels[:rows])
