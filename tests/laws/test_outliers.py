"""Scores of outliers against their definitions, and thresholds against what they promise."""

from __future__ import annotations

import csv
import io
import math
import zlib
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torch import Tensor

import ptheta
from ptheta import tasks
from ptheta.cli.commands import cli
from ptheta.data.dataset import Dataset
from ptheta.data.image_data import ImageDataset
from ptheta.data.vector_data import VectorDataset
from ptheta.errors import PthetaError
from ptheta.extractors.gradients import Gradients
from ptheta.extractors.patches import Patches
from ptheta.measures import detection
from ptheta.measures.covariance import Gaussian
from ptheta.specs import DataSpec, ImageSpec
from ptheta.tasks.outliers import HEATS, SCORES, Known, Score, defined
from ptheta.tasks.outliers.distances import NEAREST, Bank
from ptheta.tasks.outliers.heat import heat_of
from ptheta.tasks.outliers.known import BLOCK, scored
from ptheta.tasks.outliers.models import compressed_bytes
from ptheta.tasks.outliers.perturbed import perturbed
from tests.conftest import MODELS, VECTORS, examples, pairs, tiny

SPEC = ImageSpec(1, 8, 8, 256)


def dataset(x: Tensor, name: str = "some") -> Dataset:
    """Examples as a data set."""
    if x.ndim == 2:
        return VectorDataset(name, "train", x.numpy(), VECTORS)
    return ImageDataset(name, "train", x.numpy())


# -- measures of detection


def test_detection_is_what_it_is_defined_as():
    torch.manual_seed(0)
    out, rest = torch.randint(0, 6, (40,)).double() + 1, torch.randint(0, 6, (70,)).double()
    pairs = (out[:, None] > rest).double() + (out[:, None] == rest).double() / 2
    assert detection.auroc(out, rest) == pytest.approx(pairs.mean().item())
    from sklearn.metrics import average_precision_score, roc_auc_score

    both = torch.cat([out, rest]).numpy()
    is_out = np.arange(110) < 40
    assert detection.auroc(out, rest) == pytest.approx(roc_auc_score(is_out, both))
    wanted = average_precision_score(is_out, both)
    assert detection.average_precision(out, rest) == pytest.approx(wanted)
    levels = [t for t in range(8) if (out >= t).double().mean() >= 0.95]
    assert detection.fpr_at_tpr(out, rest) == pytest.approx(
        (rest >= max(levels)).double().mean().item()
    )


def test_intervals_of_auroc_cover():
    """95 % of intervals hold the true area, of two normal laws."""
    generator = torch.Generator().manual_seed(0)
    true, held, repetitions = 0.5 * (1 + math.erf(0.5)), 0, 120  # Phi(1 / sqrt 2)
    for _ in range(repetitions):
        out = torch.randn(60, generator=generator) + 1
        found = detection.measured(detection.auroc, out, torch.randn(90, generator=generator))
        low, high = detection.interval(found)
        held += low <= true <= high
    assert 0.88 <= held / repetitions <= 1.0


def test_a_threshold_keeps_its_rate_of_false_alarms():
    """Of any law, over draws of the held-out examples: on average at most what was asked; and its
    own interval covers the rate of one draw."""
    generator = torch.Generator().manual_seed(0)
    for n, rate in ((39, 0.05), (200, 0.05), (200, 0.1)):
        rates, covered = [], []
        for _ in range(400):
            held = torch.rand(n, generator=generator, dtype=torch.float64).pow(3)
            found = detection.threshold(held, rate)
            true = 1 - found.value ** (1 / 3)
            rates.append(true)
            covered.append(found.low <= true <= found.high)
        assert np.mean(rates) == pytest.approx(math.floor(rate * (n + 1)) / (n + 1), abs=0.006)
        assert np.mean(rates) <= rate + 0.006
        assert 0.92 <= np.mean(covered) <= 0.98


