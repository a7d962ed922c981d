"""The first examples of data that lie class by class are of all classes."""

from dataclasses import replace

import numpy as np
import pytest
from torch import Tensor

from ptheta.data.image_data import ImageDataset
from ptheta.data.turns import in_turn, positions
from ptheta.report import pictures


def data(labels: list[int]) -> ImageDataset:
    x = np.arange(len(labels), dtype=np.uint8)[:, None, None, None]
    return ImageDataset("toy", "test", x, labels=np.array(labels))


@pytest.mark.parametrize("sizes", [(6, 6, 6), (40, 10, 2), (1, 1, 7)])
def test_classes_that_follow_one_another_alternate_as_often_as_they_occur(sizes):
    labels = [k for k, size in enumerate(sizes) for _ in range(size)]
    found = data(labels)
    rows = positions(found)
    assert sorted(rows) == list(range(len(labels)))  # each of them, once
    turned = np.array(labels)[rows]
    for n in range(1, len(labels) + 1):  # of every class its share, give or take one
        counts = np.bincount(turned[:n], minlength=3)
        assert (np.abs(counts - n * np.array(sizes) / len(labels)) <= 1).all()
    for k in range(3):
        assert (np.diff(rows[turned == k]) > 0).all()  # within a class the order stays
    first = in_turn(found).batch(slice(0, 3))
    assert first.x.flatten().tolist() == rows[:3].tolist()


def test_other_data_stay_as_they_are():
    for found in (data([0, 2, 1, 0]), data([1, 1, 1]), replace(data([0, 1]), labels=None)):
        assert in_turn(found) is found


def test_a_part_of_data_goes_by_the_labels_of_its_own():
    found = data([2, 0, 1, 0, 1]).subset([1, 3, 2, 4])  # labels 0, 0, 1, 1
    assert in_turn(found).batch(slice(None)).x.flatten().tolist() == [1, 2, 3, 4]


def test_the_real_images_of_a_report_are_of_all_classes(monkeypatch):
    seen = list[list[int]]()

    def picture(x: Tensor, *_: int) -> str:
        seen.append(x.flatten().tolist())
        return ""

    monkeypatch.setattr(pictures, "picture", picture)
    found = data([0] * 50 + [1] * 50)
    for make in (pictures.first_real, pictures.real_examples):
        make(found)
    assert [sum(number < 50 for number in x) / len(x) for x in seen] == [0.5, 0.5]
    assert [len(x) for x in seen] == [pictures.FIRST, pictures.SHOWN]
