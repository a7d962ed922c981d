"""A run knows what it was trained on: moved, renamed, grown and exchanged data."""

from __future__ import annotations

import json
import re
import shutil
import warnings
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from safetensors.numpy import load_file

from ptheta import api
from ptheta.cli.commands import cli
from ptheta.cli.common import DATA
from ptheta.data import open_data
from ptheta.data.identity import fingerprint, keys
from ptheta.errors import PthetaError
from ptheta.report.compare import compare
from ptheta.runs.folder import RECORD, Run
from tests.training.test_runs import same, train

pytestmark = pytest.mark.filterwarnings("ignore:.*samples are too few for a Frechet")

COPYING = ("copied", "copying", "train_distance", "fd_memorisation")


def write(root: Path, first: int, n: int) -> Path:
    """Pictures first ... first + n - 1 of bars, each like no other, of two classes."""
    for i in range(first, first + n):
        rng = np.random.default_rng(i)
        image = np.zeros((16, 16), dtype=np.uint8)
        at, label = rng.integers(2, 12), i % 2
        bar = slice(at, at + 3)
        image[(slice(2, 14), bar) if label else (bar, slice(2, 14))] = rng.integers(60, 256)
        image[0, :8] = rng.integers(0, 256, 8)
        (root / "ab"[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(root / "ab"[label] / f"{i:03}.png")
    return root


def both(root: Path, first: int) -> Path:
    """200 training pictures and 40 held-out ones."""
    write(root / "train", first, 200)
    write(root / "test", first + 200, 40)
    return root


def renamed(root: Path, to: Path) -> Path:
    """The same pictures elsewhere, their files called so that they come in another order."""
    for i, file in enumerate(sorted(root.rglob("*.png"), reverse=True)):
        place = to / file.relative_to(root).parent
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place / f"r{i * 7919 % 1000:03}.png")
    return to


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """old: what the run was trained on; new: the same, moved and renamed; grown: and some more;
    other: other pictures; short: some are missing; run: an autoencoder
    """
    root = tmp_path_factory.mktemp("moved")
    both(root / "old", 0)
    renamed(root / "old", root / "new")
    write(renamed(root / "old", root / "grown") / "train", 500, 30)
    both(root / "other", 900)
    shutil.copytree(root / "new", root / "short")
    next((root / "short" / "train" / "a").iterdir()).unlink()
    train("ae", root / "old", root / "run", steps=6, levels=2, held_out=24)
    (root / "old").rename(root / "away")
    return root


@pytest.fixture
def run(place: Path, tmp_path: Path) -> Path:
    return shutil.copytree(place / "run", tmp_path / "run")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def go_on(run: Path, data: Path | None, *, steps: int = 12, **options: Any) -> Run:
    return train("ae", data, run, steps=steps, resume=True, levels=2, held_out=24, **options)


def test_training_keeps_what_it_was_trained_on(place):
    split = open_data(place / "away")
    about = json.loads((place / "run" / "config.json").read_text())
    record = load_file(place / "run" / RECORD)
    assert record["images"].dtype == np.uint64
    assert len(record["reserve"]) == len(split) // 10
    every = np.concatenate([record["images"], record["reserve"]])
    assert sorted(every) == sorted(keys(split))
    assert about["dataset"]["fingerprint"] == fingerprint(keys(split))


@pytest.mark.parametrize(("name", "options"), [("vae", {}), ("dcgan", {"dynamic": True})])
def test_a_moved_and_renamed_folder_resumes_to_the_same_bits(place, tmp_path, name, options):
    options = {"levels": 2, "held_out": 24, "evaluate_every": 3, "schedule": "constant", **options}
    whole = train(name, place / "away", tmp_path / "whole", steps=12, **options)
    train(name, place / "away", tmp_path / "parts", steps=6, **options)
    parts = train(name, place / "new", tmp_path / "parts", steps=12, resume=True, **options)
    assert same(whole.path, parts.path)
    assert same(whole.path, parts.path, "last.safetensors")
    assert parts.plan.source == str(place / "new")
    a, b = (json.loads((r.path / "config.json").read_text()) for r in (whole, parts))
    assert a["dataset"] == b["dataset"]
    assert (whole.path / RECORD).read_bytes() == (parts.path / RECORD).read_bytes()
    scores = [
        [{k: v for k, v in line.items() if k.startswith("held_out")} for line in r.metrics()]
        for r in (whole, parts)
    ]
    assert [s for s in scores[1] if s not in scores[0]] == []


def test_a_resumed_run_knows_where_its_data_are(place, run, tmp_path):
    """From its config.json, where no data are given; the command line has the bits of Python."""
    before = contents(run)
    with pytest.raises(
        PthetaError, match=r"old, the training data of .*run, does not exist.*--data"
    ):
        go_on(run, None)
    with pytest.raises(PthetaError, match="was trained with model ae, not vae"):
        train("vae", None, run, resume=True, steps=12)
    with pytest.raises(PthetaError, match="contains a run: add --resume"):
        train("ae", None, run, steps=12)
    assert contents(run) == before
    go_on(run, place / "new", steps=8)
    other = shutil.copytree(run, tmp_path / "other")
    words = ["--steps", "12", "--levels", "2", "--held-out", "24"]
    done = CliRunner().invoke(cli, ["train", "ae", "--out", str(run), "--resume", *words])
    assert done.exception is None, done.exception
    assert Run.open(run).plan.source == str(place / "new")
    assert same(run, go_on(other, place / "new").path)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--resume"], "none contains no run to continue: give a name or a path with --data"),
        ([], "no data to train .*none on: give a name or a path with --data"),
        (["--dry-run"], "no data to train on: give a name or a path with --data"),
    ],
)
def test_a_new_run_needs_data(words, said, tmp_path):
    out = tmp_path / "none"
    done = CliRunner().invoke(cli, ["train", "vae", "--out", str(out), *words])
    assert isinstance(done.exception, PthetaError)
    assert re.search(said, str(done.exception))
    assert not out.exists()


