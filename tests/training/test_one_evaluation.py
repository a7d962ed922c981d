"""One opening of the data: whatever uses a source reads each part of it once."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ptheta
from ptheta.data import sources
from ptheta.data.dataset import Dataset
from ptheta.data.reader import Read, SourceReader
from ptheta.data.request import Request
from ptheta.data.splits import Part

RNG = np.random.default_rng(7)
TRAIN, TEST = (RNG.integers(0, 256, (n, 8, 8), dtype=np.uint8) for n in (60, 30))
LABELS = np.arange(60) % 2
SMALL: dict[str, Any] = {"steps": 1, "hidden": (4,), "latent": 2}
MEASURED: dict[str, Any] = {"n": 16, "extractor": "pixels"}


@pytest.fixture(scope="module", params=["splits", "none"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with splits, or without, and beside it two runs that were trained on it."""
    place = tmp_path_factory.mktemp(request.param)
    if request.param == "splits":
        np.savez(place / "a.npz", train_images=TRAIN, test_images=TEST)
    else:
        np.savez(place / "a.npz", images=TRAIN)
    np.savez(place / "made.npz", images=TEST[:20])
    for seed in (0, 1):
        ptheta.train("vae", place / "a.npz", place / f"run-{seed}", seed=seed, **SMALL)
    return place


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
    "probe": lambda place: ptheta.Run.open(place / "run-0").own(),
    "compare": lambda place: ptheta.compare(
        [place / "run-0", place / "run-1"], place / "report", **MEASURED
    ),
}


@pytest.mark.parametrize("verb", VERBS)
def test_each_part_of_the_data_is_read_once(verb, place, reads):
    VERBS[verb](place)
    assert reads.counts
    assert set(reads.counts.values()) == {1}, reads.counts
    if place.name.startswith("none"):  # it is one part, whichever is asked for
        assert sum(n for (name, _), n in reads.counts.items() if name == "a.npz") == 1
