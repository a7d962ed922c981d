"""The metrics of sets at hand: the same numbers as an evaluation's, whatever they are given as."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import ptheta
from ptheta import metrics
from ptheta.data import open_data, open_images
from ptheta.data.points.toys import toy
from ptheta.errors import PthetaError
from ptheta.extractors import extract, load_extractor
from ptheta.measures.results import Result
from ptheta.metrics import labeller
from ptheta.metrics.evaluate import evaluate_images
from ptheta.metrics.table import METRICS
from tests.metrics.translation_laws import grey_pairs, photos, pictures_of_labels

DOCS = Path(__file__).parents[2] / "docs" / "evaluation.md"
TEST = open_images("digits", "test").subset(slice(0, 120))
TRAIN = open_images("digits").subset(slice(0, 150))
REAL, MADE = (data.batch(slice(None)).x for data in (TEST, TRAIN))
NOISY = (MADE.int() + torch.arange(28) % 7 * 9).clamp(0, 255).to(torch.uint8)
DIGITS = load_extractor("digits")


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> tuple[Path, Path]:
    """The same images as pictures: made, and real."""
    places = []
    for name, x in (("made", NOISY), ("real", REAL)):
        place = tmp_path_factory.mktemp(name)
        for i, image in enumerate(x):
            Image.fromarray(image[0].numpy()).save(place / f"{i:04}.png")
        places.append(place)
    return places[0], places[1]


SETS: dict[str, Callable[..., Result]] = {
    "fd": metrics.frechet_distance,
    "kd": metrics.kernel_distance,
    "precision": lambda a, b, **of: metrics.prdc(a, b, **of).precision,
    "coverage": lambda a, b, **of: metrics.prdc(a, b, **of).coverage,
    "score": lambda a, b, **of: metrics.inception_score(a, **of),
}


@pytest.mark.filterwarnings("ignore:150 samples")
@pytest.mark.parametrize("name", SETS)
def test_a_number_is_that_of_an_evaluation_however_it_is_given(name, folders):
    call = SETS[name]
    wanted = evaluate_images(NOISY, TEST, TRAIN, extractor="digits").get(f"{name}_digits")
    assert wanted is not None
    given = [
        call(NOISY, REAL, extractor="digits"),
        call(NOISY[:, 0].numpy(), REAL[:, 0].numpy(), extractor=DIGITS),
        call(str(folders[0]), folders[1], extractor="digits"),
        call(NOISY, TEST, extractor="digits"),
    ]
    for found in given:
        assert found.metric == wanted.metric
        assert found.value == pytest.approx(wanted.value, rel=1e-5)
        assert (found.better, found.unit) == (wanted.better, wanted.unit)
        assert found.interval is not None
        assert found.protocol["extractor"] == "digits"
        assert found.protocol["samples"] == 150


def test_the_extractor_is_the_one_that_fits():
    assert metrics.kernel_distance(MADE, REAL).metric == "kd_digits"
    assert metrics.kernel_distance(NOISY[:, :, :20], REAL[:, :, :20]).metric == "kd_pixels"


def test_features_that_were_taken_already_need_no_extractor():
    fake, real = (extract(x, DIGITS) for x in (NOISY, REAL))
    for name in ("fd", "kd", "precision", "coverage"):
        of_images = SETS[name](NOISY, REAL, extractor="digits")
        given: list[tuple[Tensor | np.ndarray, Tensor | np.ndarray]] = [
            (fake.features, real.features),
            (fake.features.numpy(), real.features.numpy()),
        ]
        for a, b in given:
            found = SETS[name](a, b)
            assert found.metric == f"{name}_features"
            assert found.value == pytest.approx(of_images.value, rel=1e-5)
            assert found.error == pytest.approx(of_images.error, rel=1e-4)
    assert fake.logits is not None
    found = metrics.inception_score(fake.logits)
    assert found.value == pytest.approx(metrics.inception_score(NOISY, "digits").value, rel=1e-6)


def test_the_extractor_of_the_published_numbers_gives_these_their_names():
    class Published:
        name, digest, reads, classes = "inception-2015", "0", "as it is", 0

        def __call__(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
            return x.float().flatten(1)[:, 300:304], None

    assert metrics.frechet_distance(NOISY, REAL, Published()).metric == "fid"
    assert metrics.kernel_distance(NOISY, REAL, Published()).metric == "kid"


def test_sharpness_and_copies_of_sets():
    assert metrics.sharpness(REAL, TEST).value == pytest.approx(1)
    assert (metrics.sharpness(NOISY, REAL).value or 0) > 1
    assert metrics.sharpness(NOISY, REAL).better == "nearest 1"
    for made, low, high in ((MADE, -math.inf, -5), (REAL[:60], -3, math.inf)):
        copied = metrics.memorisation(made, MADE, REAL[60:], extractor="digits")
        names = [r.metric for r in copied.results]
        assert names == [m.called_by("digits") for m in METRICS.values() if m.section is COPIES]
        z = copied.get("copying_z")
        assert z is not None
        assert low < (z.value or 0) < high
    made, real = (extract(x, DIGITS).features for x in (MADE, REAL))
    (of_features,) = metrics.memorisation(made, made, real).results
    assert (of_features.value or 0) < -5


COPIES = metrics.Section.MEMORISATION


def test_the_metrics_of_vectors():
    generator = torch.Generator().manual_seed(0)
    y = torch.randn(80, 2, generator=generator)
    x = torch.randn(60, 2, generator=generator)
    same, apart = (metrics.two_sample_test(a, y, permutations=49) for a in (x, x.numpy() + 6))
    assert same.auc.interval is not None
    assert same.auc.interval[0] < 0.5 < same.auc.interval[1]
    assert same.p_value > 0.02 == apart.p_value
    assert apart.auc.value == apart.accuracy.value == 1
    near, far = (metrics.mmd(a, y, permutations=49) for a in (x, x + 6))
    assert near.p_value > 0.02 == far.p_value
    assert (near.statistic.value or 0) < (far.statistic.value or 0)
    assert near.statistic.protocol["bandwidth"] == far.statistic.protocol["bandwidth"]
    assert metrics.mmd(x, y, bandwidth=2.0).statistic.protocol["bandwidth"] == 2
    means = np.array([[0.0, 0.0], [9.0, 9.0]])
    modes = metrics.mode_coverage(x, means, 1.0, [3, 1])
    assert (modes.found.value, modes.counts[1]) == (1, 0)
    assert modes.balance.value == pytest.approx(math.log(4 / 3))
    assert (modes.good.value or 0) > 0.9


def test_the_rows_of_a_data_set_are_taken_as_a_network_sees_them():
    test, train = (open_data("points-ring", split).subset(slice(0, 200)) for split in SPLITS)
    found = metrics.mmd(train, test, permutations=9).statistic
    scaled = [data.spec.scaled(data.batch(slice(None)).x) for data in (train, test)]
    assert found.value == metrics.mmd(*scaled, permutations=9).statistic.value


SPLITS = ("test", "train")


def test_densities_on_a_grid():
    ring = toy("points-ring")

    def wider(x: Tensor) -> Tensor:
        return ring.log_density(x / 1.1) - 2 * math.log(1.1)

    found = metrics.grid_divergence(ring.log_density, wider, ring.sides, finest=ring.finest)
    assert (found.kl.value or 0) > 0
    assert 0 < (found.total_variation.value or 0) < 1
    assert found.kl.unit == "nats"
    assert found.kl.error is not None
    assert found.kl.error < 0.01


HOLES = torch.full((20, 2), math.nan)
REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: metrics.frechet_distance(NOISY, torch.zeros(9, 4)), "one set contains images"),
    (lambda: metrics.frechet_distance(HOLES, HOLES), "40 of 40 numbers of samples are NaN"),
    (lambda: metrics.frechet_distance(torch.zeros(9, 4), torch.zeros(9, 5)), "4 and 5 features"),
    (lambda: metrics.prdc(HOLES, HOLES, "digits"), "leave extractor out"),
    (lambda: metrics.kernel_distance(NOISY, REAL[..., 2:]), "give size and channels"),
    (lambda: metrics.kernel_distance(NOISY, REAL, "digts"), "did you mean 'digits'"),
    (lambda: metrics.inception_score(NOISY, "pixels"), "pixels is not a classifier"),
    (lambda: metrics.sharpness(torch.zeros(9, 4), REAL), "images are needed"),
    (lambda: metrics.memorisation(NOISY, torch.zeros(9, 4), REAL), "give all three so"),
    (lambda: metrics.mmd(NOISY, REAL), "samples are not floats"),
    (lambda: metrics.two_sample_test(HOLES, torch.zeros(20, 2)), "40 of 40 numbers"),
]


@pytest.mark.parametrize("i", range(len(REFUSED)))
def test_what_cannot_be_measured_is_one_line(i):
    call, words = REFUSED[i]
    with pytest.raises(PthetaError, match=words) as error:
        call()
    assert "\n" not in str(error.value)


def test_the_documented_calls_run(tmp_path, monkeypatch, folders):
    """Those of "Metrics without a run", with folders of the names that they use."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "made").symlink_to(folders[0])
    (tmp_path / "real").symlink_to(folders[1])
    code = (
        DOCS.read_text().split("## Metrics without a run")[1].split("```python")[1].split("```")[0]
    )
    names: dict[str, object] = {}
    exec(compile(code, str(DOCS), "exec"), names)
    assert isinstance(names["fid"], Result)
    assert ptheta.metrics.frechet_distance.__doc__ is not None