def test_a_folder_without_splits_may_move_and_grow(tmp_path):
    """Which side a picture is on is its own affair, so nothing that was trained on is ever test."""
    options = {"levels": 2, "held_out": 20, "schedule": "constant"}
    old = write(tmp_path / "old", 0, 240)
    whole = train("vae", old, tmp_path / "whole", steps=8, **options)
    parts = train("vae", old, tmp_path / "parts", steps=4, **options)
    test = set(keys(parts.data("test")))
    new = renamed(old, tmp_path / "new")
    shutil.rmtree(old)
    assert set(keys(parts.data("test", str(new)))) == test
    parts = train("vae", new, parts.path, steps=8, resume=True, **options)
    assert same(whole.path, parts.path)
    write(new, 500, 40)
    found = parts.look(new)
    assert found.kind == "more"
    assert set(keys(found.test)) >= test
    assert parts.record is not None
    assert not set(keys(found.test)) & set(parts.record.every)


def test_every_verb_that_reads_data_can_be_told_where_it_lies():
    reads_none = {
        "sample",
        "manifold",
        "compress",
        "decompress",
        "decode",
        "learn",
        "log",
        "push",
    }  # of those that take a run
    shared = DATA(click.command()(lambda: None)).params[0]
    assert isinstance(shared, click.Option)
    for name, command in cli.commands.items():
        params = {p.name: p for p in command.params}
        if not {"run", "runs"} & params.keys() or name in reads_none:
            continue
        assert "--data" in params["data"].opts, name
        if name != "evaluate":  # which has it for images of another program, too
            assert isinstance(params["data"], click.Option)
            assert params["data"].help == shared.help, name


def test_data_that_is_not_there_is_asked_for(place, run):
    for call in (
        lambda: api.evaluate(run, n=20),
        lambda: api.fit(run, components=2),
        lambda: api.probe(run),
        lambda: api.closest(run),
        lambda: Run.open(run).data("test"),
        lambda: compare([Run.open(run)], run / "report", n=20),
    ):
        with pytest.raises(
            PthetaError, match=r"old, the training data of .*run, does not exist.*--data"
        ):
            call()


