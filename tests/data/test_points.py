"""Toys: their densities are densities, their samples follow them, and the splits are apart."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
import torch
from scipy import stats

from ptheta.data import EMBEDDED, POINTS, open_data
from ptheta.data.points.parts import Curve
from ptheta.data.points.toys import SIZES, TOYS, Toy, toy
from ptheta.data.splits import SPLITS
from ptheta.data.vector_data import vectors_of
from ptheta.errors import PthetaError

CELLS = 40  # along each side, of the cells that samples are counted in


def midpoints(sides: tuple[tuple[float, float], ...], n: list[int]) -> np.ndarray:
    """The centres of the cells of a grid: float64 (cells, D)."""
    axes = [
        low + (high - low) * (np.arange(k) + 0.5) / k
        for (low, high), k in zip(sides, n, strict=True)
    ]
    return np.stack([a.reshape(-1) for a in np.meshgrid(*axes, indexing="ij")], 1)


def masses(known: Toy, cells: int, finer: int) -> np.ndarray:
    """The mass in each cell of a grid over the toy's box, by the midpoints of finer cells."""
    sides = known.sides
    points = midpoints(sides, [cells * finer] * known.dims)
    volume = np.prod([(high - low) / (cells * finer) for low, high in sides])
    mass = known.log_density(points).exp().numpy() * volume
    shape = [k for _ in sides for k in (cells, finer)]
    axes = tuple(2 * d + 1 for d in range(known.dims))
    return mass.reshape(shape).sum(axes)


def finer(known: Toy) -> int:
    """Steps within a cell that take the density's finest part in, in steps of half of it."""
    widest = max(high - low for low, high in known.sides)
    return max(1, int(np.ceil(2 * widest / CELLS / known.finest)))


def test_every_toy_is_listed():
    assert TOYS.keys() == POINTS.keys()
    assert POINTS.items() <= EMBEDDED.items()
    with pytest.raises(PthetaError, match="did you mean 'points-ring'"):
        toy("points-rin")


@pytest.mark.parametrize("name", TOYS)
def test_a_density_integrates_to_one(name):
    known = toy(name)
    assert masses(known, CELLS, finer(known)).sum() == pytest.approx(1, abs=1e-6)
    assert sum(known.weights) == pytest.approx(1)


@pytest.mark.parametrize("name", TOYS)
def test_samples_follow_the_density(name):
    known = toy(name)
    x, labels = known.split("train")
    mass = masses(known, CELLS, finer(known)).reshape(-1)
    edges = [np.linspace(low, high, CELLS + 1) for low, high in known.sides]
    found = np.histogramdd(x.astype(np.float64), edges)[0].reshape(-1)
    assert found.sum() == len(x)
    many = mass * len(x) >= 5  # what fewer are expected in is counted together
    found = np.array([*found[many], found[~many].sum()])
    expected = np.array([*mass[many], 1 - mass[many].sum()]) * len(x)
    if expected[-1] < 5:
        found, expected = found[:-1], expected[:-1] * found[:-1].sum() / expected[:-1].sum()
    assert stats.chisquare(found, expected).pvalue > 1e-3
    share = np.bincount(labels, minlength=len(known.parts))
    assert stats.chisquare(share, len(x) * np.array(known.weights)).pvalue > 1e-3


@pytest.mark.parametrize("name", TOYS)
def test_gradients_are_finite_everywhere(name):
    known = toy(name)
    far = [[-50.0] * known.dims, [0.0] * known.dims, [3.0] * known.dims]
    points = np.concatenate([known.split("test")[0][:50], np.array(far)])
    x = torch.tensor(points, dtype=torch.float64, requires_grad=True)
    log_density = known.log_density(x)
    assert not log_density.isnan().any()
    log_density[log_density.isfinite()].sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("name", TOYS)
def test_the_label_is_the_part_that_a_point_is_of(name):
    known = toy(name)
    x, labels = known.split("val")
    posterior = (known.log_joint(x) - known.log_density(x)[:, None]).exp().numpy()
    assert posterior.sum(1) == pytest.approx(1)
    of_label = posterior[np.arange(len(x)), labels]
    # the probability that is given to the true parts, beside what it is expected to be
    assert of_label.mean() == pytest.approx((posterior**2).sum(1).mean(), abs=0.02)


@pytest.mark.parametrize("name", TOYS)
def test_splits_have_streams_of_their_own(name):
    known = toy(name)
    parts = {split: known.split(split)[0] for split in SPLITS}
    assert {split: len(x) for split, x in parts.items()} == SIZES
    assert all((known.split(split)[0] == x).all() for split, x in parts.items())
    rows = [tuple(row) for x in parts.values() for row in x.tolist()]
    assert len(set(rows)) > 0.99 * len(rows)
    assert (known.split("train", seed=1)[0] != parts["train"]).any()


@pytest.mark.parametrize("name", [name for name in TOYS if toy(name).modes is not None])
def test_modes_are_peaks(name):
    known = toy(name)
    assert known.modes is not None
    assert known.deviations is not None
    modes = torch.tensor(known.modes, requires_grad=True)
    known.log_density(modes).sum().backward()
    assert modes.grad is not None
    assert modes.grad.abs().max() < 1e-3 / known.finest
    near = ((known.split("train")[0][:, None] - known.modes) / known.deviations[:, None]) ** 2
    within = np.sqrt(near.sum(2)).min(1) < 4
    assert within.mean() > 0.999


@pytest.mark.parametrize("name", ["points-moons", "points-swiss"])
def test_the_integral_along_a_curve_is_exact(name):
    known = toy(name)
    curves = [part for part in known.parts if isinstance(part, Curve)]
    twice = tuple(dataclasses.replace(curve, nodes=2 * curve.nodes) for curve in curves)
    rng = np.random.default_rng(0)
    low, high = np.array(known.sides).T
    x = rng.uniform(low - 10, high + 10, (2000, known.dims))
    other = dataclasses.replace(known, parts=twice).log_density(x)
    assert (known.log_density(x) - other).abs().max() < 1e-6


@pytest.mark.parametrize("name", TOYS)
def test_a_toy_is_a_data_set(name):
    data = pickle.loads(pickle.dumps(vectors_of(open_data(name, "val"))))
    assert len(data) == SIZES["val"]
    assert data.classes == toy(name).names
    assert data.spec == open_data(name).spec  # learned from the training points
    assert data.truth is not None
    x = data.batch(range(50)).x
    assert torch.equal(data.truth.log_density(x), toy(name).log_density(x))


def test_a_toy_is_no_table_and_has_no_pictures():
    for options, words in (({"size": 8}, "--size 8"), ({"columns": ("x0",)}, "--columns x0")):
        with pytest.raises(PthetaError, match=words):
            open_data("points-ring", **options)
