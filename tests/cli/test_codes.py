"""`ptheta encode`, `decode` and `scatter`: their files, their tables, and what they refuse."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import ptheta
from ptheta.cli.commands import cli
from ptheta.errors import PthetaError

QUIET: dict[str, Any] = {"steps": 2, "batch_size": 16, "evaluate_every": 0, "sample_every": 0}
SMALL: dict[str, Any] = {"hidden": (4,), "latent": 3, **QUIET}


@pytest.fixture(scope="module")
def runs(strokes: Path, rows: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("codes")
    ptheta.train("vae", strokes, out / "vae", levels=2, **SMALL)
    ptheta.train("cvae", strokes, out / "cvae", levels=2, condition="labels", **SMALL)
    ptheta.train("ae", strokes, out / "ae", levels=2, **SMALL)
    ptheta.train("gan", strokes, out / "gan", g_hidden=(4,), d_hidden=(4,), latent=3, **QUIET)
    ptheta.train("ae", rows, out / "rows", label_column="label", **SMALL)
    return {name: out / name for name in ("vae", "cvae", "ae", "gan", "rows")}


def said(*args: object) -> str:
    done = CliRunner().invoke(cli, [str(a) for a in args])
    if isinstance(done.exception, PthetaError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_codes_of_a_split_have_rows_labels_and_what_the_posterior_says(runs, tmp_path):
    text = said("encode", runs["vae"], "--std", "--out", tmp_path / "z.csv")
    assert "codes of 3 numbers: the mean of q(z | x)" in text
    found = table(tmp_path / "z.csv")
    assert list(found[0]) == ["row", "label", "z0", "z1", "z2", "std0", "std1", "std2"]
    run = ptheta.Run.open(runs["vae"])
    test = run.data("test").with_fixed_binarisation()
    batch, model = test.batch(slice(None)), run.model()
    with torch.no_grad():
        q = model.posterior(batch.x)  # type: ignore[operator]
    z = torch.tensor([[float(row[f"z{i}"]) for i in range(3)] for row in found])
    std = torch.tensor([[float(row[f"std{i}"]) for i in range(3)] for row in found])
    torch.testing.assert_close(z, q.mean)
    torch.testing.assert_close(std, (q.log_var / 2).exp())
    assert [row["label"] for row in found] == [str(k) for k in batch.extra["labels"].tolist()]
    assert [int(row["row"]) for row in found] == test.rows(slice(None)).tolist()
    drawn = ptheta.encode(runs["vae"], sample=True, seed=4)
    assert torch.equal(drawn.z, ptheta.encode(runs["vae"], sample=True, seed=4).z)
    torch.testing.assert_close(((drawn.z - z) / std).std(), torch.tensor(1.0), atol=0.3, rtol=0)
    told = json.loads(said("encode", runs["vae"], "--split", "train", "-n", 5, "--json"))
    assert (told["examples"], told["dimensions"], told["labels"]) == (5, 3, True)
    assert repr(drawn).startswith("Encoded(")
    assert "<table" in drawn._repr_html_()


def test_folders_keep_their_names_there_and_back(runs, tmp_path):
    (tmp_path / "mine").mkdir()
    run = ptheta.Run.open(runs["ae"])
    x = run.data("test").with_fixed_binarisation().batch(slice(0, 3)).x
    for name, image in zip(("c.png", "a.png", "b.png"), x, strict=True):
        Image.fromarray(image[0].numpy()).save(tmp_path / "mine" / name)
    for how in (("--image", tmp_path / "mine"), (tmp_path / "mine",)):
        said("encode", runs["ae"], *how, "--out", tmp_path / "z.csv", "--force")
        assert [row["file"] for row in table(tmp_path / "z.csv")] == ["a.png", "b.png", "c.png"]
    said("decode", runs["ae"], tmp_path / "z.csv", "--out", tmp_path / "back")
    said("reconstruct", runs["ae"], "--image", tmp_path / "mine", "--out", tmp_path / "again")
    for name in ("a.png", "b.png", "c.png"):
        back, again = (np.asarray(Image.open(tmp_path / f / name)) for f in ("back", "again"))
        assert np.array_equal(back, again)


def test_files_of_one_name_in_two_folders_keep_those_of_their_folders(runs, tmp_path):
    z = np.zeros((3, 3), np.float32)
    names = ("cat/1.png", "dog/1.png", "dog/2.png")
    rows = "\n".join(
        f"{name},{','.join(map(str, row))}" for name, row in zip(names, z, strict=True)
    )
    (tmp_path / "z.csv").write_text(f"file,z0,z1,z2\n{rows}\n")
    said("decode", runs["ae"], tmp_path / "z.csv", "--out", tmp_path / "back")
    written = {file.name for file in (tmp_path / "back").glob("*.png")}
    assert written == {"cat-1.png", "dog-1.png", "dog-2.png"}


def test_a_conditional_model_decodes_with_the_labels_beside_the_codes(runs, tmp_path):
    said("encode", runs["cvae"], "--out", tmp_path / "z.csv")
    said("decode", runs["cvae"], tmp_path / "z.csv", "--out", tmp_path / "x.npy")
    run = ptheta.Run.open(runs["cvae"])
    batch = run.data("test").with_fixed_binarisation().batch(slice(None))
    model = run.model()
    back = ptheta.tasks.reconstruct(model, batch.x, batch.condition)
    assert np.array_equal(np.load(tmp_path / "x.npy"), back.numpy())
    said("decode", runs["cvae"], tmp_path / "z.csv", "--label", "1", "--out", tmp_path / "ones")
    lines = (tmp_path / "ones/metadata.jsonl").read_text().splitlines()
    assert {json.loads(line)["label"] for line in lines} == {"1"}
    np.save(tmp_path / "z.npy", np.zeros((2, 3), np.float32))
    with pytest.raises(PthetaError, match=r"conditional on .*: give the conditions of the codes"):
        said("decode", runs["cvae"], tmp_path / "z.npy", "--out", tmp_path / "y.npy")


def test_codes_that_were_looked_for_are_read_as_well(runs, tmp_path):
    Image.fromarray(np.full((16, 16), 60, np.uint8)).save(tmp_path / "x.png")
    asked = ("--steps", 3, "--drawn", 20, "--codes", tmp_path / "z.csv", "--out", tmp_path / "i")
    said("invert", runs["gan"], "--image", tmp_path / "x.png", *asked)
    said("decode", runs["gan"], tmp_path / "z.csv", "--out", tmp_path / "d")
    a, b = (np.asarray(Image.open(p)) for p in (tmp_path / "i/x.png", tmp_path / "d/00000.png"))
    assert np.array_equal(a, b)


def test_rows_of_a_table_keep_their_labels(runs, tmp_path):
    said("encode", runs["rows"], "--out", tmp_path / "z.parquet")
    said("decode", runs["rows"], tmp_path / "z.parquet", "--out", tmp_path / "x.csv")
    found = table(tmp_path / "x.csv")
    run = ptheta.Run.open(runs["rows"])
    test = run.data("test")
    assert [row["label"] for row in found] == [
        test.class_name(int(k)) for k in test.batch(slice(None)).extra["labels"]
    ]
    made = ptheta.decode(runs["rows"], ptheta.encode(runs["rows"]))
    assert torch.equal(made.x, ptheta.tasks.reconstruct(run.model(), test.batch(slice(None)).x))
    assert "nearest other example" in said("scatter", runs["rows"])


def test_runs_are_drawn_side_by_side_with_floors_beside_them(runs, tmp_path):
    two = (runs["vae"], runs["ae"])
    asked = ("--title", "A_$x$", "--title", "_b", "--std", 2, "--reach", 1.5)
    text = said("scatter", *two, *asked, "--out", tmp_path / "z.png")
    for words in (
        "A_$x$",
        "2 principal components of pixels",
        "3 principal components",
        "always '",
        "q(z) in",
    ):
        assert words in text
    wide = Image.open(tmp_path / "z.png").size
    said("scatter", two[0], "--dims", "0,2", "--own-axes", "--out", tmp_path / "one.png")
    assert Image.open(tmp_path / "one.png").size[0] < wide[0]
    told = json.loads(said("scatter", *two, "--dims", "2,0", "--json"))
    assert [one["axes"] for one in told["runs"]] == [[2, 0], [2, 0]]
    assert told["runs"][1]["q_in_p"] is None
    found = ptheta.scatter(two, n=20)
    assert found.examples == 20
    assert repr(found).startswith("Scattered(codes of 20 examples by vae, ae")
    assert "<table" in found._repr_html_()


REFUSED: dict[str, tuple[tuple[object, ...], str]] = {
    "no encoder": (("encode", "gan"), "search for codes (ptheta invert --codes)"),
    "no posterior": (("encode", "ae", "--sample"), "no posterior q(z | x)"),
    "no std": (("encode", "ae", "--std"), "--std: this model has no posterior"),
    "std of an array": (("encode", "vae", "--std", "--out", "z.npy"), "can only hold codes"),
    "no such split": (("encode", "vae", "--split", "tset"), "unknown split 'tset'"),
    "two sources": (
        ("encode", "vae", "digits", "--image", "x.png"),
        "SOURCE cannot be combined with --image",
    ),
    "no such file": (("decode", "vae", "none.csv", "--out", "x.png"), "no such file"),
    "no codes": (("decode", "vae", "none.txt", "--out", "x.png"), "want .npy, .csv or .parquet"),
    "no such dimension": (("scatter", "vae", "--dims", "0,3"), "give two of 0 to 2"),
    "one dimension": (("scatter", "vae", "--dims", "0"), "want two, such as 0,1"),
    "other data": (("scatter", "vae", "rows"), "have different examples"),
    "one title": (("scatter", "vae", "ae", "--title", "a"), "1 titles for 2 runs"),
    "both axes": (("scatter", "vae", "--reach", 2, "--own-axes"), "leave --own-axes out"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_said_in_one_line(case, runs):
    (verb, *words), message = REFUSED[case]
    with pytest.raises(PthetaError) as error:
        said(verb, *(runs.get(str(word), word) for word in words))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


BAD: dict[str, tuple[str, str]] = {
    "no z": ("a,b\n1,2\n", "no column z0"),
    "a gap": ("z0,z2,z1,z4\n1,2,3,4\n", "no column z3"),
    "too many": ("z0,z1,z2,z3\n1,2,3,4\n", "codes of 4 dimensions, but those of this model have 3"),
    "words": ("z0,z1,z2\n1,2,x\n", "the column z2 is not numeric"),
    "missing": ("z0,z1,z2\n1,2,3\n1,,2\n", "not finite in row 1, from 0"),
    "no rows": ("z0,z1,z2\n", "the table has no rows"),
    "no heads": ("1,2,3\n", "the first line has to name the columns"),
    "empty": ("", "is empty"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_table_that_holds_no_codes_is_refused(case, runs, tmp_path):
    text, message = BAD[case]
    (tmp_path / "z.csv").write_text(text)
    with pytest.raises(PthetaError) as error:
        said("decode", runs["vae"], tmp_path / "z.csv", "--out", tmp_path / "x.png")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 3), np.int64), "of type int64: codes are floats"),
        (np.zeros((2, 3), object), "not an array of numbers"),
        (np.zeros(3, np.float32), r"of shape (3,): want (N, L)"),
        (np.full((2, 3), np.inf), "not finite in rows 0, 1"),
    ],
)
def test_an_array_that_holds_no_codes_is_refused(array, message, runs, tmp_path):
    np.save(tmp_path / "z.npy", array)
    with pytest.raises(PthetaError) as error:
        said("decode", runs["vae"], tmp_path / "z.npy", "--out", tmp_path / "x.png")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_nothing_is_overwritten_without_a_word(runs, tmp_path):
    for words in (
        ("encode", runs["vae"], "--out", tmp_path / "z.csv"),
        ("decode", runs["vae"], tmp_path / "z.csv", "--out", tmp_path / "x.png"),
        ("scatter", runs["vae"], "--out", tmp_path / "s.png"),
    ):
        said(*words)
        with pytest.raises(PthetaError, match="already exists: give another name, or --force"):
            said(*words)
        said(*words, "--force")
