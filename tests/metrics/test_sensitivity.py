"""What each number sees: damages of growing strength move those that must see them, all the way in
the right direction; and leave those alone that cannot, which the documentation says."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch

from ptheta.data import open_data
from ptheta.errors import PthetaError
from ptheta.measures.results import Evaluation
from ptheta.metrics import copies
from ptheta.metrics.evaluate import evaluate_images
from ptheta.metrics.sensitivity import DAMAGES, Images, sensitivity

UP, DOWN = 1, -1
# damage -> metric -> the way it goes
SEEN: dict[str, dict[str, int]] = {
    "noise": {
        "fd_digits": UP,
        "kd_digits": UP,
        "score_digits": DOWN,
        "coverage_digits": DOWN,
        "sharpness": UP,
    },
    "blur": {"fd_digits": UP, "kd_digits": UP, "copying_z_digits": UP, "sharpness": DOWN},
    "dropped classes": {
        "fd_digits": UP,
        "kd_digits": UP,
        "recall_digits": DOWN,
        "coverage_digits": DOWN,
        "classes_digits": DOWN,
        "class_balance_digits": UP,
        "missing_classes_digits": UP,
        "score_digits": DOWN,
    },
    "repeated images": {"fd_digits": UP, "coverage_digits": DOWN, "recall_digits": DOWN},
    "copied training images": {
        "copied_share": UP,
        "copying_z": DOWN,
        "copying_z_digits": DOWN,
        "train_distance_ratio": DOWN,
        "fd_memorisation_digits": UP,
    },
    "copies, moved": {"copying_z": UP, "train_distance_ratio": UP},
}


@pytest.fixture(scope="module")
def measured() -> Callable[[str], list[Evaluation]]:
    train, test = open_data("digits"), open_data("digits", "test")
    real, held_out = test.subset(slice(0, 1000)), test.subset(slice(1000, 1600))
    images, found = Images.of(held_out, train), {}

    def measure(name: str) -> list[Evaluation]:
        if name not in found:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found[name] = sensitivity(name, images, real, train)
        return found[name]

    return measure


def values(evaluations: list[Evaluation], metric: str) -> list[float]:
    found = [e.get(metric) for e in evaluations]
    return [r.value for r in found if r is not None and r.value is not None]


@pytest.mark.slow
@pytest.mark.parametrize("name", DAMAGES)
def test_what_must_see_a_damage_follows_its_strength(name, measured):
    evaluations = measured(name)
    for metric, way in SEEN[name].items():
        found = values(evaluations, metric)
        assert len(found) == len(evaluations), metric
        moved = [way * (b - a) for a, b in pairwise(found)]
        # a weak damage may be below the noise of a number, which then may not go the other way
        scale = abs(found[-1] - found[0])
        assert min(moved) >= -0.03 * scale, (metric, found)
        assert way * (found[-1] - found[0]) > 0, (metric, found)
        first, last = evaluations[0].get(metric), evaluations[-1].get(metric)
        assert first is not None
        assert last is not None
        assert scale > 2 * ((first.error or 0) + (last.error or 0)), (metric, found)


def test_what_cannot_see_a_damage_does_not(measured):
    dropped = values(measured("dropped classes"), "precision_digits")
    assert max(dropped) - min(dropped) < 0.06
    repeated = values(measured("repeated images"), "score_digits")
    assert repeated[1] > 0.95 * repeated[0]
    # the reason for a test of memorisation: copies look as good as new images
    copied = values(measured("copied training images"), "fd_digits")
    assert max(copied) < 2 * copied[0] + 5
    # and for doing it in features as well: moved by one pixel, copies are new to the pixels
    moved = measured("copies, moved")
    assert values(moved, "copying_z")[1] > -3
    assert values(moved, "copied_share")[1] < 0.03
    assert values(moved, "copying_z_digits")[1] < -8


def test_copies_beyond_the_training_images_in_features_are_seen(monkeypatch, measured):
    """Where features of a share of the training set alone are taken, pixels find the rest."""
    train, test = open_data("digits"), open_data("digits", "test")
    monkeypatch.setattr(copies, "TRAINING", 300)
    images = Images.of(test.subset(slice(0, 600)), train)
    found = evaluate_images(images.copies, test.subset(slice(0, 1000)), train)
    z, raised = found.get("copying_z_digits"), found.get("fd_memorisation_digits")
    assert z is not None
    assert raised is not None
    assert (z.value or 0) < -20
    factor = raised.protocol["factor"]
    assert isinstance(factor, float)
    assert factor > 10
    fresh = evaluate_images(images.held_out, test.subset(slice(1000, 2000)), train).get(
        "copying_z_digits"
    )
    assert fresh is not None
    assert abs(fresh.value or 0) < 3.5


def test_the_order_of_images_changes_nothing_but_noise():
    """A folder sorted by class, or with its copies last, is measured as if it were shuffled."""
    train, test = open_data("digits"), open_data("digits", "test")
    real, images = test.subset(slice(0, 1000)), Images.of(test.subset(slice(1000, 2000)), train)
    x = torch.cat([images.held_out[:500], images.copies[500:]])
    by_class = images.held_out[images.labels.argsort()]
    copies, ordered = evaluate_images(x, real, train), evaluate_images(by_class, real, train)
    z, classes = copies.get("copying_z"), ordered.get("score_digits")
    assert z is not None
    assert classes is not None
    assert (z.value or 0) < -10
    assert (classes.value or 0) > 8.5


def test_damages_need_labels_and_training_images():
    test = open_data("digits", "test")
    with pytest.raises(PthetaError, match="as many training images"):
        Images.of(test, open_data("digits").subset(slice(0, 10)))
    x = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    images = Images(x, torch.zeros(2, dtype=torch.int64), x)
    with pytest.raises(PthetaError, match="did you mean 'blur'"):
        sensitivity("blurr", images, test, test)
    for damage in DAMAGES.values():
        assert torch.equal(damage.make(images, damage.strengths[0]), x)
