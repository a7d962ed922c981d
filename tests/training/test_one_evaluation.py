"""One opening of the data and one evaluation: each part of a source is read once, and no number is
measured that an evaluation of the same protocol holds."""

from __future__ import annotations

import json
import shutil
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ptheta
from ptheta.data import sources
from ptheta.data.dataset import Dataset
from ptheta.data.image_data import ImageDataset
from ptheta.data.reader import Read, SourceReader
from ptheta.data.request import Request
from ptheta.data.splits import Part
from ptheta.measures.results import Evaluation, Result
from ptheta.metrics.conditions import draw
from ptheta.metrics.context import Context
from ptheta.metrics.evaluate import context, measured
from ptheta.metrics.metric import Metric
from ptheta.metrics.stored import held, kept
from ptheta.metrics.table import METRICS
from tests.conftest import tiny

RNG = np.random.default_rng(7)
TRAIN, TEST = (RNG.integers(0, 256, (n, 8, 8), dtype=np.uint8) for n in (60, 30))
LABELS = np.arange(60) % 2
SMALL: dict[str, Any] = {"steps": 1, "hidden": (4,), "latent": 2}
MEASURED: dict[str, Any] = {"n": 16, "extractor": "pixels"}


def _place(place: Path, **arrays: np.ndarray) -> Path:
    """A file of these arrays, and beside it two runs that were trained on it."""
    np.savez(place / "a.npz", **arrays)  # type: ignore[arg-type]
    np.savez(place / "made.npz", images=TEST[:20])
    for seed in (0, 1):
        ptheta.train("vae", place / "a.npz", place / f"run-{seed}", seed=seed, **SMALL)
    return place


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _place(tmp_path_factory.mktemp("split"), train_images=TRAIN, test_images=TEST)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _place(tmp_path_factory.mktemp("whole"), images=TRAIN)


@dataclass
class Reads:
    """Counts what is read of each source: (its name, what is asked for) -> how often."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def of(self, source: str | Path, read: Read) -> Read:
        def counted(request: Request) -> tuple[Dataset, Part]:
            self.counts[Path(source).name, request.split] += 1
            return read(request)

        return counted


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reads]:
    found, plain = Reads(), sources._open_place

    def opened(source: str | Path) -> SourceReader:
        reader = plain(source)
        return replace(reader, read=found.of(source, reader.read))

    monkeypatch.setattr(sources, "_open_place", opened)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few images
        yield found


VERBS: dict[str, Callable[[Path], object]] = {
    "evaluate": lambda place: ptheta.evaluate(place / "run-0", **MEASURED),
    "evaluate, with the closest": lambda place: ptheta.evaluate(
        place / "run-0", closest=place / "closest.png", **MEASURED
    ),
    "evaluate_images": lambda place: ptheta.evaluate_images(
        place / "made.npz", place / "a.npz", closest=place / "closest.png", **MEASURED
    ),
    "closest": lambda place: ptheta.closest(place / "run-0", pairs=2),
    "own": lambda place: ptheta.Run.open(place / "run-0").own(),
    "compare": lambda place: ptheta.compare(
        [place / "run-0", place / "run-1"], place / "report", **MEASURED
    ),
}


@pytest.mark.parametrize("verb", VERBS)
def test_each_part_of_the_data_is_read_once(verb, split, reads):
    VERBS[verb](split)
    assert reads.counts["a.npz", "train"] == reads.counts["a.npz", "test"] == 1
    assert set(reads.counts.values()) == {1}, reads.counts


@pytest.mark.parametrize("verb", ["evaluate, with the closest", "evaluate_images"])
def test_data_without_splits_are_read_and_divided_once(verb, whole, reads):
    VERBS[verb](whole)
    assert sum(n for (name, _), n in reads.counts.items() if name == "a.npz") == 1


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the metrics of which numbers of a model are measured, and "drawn" with how many
    samples are drawn for them."""
    found: list[str] = []

    def results(self: Metric, ctx: Context) -> list[Result]:
        rows = plain(self, ctx)
        if rows and ctx.model is not None:
            found.append(self.name)
        return rows

    def drawn(*given: Any, **options: Any) -> Any:
        found.append(f"drawn {options.get('first')}")
        return draw(*given, **options)

    plain = Metric.results
    monkeypatch.setattr(Metric, "results", results)
    monkeypatch.setattr("ptheta.metrics.context.draw", drawn)
    return found