def test_the_same_images_elsewhere_are_the_data_of_the_run(place, run):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", ".*samples are too few for a Frechet")
        api.fit(run, str(place / "new"), components=2)
        api.probe(run, [10], str(place / "new"), draws=1, steps=2)
        found = api.evaluate(run, str(place / "new"), n=40)
        compare([Run.open(run)], run / "report", n=40, data=str(place / "new"))
    assert all(r.value is not None for r in found.results if r.metric.startswith(COPYING))
    samples, real = api.closest(run, str(place / "new"), pairs=3)
    assert samples.shape == real.shape == (3, 1, 16, 16)


@pytest.mark.parametrize("data", ["other", "short"])
def test_other_data_leaves_copying_undefined_and_cannot_go_on(place, run, data):
    where = str(place / data)
    before = contents(run)
    for call in (
        lambda: go_on(run, place / data),
        lambda: go_on(run, place / data, more_data=True),
        lambda: api.fit(run, where, components=2),
        lambda: api.probe(run, data=where),
        lambda: api.closest(run, where),
    ):
        with pytest.raises(
            PthetaError, match=r"lacks \d+ of the \d+ training images .*--data"
        ) as error:
            call()
        assert "\n" not in str(error.value)
    assert contents(run) == before
    api.fit(run, str(place / "new"), components=2)
    with pytest.warns(UserWarning, match="is not the data that"):
        found = api.evaluate(run, where, n=40)
    copying = [r for r in found.results if r.metric.startswith(COPYING)]
    assert copying
    assert all("trained on other images" in r.reason for r in copying)
    assert found.results[-1].protocol["trained_on"] == Run.open(run).fingerprint
    assert any(r.value is not None for r in found.results if r.metric.startswith("kd_"))


def test_added_images_wait_for_a_word(place, run):
    where, record = str(place / "grown"), Run.open(run).record
    assert record is not None
    before = contents(run)
    with pytest.raises(PthetaError, match=r"has \d+ training images that .*add --more-data"):
        go_on(run, place / "grown")
    assert contents(run) == before
    api.fit(run, where, components=2)
    said = r"has \d+ training images that .*: copies are searched among its own training images"
    with pytest.warns(UserWarning, match=said):
        found = api.evaluate(run, where, n=40)
    shares = [r for r in found.results if r.metric == "copied_share"]
    assert shares[0].protocol["training_images"] == len(record.every)
    test = Run.open(run).look(where).test
    assert not set(keys(test)) & set(record.every)
    old = go_on(run, place / "new")
    assert old.record is not None
    assert np.array_equal(old.record.images, record.images)
    more = go_on(run, place / "grown", more_data=True, steps=13).record
    assert more is not None
    assert np.array_equal(more.images[: len(record.images)], record.images)
    assert len(more.images) > len(record.images)
    assert np.array_equal(more.reserve, record.reserve)
    assert not set(more.images) & set(more.reserve)
    assert len(set(more.numbers) | set(more.reserve_numbers)) == len(more.every)
    go_on(run, place / "grown", steps=13)  # which now is the data of the run
    with pytest.raises(PthetaError, match="lacks"):
        go_on(run, place / "new", steps=13)
    with pytest.raises(PthetaError, match="--more-data needs --resume: add it"):
        train("ae", place / "new", run / "next", steps=2, more_data=True)


def test_a_larger_picture_leaves_the_others_what_they_were(place, run, tmp_path):
    grown = shutil.copytree(place / "new", tmp_path / "grown")
    Image.new("L", (40, 30), 99).save(grown / "train" / "a" / "large.png")
    assert open_data(grown).spec.shape != (1, 16, 16)
    assert Run.open(run).look(str(grown)).kind == "more"


