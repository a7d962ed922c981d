"""Sampling and measuring on a GPU. Skipped where there is none; what needs none is in
test_devices.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ptheta
from ptheta.runs.folder import Run
from tests.conftest import TINY
from tests.training.test_runs import QUIET

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
    pytest.mark.filterwarnings("ignore:.*too few"),
]
NAMES = ("vae", "made", "maf", "dcgan", "glow", "ddpm", "pixelcnn", "rbm")


@pytest.fixture(scope="module")
def runs(strokes, tmp_path_factory) -> dict[str, Run]:
    out = tmp_path_factory.mktemp("runs")
    how: dict[str, Any] = {**QUIET, "levels": 2, "steps": 4, "device": "cpu"}
    return {
        name: ptheta.train(name, strokes, out / name, **{**TINY.get(name, {}), **how})
        for name in NAMES
    }


def drawn(run: Run, out: Path, n: int, **how: Any) -> np.ndarray:
    ptheta.sample(run, n, out=out, **how)
    return np.load(out)


@pytest.mark.parametrize("name", NAMES)
def test_samples_of_a_seed_are_the_same_again(name, runs, tmp_path):
    a, b = (drawn(runs[name], tmp_path / f"{i}.npy", 300, device="cuda") for i in range(2))
    assert np.array_equal(a, b)


def test_the_distribution_is_that_of_the_cpu(runs, tmp_path):
    here, there = (
        drawn(runs["made"], tmp_path / f"{device}.npy", 4000, device=device) / 255
        for device in ("cpu", "cuda")
    )
    error = np.sqrt((here.var(0) + there.var(0)) / len(here)) + 1e-3
    assert np.abs((here.mean(0) - there.mean(0)) / error).max() < 6


@pytest.mark.parametrize("name", NAMES)
def test_numbers_are_those_of_the_cpu(name, runs):
    here, there = (
        ptheta.evaluate(runs[name], n=200, extractor="digits", device=device)
        for device in ("cpu", "cuda")
    )
    assert there.protocol["device"] == "cuda"
    for a, b in zip(here.results, there.results, strict=True):
        assert (a.value is None) == (b.value is None), a.metric
    exact = {"bits_per_dim", "nll"} if name in ("made", "pixelcnn") else set()
    for metric in exact:
        wanted, found = here.get(metric), there.get(metric)
        assert wanted is not None
        assert found is not None
        assert found.value == pytest.approx(wanted.value, rel=1e-4)
