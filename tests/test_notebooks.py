"""What a notebook shows of an object: HTML that is whole in itself, runs nothing and is small."""

from __future__ import annotations

import base64
import io
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image

import ptheta
from ptheta.api.export import Images
from ptheta.api.grid import Grid
from ptheta.api.rows import Rows
from ptheta.data import VectorDataset, open_images
from ptheta.files.html import SIDE
from ptheta.measures.results import Evaluation, Result
from ptheta.runs.folder import Run
from ptheta.specs import Column, VectorSpec

HOSTILE = '<b onclick="steal()">&amp;</b>\n\x1b[2J<script>'
SHOWN = '<b onclick="steal()">&amp;'  # of it, as it is to be read
TAGS = {"div", "p", "b", "table", "tr", "td", "th", "img"}
ATTRIBUTES = {"style", "alt", "src"}
PNG = "data:image/png;base64,"
MOST = 1_100_000  # letters; only noise in colour comes near it


class Rich(Protocol):
    def _repr_html_(self) -> str: ...


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    x = np.random.default_rng(0).integers(0, 256, (600, 8, 8), dtype=np.uint8)
    small: dict[str, Any] = {"hidden": (4,), "latent": 2}
    out = tmp_path_factory.mktemp("shown") / SHOWN
    return ptheta.train("vae", (x, np.arange(600) % 2), out, steps=2, evaluate_every=1, **small)


def noise(n: int, channels: int, side: int) -> torch.Tensor:
    return torch.randint(0, 256, (n, channels, side, side), dtype=torch.uint8)


def _images(run: Run) -> Any:
    return replace(
        open_images(noise(100, 3, 150)), name=HOSTILE, classes=(HOSTILE,) * 9, labels=None
    )


def _vectors(run: Run) -> Rich:
    columns = (Column(HOSTILE), Column("kind", "category", (HOSTILE, "b")))
    cells = np.array([[np.nan, 0], [2.5, 1]] * 10, np.float32)
    return VectorDataset("a", "train", cells=cells, vectors=VectorSpec(columns))


def _rows(run: Run) -> Rich:
    spec = VectorSpec((Column(HOSTILE), Column("b"), Column("c")))
    return Rows(torch.randn(3000, 3), spec, HOSTILE)


def _evaluation(run: Run) -> Rich:
    results = [Result(f"{HOSTILE} {i}", None, reason=HOSTILE * 99) for i in range(60)]
    return Evaluation(tuple(results), {"data": HOSTILE})


def _samples(run: Run) -> Rich:
    return ptheta.sample(run, 5)


def _captioned(run: Run) -> Rich:
    x = Images.of(noise(6, 1, 8))
    return Grid(replace(x, captions=(HOSTILE, "b"), in_turn=True), None, HOSTILE)


# what is shown -> the object, a text of it, and how many pictures it has
OBJECTS: dict[str, tuple[Callable[[Run], Rich], str, int]] = {
    "run": (lambda run: run, "steal()", 1),
    "evaluation": (_evaluation, SHOWN, 0),
    "samples": (_samples, "5 images", 1),
    "rows": (_rows, SHOWN, 1),
    "samples of conditions": (_captioned, SHOWN, 1),
    "many": (lambda run: Grid(Images.of(noise(1000, 3, 40)), 50, HOSTILE), SHOWN, 1),
    "data": (_images, SHOWN, 1),
    "binary data": (lambda run: replace(_images(run), levels=2, dynamic=True), SHOWN, 1),
    "vectors": (_vectors, SHOWN, 0),
}


def checked(shown: str) -> tuple[str, list[Image.Image]]:
    """The texts and the pictures of HTML that is well-formed, runs nothing and loads nothing."""
    tree = ElementTree.fromstring(shown)
    for node in tree.iter():
        assert node.tag in TAGS
        assert set(node.attrib) <= ATTRIBUTES
        assert "url" not in node.get("style", "")
    sources = [node.get("src", "") for node in tree.iter("img")]
    assert all(source.startswith(PNG) for source in sources)
    assert all(node.get("alt") for node in tree.iter("img"))
    pictures: list[Image.Image] = [
        Image.open(io.BytesIO(base64.b64decode(s.removeprefix(PNG)))) for s in sources
    ]
    return " ".join(tree.itertext()), pictures


@pytest.mark.parametrize("name", OBJECTS)
def test_what_is_shown_is_whole_safe_and_small(name, run):
    make, words, count = OBJECTS[name]
    thing = make(run)
    torch.manual_seed(3)
    random.seed(4)
    before = torch.get_rng_state().tolist(), random.getstate()
    shown = thing._repr_html_()
    assert (torch.get_rng_state().tolist(), random.getstate()) == before
    text, pictures = checked(shown)
    assert words in text
    assert len(pictures) == count
    assert all(max(picture.size) <= 2 * SIDE for picture in pictures)
    assert len(shown) < MOST
    assert thing._repr_html_() == shown


def test_a_run_says_how_far_it_is_and_what_is_best(run):
    text, _ = checked(run._repr_html_())
    assert all(words in text for words in ("recipe default", "2 steps in", "at step", "vae/kl"))


@pytest.mark.parametrize("damaged", ["metrics.jsonl", "state", "samples"])
def test_a_damaged_run_is_shown_with_what_is_whole(damaged, run, tmp_path):
    shutil.copytree(run.path, tmp_path / "run")
    place = tmp_path / "run" / damaged
    for file in [place] if place.is_file() else filter(Path.is_file, place.rglob("*")):
        file.write_bytes(b"\x89PNG\r\n\x1a\nnonsense\n")
    text, pictures = checked(Run.open(tmp_path / "run")._repr_html_())
    assert len(pictures) == (damaged != "samples")
    assert "vae, recipe default" in text


def test_vectors_are_shown_as_their_source_has_them(run):
    text, _ = checked(_vectors(run)._repr_html_())
    assert "nan" not in text
    assert "2.5" in text