@pytest.mark.filterwarnings("ignore:60 samples")
def test_rows_that_another_program_made_are_measured(tmp_path):
    """A table whose columns lie in another order; one that lacks a column, and one with holes."""
    x, _ = toy("points-ring").sample(60, np.random.default_rng(0))
    table, lacking, holes = (tmp_path / f"{name}.csv" for name in ("rows", "lacking", "holes"))
    table.write_text("x1,x0\n" + "\n".join(f"{b},{a}" for a, b in x))
    lacking.write_text("x0\n" + "\n".join(str(a) for a, _ in x))
    holes.write_text("x0,x1\n,0.5\n" + "\n".join(f"{a},{b}" for a, b in x))
    found = ptheta.evaluate_images(table, "points-ring")
    good, test = found.get("good_samples"), found.get("two_sample_auc")
    assert good is not None
    assert (good.value or 0) > 0.9
    assert test is not None
    assert test.interval is not None
    assert test.interval[0] < 0.5 < test.interval[1]
    for place, words in ((lacking, "has no column 'x1'"), (holes, "cells are NaN")):
        with pytest.raises(PthetaError, match=words):
            ptheta.evaluate_images(place, "points-ring")


def test_pairs_at_hand_are_measured_in_their_order(tmp_path):
    x = REAL[:40]
    for place, images in (("a", x // 2), ("b", x)):
        (tmp_path / place).mkdir()
        for i, image in enumerate(images):
            Image.fromarray(image[0].numpy()).save(tmp_path / place / f"{i:04}.png")
    a, b = (x // 2).double(), x.double()
    l1 = metrics.l1(tmp_path / "a", tmp_path / "b")
    assert l1.value == pytest.approx((a - b).abs().mean().item())
    assert l1.interval is not None
    assert (l1.metric, l1.unit, l1.better) == ("l1_to_target", "of 255", "lower")
    mse = (a - b).square().mean((1, 2, 3))
    wanted = (20 * math.log10(255) - 10 * mse.log10()).mean().item()
    assert metrics.psnr(x // 2, x).value == pytest.approx(wanted)
    assert metrics.ssim(x, x).value == pytest.approx(1)
    with pytest.raises(PthetaError, match="pairs need equal numbers, sizes and channels"):
        metrics.psnr(x[:3], x)


def test_label_maps_at_hand_are_integers_or_colours():
    wanted = torch.randint(3, (6, 8, 8), generator=torch.Generator().manual_seed(0))
    found = wanted.clone()
    found[:, :4] = 0
    scores = metrics.segmentation_scores(found, wanted)
    assert scores.pixel.value == pytest.approx((found == wanted).double().mean().item())
    colours = torch.tensor([[0, 0, 0], [255, 0, 0], [0, 0, 255]], dtype=torch.uint8)
    a, b = (colours[maps].permute(0, 3, 1, 2) // 2 for maps in (found, wanted))
    again = metrics.segmentation_scores(a, b, palette=[(0, 0, 0), (127, 0, 0), (0, 0, 127)])
    assert [r.value for r in again] == [r.value for r in scores]
    assert [r.metric for r in again] == ["pixel_accuracy", "class_accuracy", "iou"]
    wide = metrics.segmentation_scores(found * 2**40, (wanted * 2**40).numpy())  # any numbers
    assert [r.value for r in wide] == [r.value for r in scores]
    with pytest.raises(PthetaError, match="palette 0,127: want a tuple of integers"):
        metrics.segmentation_scores(a, b, palette=[0, 127])  # type: ignore[list-item]
    for bad, words in (
        (a, "integers"),
        (wanted[:, :0], "integers"),
        (np.full((6, 8, 8), None), "integers"),
        (wanted - 1, "below 0"),
        (wanted[:2], "one size"),
        (torch.arange(6 * 8 * 8).view(6, 8, 8) * 3, "386 different labels"),
    ):
        with pytest.raises(PthetaError, match=words):
            metrics.segmentation_scores(bad, wanted)


def test_the_labeller_reads_any_pictures(monkeypatch):
    monkeypatch.setattr(labeller, "STEPS", 70)
    monkeypatch.setattr(labeller, "BATCH", 8)
    train, test = pictures_of_labels("train", 1), pictures_of_labels("test", 0)
    numbers = labeller.wanted_labels(test, torch.arange(len(test)))
    right = metrics.labeller_scores(photos(numbers, 9), train, test)
    wrong = metrics.labeller_scores(photos(numbers.clamp(max=1), 9), train, test)
    assert [r.value for r in right] == pytest.approx([1, 1, 1], abs=0.06)
    assert [r.value for r in wrong] == pytest.approx([3 / 4, 2 / 3, 1 / 2], abs=0.06)
    assert right.iou.metric == "labeller_iou"
    assert right.iou.protocol["ceiling"] == wrong.iou.protocol["ceiling"]
    with pytest.raises(PthetaError, match="pairs need equal numbers"):
        metrics.labeller_scores(photos(numbers[:3]), train, test)
    with pytest.raises(PthetaError, match="are not label maps"):
        metrics.labeller_scores(photos(numbers), grey_pairs("train", 0), test)


def test_the_labeller_is_kept_and_a_damaged_one_is_trained_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(labeller, "STEPS", 3)
    train = pictures_of_labels("train", 1)
    x = train.batch(slice(0, 4)).x
    wanted = labeller.labeller(train, tmp_path)(x)
    (kept,) = (tmp_path / "labeller").iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(labeller, "_train", lambda *given: pytest.fail("it was kept"))
        assert torch.equal(labeller.labeller(train, tmp_path)(x), wanted)
    kept.write_bytes(b"damaged")
    assert torch.equal(labeller.labeller(train, tmp_path)(x), wanted)
    labels = labeller.labeller(train, tmp_path).label(torch.zeros(2, 1, 150, 91).byte())
    assert labels.shape == (2, 150, 91)  # pictures of any size
