"""Pairs: read from a source or made of images; label maps among them."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import ptheta
from ptheta.cli.commands import cli
from ptheta.conditions import Image as ImageCondition
from ptheta.data import describe, open_data
from ptheta.data.image_data import ImageDataset
from ptheta.data.inputs import StoredInputs
from ptheta.data.pairs.made import MAKINGS
from ptheta.data.pairs.palette import found, in_colours
from ptheta.data.pairs.table import PAIRS, PairKind, Wish
from ptheta.data.picture import Shape
from ptheta.data.request import DataSettings, Learned, Request
from ptheta.data.shapes import scenes
from ptheta.data.sources import open_split
from ptheta.errors import PthetaError
from ptheta.specs import ImageSpec, LabelMapSpec
from tests.data.makers import noise, png

LEFT, RIGHT = noise(24, 8, 8, 3), noise(24, 8, 8)
LEFT_X = torch.from_numpy(LEFT).permute(0, 3, 1, 2)
RIGHT_X = torch.from_numpy(RIGHT)[:, None]
COLOURS = ((0, 0, 220), (250, 80, 0), (30, 250, 230), (255, 0, 0))


def side_by_side(
    root: Path, left: np.ndarray = LEFT, right: np.ndarray = RIGHT, suffix: str = "png"
) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for i, (a, b) in enumerate(zip(left, right, strict=True)):
        b = np.stack([b] * 3, -1) if b.ndim == 2 else b
        Image.fromarray(np.concatenate([a, b], 1)).save(root / f"{i:02d}.{suffix}", quality=75)
    return root


def two_folders(root: Path, a: str = "input", b: str = "target", **suffixes: str) -> Path:
    for name, images in ((a, LEFT), (b, RIGHT)):
        (root / name).mkdir(parents=True)
        for i, image in enumerate(images):
            Image.fromarray(image).save(root / name / f"{i:02d}.{suffixes.get(name, 'png')}")
    return root


def two_columns(root: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    root.mkdir(parents=True)
    cells: dict[str, Any] = {"drawn": LEFT, "true": RIGHT}
    table = {k: [{"bytes": png(x), "path": ""} for x in xs] for k, xs in cells.items()}
    pq.write_table(pa.table(table), root / "train.parquet")
    return root


def opened(source: Any, split: str = "train", **options: Any) -> Any:
    """Any kind of data, read with any options."""
    return open_data(source, split, **options)


SOURCES: dict[str, Any] = {
    "side-by-side": side_by_side,
    "folders": two_folders,
    "columns": two_columns,
}


def whole(data: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """The inputs and the targets of a data set in the order of its stored rows."""
    rows = np.arange(len(data.stored))
    return data.inputs.take(data, rows), torch.from_numpy(np.array(data.stored))


@pytest.mark.parametrize("kind", SOURCES)
def test_stored_pairs_are_read_as_they_are_and_exchanged(tmp_path, kind):
    source = SOURCES[kind](tmp_path / "data")
    data = opened(source, pairs=kind)
    inputs, targets = whole(data)
    assert torch.equal(inputs, LEFT_X)
    assert torch.equal(targets, RIGHT_X)
    assert data.spec == ImageSpec(1, 8, 8)
    assert data.inputs.spec == ImageSpec(3, 8, 8)
    back = opened(source, pairs=kind, reverse=True)
    inputs, targets = whole(back)
    assert torch.equal(inputs, RIGHT_X)
    assert torch.equal(targets, LEFT_X)
    # a tenth is held out by the targets, and its inputs go with it
    train, test = opened(source, pairs=kind), opened(source, "test", pairs=kind)
    assert len(train) + len(test) == len(LEFT)
    assert len(test) > 0
    batch = ImageCondition.of_data(test, "").adapted(test).batch(slice(None))
    for x, given in zip(batch.x, torch.as_tensor(batch.condition), strict=True):
        at = int((x == RIGHT_X).flatten(1).all(1).nonzero())
        assert torch.equal(given, LEFT_X[at])


@pytest.mark.parametrize("kind", SOURCES)
def test_pairs_go_to_other_processes_as_the_names_of_their_files(tmp_path, kind):
    source = SOURCES[kind](tmp_path / "data")
    data = opened(source, pairs=kind, cache_dir=tmp_path / "cache", size=64)
    sent = pickle.dumps(data)
    assert len(sent) < data.inputs.images.nbytes
    again = pickle.loads(sent)
    assert torch.equal(whole(again)[0], whole(data)[0])


def test_both_halves_are_brought_to_size_by_themselves(tmp_path):
    black, white = np.zeros((12, 30, 20, 3), np.uint8), np.full((12, 30, 20, 3), 255, np.uint8)
    data = opened(side_by_side(tmp_path / "a", black, white), pairs="side-by-side", size=16)
    inputs, targets = whole(data)
    assert inputs.max() == 0
    assert targets.min() == 255


def test_wide_pictures_are_asked_about_and_not_where_they_are_pairs(tmp_path):
    source = side_by_side(tmp_path / "a")
    assert "--pairs side-by-side" in " ".join(opened(source).advice)
    with pytest.raises(PthetaError, match=r"are twice as wide as high.*--pairs side-by-side"):
        ImageCondition.of_data(opened(source), "a")
    assert "--pairs side-by-side" in " ".join(describe(source)["suggestions"])
    assert not any("--pairs" in line for line in opened(source, pairs="side-by-side").advice)


def test_halves_of_unequal_size_are_told(tmp_path):
    source = side_by_side(tmp_path / "a")
    Image.fromarray(noise(8, 15, 3)).save(source / "odd.png")
    data = opened(source, pairs="side-by-side")
    assert any("odd.png: 15 pixels wide" in line for line in data.skipped)
    odd = side_by_side(tmp_path / "b", LEFT[:, :, :7])
    with pytest.raises(PthetaError, match="halves differ in size"):
        opened(odd, pairs="side-by-side")


def test_partners_that_are_missing_are_counted_and_named(tmp_path):
    source = two_folders(tmp_path / "a", target="jpg")
    (source / "input" / "03.png").unlink()
    (source / "target" / "05.jpg").unlink()
    data = opened(source, pairs="folders")
    assert len(data.stored) == 22
    (line,) = (line for line in data.left_out if "partner" in line)
    assert "2 pictures without a partner" in line
    assert "input/05.png" in line
    assert any("partner" in note for note in data.notes)


@pytest.mark.parametrize("parts", ["train{}", "{}/train", "train/{}"])
def test_the_two_folders_may_have_parts(tmp_path, parts):
    for part in ("train", "test"):
        names = (parts.replace("train", part).format(letter) for letter in "AB")
        two_folders(tmp_path / "a", *names)
    for part in ("train", "test"):
        inputs, targets = whole(opened(tmp_path / "a", part, pairs="folders"))
        assert torch.equal(inputs, LEFT_X)
        assert torch.equal(targets, RIGHT_X)


def test_partners_of_two_sizes_are_each_brought_to_size(tmp_path):
    source = two_folders(tmp_path / "a")
    for i in range(24):
        Image.fromarray(noise(20, 20, 3)).save(source / "target" / f"{i:02d}.png")
    data = opened(source, pairs="folders", size=8)
    assert data.spec == data.inputs.spec == ImageSpec(3, 8, 8)
    assert torch.equal(whole(data)[0], LEFT_X)


# -- made pairs


def colour_set(n: int = 12) -> ImageDataset:
    images = noise(n, 3, 16, 12)
    images[:, :, 4:9, 3:8] //= 4
    return ImageDataset("a", "train", images)


@pytest.mark.parametrize("kind", MAKINGS)
def test_made_inputs_are_a_function_of_the_image_and_its_number(kind):
    data = opened(colour_set(), pairs=kind)
    inputs, rows = data.inputs, np.arange(12)
    every = inputs.spec.check(inputs.take(data, rows))
    assert not torch.equal(every.float().mean(1), torch.from_numpy(data.images).float().mean(1))
    order = np.random.default_rng(0).permutation(12)
    assert torch.equal(inputs.take(data, order), every[order])
    assert torch.equal(torch.cat([inputs.take(data, rows[i : i + 1]) for i in rows]), every)
    assert torch.equal(pickle.loads(pickle.dumps(data)).inputs.take(data, rows), every)
    # an image whose place changed keeps its input where it keeps its number
    moved = ImageDataset("b", "train", data.images[order], numbers=order)
    assert torch.equal(inputs.take(moved, rows), every[order])


@pytest.mark.parametrize("kind", [name for name, entry in PAIRS.items() if entry.making])
def test_made_pairs_may_be_exchanged(tmp_path, kind):
    source = colour_set()
    made = opened(source, pairs=kind, cache_dir=tmp_path)
    back = opened(source, pairs=kind, reverse=True, cache_dir=tmp_path)
    inputs, targets = whole(made)
    assert torch.equal(whole(back)[0], targets)
    assert torch.equal(whole(back)[1], inputs)


def test_what_is_made_is_what_it_says():
    data = colour_set()

    def made(kind, strength=None):
        return whole(opened(data, pairs=kind, pair_strength=strength))

    inputs, targets = made("grey")
    pillow = [np.asarray(Image.fromarray(x.permute(1, 2, 0).numpy()).convert("L")) for x in targets]
    np.testing.assert_array_equal(inputs[:, 0], np.stack(pillow))
    inputs, targets = made("hole")
    hidden = (inputs != targets).any(1).flatten(1).float().mean(1)
    assert hidden.min() > 0.03
    assert hidden.max() <= 0.25
    assert (inputs == targets).any()
    inputs, targets = made("noise", 10)
    error = (inputs.float() - targets)[(targets > 60) & (targets < 195)]
    assert abs(error.std() - 10) < 0.4
    assert abs(error.mean()) < 0.3
    inputs, targets = made("small", 2)
    boxes = torch.nn.functional.avg_pool2d(targets.float(), 2)
    apart = torch.nn.functional.avg_pool2d(inputs.float(), 2) - boxes
    assert apart.abs().mean() < 16 < (targets - inputs.float()).abs().mean()
    square = np.full((1, 3, 16, 16), 20, np.uint8)
    square[:, :, 5:11, 5:11] = 230
    edges = whole(opened(ImageDataset("s", "train", square), pairs="edges"))[0][0, 0] == 0
    assert not edges[:3].any()
    assert not edges[7:9, 7:9].any()
    assert edges[4:12, 4:12].sum() >= 16


# -- label maps


def maps(n: int, classes: int, seed: int = 0, side: int = 64) -> np.ndarray:
    """Rectangles in the colours of the first classes, (n, side, side, 3)."""
    rng, colours = np.random.default_rng(seed), np.array(COLOURS, np.uint8)
    out = np.empty((n, side, side, 3), np.uint8)
    for image in out:
        image[:] = colours[0]
        for k in range(1, classes):
            y, x = rng.integers(0, side - 24, 2)
            image[y : y + 20, x : x + 24] = colours[k]
    return out


def noisy(image: np.ndarray, path: Path) -> Image.Image:
    Image.fromarray(image).save(path, quality=80)
    return Image.open(path).convert("RGB")


def test_the_colours_of_noisy_label_maps_are_found(tmp_path):
    pictures = [noisy(x, tmp_path / f"{i}.jpg") for i, x in enumerate(maps(20, 4))]
    assert len(np.unique(np.stack([np.asarray(x) for x in pictures]).reshape(-1, 3), axis=0)) > 256
    for count in (None, 4):
        palette = found(pictures, count, "a")
        assert len(palette) == 4
        for colour in COLOURS:
            assert min(np.abs(np.subtract(p, colour)).max() for p in palette) <= 8
    exact = [Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) // 5)]
    assert found(exact, None, "a") == tuple((k,) for k in range(13))
    with pytest.raises(PthetaError, match="--label-colours"):
        found([Image.new("L", (8, 8))], None, "a")


def test_a_cell_has_the_colour_of_most_of_its_pixels():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, (64, 64))
    picture = Image.fromarray(np.array(COLOURS, np.uint8)[labels])
    made = in_colours(picture, Shape(3, 16, 16), COLOURS)
    cells = labels.reshape(16, 4, 16, 4).transpose(0, 2, 1, 3).reshape(16, 16, 16)
    most = np.array([[np.bincount(cell, minlength=4).argmax() for cell in row] for row in cells])
    np.testing.assert_array_equal(made.transpose(1, 2, 0), np.array(COLOURS)[most])
    for shape in (Shape(3, 64, 64), Shape(3, 128, 128), Shape(3, 50, 30)):
        part = in_colours(picture, shape, COLOURS)
        assert part.shape == (3, shape.height, shape.width)
        assert {tuple(c) for c in part.reshape(3, -1).T.tolist()} <= set(COLOURS)


def test_label_maps_keep_the_palette_of_training(tmp_path):
    source = side_by_side(tmp_path / "a" / "train", noise(24, 64, 64, 3), maps(24, 4), "jpg").parent
    side_by_side(source / "test", noise(12, 64, 64, 3), maps(12, 2, seed=1), "jpg")
    options: dict[str, Any] = {"pairs": "side-by-side", "label_maps": "target", "size": 16}
    train = opened(source, **options)
    test = opened(source, "test", **options)
    assert isinstance(train.spec, LabelMapSpec)
    assert train.spec.labels == 4
    assert test.spec == train.spec  # though two colours are not in it
    assert len(test.spec.numbers(test.batch(slice(None)).x).unique()) == 2
    assert train.inputs.spec == ImageSpec(3, 16, 16)
    # a run that learned them reads another source in its colours
    other = side_by_side(tmp_path / "b", noise(24, 64, 64, 3), maps(24, 2, seed=2), "jpg")
    assert opened(other, **options).spec != train.spec
    asked = Request("train", DataSettings(**options), learned=Learned(train.spec))
    assert open_split(other, asked).spec == train.spec
    back = opened(source, pairs="side-by-side", label_maps="input", reverse=True, size=16)
    assert back.inputs.spec == train.spec
    assert torch.equal(whole(back)[0], whole(train)[1])


def test_an_input_of_a_user_is_read_in_the_colours_of_the_run(tmp_path):
    (x,) = maps(1, 4)
    noisy(x, tmp_path / "a.jpg")
    spec = LabelMapSpec(3, 16, 16, palette=COLOURS)
    given: Any = ImageCondition(spec).parse(str(tmp_path / "a.jpg"))
    exact = torch.from_numpy(in_colours(Image.fromarray(x), Shape(3, 16, 16), COLOURS))
    assert (given[0] == exact).float().amin(0).mean() > 0.95


def test_masks_are_inputs_in_greys_or_as_planes(tmp_path):
    drawn = scenes(np.arange(30), 0, 32)
    source = ImageDataset("drawn", "train", drawn.images, masks=drawn.masks)
    rows = np.arange(30)
    grey, planes = (opened(source, pairs="masks", label_maps=m) for m in ("none", "input"))
    assert grey.inputs.spec == ImageSpec(1, 32, 32, 3)
    x = planes.inputs.take(planes, rows)
    assert torch.equal(x, grey.inputs.take(grey, rows))
    spec = planes.inputs.spec
    assert spec.scaled_shape == (3, 32, 32)
    assert torch.equal(spec.numbers(x), torch.from_numpy(drawn.masks).long())
    options: dict[str, Any] = {"pairs": "masks", "label_maps": "target", "reverse": True}
    back = opened(source, **options, cache_dir=tmp_path)
    assert back.spec == spec
    assert torch.equal(whole(back)[1], x)
    # masks of fewer parts are read as the run learned them
    few = ImageDataset("few", "train", drawn.images, masks=drawn.masks.clip(0, 1))
    assert opened(few, pairs="masks").inputs.spec != grey.inputs.spec
    asked = Request("train", DataSettings(pairs="masks"), learned=Learned(None, grey.inputs.spec))
    known: Any = open_split(few, asked)
    assert known.inputs.spec == grey.inputs.spec


# -- what cannot be


def bare(root: Path) -> Path:
    root.mkdir()
    for i in range(12):
        Image.fromarray(noise(8, 8)).save(root / f"{i}.png")
    return root


def three(root: Path) -> Path:
    bare(two_folders(root) / "other")
    return root


def strangers(root: Path) -> Path:
    for i, file in enumerate(sorted((two_folders(root) / "target").iterdir())):
        file.rename(file.with_name(f"other{i}.png"))
    return root


ODD: dict[str, Any] = {
    "no two folders": (bare, {"pairs": "folders"}, "has 0 folders with pictures"),
    "three folders": (three, {"pairs": "folders"}, "has 3 folders with pictures"),
    "other names": (strangers, {"pairs": "folders"}, "no picture of input/ has the name"),
    "no columns": (bare, {"pairs": "columns"}, "has no such pairs"),
    "one column": (
        two_columns,
        {"pairs": "columns", "input_column": "true", "image_column": "true"},
        "pairs need two",
    ),
    "no such column": (
        two_columns,
        {"pairs": "columns", "input_column": "ture"},
        "did you mean 'true'",
    ),
    "no masks": (bare, {"pairs": "masks"}, "has no masks"),
    "grey of grey": (bare, {"pairs": "grey"}, "these are grey"),
    "not a kind": (bare, {"pairs": "twins"}, "pairs"),
    "reverse alone": (bare, {"reverse": True}, "add --pairs"),
    "column alone": (two_columns, {"input_column": "true"}, "needs --pairs columns"),
    "strength of none": (
        bare,
        {"pairs": "edges", "pair_strength": 2.0},
        "-strength is of small",
    ),
    "colours of none": (bare, {"label_colours": 4}, "needs --label-maps"),
    "input of none": (bare, {"label_maps": "input"}, "add --pairs"),
    "planes of made": (bare, {"pairs": "edges", "label_maps": "input"}, "are computed"),
    "planes of arrays": ("digits", {"label_maps": "target"}, "read from pictures in files"),
    "pairs of rows": ("points-moons", {"pairs": "edges"}, "holds rows"),
}


@pytest.mark.parametrize("name", ODD)
def test_what_cannot_be_is_one_line(tmp_path, name):
    source, options, message = ODD[name]
    place = source if isinstance(source, str) else source(tmp_path / "data")
    with pytest.raises(PthetaError, match=message) as caught:
        opened(place, **options)
    assert os.linesep not in str(caught.value)


def test_stored_inputs_fit_their_spec():
    with pytest.raises(PthetaError, match="want uint8"):
        StoredInputs(noise(2, 3, 4, 4), ImageSpec(1, 4, 4))


def test_a_kind_that_somebody_adds_is_one_entry(monkeypatch):
    def turned(data: ImageDataset, wish: Wish) -> StoredInputs:
        return StoredInputs(np.ascontiguousarray(data.images[:, :, ::-1]), data.spec)

    monkeypatch.setitem(PAIRS, "turned", PairKind(inputs=turned, about="upside down"))
    inputs, targets = whole(opened(colour_set(), pairs="turned"))
    assert torch.equal(inputs, targets.flip(2))


# -- what is shown, and what a run keeps


def test_what_is_made_from_what_is_told_and_shown(tmp_path):
    source = side_by_side(tmp_path / "a", noise(24, 64, 64, 3), maps(24, 4), "jpg")
    options: dict[str, Any] = {"pairs": "side-by-side", "label_maps": "target", "size": 16}
    about = describe(source, **options)
    assert about["pairs"] == "inputs 3x16x16 with 256 levels, targets 3x16x16 in 4 colours"
    assert about["label maps"][0].count("#") == 4
    assert "inputs" in about["offers"]
    data = opened(source, **options)
    assert "each from one of 3x16x16" in repr(data)
    assert "inputs left of targets" in data._repr_html_()
    seen = data.preview().picture
    assert seen.shape[1] == 8 * 17 - 1  # four pairs in a row
    rows = data.rows(slice(0, 1))
    given = data.inputs.take(data, rows)[0].permute(1, 2, 0)
    np.testing.assert_array_equal(seen[:16, :16], given)
    np.testing.assert_array_equal(seen[:16, 17:33], data.batch([0]).x[0].permute(1, 2, 0))
    out = str(tmp_path / "seen.png")
    asked = ["data", str(source), "--pairs", "side-by-side", "--out", out, "--size", "16"]
    told = CliRunner().invoke(cli, asked)
    assert told.exit_code == 0, told.output
    assert "pairs: inputs 3x16x16" in told.output
    assert Image.open(out).size[0] > 500


def test_a_run_reads_its_test_pairs_by_itself_and_in_its_colours(tmp_path):
    source = side_by_side(tmp_path / "a" / "train", noise(24, 64, 64, 3), maps(24, 4)).parent
    side_by_side(source / "test", noise(12, 64, 64, 3), maps(12, 2, seed=1))
    options: dict[str, Any] = {"pairs": "side-by-side", "reverse": True, "label_maps": "input"}
    how: dict[str, Any] = {"size": 16, "steps": 1, "evaluate_every": 0, "sample_every": 0}
    run = ptheta.train(
        "pix2pix", source, tmp_path / "run", features=2, receptive_field="1", **options, **how
    )
    again = ptheta.Run.open(run.path)
    assert again.plan.data.reverse
    assert again.plan.data.pairs == "side-by-side"
    test: Any = again.data("test")
    spec: Any = again.condition
    assert spec.spec.labels == 4
    batch = test.batch(slice(None))
    assert torch.equal(spec.spec.rounded(batch.condition), batch.condition)
    assert len(spec.spec.numbers(batch.condition).unique()) == 2
    # and of other data, in which two colours do not occur at all
    other = side_by_side(tmp_path / "b", noise(24, 64, 64, 3), maps(24, 2, seed=2))
    assert again.look(str(other)).test.batch([0]).condition is not None