def test_runs_are_compared_by_what_they_learned_from(place, tmp_path):
    def trained(data: Path, out: str) -> Run:
        return train("vae", data, tmp_path / out, steps=2, levels=2)

    def put(data: Path) -> Path:
        """Under a name that other pictures had before."""
        shutil.rmtree(tmp_path / "data", ignore_errors=True)
        return shutil.copytree(data, tmp_path / "data")

    first, moved = trained(put(place / "new"), "first"), trained(place / "away", "moved")
    compare([first, moved], tmp_path / "report", n=20)
    other = trained(put(place / "other"), "other")
    assert other.plan.source == first.plan.source
    with pytest.raises(
        PthetaError, match="which are different images: compare runs of the same data"
    ):
        compare([first, other], tmp_path / "report", n=20)
    with pytest.warns(UserWarning, match="is not the data that"):
        page = compare([first, other], tmp_path / "report", n=20, data=str(place / "new"))
    report = json.loads(page.with_name("report.json").read_text())
    values = {
        name: {r["metric"]: r["value"] for r in found["evaluation"]["results"]}
        for name, found in report["runs"].items()
    }
    assert values["first"]["copying_z"] is not None
    assert values["other"]["copying_z"] is None
    assert "is not the data" in " ".join(report["runs"]["other"]["remarks"])
    assert "is not the data" not in " ".join(report["runs"]["first"]["remarks"])


def test_an_old_run_says_what_cannot_be_checked(place, run):
    (run / RECORD).unlink()
    about = json.loads((run / "config.json").read_text())
    about["dataset"].pop("fingerprint")
    (run / "config.json").write_text(json.dumps(about))
    opened = Run.open(run)
    assert opened.model() is not None
    with pytest.warns(UserWarning, match="has no record of its training images"):
        opened.data("test", str(place / "new"))
    with pytest.raises(PthetaError, match=r"has \d+ training images, .* was trained on"):
        go_on(run, place / "grown", more_data=True)
    with pytest.warns(UserWarning, match="has no record of its training images"):
        go_on(run, place / "away")
    assert not (run / RECORD).exists()


def test_a_run_that_was_stopped_before_it_learned_begins_anew(place, run):
    shutil.rmtree(run / "state")
    (run / RECORD).unlink()
    assert go_on(run, place / "other").record is not None


def test_a_sweep_of_other_data_is_refused_before_any_training(place, tmp_path):
    data = shutil.copytree(place / "new", tmp_path / "data")
    options: dict[str, Any] = {
        "steps": 2,
        "features": 4,
        "latent": 6,
        "evaluate_every": 0,
        "batch_size": 8,
    }
    table = [{"loss": "hinge"}, {"loss": "minimax"}]
    api.sweep("gan", data, tmp_path / "s", table[:1], **options)
    before = contents(tmp_path / "s")
    shutil.rmtree(data)
    shutil.copytree(place / "other", data)
    with pytest.raises(PthetaError, match="lacks"):
        api.sweep("gan", data, tmp_path / "s", table, **options)
    assert contents(tmp_path / "s") == before


def test_a_resume_that_cannot_go_on_writes_nothing(place, run):
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("new", {"steps": 5}, "is already at step 6, and 5 steps are requested"),
        ("grown", {"more_data": True, "steps": 6}, "and 6 steps are requested"),
    ]
    before = contents(run)
    for data, how, said in cases:
        with pytest.raises(PthetaError, match=said):
            go_on(run, place / data, **how)
        assert contents(run) == before
    state = next((run / "state").glob("step-*"))
    for file in ("model", "optimizers", "rng-0"):
        kept = (state / f"{file}.safetensors").read_bytes()
        (state / f"{file}.safetensors").write_bytes(kept[: len(kept) // 2])
        broken = contents(run)
        with pytest.raises(PthetaError):
            go_on(run, place / "grown", more_data=True, steps=9)
        assert contents(run) == broken
        (state / f"{file}.safetensors").write_bytes(kept)
    go_on(run, place / "grown", more_data=True, steps=9)
    assert Run.open(run).metrics()[-1]["step"] == 9


def test_a_run_that_lost_its_record_knows_its_data_by_the_fingerprint(place, run):
    (run / RECORD).unlink()
    before = contents(run)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(PthetaError, match="its fingerprint is"):
            go_on(run, place / "other", steps=9)
        assert contents(run) == before
        go_on(run, place / "new", steps=9)
