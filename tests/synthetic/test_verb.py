"""`ptheta usefulness`: what it is told by, and what it refuses."""

import csv
import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import ptheta
from ptheta.api.labelled import known_of
from ptheta.cli.commands import cli
from ptheta.errors import PthetaError


def write_table(path, n=150):
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=n)
    x = rng.normal(size=(n, 2)) + 2 * y[:, None]
    lost = rng.random(n) < 0.3
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["a", "b", "kind", "paid"])
        for i in range(n):
            b = "" if lost[i] else f"{x[i, 1]:.3f}"
            writer.writerow([f"{x[i, 0]:.3f}", b, ["cat", "dog"][y[i]], y[i]])
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("useful")
    return ptheta.train("gaussian", write_table(folder / "t.csv"), folder / "run", threads=1)


def run(*args):
    return CliRunner().invoke(cli, [str(a) for a in args], catch_exceptions=True)


def test_a_column_is_the_label_and_the_numbers_are_a_table(table, tmp_path):
    out = tmp_path / "useful.csv"
    found = ptheta.usefulness(table, target="kind", repeats=1, out=out)
    assert {one.source for one in found.found.passed} == {"samples", "copula", "copies"}
    real = found.found.of("real", "logistic")
    assert real.interval("accuracy")[0] > 0.6
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["source"], r["learner"], r["measure"]) for r in rows] == [
        (r["source"], r["learner"], r["measure"]) for r in found.rows()
    ]
    assert all(len("  ".join(row)) <= 80 for row in (*found.learned(), *found.passed()))
    json.dumps(found.to_json())
    with pytest.raises(PthetaError, match="already exists"):
        ptheta.usefulness(table, target="kind", repeats=1, out=out)


def test_without_labels_the_tests_are_taken_alone_and_it_is_said(table):
    said = run("usefulness", table.path, "--repeats", 1)
    assert said.exit_code == 0, said.output
    assert "no labels" in said.output
    assert "--target COLUMN" in said.output
    assert "AUC forest" in said.output
    assert "learned from" not in said.output


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"target": "kin"}, "unknown column 'kin'"),
        ({"target": "a"}, "the column has .* different numbers; .*: kind"),
        ({"repeats": 0}, "--repeats 0: want 1 or more"),
        ({"n": 0}, "-n 0: want 1 or more"),
        ({"out": "x.txt"}, "csv"),
    ],
)
def test_bad_input_is_one_line(table, options, text):
    with pytest.raises(PthetaError, match=text) as said:
        ptheta.usefulness(table, **options)
    assert "\n" not in str(said.value)


def test_numbers_of_two_values_are_labels_and_samples_lack_what_rows_lack(table):
    data = table.own()
    known, _ = known_of(table.model(), data.train, data.held_out, "paid")
    assert known.names == ("0", "1")
    assert known.seen(known.train.x).shape[1] == table.spec.width - 1
    assert torch.equal(known.train.labels, known.train.x[:, 3].long())
    from ptheta.tasks.usefulness.sources import of_model

    lost = of_model(known, 400, 0).x.isnan().float().mean(0)
    wanted = known.train.x.isnan().float().mean(0)
    assert (lost - wanted).abs().max() < 0.1


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labelled")
    return ptheta.train(
        "cvae", "digits", folder / "run", steps=3, levels=2, size=8, hidden=(8,), latent=2
    )


def test_samples_are_drawn_by_class_in_the_shares_of_training(labelled):
    data = labelled.own()
    known, remarks = known_of(labelled.model(), data.train, data.held_out, None)
    some = known.draw(100, 1)
    shares = torch.bincount(known.train.labels, minlength=10) / len(known.train.x)
    assert (torch.bincount(some.labels, minlength=10) / 100 - shares).abs().max() <= 0.02
    assert torch.equal(some.x, known.draw(100, 1).x)
    assert len(known.train.x) == 5000
    assert "of 10,000 training images are used" in remarks[0]
    with pytest.raises(PthetaError, match="is conditional on labels"):
        known_of(labelled.model(), data.train, data.held_out, "paid")