@pytest.fixture
def pair(split: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Two runs, neither of which has been measured."""
    runs = tmp_path / "run-0", tmp_path / "run-1"
    for run in runs:
        shutil.copytree(split / run.name, run, ignore=shutil.ignore_patterns("evaluation.json"))
    return runs


def compared(runs: Iterable[Path], **options: Any) -> dict[str, Any]:
    folder = next(iter(runs)).parent / "report"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few images
        ptheta.compare(list(runs), folder, **{**MEASURED, **options})
    found: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return found


def numbers(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What a report says of the runs, without times and speeds."""
    return {
        name: {
            r["metric"]: {k: v for k, v in r.items() if k != "protocol"}
            for r in row["evaluation"]["results"]
            if r["metric"] != "sampling_speed"
        }
        for name, row in report["runs"].items()
    }


@pytest.mark.slow
def test_a_comparison_measures_what_no_evaluation_holds(pair, counted):
    first = compared(pair)
    assert counted.count("nll{given}") == counted.count("drawn None") == 2
    counted.clear()
    again = compared(pair)
    # a speed is of this machine, now; and no more samples than the pictures show
    assert Counter(counted) == {"sampling_speed": 2, "drawn 500": 2}
    assert numbers(again) == numbers(first)
    assert {k: v for k, v in again["differences"].items() if k != "sampling_speed"} == {
        k: v for k, v in first["differences"].items() if k != "sampling_speed"
    }
    assert first["runs"]["run-0"]["taken"] == []
    assert "nll" in again["runs"]["run-0"]["taken"]
    page = (pair[0].parent / "report" / "report.html").read_text()
    assert "under the same protocol: run-0, run-1" in page
    counted.clear()
    assert numbers(compared(pair, anew=True)) == numbers(first)
    assert counted.count("nll{given}") == 2


def test_what_was_evaluated_is_used_and_what_is_missing_is_measured(pair, counted):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few images
        ptheta.evaluate(pair[0], **MEASURED, is_k=3)
    counted.clear()
    compared(pair[:1])
    # the bound of another k is another number
    bounds = {"bits_per_dim{given}", "nll{given}", "elbo_gap{given}"}
    assert {*counted} == {*bounds, "sampling_speed", "drawn 500"}
    found = Evaluation.read(pair[0] / "evaluation.json").get("nll")
    assert found is not None
    assert found.protocol["importance_samples"] == 50


@pytest.mark.slow
def test_numbers_of_other_weights_are_not_used(pair, counted):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few images
        ptheta.evaluate(pair[0], **MEASURED)
    shutil.copy(pair[1] / "model.safetensors", pair[0] / "model.safetensors")
    counted.clear()
    found = compared(pair[:1])
    assert counted.count("nll{given}") == counted.count("kd_{extractor}") == 1
    assert found["runs"]["run-0"]["taken"] == []


X = ImageDataset("x", "test", TEST[:, None], labels=np.arange(30) % 2, classes=("a", "b"))
LEARNED = ImageDataset("x", "train", TRAIN[:, None])
ABOUT = {"checkpoint": "0123", "trained_on": "4567"}
VAE = tiny("vae", X.spec).eval()


def of(test: Dataset = X, **options: Any) -> Context:
    about = options.pop("about", ABOUT)
    return context(VAE, test, LEARNED, about=about, **{**MEASURED, **options})


@pytest.fixture(scope="module")
def earlier() -> Evaluation:
    """As a file gives it back."""
    few = [METRICS[name] for name in ("nll{given}", "kd_{extractor}", "sampling_speed")]
    found = measured(of(), metrics=few)
    return Evaluation.from_json(json.loads(json.dumps(found.to_json())))


def relabelled() -> Dataset:
    return replace(X, labels=np.arange(30) % 3 % 2)


# what an evaluation is of now, where the one before does not count
STALE: dict[str, Callable[[], Context]] = {
    "samples": lambda: of(n=12),
    "seed": lambda: of(seed=1),
    "images": lambda: of(X.subset(slice(1, None))),
    "labels": lambda: of(relabelled()),
    "name of the data": lambda: of(replace(X, name="y")),
    "weights": lambda: of(about=ABOUT | {"checkpoint": "8901"}),
    "training images": lambda: of(about=ABOUT | {"trained_on": "8901"}),
    "training images, not known": lambda: of(about=ABOUT | {"trained_on": "not known"}),
    "prior": lambda: of(about=ABOUT | {"fitted_prior": "8901"}),
    "copies": lambda: of(no_copies="it was trained on other images"),
    "no weights": lambda: of(about={}),
}


@pytest.mark.parametrize("what", STALE)
def test_numbers_of_another_protocol_are_not_used(what, earlier):
    assert held(earlier, of()).keys() == {"nll{given}", "kd_{extractor}"}  # a speed is of now
    assert held(earlier, STALE[what]()) == {}


@pytest.mark.parametrize(
    "key", ["extractor_digest", "metrics_version", "torch", "ptheta", "dtype", "device", "sampler"]
)
def test_numbers_of_another_version_are_not_used(key, earlier):
    protocol = {**earlier.protocol, key: "another"}
    results = tuple(replace(r, protocol=protocol) for r in earlier.results)
    assert held(Evaluation(results, protocol), of()) == {}


def test_one_number_of_another_protocol_is_measured_anew_alone(earlier):
    assert held(earlier, of(is_k=3)).keys() == {"kd_{extractor}"}
    foreign = [
        replace(r, protocol={**r.protocol, "fingerprint": "0"}) if r.metric == "nll" else r
        for r in earlier.results
    ]
    mixed = Evaluation(tuple(foreign), earlier.protocol)
    assert held(mixed, of()).keys() == {"kd_{extractor}"}
    assert kept(Evaluation((), of().protocol), mixed, of()).get("nll") is None


def test_what_is_not_asked_for_this_time_stays_in_the_file(earlier):
    annealed = replace(earlier.results[0], metric="nll_ais")
    before = Evaluation((*earlier.results, annealed), earlier.protocol)
    now = measured(of(), held(before, of()), [METRICS["nll{given}"], METRICS["nll_ais{given}"]])
    assert [r.metric for r in now.results] == ["nll"]
    whole = kept(now, before, of())
    assert whole.get("nll_ais") == annealed
    assert whole.get("nll") == earlier.get("nll")
    assert kept(now, before, of(seed=1)) == now


def test_the_draws_of_a_file_are_those_of_the_numbers(pair):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few images
        found = ptheta.evaluate(pair[0], **MEASURED)
    kept = Evaluation.read(pair[0] / "evaluation.json")
    assert [r.draws for r in kept.results] == [r.draws for r in found.results]
    assert any(r.draws is not None and r.draws.both for r in kept.results)
    assert "draws" not in json.dumps(found.to_json())
