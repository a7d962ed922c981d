"""Malformed input ends in one line: some cases of `benchmarks.malformed`."""

from __future__ import annotations

import shutil
from itertools import islice
from pathlib import Path

import pytest
from benchmarks.malformed import judge
from benchmarks.malformed_cases import Case, every_case, make_world

QUICK = ("sample", "data", "manifold")  # verbs that take less than a third of a second
EACH = 3  # cases of each surface
DATA = ("arrays", "idx", "parquet", "folder", "zip", "table")  # see tests/data/


def some() -> list[Case]:
    """A few cases of each surface, from all over."""
    by_surface: dict[str, list[Case]] = {}
    for case in every_case():
        if case.surface in DATA:
            continue
        trains = case.surface in ("config file", "options of train") and not case.may_pass
        if trains or case.call is not None or (case.argv and case.argv[0] in QUICK):
            by_surface.setdefault(case.surface, []).append(case)
    return [case for cases in by_surface.values() for case in cases[:: 1 + len(cases) // EACH]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("malformed") / "world"
    make_world(place)
    return place


@pytest.mark.parametrize("case", some(), ids=lambda case: f"{case.surface}: {case.name}"[:60])
def test_malformed_input_ends_in_one_line(case, world, tmp_path):
    found = judge(case, world, tmp_path)
    assert not found.fault, found.said


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_malformed_inputs_of_every_kind_end_in_one_line(part, world, tmp_path):
    """Every tenth of all; `python -m benchmarks.malformed` tries them all."""
    faults = []
    for number, case in enumerate(islice(every_case(), part * 10, None, 40)):
        place = tmp_path / str(number)
        place.mkdir()
        found = judge(case, world, place)
        shutil.rmtree(place, ignore_errors=True)
        if found.fault:
            faults.append((case.surface, case.name, found.fault, found.said))
    assert not faults
