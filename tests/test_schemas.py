"""The files of a run folder as data: whatever they hold, they are read or refused in one line."""

from __future__ import annotations

import json
import math
import shutil
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file, save_file

import ptheta
from ptheta.config import MOST_SIDE
from ptheta.data.trained import Record
from ptheta.errors import PthetaError
from ptheta.files.tensors import load_metadata
from ptheta.measures.results import Evaluation
from ptheta.runs.folder import Run
from ptheta.runs.sweeps import runs_of
from ptheta.training.metric_logger import keep_until, read_metrics
from ptheta.training.progress import Progress

T = TypeVar("T")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda some: (
        st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=5), some, max_size=3)
    ),
    max_leaves=5,
)
EASY = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def whole(strokes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of labelled images with every file that a run can have."""
    out = tmp_path_factory.mktemp("runs") / "run"
    options: dict[str, Any] = {"hidden": (8,), "latent": 2, "net": "mlp", "threads": 1}
    options |= {"steps": 2, "log_every": 1, "evaluate_every": 0, "sample_every": 0}
    ptheta.train("ae", strokes, out, **options)
    ptheta.api.fit(out, components=2)
    return out


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(whole, tmp_path / "run"))


def line(call: Callable[[], object], *words: str) -> str:
    """The message of the PthetaError that a call ends in: one line that holds these words."""
    with pytest.raises(PthetaError) as error:
        call()
    text = str(error.value)
    assert "\n" not in text
    assert len(text) < 700
    for word in words:
        assert word in text, text
    return text


def tried(call: Callable[[], T], word: str = "") -> T | None:
    """What a call gives; None where it is refused in one line that holds this word."""
    try:
        return call()
    except PthetaError as error:
        text = str(error)
    assert "\n" not in text
    assert word in text
    return None


def places(values: dict[str, Any], before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The paths of all keys of a table, those of tables in it included."""
    found = []
    for key, value in values.items():
        found.append((*before, key))
        if isinstance(value, dict):
            found += places(value, (*before, key))
    return found


@EASY
@given(data=st.data())
def test_any_value_anywhere_in_a_config_is_read_or_refused_in_one_line(data, whole, tmp_path):
    about = json.loads((whole / "config.json").read_text(encoding="utf-8"))
    *path, last = data.draw(st.sampled_from(places(about)))
    at = about
    for key in path:
        at = at[key]
    at[last] = data.draw(JSON)
    (tmp_path / "config.json").write_text(json.dumps(about), encoding="utf-8")
    found = tried(lambda: Run.open(tmp_path), "config.json")
    # nothing was read as something else
    assert found is None or found.about.model_dump(exclude_unset=True) == about


def test_what_a_newer_ptheta_adds_is_let_be_and_what_it_changes_is_not(run):
    file = run / "config.json"
    about = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(about | {"later": {"a": [1]}}), encoding="utf-8")
    assert Run.open(run).about.model_dump() == about
    for part in ("spec", "config", "data", "train"):
        changed = about | {part: about[part] | {"later": 1}}
        file.write_text(json.dumps(changed), encoding="utf-8")
        line(lambda: Run.open(run), "config.json", "later")
    file.write_text(json.dumps(about | {"format": 2}), encoding="utf-8")
    line(lambda: Run.open(run), "format 2", "use the ptheta that wrote it")


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"null", b"[" * 9999, b"\xff", b'{"format":' + b"9" * 5000]
)
def test_a_config_that_is_no_table_is_refused_in_one_line(text, run):
    (run / "config.json").write_bytes(text)
    line(lambda: Run.open(run), "config.json")


def test_a_config_may_have_a_byte_order_mark(run):
    file = run / "config.json"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert Run.open(run).plan.model == "ae"


