"""What is kept of samples beside themselves: labels, attributes, captions, and gaps."""

import csv
import json

import numpy as np
import pytest
import torch

import ptheta
from ptheta.api.metadata import COLUMNS, metadata_of
from ptheta.batch import Together
from ptheta.conditions import KINDS, Attributes, Image, Labels
from ptheta.conditions.several import Several
from ptheta.errors import PthetaError
from ptheta.tasks.gaps import with_gaps


def test_every_kind_but_an_image_is_written_to_a_column():
    assert set(COLUMNS) == set(KINDS) - {Image.kind, Several.kind}


def test_several_conditions_are_told_together_and_in_turn():
    words = {"colour": {"red": 0.0, "blue": 1.0}}
    spec = Several((Labels(("cat", "dog")), Attributes.of(("colour", "size", "label"), words)))
    rows = Together(
        {
            "labels": torch.tensor([1, 0, 0]),
            "attributes": torch.tensor([[1.0, 0.5, 3.0], [0.0, 2.0, 1.0], [1.0, 0.0, 0.0]]),
        }
    )
    told = metadata_of(spec, rows)
    assert told is not None
    assert told(0) == {"label": "dog", "colour": "blue", "size": 0.5, "attribute label": 3.0}
    assert told(4) == {"label": "cat", "colour": "red", "size": 2.0, "attribute label": 1.0}
    assert metadata_of(None, torch.zeros(1)) is None


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("told")
    return ptheta.train(
        "cvae", "digits", folder / "run", steps=3, levels=2, size=8, hidden=(8,), latent=2
    )


def test_a_folder_of_samples_is_read_with_its_labels(digits, tmp_path):
    place = tmp_path / "samples"
    ptheta.sample(digits, 40, labels=["3", "7"], out=place)
    data = ptheta.open_data(place, split="train")
    held_out = ptheta.open_data(place, split="test")
    assert set(data.present_classes()) == {"3", "7"}
    for part in (data, held_out):
        assert part.files is not None
        assert part.labels is not None
        for row in part.rows(slice(None)):
            number = int(part.files[row].removesuffix(".png"))
            assert part.class_name(int(part.labels[row])) == ["3", "7"][number % 2]
    lines = (place / "metadata.jsonl").read_text().splitlines()
    assert json.loads(lines[1]) == {"file_name": "00001.png", "label": "7"}
    with pytest.raises(PthetaError, match="--missing applies only to tables"):
        ptheta.sample(digits, 4, missing=True, out=tmp_path / "x.png")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Rows with a label; b is missing in a third of them, and c with it."""
    folder = tmp_path_factory.mktemp("rows")
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=200)
    x = rng.normal(size=(200, 3)) + 2 * y[:, None]
    lost = rng.random(200) < 0.3
    with (folder / "t.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["a", "b", "c", "pet"])
        for i in range(200):
            b, c = ("", "") if lost[i] else (f"{x[i, 1]:.3f}", f"{x[i, 2]:.3f}")
            writer.writerow([f"{x[i, 0]:.3f}", b, c, ["cat", "dog"][y[i]]])
    return folder


@pytest.fixture(scope="module")
def rows_of_labels(table):
    return ptheta.train(
        *("cvae", table / "t.csv", table / "labelled"),
        steps=3,
        label_column="pet",
        hidden=(8,),
        latent=2,
    )


def test_rows_keep_the_label_under_its_name(rows_of_labels, tmp_path):
    place = tmp_path / "rows.csv"
    found = ptheta.sample(rows_of_labels, 10, labels=["dog", "cat"], out=place)
    with place.open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["a", "b", "c", "pet"]
    assert [row["pet"] for row in rows] == ["dog", "cat"] * 5
    assert isinstance(found, ptheta.api.Rows)
    assert found.labels == ("dog", "cat") * 5
    again = ptheta.open_data(place, label_column="pet")
    assert set(again.present_classes()) == {"cat", "dog"}


@pytest.fixture(scope="module")
def plain(table):
    return ptheta.train("gaussian", table / "t.csv", table / "plain", threads=1)


def test_missing_cells_are_missing_together_as_in_training(plain, tmp_path):
    places = [tmp_path / f"{i}.csv" for i in range(2)]
    whole = ptheta.sample(plain, 600, seed=1)
    assert not whole.x.isnan().any()
    for place in places:
        found = ptheta.sample(plain, 600, seed=1, missing=True, out=place)
    assert places[0].read_bytes() == places[1].read_bytes()
    lost = found.x.isnan()
    assert torch.equal(lost[:, 1], lost[:, 2])
    assert not lost[:, [0, 3]].any()
    assert abs(float(lost[:, 1].float().mean()) - 0.3) < 0.1
    assert torch.equal(found.x[~lost], whole.x[~lost])


def test_the_gaps_of_fewer_rows_are_the_first_of_more():
    train = torch.tensor([[1.0, torch.nan], [torch.nan, 2.0], [1.0, 2.0]])
    x = torch.randn(300, 2)
    assert torch.equal(with_gaps(x, train, 3)[:40].isnan(), with_gaps(x[:40], train, 3).isnan())


def test_gaps_of_rows_that_lack_none_or_are_not_there_are_refused(rows_of_labels, tmp_path):
    rng = np.random.default_rng(0)
    place = tmp_path / "whole.npy"
    np.save(place, rng.normal(size=(60, 2)).astype(np.float32))
    run = ptheta.train("gaussian", place, tmp_path / "run", threads=1)
    with pytest.raises(PthetaError, match="training rows have no missing cells"):
        ptheta.sample(run, 4, missing=True)
    place.unlink()
    with pytest.raises(PthetaError, match=r"needs the training rows of .*whole\.npy .*: restore"):
        ptheta.sample(run, 4, missing=True)
