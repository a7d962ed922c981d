"""What a data set offers is what its fields hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ptheta.conditions import KINDS
from ptheta.data import describe, open_data
from ptheta.data.image_data import ImageDataset
from ptheta.data.offers import Offers
from ptheta.errors import PthetaError

IMAGES = np.zeros((4, 1, 2, 2), np.uint8)
PLAIN = ImageDataset("a", "train", IMAGES)
GIVEN = {
    "labels": replace(PLAIN, labels=np.array([0, 2, 2, 0]), classes=("cat", "dog", "owl")),
    "attributes": replace(PLAIN, attributes=np.ones((4, 2)), attribute_names=("old", "hat")),
    "captions": replace(PLAIN, captions=("one", "two", "three", "four")),
    "masks": replace(PLAIN, masks=IMAGES[:, 0]),
}


@pytest.mark.parametrize("kind", GIVEN)
def test_it_offers_what_it_holds_and_nothing_else(kind):
    offers = Offers.of(GIVEN[kind])
    assert list(offers.lines()) == [kind]
    assert str(offers) == kind
    assert str(Offers.of(PLAIN)) == "images alone"


def test_names_are_those_that_occur_and_columns_without_names_are_numbered():
    assert Offers.of(GIVEN["labels"]).labels == ("cat", "owl")
    unnamed = replace(GIVEN["attributes"], attribute_names=())
    assert Offers.of(unnamed).attributes == ("0", "1")


def test_a_description_tells_what_is_offered():
    assert list(describe("shapes")["offers"]) == list(GIVEN)
    assert "objects: 1, 2" in describe("shapes")["attributes"]  # what `--where` takes
    assert str(Offers.of(open_data("shapes"))) == "labels, attributes, captions and masks"
    assert "offers" not in describe(IMAGES + np.arange(4, dtype=np.uint8)[:, None, None, None])


@pytest.mark.parametrize("kind", ["labels", "attributes", "text", "image"])
def test_a_condition_that_is_not_there_is_told_with_what_is(kind):
    held = {"labels": "captions", "attributes": "labels", "text": "masks", "image": "attributes"}
    with pytest.raises(PthetaError, match=rf"a\.npz has no .* \(it offers {held[kind]}\)"):
        KINDS[kind].of_data(GIVEN[held[kind]], "a.npz")