WEIGHTS: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], str]] = {
    "none": (lambda t: {}, "it has no "),
    "one missing": (lambda t: {k: v for k, v in t.items() if k != max(t)}, "it has no "),
    "one more": (
        lambda t: t | {"zzz": torch.zeros(1)},
        "it has zzz, which the model does not have",
    ),
    "another shape": (lambda t: t | {max(t): torch.zeros(7, 7)}, "has the shape (7, 7) and not"),
    "integers": (lambda t: {k: v.int() for k, v in t.items()}, "has dtype torch.int32"),
    "NaN": (lambda t: t | {max(t): t[max(t)] * math.nan}, "has non-finite values"),
    "infinite": (lambda t: t | {max(t): t[max(t)] + math.inf}, "has non-finite values"),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_that_do_not_fit_name_the_file_and_the_tensor(name, run):
    change, words = WEIGHTS[name]
    file = run / "model.safetensors"
    tensors = load_file(file)
    save_file({k: v.contiguous() for k, v in change(tensors).items()}, file)
    text = line(lambda: Run.open(run).model(), "model.safetensors", words)
    assert any(key in text for key in (*tensors, "zzz"))


MIXTURES: dict[str, tuple[dict[str, torch.Tensor], str]] = {
    "no means": ({"means": torch.zeros(0, 2)}, "means has the shape (0, 2)"),
    "of other codes": (
        {"means": torch.zeros(2, 3), "factors": torch.eye(3).repeat(2, 1, 1)},
        "codes of 3 dimensions, want 2",
    ),
    "negative": ({"weights": torch.tensor([-1.0, 2.0])}, "not probabilities"),
    "singular": ({"factors": torch.zeros(2, 2, 2)}, "not Cholesky factors"),
    "NaN": ({"means": torch.full((2, 2), math.nan)}, "NaN or infinity"),
    "more": ({"other": torch.zeros(2)}, "other"),
}


@pytest.mark.parametrize("name", MIXTURES)
def test_a_fitted_prior_that_is_none_says_why(name, run):
    change, words = MIXTURES[name]
    file = run / "fitted.safetensors"
    save_file(load_file(file) | change, file, load_metadata(file))
    line(lambda: Run.open(run).model(), "fitted.safetensors", words, "ptheta fit")


KEYS: dict[str, Any] = {
    "images": np.arange(4, dtype=np.uint64),
    "numbers": np.arange(4),
    "reserve": np.zeros(0, np.uint64),
    "reserve_numbers": np.zeros(0, np.int64),
}
RECORDS: dict[str, tuple[dict[str, Any], str]] = {
    "a type": ({"images": np.arange(4)}, "images is int64"),
    "two axes": ({"images": np.zeros((4, 1), np.uint64)}, "images is uint64 of shape (4, 1)"),
    "fewer numbers": ({"numbers": np.arange(3)}, "3 numbers for 4 images"),
    "negative numbers": ({"numbers": -np.arange(4)}, "numbers are not valid image numbers"),
    "large numbers": ({"numbers": np.full(4, 2**62)}, "numbers are not valid image numbers"),
    "a name": ({"other": np.arange(4)}, "it has other"),
    "no image": ({"images": np.zeros(0, np.uint64), "numbers": np.zeros(0, np.int64)}, "no image"),
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_of_images_that_is_none_says_why(name, tmp_path):
    change, words = RECORDS[name]
    save_arrays(KEYS, tmp_path / "a.safetensors")
    assert len(Record.read(tmp_path / "a.safetensors").every) == 4
    save_arrays(KEYS | change, tmp_path / "a.safetensors")
    line(lambda: Record.read(tmp_path / "a.safetensors"), words, "restore the file")


@EASY
@given(key=st.sampled_from(sorted(vars(Progress()))), value=JSON)
def test_progress_is_what_was_written_or_refused(key, value):
    good = Progress(step=3, seconds=1.5, best_metric="x", best_value=2.0)
    assert Progress.from_json(good.to_json()) == good
    changed = good.to_json() | {key: value}
    found = tried(lambda: Progress.from_json(changed), key)
    if found is not None:
        assert found.step >= 0
        told = found.to_json()[key]
        assert value is None or (list(told) if isinstance(told, tuple) else told) == value


def test_progress_is_whole():
    some: tuple[Any, ...] = ({}, [], None, 3, {"step": 1})
    for told in some:
        line(partial(Progress.from_json, told), "progress.json")


ROW = st.dictionaries(
    st.text(max_size=5).filter(lambda name: name not in ("step", "seconds")),
    st.floats(),
    max_size=3,
)


@EASY
@given(rows=st.lists(ROW, max_size=4), bad=st.lists(st.binary(max_size=12), max_size=4))
def test_damaged_lines_of_metrics_cost_those_lines_alone(rows, bad, tmp_path):
    """Rows come back as they were, whatever stands between them, and a resume keeps them."""
    file = tmp_path / "metrics.jsonl"
    good = [{"step": i, "seconds": 0.5, **row} for i, row in enumerate(rows)]
    others = [text.replace(b"\n", b" ") for text in bad] + [b"[1]", b"2", b'{"step": "1"}']
    texts = [json.dumps(row).encode() for row in good]
    mixed = [text for pair in zip(texts, others, strict=False) for text in pair]
    mixed += texts[len(others) :] + others[len(texts) :]
    file.write_bytes(b"\n".join(mixed) + b"\n")
    if not good:
        with pytest.raises(PthetaError, match="is one that ptheta writes"):
            read_metrics(tmp_path)
        return
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert json.dumps(read_metrics(tmp_path)) == json.dumps(
            [{k: v if k == "step" else float(v) for k, v in row.items()} for row in good]
        )
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keep_until(file, 1, None)
    assert [row["step"] for row in read_metrics(tmp_path)] == list(range(min(2, len(rows))))


SWEEPS: dict[str, tuple[object, str]] = {
    "list": ([], "a list instead of a table"),
    "no runs": ({}, "runs: field required"),
    "none trained": ({"runs": []}, "names no run"),
    "numbers": ({"runs": [1]}, "runs.0"),
    "elsewhere": ({"runs": ["../x"]}, "no folder beside it"),
    "absolute": ({"runs": ["/tmp/x"]}, "no folder beside it"),
    "empty name": ({"runs": [""]}, "runs.0"),
}


@pytest.mark.parametrize("name", SWEEPS)
def test_a_record_of_a_sweep_that_is_none_says_why(name, tmp_path):
    values, words = SWEEPS[name]
    (tmp_path / "sweep.json").write_text(json.dumps(values), encoding="utf-8")
    line(lambda: runs_of(tmp_path), "sweep.json", words)


@EASY
@given(
    key=st.sampled_from(["metric", "value", "unit", "error", "protocol", "note", "x"]), value=JSON
)
def test_an_evaluation_is_what_was_written_or_refused(key, value):
    result = {"metric": "m", "value": 1.0, "unit": "", "error": None, "protocol": {}, "note": ""}
    told = {"protocol": {}, "results": [result | {key: value}]}
    found = tried(lambda: Evaluation.from_json(told))
    assert found is None or json.dumps(found.results[0].to_json()[key]) == json.dumps(value)


def test_absurd_images_are_refused_before_memory_is_taken(run):
    file = run / "config.json"
    about = json.loads(file.read_text(encoding="utf-8"))
    for side in (10**9, MOST_SIDE):
        spec = about["spec"] | {"height": side, "width": side}
        file.write_text(json.dumps(about | {"spec": spec}), encoding="utf-8")
        line(lambda: Run.open(run), "config.json", "spec")
