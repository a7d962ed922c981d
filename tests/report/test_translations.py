"""Runs of models that translate, evaluated and compared as all others are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pictures
from torch import Tensor

import ptheta
from ptheta.data.image_data import ImageDataset
from ptheta.data.inputs import StoredInputs
from ptheta.metrics import labeller, speed
from ptheta.metrics.floors import TRANSLATION_FLOORS, NearestOfDomain, blurred
from ptheta.metrics.metric import Section
from ptheta.metrics.table import METRICS, metric_of
from ptheta.report.compare import compare
from ptheta.runs.folder import Run
from ptheta.specs import ImageSpec
from ptheta.tasks.sample import sample
from tests.conftest import TINY
from tests.metrics.test_table import data, images
from tests.metrics.translation_laws import (
    GREY,
    LABELS,
    grey_pairs,
    label_maps,
    labels_of_pictures,
    photos,
)

TRAINING: dict[str, Any] = {
    "steps": 2,
    "batch_size": 4,
    "sample_every": 0,
    "evaluate_every": 0,
    "log_every": 1,
    "held_out": 4,
}


@pytest.fixture(autouse=True)
def brief(monkeypatch) -> None:
    """Neither speeds nor the labeller take long."""
    monkeypatch.setattr(speed, "SECONDS", 0.02)
    monkeypatch.setattr(labeller, "STEPS", 5)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 training and 14 test pictures, each of a label map on the left and its photo."""
    place = tmp_path_factory.mktemp("pairs")
    for split, n in (("train", 30), ("test", 14)):
        numbers = label_maps(n, n)
        halves = [LABELS.coloured(numbers), photos(numbers, n)]
        (place / split).mkdir()
        for i, both in enumerate(torch.cat(halves, 3)[:, 0].numpy()):
            Pictures.fromarray(both).save(place / split / f"{i:03}.png")
    return place


def columns(out: Path) -> dict[str, dict[str, Any]]:
    """The rows of report.json with their results by metric."""
    report = json.loads((out / "report.json").read_text())
    every = [(name, run["evaluation"]) for name, run in report["runs"].items()]
    every += list(report["baselines"].items())
    return {name: {r["metric"]: r for r in found["results"]} for name, found in every}


def of_translation(results: dict[str, Any]) -> set[str]:
    entries = {name: metric_of(name) for name in results}
    return {n for n, m in entries.items() if m is not None and m.section is Section.TRANSLATION}


@pytest.mark.filterwarnings("ignore:14 ")
def test_runs_of_pairs_stand_beside_their_floors(pairs, tmp_path):
    how = {"pairs": "side-by-side", "label_maps": "input", **TINY["pix2pix"], **TRAINING}
    runs: list[Run] = [
        ptheta.train("pix2pix", pairs, tmp_path / str(seed), seed=seed, **how) for seed in (0, 1)
    ]
    compare(runs, tmp_path / "out", n=100)
    found = columns(tmp_path / "out")
    wanted = {"l1_to_target", "psnr_to_target", "ssim_to_target", "labeller_iou"}
    wanted |= {f"{name}_train" for name in wanted}
    floors = {"mean target", "nearest training pair", "ridge regression"}
    for name in ("0", "1", *floors):
        assert wanted <= of_translation(found[name]), name
        assert all(found[name][metric]["value"] is not None for metric in wanted)
        assert found[name]["l1_to_target"]["protocol"]["samples"] == 14  # each pair once
    l1 = {name: found[name]["l1_to_target_train"]["value"] for name in floors}
    assert l1["nearest training pair"] < min(l1["ridge regression"], l1["mean target"])
    text = (tmp_path / "out" / "report.md").read_text()
    section = text.split("## Translation")[1].split("\n## ")[0]
    assert all(f"| {name} |" in section for name in floors)
    assert "on the real pictures" in section


@pytest.mark.filterwarnings("ignore:")
def test_runs_of_domains_stand_beside_the_copy(strokes, tmp_path):
    run = ptheta.train("cyclegan", strokes, tmp_path / "run", **TINY["cyclegan"], **TRAINING)
    compare([run], tmp_path / "out", n=10)
    found = columns(tmp_path / "out")
    names = of_translation(found["run"])
    assert {metric_of(name) for name in names} == {
        metric
        for metric in METRICS.values()
        if metric.name.startswith(("translation_", "cycle_l1"))
    }
    for floor in ("image copied", "image blurred", "nearest image of the domain"):
        assert of_translation(found[floor]) == names
    for name, result in found["image copied"].items():
        if "cycle" in name:
            assert result["value"] == 0
        if name.startswith("translation"):
            assert result["value"] == pytest.approx(result["protocol"]["copy"], abs=1e-5)
            assert found["run"][name]["protocol"]["copy"] == result["protocol"]["copy"]


