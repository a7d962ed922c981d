"""The report: a table for each question, runs that are another thing marked, no number without its
reason, and pictures of what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ptheta import api
from ptheta.data import open_data
from ptheta.data.sources import ImageSet
from ptheta.errors import PthetaError
from ptheta.measures.results import Evaluation, Result
from ptheta.report.compare import compare
from ptheta.report.markdown import as_markdown
from ptheta.report.plots import scatter
from ptheta.report.tables import tables
from tests.conftest import TINY
from tests.training.test_runs import QUIET


def section(report: Path, title: str) -> str:
    text = (report / "report.md").read_text()
    return text.split(f"## {title}\n")[1].split("\n## ")[0]


def test_what_is_another_thing_is_marked(report):
    found = json.loads((report / "report.json").read_text())
    remarks = {name: " ".join(run["remarks"]) for name, run in found["runs"].items()}
    assert remarks["plain"] == remarks["again"] == ""
    assert "binarised anew for each batch, the others once" in remarks["afresh"]
    assert "its likelihood is p(x | y)" in remarks["labelled"]
    assert "mixture fitted" in remarks["fitted"]
    table = section(report, "Likelihood")
    assert "| plain |" in table
    assert "| afresh [" in table
    page = (report / "report.html").read_text()
    assert page.count("<sup>") >= 6


def test_likelihoods_have_a_table_of_their_own(report):
    likelihood = section(report, "Likelihood")
    assert "bits per dimension (bits/dim, lower is better)" in likelihood
    assert "fd pixels" not in likelihood
    assert "pixel Gaussian" not in likelihood
    distance = section(report, "Distance to real data")
    assert all(f"| {name} |" in distance for name in ("real images", "training set, copied"))
    assert "path length pixels" in section(report, "Fidelity and diversity")
    assert "copying z" in section(report, "Memorisation")
    assert "training, minutes" in section(report, "Cost")
    labelled = next(line for line in likelihood.splitlines() if "labelled" in line)
    assert labelled.count("not defined") >= 2  # p(x) is not p(x | y)


def test_images_of_another_program_stand_beside_the_runs(report):
    found = json.loads((report / "report.json").read_text())
    other = found["runs"]["elsewhere"]
    assert other["training_seconds"] is None
    assert "comes from another program" in other["remarks"][0]
    assert "rounded to 2 levels" in other["remarks"][0]
    assert len(other["remarks"]) == 1
    few = found["runs"]["few"]["remarks"]
    assert "resized and cropped" in few[0]
    assert few[1] == "was evaluated with samples 30, not 40"
    assert few[2] == "becomes comparable with the others if you give the same -n 30 to both"
    kd = {(p["a"], p["b"]): p for p in found["differences"]["kd_pixels"]}
    assert "low" in kd["plain", "elsewhere"]
    assert kd["plain", "few"] == {
        "a": "plain",
        "b": "few",
        "not_judged": "measured differently: samples 40 and 30; give the same -n 30 to both",
    }
    assert (
        "plain and few: measured differently: samples 40 and 30; give the same -n 30 to both "
        "(Frechet distance " in section(report, "Not compared")
    )
    assert "not compared" in (report / "report.html").read_text()
    distance = section(report, "Distance to real data")
    assert "| elsewhere [" in distance
    named = {p[side] for p in found["differences"]["kd_pixels"] for side in ("a", "b")}
    assert "elsewhere" in named
    assert "elsewhere: Closest to the training images" in (report / "report.html").read_text()


def test_every_number_carries_its_protocol(report):
    found = json.loads((report / "report.json").read_text())
    for foreign in ("elsewhere", "few"):
        del found["runs"][foreign]
    asked = {"metrics_version", "extractor_digest", "real_images", "samples", "split", "seed"} | {
        *("sampler", "checkpoint", "dtype", "time", "extractor_reads", "fingerprint")
    }
    for run in found["runs"].values():
        for result in run["evaluation"]["results"]:
            assert asked <= result["protocol"].keys(), result["metric"]
    kept = found["runs"]["fitted"]["evaluation"]["protocol"]
    assert len(kept["fitted_prior"]) == 12


def test_two_rows_of_one_name_are_refused(strokes, tmp_path):
    run = api.train("vae", strokes, tmp_path / "vae", **{**TINY["vae"], **QUIET})
    made = ImageSet(open_data(strokes).batch(slice(0, 50)).x, ())
    with pytest.raises(PthetaError, match="vae is the name of two rows"):
        compare([run], tmp_path / "out", n=40, images={"vae": made})


def test_copied_sets_are_given_away(report):
    found = json.loads((report / "report.json").read_text())["baselines"]
    values = {name: {r["metric"]: r["value"] for r in e["results"]} for name, e in found.items()}
    for name, end in (("training set, copied", ""), ("test set, copied", "_test")):
        # nothing but the copying tests speaks against them
        assert values[name]["kd_pixels"] < values["shuffled pixels"]["kd_pixels"] / 10
        assert values[name][f"copying_z{end}"] < -5
        assert values[name][f"copied_share{end}"] == 1


def test_a_table_says_why_a_cell_is_empty():
    runs = {
        "a": Evaluation((Result("fd_x", 2.0, error=0.5, better="lower", note="so"),)),
        "b": Evaluation((Result("fd_x", None, reason="it cannot"), Result("missing_x", 3))),
    }
    found = tables(runs, {"floor": Evaluation((Result("fd_x", 1.0),))}, marks={"b": "a"})
    assert [t.title for t in found] == ["Distance to real data", "Fidelity and diversity"]
    text = "\n".join(line for table in found for line in as_markdown(table))
    assert "| a | 2.00 ± 0.50 (so) |" in text
    assert "| b [a] | not defined (it cannot) |" in text
    assert "| floor | 1.00 |" in text
    assert "| b [a] | 3 |" in text
    assert found[0].rows[2].grey


def test_many_points_are_named_in_a_legend():
    points = [(f"run {i}", 0.1 * i, 0.5, 0.0) for i in range(8)]
    many = scatter(points, "x", "y", log=False, grey={"run 7"})
    assert "run 7" in many
    assert "#9aa5b1" in many
    assert "run 1" in scatter(points[1:4], "x", "y")
