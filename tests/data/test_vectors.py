"""Vectors: their spec's scalings, and what a data set of them knows."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes

import ptheta
from ptheta.data.columns.scatter import Scatter
from ptheta.data.identity import fingerprint, keys
from ptheta.data.points.toys import TOYS
from ptheta.data.splits import side, sides
from ptheta.data.trained import Record, match_data
from ptheta.data.vector_data import VectorDataset
from ptheta.errors import PthetaError
from ptheta.specs import Column, ImageSpec, VectorSpec, filled

SPEC = VectorSpec(
    (
        Column("age", "integer", low=0, high=99, center=40, scale=20),
        Column("pet", "category", ("cat", "dog", "owl")),
        Column("height", center=1.7, scale=0.1, missing=True),
    )
)
NAN = math.nan


def table(n: int, seed: int = 0) -> VectorDataset:
    rng = np.random.default_rng(seed)
    cells = np.stack(
        [rng.integers(0, 100, n), rng.integers(0, 3, n), rng.normal(1.7, 0.1, n)], 1
    ).astype(np.float32)
    cells[::7, 2] = np.nan
    return VectorDataset("people", "train", cells, SPEC)


def test_scaling_and_back_gives_the_same_cells():
    x = table(50).batch(slice(None)).x
    s = SPEC.scaled(x)
    assert s.shape == (50, 5) == (50, *SPEC.scaled_shape)
    assert torch.equal(s[:, 1:4].argmax(1).float(), x[:, 1])
    assert torch.equal(s[:, 4].isnan(), x[:, 2].isnan())
    back = SPEC.check(SPEC.unscaled(s))
    torch.testing.assert_close(back, x, equal_nan=True, atol=1e-6, rtol=1e-6)


def test_what_a_network_makes_is_of_the_columns_types_and_bounds():
    x = SPEC.unscaled(10 * torch.randn(200, 5))
    SPEC.check_drawn(x)
    assert set(x[:, 1].tolist()) == {0, 1, 2}
    assert x[:, 0].min() == 0
    assert x[:, 0].max() == 99
    with pytest.raises(PthetaError, match="1 of 600 sampled cells are NaN"):
        SPEC.check_drawn(x.index_put((torch.tensor(3), torch.tensor(2)), torch.tensor(NAN)))
    beyond = torch.tensor([[100.0, 0, 1]])
    assert SPEC.check(beyond) is beyond  # a row that was not trained on
    with pytest.raises(PthetaError, match="'age' holds other values: want 0 to 99"):
        SPEC.check_drawn(beyond)


def test_images_scale_by_the_same_names():
    spec = ImageSpec(1, 4, 4, 4)
    x = spec.unscaled(torch.randn(3, *spec.scaled_shape))
    assert torch.equal(spec.unscaled(spec.scaled(spec.check_drawn(x))), x)


@pytest.mark.parametrize(
    ("cells", "fault"),
    [
        ([[1.5, 0, 1]], "'age'.*whole numbers"),
        ([[1, 3, 1]], "'pet'.*0 to 2"),
        ([[1, 0]], r"\(B, 3\)"),
    ],
)
def test_other_cells_are_refused(cells, fault):
    with pytest.raises(PthetaError, match=fault):
        SPEC.check(torch.tensor(cells, dtype=torch.float32))


def test_scales_are_numbers_above_zero():
    for center, scale in ((0.0, 0.0), (0.0, NAN), (math.inf, 1.0)):
        with pytest.raises(PthetaError, match="give a finite scale above 0"):
            Column("a", center=center, scale=scale)


def test_a_data_set_of_vectors_is_a_sequence_of_rows():
    data = table(30)
    assert len(data) == 30
    first = data[3]
    assert isinstance(first, torch.Tensor)
    assert first.shape == (3,)
    part = data[10:20]
    assert isinstance(part, VectorDataset)
    torch.testing.assert_close(part.batch([0]).x, data.batch([10]).x, equal_nan=True)
    again = pickle.loads(pickle.dumps(part))
    assert again.fingerprint() == part.fingerprint() != data.fingerprint()
    assert "10 rows of vectors of 3 numbers" in repr(part)


def test_keys_are_of_what_the_cells_mean():
    data = table(40)
    words = ("owl", "cat", "dog")  # the same words, numbered otherwise
    columns = (SPEC.columns[0], replace(SPEC.columns[1], values=words), SPEC.columns[2])
    cells = data.cells.copy()
    cells[:, 1] = np.array([words.index(w) for w in ("cat", "dog", "owl")])[cells[:, 1].astype(int)]
    other = VectorDataset("others", "test", cells, VectorSpec(columns))
    assert np.array_equal(keys(data), keys(other))
    known = other.with_columns(SPEC)
    assert known.spec == SPEC
    assert np.array_equal(known.cells, data.cells, equal_nan=True)
    zero = np.array([[0.0], [-0.0]], np.float32)
    assert len(set(keys(VectorDataset("z", "train", zero, VectorSpec.of(1))))) == 1


def test_columns_that_a_run_does_not_know_are_named():
    data = table(40)
    words = replace(SPEC.columns[1], values=("cat", "dog"))
    with pytest.raises(PthetaError, match=r"'owl' in column 'pet' of people is not among"):
        data.with_columns(VectorSpec((SPEC.columns[0], words, SPEC.columns[2])))
    with pytest.raises(PthetaError, match="has no column 'weight'"):
        data.with_columns(VectorSpec((Column("weight"),)))
    with pytest.raises(PthetaError, match="'pet' of people holds words, and the run learned numb"):
        data.with_columns(VectorSpec((Column("pet"),)))


def test_equal_rows_stay_on_one_side():
    data = table(300)
    doubled = replace(data, cells=np.concatenate([data.cells, data.cells[:100]]))
    train, test = (side(sides(doubled), split) for split in ("train", "test"))
    assert len(train) + len(test) == 400
    assert 10 < len(test) < 80
    assert not set(keys(train)) & set(keys(test))
    rest, held = doubled.hold_out(50)
    assert not set(keys(rest)) & set(keys(held))
    assert len(held) == 50


def test_a_run_knows_its_rows_wherever_they_stand():
    data = table(100)
    record = Record.of(data, None)
    mixed = data.shuffled(3)
    found = match_data(record, mixed, table(20, 5))
    assert found.kind == "same"
    assert found.train is not None
    assert np.array_equal(keys(found.train), keys(data))
    assert fingerprint(keys(mixed)) == record.fingerprint
    fewer = replace(data, cells=data.cells[:90])
    assert match_data(record, fewer, table(20, 5)).missing == 10


def test_levels_are_of_images():
    with pytest.raises(PthetaError, match="no levels: leave out --levels 2"):
        table(10).with_levels(2)
    assert table(10).with_fixed_binarisation().read_as() == {}


def test_missing_cells_are_refused_with_their_columns_and_the_models_that_can():
    with pytest.raises(PthetaError, match="missing cells, here in height: fill"):
        ptheta.create("gan", SPEC)


def test_a_toy_is_the_truth_of_its_points():
    toy = TOYS["points-ring"]()
    x, labels = toy.split("test")
    data = VectorDataset("ring", "test", x, VectorSpec.of(2), labels=labels, truth=toy)
    assert data.truth is toy
    assert data.subset(range(5)).truth is toy


def test_what_is_missing_is_filled_and_nothing_else():
    s = torch.tensor([NAN, -math.inf, math.inf, -0.5])
    assert filled(s).tolist() == [0.0, -math.inf, math.inf, -0.5]


@pytest.mark.parametrize("fault", [NAN, math.inf])
def test_a_density_that_is_no_number_is_said_and_not_drawn_as_a_hole(fault, monkeypatch):
    said: list[str] = []
    drawn: list[object] = []
    monkeypatch.setattr(Axes, "contour", lambda self, *given, **how: drawn.append(given))
    plot = Axes.plot

    def note(self: Axes, *given: Any, **how: Any) -> object:
        said.append(str(how.get("label")))
        return plot(self, *given, **how)

    monkeypatch.setattr(Axes, "plot", note)
    x = torch.randn(50, 2)
    sharp = 900.0  # exp of it is infinite, and its shares of the mass are not

    def density(at: torch.Tensor) -> torch.Tensor:
        found = sharp - at.square().sum(1)
        return torch.where(at[:, 0] > 0, fault, found) if said else found

    Scatter(VectorSpec.of(2), x, log_density=density).png()
    assert len(drawn) == 1
    assert said == ["model's density"]
    Scatter(VectorSpec.of(2), x, log_density=density).png()
    assert len(drawn) == 1
    assert said[-1] == "density: not a number"