def fitting(data: ImageDataset) -> set[str]:
    return {name for name, kind in TRANSLATION_FLOORS.items() if kind.fits(data)}


def inputs(data: ImageDataset, n: int) -> Tensor:
    assert data.inputs is not None
    return data.inputs.take(data, np.arange(n))


def answer(floor: str, train: ImageDataset, x: Tensor) -> Tensor:
    return sample(TRANSLATION_FLOORS[floor].make(train), len(x), condition=x)


def test_every_floor_is_known_by_its_answers():
    """On pairs whose target is the negative of the input, and on pairs of pictures and labels."""
    train, x = grey_pairs("train", 1, n=40), inputs(grey_pairs("test", 0), 9)
    assert fitting(train) == {
        *("mean target", "nearest training pair", "ridge regression", "input copied"),
        "input copied, blurred",
    }
    own = torch.from_numpy(train.images).double().mean(0)
    assert (answer("mean target", train, x)[3].double() - own).abs().max() <= 0.51
    assert torch.equal(answer("input copied", train, x), x)
    near = answer("nearest training pair", train, inputs(train, 5))
    assert torch.equal(near, torch.from_numpy(train.images[:5]))
    maps = labels_of_pictures("train", 1, n=40)
    assert fitting(maps) == {"commonest label", "nearest training pair", "ridge regression"}
    found = LABELS.numbers(answer("commonest label", maps, inputs(maps, 1)))
    numbers = LABELS.numbers(torch.from_numpy(maps.images))
    assert torch.equal(found[0], torch.nn.functional.one_hot(numbers).sum(0).argmax(-1))


def test_a_blurred_copy_is_nearer_where_only_the_mean_is_known():
    noise = torch.randint(256, (20, 1, 16, 16), generator=torch.Generator().manual_seed(0))
    x, flat = noise.to(torch.uint8), np.full((20, 1, 16, 16), 127, np.uint8)
    data = ImageDataset("pairs", "train", flat, inputs=StoredInputs(x.numpy(), GREY))
    lost = [
        (answer(floor, data, x).int() - 127).abs().float().mean()
        for floor in ("input copied, blurred", "input copied")
    ]
    assert lost[0] < 0.2 * lost[1]
    same = torch.full((2, 3, 8, 9), 77, dtype=torch.uint8)
    assert torch.equal(blurred(same, 2.0), same)


def test_the_nearest_image_of_a_domain_is_one_of_it():
    train = data("train", 1)
    floor = NearestOfDomain(train)
    x, labels = images(train), torch.arange(len(train)) % 2
    assert torch.equal(floor.translate(x, labels), x)
    other = floor.translate(x, 1 - labels).double().mean((1, 2, 3))
    assert ((other > 128) == (labels == 0)).all()


def test_a_linear_map_is_found_by_regression():
    """Of inputs that vary in four numbers few pairs say all."""

    def few(split: str, seed: int, n: int) -> ImageDataset:
        pairs = grey_pairs(split, seed, n)
        small = inputs(pairs, n)[:, :, :2, :2].numpy().repeat(8, 2).repeat(8, 3)
        return replace(pairs, images=255 - small, inputs=StoredInputs(small, GREY))

    test = few("test", 0, 10)
    made = answer("ridge regression", few("train", 1, 60), inputs(test, 10))
    assert (made.int() - torch.from_numpy(test.images).int()).abs().max() <= 1


def test_a_copy_is_in_grey_or_in_colour_as_the_target_is():
    for channels, wanted in ((1, 3), (3, 1)):
        given, shape = ImageSpec(channels, 8, 8), (4, wanted, 8, 8)
        x = torch.full((4, *given.shape), 100, dtype=torch.uint8)
        data = ImageDataset(
            *("pairs", "train", np.zeros(shape, np.uint8)), inputs=StoredInputs(x.numpy(), given)
        )
        copied = answer("input copied", data, x)
        assert copied.shape == shape
        assert (copied == 100).all()
