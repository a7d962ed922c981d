"""`ptheta cluster`: its table, its rows, its picture, and what it refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import ptheta
from ptheta.errors import PthetaError
from tests.cli.test_chain import QUIET, said


@pytest.fixture(scope="module")
def runs(strokes: Path, rows: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("groups")
    ptheta.train("ae", strokes, out / "ae", hidden=(8,), latent=3, **QUIET)
    ptheta.train("infogan", strokes, out / "own", features=4, latent=4, categories=3, **QUIET)
    ptheta.train("vae", rows, out / "rows", net="mlp", hidden=(4,), latent=2, **QUIET)
    return {name: out / name for name in ("ae", "own", "rows")}


def test_held_out_examples_are_grouped_and_measured(runs, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    out, show = tmp_path / "new" / "c.csv", tmp_path / "c.png"
    text = said("cluster", runs["ae"], "--out", out, "--show", show, "--each", 3)
    for words in (
        "in 2 clusters: kmeans of codes of 3",
        "NMI",
        "k-means, no model",
        "chance",
    ):
        assert words in text
    assert max(len(s) for s in text.splitlines() if str(tmp_path) not in s) <= 80
    with out.open(encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert len(found) == 23
    assert {row["cluster"] for row in found} == {"0", "1"}
    told = json.loads(said("cluster", runs["ae"], "--json"))
    assert sum(told["sizes"]) == 23
    assert told["measured"]["model"]["accuracy"]["low"] >= 0
    assert Image.open(show).size[1] > 32
    with pytest.raises(PthetaError, match="already exists"):
        said("cluster", runs["ae"], "--show", show)


def test_a_model_of_its_own_categories_and_own_pictures(runs, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for i in range(6):
        noise = np.random.default_rng(i).integers(0, 256, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{i}.png")
    (folder / "bad.png").write_bytes(b"no picture")
    own = ptheta.cluster(runs["own"], folder, show=tmp_path / "o.png")
    assert own.found.how == "the model's own categories"
    assert (own.labels, own.measured) == (None, {})
    assert "bad.png" in own.remarks[0]
    found = ptheta.cluster(runs["ae"], folder, clusters=2, by="mixture", restarts=2)
    assert list(found.names) == [f"{i}.png" for i in range(6)]
    with pytest.raises(PthetaError, match="give --clusters"):
        ptheta.cluster(runs["ae"], folder)


def test_one_example_and_held_out_ones_that_are_all_known_are_refused(runs, tmp_path):
    one = np.zeros((1, 16, 16), np.uint8)
    np.save(tmp_path / "one.npy", one)
    with pytest.raises(PthetaError, match="1 example cannot be clustered: give two or more"):
        ptheta.cluster(runs["ae"], tmp_path / "one.npy", clusters=2)
    for part in ("train", "test"):
        (tmp_path / "same" / part).mkdir(parents=True)
        for i in range(20):
            picture = Image.fromarray(np.full((16, 16), 12 * i, np.uint8))
            picture.save(tmp_path / "same" / part / f"{i}.png")
    quiet: dict[str, Any] = {"steps": 1, "batch_size": 8, "evaluate_every": 0, "sample_every": 0}
    ptheta.train("vae", tmp_path / "same", tmp_path / "run", hidden=(4,), latent=2, **quiet)
    for verb in (ptheta.cluster, ptheta.density, ptheta.tradeoff):
        with pytest.raises(
            PthetaError, match="all 20 held-out images are duplicates of training images: giv"
        ):
            verb(tmp_path / "run")


def test_rows_of_tables_are_grouped(runs, rows, tmp_path):
    found = ptheta.cluster(runs["rows"], rows, clusters=2, label_column="label")
    assert found.found.clusters == 2
    with pytest.raises(PthetaError, match="--show, an image of clusters, is for images"):
        ptheta.cluster(runs["rows"], rows, clusters=2, show=tmp_path / "x.png")


REFUSED: dict[str, tuple[tuple[object, ...], str]] = {
    "own": (("own", "--clusters", 4), "--clusters 4: this model has its own categories"),
    "one": (("ae", "--clusters", 1), "1 clusters of 23 examples: want 2 to 23"),
    "by": (("ae", "--by", "dbscan"), "unknown way to cluster 'dbscan'"),
    "rows": (("ae", "ROWS"), "holds rows of numbers, and the run learned images: give"),
    "restarts": (("ae", "--restarts", 0), "--restarts 0: want 1 or more"),
    "out": (("ae", "--out", "x.txt"), "--out x.txt: want .csv"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_said_in_one_line(case, runs, rows):
    (name, *options), words = REFUSED[case]
    options = [rows if option == "ROWS" else option for option in options]
    with pytest.raises(PthetaError) as error:
        said("cluster", runs[str(name)], *options)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