def test_flags_and_p_values_agree_with_ties_too():
    torch.manual_seed(0)
    held, new = torch.randint(0, 9, (99,)).double(), torch.randint(0, 12, (500,)).double()
    p = detection.p_values(new, held)
    assert torch.equal(detection.threshold(held, 0.1).flags(new), p <= 0.1 + 1e-12)
    brute = torch.tensor([(1 + int((held >= s).sum())) / 100 for s in new])
    torch.testing.assert_close(p.float(), brute)
    with pytest.raises(PthetaError, match=r"0\.05 false alarms from 10 held-out examples"):
        detection.threshold(held[:10], 0.05)
    with pytest.raises(PthetaError, match="between 0 and 1"):
        detection.threshold(held, 1.0)


# -- distances


def test_neighbours_are_those_of_the_whole_table_of_distances():
    torch.manual_seed(0)
    bank, h = torch.randn(50, 3), torch.randn(7, 3)
    bank[1] = bank[0]  # equal ones
    found = Bank.of(bank)
    wanted = torch.cdist(h, bank).sort(1)
    distances, places = found.nearest(h, 4)
    torch.testing.assert_close(distances, wanted.values[:, :4], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(
        distances, (h[:, None] - bank[places]).norm(dim=2), atol=1e-3, rtol=0
    )
    among = torch.cdist(bank, bank)
    among.fill_diagonal_(torch.inf)
    own = among.sort(1).values[:, :NEAREST].mean(1)
    torch.testing.assert_close(found.spread_at(torch.arange(50)), own, rtol=1e-3, atol=2e-3)


def test_a_gaussian_of_points_is_that_of_scipy():
    from scipy.stats import multivariate_normal

    torch.manual_seed(0)
    x = torch.randn(400, 3) @ torch.randn(3, 3) + 5
    found, some = Gaussian.of(x, shrink=0.0), x[:9].double()
    mean, covariance = x.double().mean(0), x.double().T.cov()
    law = multivariate_normal(mean.numpy(), covariance.numpy())
    wanted = torch.from_numpy(-law.logpdf(some.numpy()))
    torch.testing.assert_close(found.surprise(some), wanted, rtol=1e-3, atol=1e-3)
    assert found.left_over(some, 3).max() < 1e-4
    assert (found.left_over(some, 1) > 0).all()


def test_a_gaussian_of_few_points_is_that_of_its_whole_covariance():
    torch.manual_seed(0)
    x, some = torch.randn(6, 9).double(), torch.randn(4, 9).double()
    found = Gaussian.of(x, shrink=0.1)
    covariance = x.T.cov() + found.rest * torch.eye(9)
    law = torch.distributions.MultivariateNormal(x.mean(0), covariance)
    torch.testing.assert_close(found.surprise(some), -law.log_prob(some))


@pytest.mark.parametrize("spec", [SPEC, ImageSpec(3, 40, 28)], ids=str)
def test_features_without_weights_are_of_each_image_alone(spec):
    x = examples(spec, 30)
    for extractor in (Gradients(), Patches.of(dataset(x))):
        h, logits = extractor(x)
        assert logits is None
        assert h.isfinite().all()
        torch.testing.assert_close(extractor(x[3:5])[0], h[3:5], rtol=1e-4, atol=1e-4)
        flat = torch.full_like(x[:2], 77)
        assert extractor(flat)[0].isfinite().all()
    again = Patches.of(dataset(x))
    assert again.digest == extractor.digest


def test_gradients_turn_with_the_image():
    x = torch.zeros(1, 1, 14, 14, dtype=torch.uint8)
    x[..., 5:9] = 255  # an upright bar: its edges look left and right
    h = Gradients()(x)[0].view(8, 7, 7).square().sum((1, 2))
    assert h[[0, 4]].min() > 10 * h[[2, 6]].max()
    turned = Gradients()(x.transpose(2, 3))[0].view(8, 7, 7).square().sum((1, 2))
    torch.testing.assert_close(turned.roll(-2), h, rtol=1e-4, atol=1e-4)


# -- scores, over the registry


def known_of(name: str, spec: DataSpec, **more: object) -> Known:
    model = tiny(name, spec).eval()
    return Known(model, dataset(examples(spec, 40, seed=1), "bank"), samples=3, **more)  # type: ignore[arg-type]


UNCONDITIONAL = [n for n in ("vae", "ae", "aae", "gan", "nade", "gaussian") if n in MODELS]


@pairs(UNCONDITIONAL, SPEC, VECTORS)
def test_every_score_that_is_defined_is_a_number_of_each_example(name, spec):
    known = known_of(name, spec)
    x = dataset(examples(spec, 6))
    names = defined(known)
    assert {"combined", "neighbours", "nearest"} <= set(names)
    found = tasks.outliers(known.model, x, known.bank, scores=names, samples=3)
    again = tasks.outliers(known.model, x, known.bank, scores=names[::-1], samples=3)
    for key, values in found.scores.items():
        assert values.shape == (6,)
        assert values.isfinite().all(), key
        assert torch.equal(values, again.scores[key]), key
    for key in set(SCORES) - set(names):
        with pytest.raises(PthetaError, match=r"it has no `|--background|it needs images"):
            tasks.outliers(known.model, x, known.bank, scores=[key])


def test_scores_are_their_formulas():
    known = known_of("nade", SPEC)
    x = examples(SPEC, 5)
    model, bank = known.model, known.bank.batch(slice(0, 40)).x
    with torch.no_grad():
        nats = -model.log_prob(x).double()  # type: ignore[operator]
        level = -model.log_prob(bank).double().mean()  # type: ignore[operator]
        other = tiny("nade", SPEC, hidden=7).eval()
        background = -other.log_prob(x).double()
    found = tasks.outliers(
        known.model,
        dataset(x),
        known.bank,
        scores=["log-likelihood", "typicality", "background", "zero-pixels", "nearest"],
        background=other,
    ).scores
    torch.testing.assert_close(found["log-likelihood"], nats)
    torch.testing.assert_close(found["typicality"], (nats - level).abs(), rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(found["background"], nats - background, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(found["zero-pixels"], (x == 0).double().flatten(1).mean(1))
    wanted = torch.cdist(x.flatten(1).double(), bank.flatten(1).double()).min(1).values
    torch.testing.assert_close(found["nearest"], wanted, rtol=1e-4, atol=1e-2)


def test_an_image_of_noise_stands_out_and_a_training_image_does_not():
    torch.manual_seed(0)
    x = torch.zeros(60, 1, 12, 12, dtype=torch.uint8)
    for i, image in enumerate(x):
        image[0, :, i % 8 : i % 8 + 3] = 150 + i
    noise = torch.randint(0, 256, (5, 1, 12, 12), dtype=torch.uint8)
    both = dataset(torch.cat([x[50:], noise]))
    model = tiny("ae", ImageSpec(1, 12, 12)).eval()
    found = tasks.outliers(
        model, both, dataset(x[:30]), dataset(x[30:50]), scores=["combined"], false_alarms=0.1
    )
    assert set(found.worst(5).tolist()) == set(range(10, 15))
    assert found.flagged[10:].all()
    assert found.rank.sort().values.tolist() == list(range(1, 16))
    measures = found.detection(torch.arange(15) >= 10)["combined"]
    assert measures["auroc"].value == 1.0
    assert measures["average_precision"].value == pytest.approx(1.0)
    assert measures["fpr_at_95_tpr"].value == 0.0
    with pytest.raises(PthetaError, match="0 outliers and 15 others"):
        found.detection(torch.zeros(15, dtype=torch.bool))


def test_noise_belongs_to_the_place_and_the_seed():
    known = known_of("vae", SPEC)
    x = dataset(examples(SPEC, BLOCK + 5))
    scorer = SCORES["elbo"].make(known)
    found = scored(scorer, known.model, x, 3, "elbo")
    first = scored(scorer, known.model, x.subset(slice(0, BLOCK)), 3, "elbo")
    torch.testing.assert_close(found[:BLOCK], first, rtol=1e-5, atol=1e-3)
    assert not torch.equal(found[:5], scored(scorer, known.model, x, 4, "elbo")[:5])


@pytest.mark.parametrize("name", ["nade", "ae", "gan"])
def test_maps_of_where_are_as_large_as_the_images(name):
    known, x = known_of(name, SPEC), examples(SPEC, 3)
    for key, heat in HEATS.items():
        if heat.needs is None or isinstance(known.model, heat.needs):
            with torch.no_grad():
                maps = heat_of(known, key)[1](x, None)
            assert maps.shape == x.shape
            assert (maps >= 0).all()
        else:
            with pytest.raises(PthetaError, match="this model cannot"):
                heat_of(known, key)
    with pytest.raises(PthetaError, match="did you mean 'residual'"):
        heat_of(known, "residuals")


def test_an_added_score_is_taken_like_any_other(monkeypatch):
    mine = Score(
        "brightness", "mean of x", lambda known: lambda x, y: x.flatten(1).double().mean(1)
    )
    monkeypatch.setitem(SCORES, "mine", mine)
    known, x = known_of("ae", SPEC), examples(SPEC, 4)
    found = tasks.outliers(known.model, dataset(x), known.bank, scores=["mine"])
    torch.testing.assert_close(found.scores["mine"], x.flatten(1).double().mean(1))
    with pytest.raises(PthetaError, match="unknown score 'min'"):
        tasks.outliers(known.model, dataset(x), known.bank, scores=["min"])


# -- the verb


@pytest.fixture(scope="module")
def run(strokes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "vae"
    how: dict[str, Any] = {"hidden": (8,), "latent": 3, "evaluate_every": 0, "sample_every": 0}
    return ptheta.train("vae", strokes, folder, steps=2, batch_size=16, **how)


def test_the_verb_writes_a_row_for_each_file_and_a_picture(run, tmp_path):
    from PIL import Image

    with np.load(run.place()) as file:
        images = file["images"][:12].copy()
    images[:3] = np.random.default_rng(5).integers(0, 256, (3, 16, 16))
    for i, image in enumerate(images):
        folder = tmp_path / "some" / ("odd" if i < 3 else "good")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{i}.png")
    out, show = tmp_path / "made" / "scores.csv", tmp_path / "worst.png"
    words = ["outliers", str(run.path), str(tmp_path / "some"), "--out", str(out)]
    words += ["--outlier-where", "label=odd", "--score", "combined", "--score", "elbo"]
    done = CliRunner().invoke(cli, [*words, "--show", str(show), "--false-alarms", "0.2"])
    assert done.exit_code == 0, done.output
    assert "auroc" in done.output
    with out.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["file"] for row in rows][-3:] == [f"odd/{i}.png" for i in range(3)]
    worst = sorted(rows, key=lambda row: int(row["rank"]))[:3]
    assert {row["file"] for row in worst} == {f"odd/{i}.png" for i in range(3)}
    assert all(row["flagged"] == "1" == row["outlier"] for row in worst)
    with Image.open(show) as picture:
        assert picture.size[1] > picture.size[0]
    with pytest.raises(PthetaError, match="already exists: give another name, or --force"):
        ptheta.outliers(run, tmp_path / "some", out=out)
    again = ptheta.outliers(run, tmp_path / "some", out=out, force=True, false_alarms=0.2)
    assert [f"{v:.6g}" for v in again.found.scores["combined"]] == [r["combined"] for r in rows]


def test_a_folder_of_any_pictures_is_read_as_the_run_reads_its_data(run, tmp_path):
    """Of other sizes and colours; and it is said which cannot be read."""
    noise = np.random.default_rng(1).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    (tmp_path / "some").mkdir()
    Image.fromarray(noise).save(tmp_path / "some" / "colour.png")
    Image.fromarray(noise[:9, :9, 0]).save(tmp_path / "some" / "small.png")
    for name in ("bad.png", "worse.png"):
        (tmp_path / "some" / name).write_bytes(b"no picture")
    found = ptheta.outliers(run, tmp_path / "some", score=["nearest"], false_alarms=0.2)
    assert found.names == ["colour.png", "small.png"]
    told = " ".join(found.remarks)
    assert "2 of 4 images cannot be read and are left out: bad.png" in told
    assert "images were resized to 16x16 pixels" in told
    for name in found.names:
        (tmp_path / "some" / name).unlink()
    with pytest.raises(PthetaError, match="none of the 2 images can be read"):
        ptheta.outliers(run, tmp_path / "some")


def test_scores_without_a_model_need_no_condition(strokes, tmp_path):
    """Of a conditional run, on pictures without labels: all but those that the model computes."""
    how: dict[str, Any] = {"hidden": (8,), "latent": 3, "evaluate_every": 0, "sample_every": 0}
    run = ptheta.train("cvae", strokes, tmp_path / "run", steps=2, batch_size=16, **how)
    (tmp_path / "some").mkdir()
    for i, image in enumerate(run.data("train").batch(slice(0, 3)).x):
        Image.fromarray(image[0].numpy()).save(tmp_path / "some" / f"{i}.png")
    found = ptheta.outliers(run, tmp_path / "some", show=tmp_path / "worst.png", score=["all"])
    names = [name for name, score in SCORES.items() if not score.needs]
    assert set(found.found.scores) == set(names)
    labelled = ptheta.outliers(run, run.data("test"), score=["all"])
    assert {"elbo", "reconstruction", *names} <= set(labelled.found.scores)
    with pytest.raises(PthetaError, match=r"score elbo: .* has no labels"):
        ptheta.outliers(run, tmp_path / "some", score=["nearest", "elbo"])


def test_held_out_examples_that_are_scored_set_no_threshold(run):
    found = ptheta.outliers(run, run.place(), split="test", score=["nearest"])
    assert found.remarks == ("threshold set on 21 reserve images",)
    whole = np.load(run.place())["images"]
    found = ptheta.outliers(run, whole, score=["nearest"])
    assert found.remarks == (
        "all held-out examples are scored, so there is none to set a threshold: nothing is flagged",
    )
    assert found.found.threshold is None
    assert not found.found.flagged.any()


def test_two_sources_are_told_apart(run, strokes):
    noise = np.random.default_rng(0).integers(0, 256, (20, 16, 16), dtype=np.uint8)
    found = ptheta.outliers(run, noise, normal=strokes, score=["nearest"], false_alarms=0.2)
    assert found.detection["nearest"]["auroc"].value == 1.0
    assert len(found.names) == 20
    with pytest.raises(PthetaError, match="leave --outlier-where out"):
        ptheta.outliers(run, noise, normal=strokes, outlier_where=["label=1"])


def test_rows_of_tables_are_scored(rows, tmp_path):
    how: dict[str, Any] = {"hidden": (8,), "latent": 2, "net": "mlp", "evaluate_every": 0}
    made = ptheta.train("vae", rows, tmp_path / "run", steps=2, sample_every=0, **how)
    lines = rows.read_text().splitlines()
    (tmp_path / "new.csv").write_text("\n".join([*lines[:21], "9.5,90,owl,grown", ""]))
    found = ptheta.outliers(made, tmp_path / "new.csv", score=["all"], false_alarms=0.2)
    told = ptheta.outliers(
        made,
        tmp_path / "new.csv",
        score=["nearest"],
        false_alarms=0.2,
        outlier_where=["label=grown"],
    )
    assert told.detection.keys() == {"nearest"}
    assert {"combined", "elbo", "gaussian"} <= set(found.found.scores)
    for name in ("combined", "nearest", "mahalanobis", "gaussian"):
        assert found.found.scores[name].argmax() == 20, name


def test_a_share_of_the_pixels_is_drawn_anew_and_nothing_else_is_kept():
    data = ptheta.open_data("digits", "test").subset(slice(3, 103))
    made = perturbed(data, 0.2, seed=1)
    before, after = data.batch(slice(None)), made.batch(slice(None))
    new = after.x[after.x != before.x]
    pixels = before.x.numel()
    assert len(new) / pixels == pytest.approx(0.2 * 255 / 256, abs=4 * (0.16 / pixels) ** 0.5)
    assert new.float().mean().item() == pytest.approx(127.5 + 0.5, abs=6)
    assert torch.equal(after.x, perturbed(data, 0.2, seed=1).batch(slice(None)).x)
    assert not torch.equal(after.x, perturbed(data, 0.2, seed=2).batch(slice(None)).x)
    assert (made.labels, made.spec, len(made)) == (None, data.spec, 100)
    for share in (0.0, 1.0):
        with pytest.raises(PthetaError, match="give a share of the pixels"):
            perturbed(data, share)


# -- what was found in use


def test_distances_of_copies_are_nothing_whatever_stands_beside():
    torch.manual_seed(0)
    bank = torch.randint(0, 256, (300, 64)).float() + 1000
    found = Bank.of(bank)
    distances, places = found.nearest(bank, 3)
    assert (distances[:, 0] == 0).all()
    assert torch.equal(places[:, 0], torch.arange(300))
    assert torch.equal(found.nearest(bank[7:8] + 1, 3)[0], found.nearest(bank[:9] + 1, 3)[0][7:8])
    wanted = torch.cdist(bank.double(), bank.double()).sort(1).values[:, :3]
    torch.testing.assert_close(distances.double(), wanted, rtol=1e-5, atol=1e-5)


def test_copies_among_the_training_rows_do_not_decide_what_a_deviation_is():
    known = Known(tiny("vae", VECTORS), dataset(examples(VECTORS, 300).repeat_interleave(2, 0)))
    scorer = SCORES["combined"].make(known)
    new = examples(VECTORS, 4).clone()
    with torch.no_grad():
        assert scorer(new, None).abs().max() < 100


def test_the_size_of_a_png_is_in_bytes():
    x = examples(SPEC, 3)
    scorer = SCORES["png-bytes"].make(Known(tiny("vae", SPEC), dataset(x)))
    found = -scorer(x, None)
    assert torch.equal(found, found.round())


def test_scored_examples_are_not_in_the_bank(run):
    """Those that chose the weights come into it, but for what is scored."""
    scored = run.other(run.place(), "val")
    found = ptheta.outliers(run, run.place(), split="val", score=["nearest"], false_alarms=0.2)
    known = np.isin(scored.keys(), run.own().images.keys())
    assert not known.all()
    assert (found.found.scores["nearest"][~known] > 0).all()


def test_what_decides_nothing_and_what_is_read_are_refused_before_the_work(run, tmp_path):
    images = np.load(run.place())["images"][:4]
    np.savez(tmp_path / "some.npz", images=images, labels=np.zeros(4, np.int64))
    with pytest.raises(PthetaError, match="4 outliers and 0 others: there is nothing to compare"):
        ptheta.outliers(run, tmp_path / "some.npz", outlier_where=["label=0"], score=["none"])
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3,4\n")
    with pytest.raises(PthetaError, match="this is the data itself"):
        ptheta.outliers(run, tmp_path / "t.csv", out=tmp_path / "t.csv", force=True)


def test_pictures_of_any_size_and_colour_are_read_as_the_run_was_and_broken_ones_are_told(
    run, tmp_path
):
    from PIL import Image

    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (30, 20, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8)).save(tmp_path / "b.png")
    (tmp_path / "c.png").write_bytes(b"no picture")
    found = ptheta.outliers(run, tmp_path, score=["nearest"], false_alarms=0.2)
    assert list(found.names) == ["a.png", "b.png"]
    assert "1 of 3 images cannot be read and are left out: c.png" in " ".join(found.remarks)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_what_is_compressed_counts_by_its_least_size(channels):
    """A flat image and noise: each by the compressor that makes it least, to the byte."""
    x = torch.zeros(2, channels, 12, 12, dtype=torch.uint8)
    x[1] = torch.randint(0, 256, x[1].shape, generator=torch.Generator().manual_seed(0))
    for image, found in zip(x.numpy(), compressed_bytes(x).tolist(), strict=True):
        sizes = [len(zlib.compress(image.tobytes(), 9))]
        if channels != 2:
            file, mode = io.BytesIO(), image[0] if channels == 1 else np.moveaxis(image, 0, -1)
            Image.fromarray(np.ascontiguousarray(mode)).save(file, "png", optimize=True)
            sizes.append(file.tell())
            assert compressed_bytes(torch.from_numpy(image[None]), ["png"]).item() == sizes[1]
        assert found == min(sizes)
