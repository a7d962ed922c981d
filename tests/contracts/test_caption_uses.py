"""What a model of captions is asked for: several, a file of them, what lies between two."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import ptheta
from ptheta import tasks
from ptheta.api.export import TABLE
from ptheta.api.grid import Grid
from ptheta.batch import Between, Together, joined
from ptheta.cli.commands import cli
from ptheta.conditions import Labels, Several, Text
from ptheta.data.image_data import ImageDataset
from ptheta.errors import PthetaError
from ptheta.files.captions import SMALLEST, WIDEST, _font, _lines
from ptheta.runs.folder import Run
from ptheta.specs import ImageSpec
from tests.conftest import TINY
from tests.training.test_runs import QUIET

SAID = ("a dark square", "a bright square", "a bright circle")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A cvae after a few steps."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (30, 1, 8, 8), dtype=np.uint8)
    data = ImageDataset("squares", "train", images, captions=[SAID[i % 3] for i in range(30)])
    how: dict[str, Any] = {**TINY["cvae"], **QUIET, "steps": 2, "condition": "text"}
    out = tmp_path_factory.mktemp("runs") / "r"
    return ptheta.train("cvae", data, out, text_encoder="gru", text_width=6, **how)


def drawn(run: Run, n: int, **how: Any) -> Grid:
    found = ptheta.sample(run, n, **how)
    assert isinstance(found, Grid)
    return found


def asked(*captions: str) -> dict[str, Any]:
    return {"condition": {"text": captions}}


def test_several_captions_stand_in_rows(run):
    grid = drawn(run, 6, **asked(SAID[2], SAID[0]))
    assert grid.images.captions == (SAID[2], SAID[0])
    assert grid.images.columns == 3
    both = tasks.sample(run.model(), 6, condition=[SAID[2], SAID[0]])
    assert torch.equal(grid.x, both)


def lines(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / TABLE).read_text().splitlines()]


def test_a_file_of_captions_becomes_a_folder_of_images_that_says_which_is_which(run, tmp_path):
    file = tmp_path / "captions.txt"
    file.write_text("A bright circle\na dark square\r\na bright circle\n\n", encoding="utf-8-sig")
    out = tmp_path / "out"
    done = CliRunner().invoke(
        cli, ["sample", str(run.path), "--caption-file", str(file), "--out", str(out)]
    )
    assert done.exit_code == 0, done.output
    said = [SAID[2], SAID[0], SAID[2]]
    assert [line["caption"] for line in lines(out)] == said
    assert [line["file_name"] for line in lines(out)] == [f"{i:05d}.png" for i in range(3)]
    again = ptheta.open_data(out)
    assert again.caption_texts() == said
    same = ptheta.sample(run, caption_file=file)
    assert np.array_equal(again.stored, same.x)
    assert torch.equal(same.x, ptheta.sample(run, 3, **asked(*said)).x)
    (out / TABLE).unlink()
    ptheta.sample(run, caption_file=file, out=out)  # goes on, and writes what is missing
    assert len(lines(out)) == 3


def test_a_line_of_a_caption_file_ends_where_an_editor_ends_it(run, tmp_path):
    """Not at other separators within; and the file may be in UTF-16."""
    file = tmp_path / "captions.txt"
    said = "a dark\u2028square\ra bright\x0ccircle\r\na dark square\n"
    for encoding in ("utf-8", "utf-16"):
        file.write_bytes(said.encode(encoding))
        assert len(ptheta.sample(run, caption_file=file).x) == 3


def test_every_caption_that_is_given_has_an_image(run):
    with pytest.raises(PthetaError, match="-n 1: 2 conditions need at least 2 images"):
        ptheta.sample(run, 1, **asked(*SAID[:2]))


def test_images_in_turn_and_of_the_same_noise_are_told_apart(run, tmp_path):
    ptheta.sample(run, 4, out=tmp_path / "turn", **asked(*SAID[:2]))
    assert [line["caption"] for line in lines(tmp_path / "turn")] == [*SAID[:2], *SAID[:2]]
    ptheta.sample(run, 4, same_noise=True, out=tmp_path / "rows", **asked(*SAID[:2]))
    rows = [line["caption"] for line in lines(tmp_path / "rows")]
    assert rows == [SAID[0], SAID[0], SAID[1], SAID[1]]


@pytest.mark.parametrize(
    ("written", "more", "said"),
    [
        (b"", {}, "the file has no captions"),
        (b"a dark square\n\na dark square", {}, "line 2: caption '' is empty: give 1 to 3 words"),
        (b"a dark square\na drak square", {}, r"line 2: unknown word 'drak': did you mean 'dark'"),
        (b"a dark " + b"square" * 2000, {}, r"line 1: unknown word 'squaresq.*12,000 characters"),
        (b"\xff\xfe", {}, "the file has no captions"),
        (b"a d\xe4rk square", {}, "is not UTF-8"),
        (
            b"a dark square\n" * 3,
            {"n": 2},
            "-n 2: the 3 captions of .*c.txt need at least 3 images",
        ),
        (b"a dark square", asked("a dark square"), "give one of them"),
        (None, {}, "No such file"),
    ],
)
def test_a_file_that_is_no_list_of_captions_is_refused(written, more, said, run, tmp_path):
    file = tmp_path / "c.txt"
    if written is not None:
        file.write_bytes(written)
    with pytest.raises(PthetaError, match=said) as error:
        ptheta.sample(run, caption_file=file, **more)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_between_two_captions_one_noise_goes_from_one_to_the_other(run):
    walk = drawn(run, 12, between=4, **asked(SAID[0], SAID[2]))
    assert walk.images.captions == (SAID[0], "33 %", "67 %", SAID[2])
    rows = walk.x.unflatten(0, (4, 3))
    ends = ptheta.sample(run, 6, same_noise=True, **asked(SAID[0], SAID[2])).x.unflatten(0, (2, 3))
    assert torch.equal(rows[0], ends[0])
    assert torch.equal(rows[3], ends[1])
    assert not torch.equal(rows[1], rows[2])


def test_what_lies_between_is_indexed_repeated_and_moved_as_one():
    several = Several((Labels(("x", "y")), Text(("a", "b"), 3)))
    for spec in (Labels(("x", "y")), several):
        c = Between.of(spec.examples(3), spec.examples(3, 1), torch.tensor([0, 0.5, 1]))
        some = joined([c[1:], c[:1]]).to("cpu")
        assert isinstance(some, Between)
        assert some.share.tolist() == [0.5, 1, 0]
        first, second = some.ends()
        assert isinstance(first, Together) == (spec is several)
        assert spec.describe(first) == spec.describe(spec.examples(3)[torch.tensor([1, 2, 0])])
        assert spec.describe(second) == spec.describe(spec.examples(3, 1)[torch.tensor([1, 2, 0])])


@pytest.mark.parametrize("name", ["pixelcnn", "cgan", "projection-gan", "made"])
def test_models_of_labels_know_what_lies_between_them(name):
    torch.manual_seed(0)
    labels = Labels(("x", "y"))
    more = {"net": "mlp", "g_hidden": (8,), "d_hidden": (8,)} if "gan" in name else {}
    spec = ImageSpec(1, 8, 8, 2)
    model: Any = ptheta.create(name, spec, condition=labels, **{**TINY.get(name, {}), **more})
    model.eval()
    ends = labels.examples(2)
    c = model.between(ends[:1], ends[1:], torch.tensor([0.0]))
    for share, end in ((0.0, ends[:1]), (1.0, ends[1:])):
        c = model.between(ends[:1], ends[1:], torch.tensor([share]))
        torch.manual_seed(1)
        with torch.no_grad():
            x = model.sample(1, c)
            torch.manual_seed(1)
            assert torch.equal(x, model.sample(1, end))


def test_there_is_nothing_between_one_caption_or_none(run):
    for given, said in (
        ({}, "--between needs two conditions"),
        (asked(SAID[0]), "give two, the first and the last, not 1"),
        (asked(*SAID), "the last, not 3"),
        (asked(*SAID[:2]) | {"n": 3}, "-n 3: 5 conditions need at least 5 images"),
    ):
        with pytest.raises(PthetaError, match=said):
            ptheta.sample(run, between=5, **given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"condition": {"text": []}}, "^text is empty: give at least one"),
        ({"condition": {"text": [1]}}, "^text 1: want a text, or several"),
        ({"condition": {"text": [None]}}, "^text None: want a text"),
        ({"condition": {"text": [[SAID[0]]]}}, r"^text \['a dark square'\]: want a text"),
        ({"condition": 5}, "^condition 5: want a text, or several"),
        (asked(*SAID[:2]) | {"between": 2.5}, "^--between 2.5: want an integer"),
        (asked(*SAID[:2]) | {"between": "3"}, "^--between 3: want an integer"),
        ({"n": True}, "^-n True: want an integer"),
        ({"caption_file": 5}, "^--caption-file of type int: give the path"),
    ],
)
def test_what_is_of_another_type_is_refused_in_a_line(given, said, run):
    with pytest.raises(PthetaError, match=said):
        ptheta.sample(run, **given)


def test_one_caption_needs_no_list(run):
    one = drawn(run, 2, condition={"text": SAID[0]})
    assert torch.equal(one.x, drawn(run, 2, **asked(SAID[0])).x)


def test_a_long_caption_takes_as_many_lines_as_its_row_has_room_for():
    font, text = _font(SMALLEST), "a large red circle at the top left of a small blue square " * 2
    for most in (1, 2, 9):
        found = _lines(text, font, most)
        assert len(found) <= most
        assert all(font.getlength(line) <= WIDEST for line in found)
        assert ("…" in found[-1]) == (most < 9)
    assert " ".join(_lines(text, font, 9)) == text.strip()
    (cut,) = _lines("i" * 65_536, font, 1)  # in a moment
    assert font.getlength(cut) <= WIDEST < font.getlength(f"i{cut}")
    assert _lines("", font, 2) == [""]
