"""Every metric of the table: a law or a known value for each, and what follows from an entry."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

from ptheta.cli.commands import cli
from ptheta.conditions import Labels
from ptheta.data.dataset import Dataset
from ptheta.data.image_data import ImageDataset
from ptheta.errors import PthetaError
from ptheta.extractors.base import Extractor
from ptheta.masks import TESTED
from ptheta.measures.results import Estimate, Result
from ptheta.metrics import path_length, speed
from ptheta.metrics.context import Context, Given
from ptheta.metrics.evaluate import evaluate, evaluate_images
from ptheta.metrics.metric import Metric, Section
from ptheta.metrics.table import METRICS, metric_of
from ptheta.report.tables import Heading, tables
from ptheta.specs import ImageSpec, VectorSpec
from ptheta.tasks.inpaint import regions
from tests.metrics.caption_laws import CAPTION_LAWS
from tests.metrics.factor_laws import gap_of_known_codes
from tests.metrics.translation_laws import TRANSLATION_LAWS
from tests.metrics.vector_laws import FOUR, VECTOR_LAWS, Points, Sampler, rows

SPEC = ImageSpec(1, 12, 12)
CLASSES = ("dark", "bright")
DOCS = Path(__file__).parent.parent.parent / "docs" / "evaluation.md"


class Bright:
    """Nine features, the means of nine parts; sure whether an image is bright."""

    name, digest, reads, classes = "bright", "0", "as it is", 2

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        parts = nn.functional.adaptive_avg_pool2d(x.float() / 255 - 0.5, 3).flatten(1)
        light = parts.mean(1)
        return parts, torch.stack([-light, light], 1) * 1e4


def data(split: str, seed: int, n: int = 120) -> Dataset:
    """Noise about a dark or a bright grey, in turn."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    means = (70 + 110 * labels)[:, None, None, None]
    images = (means + rng.integers(-60, 60, (n, 1, 12, 12))).astype(np.uint8)
    return ImageDataset("greys", split, images, labels=labels, classes=CLASSES)


TEST, TRAIN = data("test", 0), data("train", 1)
NEW = data("new", 2)


class Everything(nn.Module):
    """A model of every capability that a metric asks for. log p(x) = -700 - label, nats."""

    def __init__(self, condition: Labels | None = None) -> None:
        super().__init__()
        self.spec, self.condition = SPEC, condition
        self.weight = nn.Parameter(torch.zeros(7))

    def sample_latent(self, n: int, condition: Any = None) -> Tensor:
        return torch.randn(n, 4)

    def decode(self, z: Tensor, condition: Any = None) -> Tensor:
        return torch.full((len(z), *SPEC.shape), 100, dtype=torch.uint8)

    def sample(self, n: int, condition: Any = None) -> Tensor:
        return self.decode(self.sample_latent(n))

    def log_prior(self, z: Tensor, condition: Any = None) -> Tensor:
        return -0.5 * z.square().sum(1) - 2 * math.log(2 * math.pi)

    def log_likelihood(self, x: Tensor, z: Tensor, condition: Any = None) -> Tensor:
        return -700 + 0 * z.sum(1)

    def elbo(self, x: Tensor, condition: Any = None) -> Tensor:
        return torch.full((len(x),), -710.0)

    def importance_bound(self, x: Tensor, k: int, condition: Any = None) -> Tensor:
        return torch.full((len(x),), -700.0)

    def bound_terms(self, x: Tensor, condition: Any = None) -> dict[str, Tensor]:
        return {"reconstruction": torch.full((len(x),), 703.0), "kl": torch.full((len(x),), 7.0)}

    def cluster(self, x: Tensor) -> Tensor:
        return (x.float().mean((1, 2, 3)) < 128).long()


def result(name: str, x: Tensor | None = None, labels: Tensor | None = None, **more: Any) -> Result:
    """Of one entry: images measured on the test set, or (x None) a model that can do everything."""
    if x is None:
        ctx = Context(TEST, Bright(), model=Everything(), train=TRAIN, n=60, ais_images=2, **more)
    else:
        ctx = Context(TEST, Bright(), train=TRAIN, given=Given(x, labels=labels), **more)
    (found,) = METRICS[name].results(ctx)
    return found


def value(name: str, x: Tensor | None = None, labels: Tensor | None = None, **more: Any) -> float:
    found = result(name, x, labels, **more)
    assert found.value is not None, found.reason
    return found.value


def images(of: Dataset) -> Tensor:
    return of.batch(slice(0, len(of))).x


def of_the_model(name: str, wanted: float, relation: str) -> Callable[[], None]:
    def check() -> None:
        found = result(name)
        assert found.value == pytest.approx(wanted, rel=1e-4)
        assert found.relation == relation

    return check


def near_and_far(name: str) -> Callable[[], None]:
    """A distance: it is about 0 for the test images themselves, and the farther the darker."""

    def check() -> None:
        itself, new, darker, dark = (
            value(name, x) for x in (images(TEST), *(images(NEW) // k for k in (1, 2, 4)))
        )
        assert itself < 0.01 * dark
        assert itself <= new + 1e-9
        assert new < darker < dark

    return check


def the_terms_add_up() -> None:
    ctx = Context(TEST, Bright(), model=Everything())
    terms = METRICS["elbo_{term}{given}"].results(ctx)
    assert [r.metric for r in terms] == ["elbo_reconstruction", "elbo_kl"]
    assert sum(r.value or 0 for r in terms) == pytest.approx(value("neg_elbo{given}"))


def a_classifier_that_is_sure_of_two_classes() -> None:
    for name, one, two in (("score", 1, 2), ("classes", 1, 2)):
        both = images(NEW)
        assert value(f"{name}_{{extractor}}", both) == pytest.approx(two, rel=1e-6)
        assert value(f"{name}_{{extractor}}", both[::2]) == pytest.approx(one, abs=1e-9)


def a_class_is_missing() -> None:
    assert value("class_balance_{extractor}", images(NEW)) == 0
    assert value("class_balance_{extractor}", images(NEW)[::2]) == 0.5
    assert value("missing_classes_{extractor}", images(NEW)) == 0
    found = result("missing_classes_{extractor}", images(NEW)[::2])
    assert (found.value, found.note, found.unit) == (1, "1", "of 2")


def balls_hold_what_is_there() -> None:
    names = [f"{name}_{{extractor}}" for name in ("precision", "recall", "density", "coverage")]
    assert [value(name, images(TEST)) for name in names if "density" not in name] == [1, 1, 1]
    assert [value(name, images(NEW) // 4) for name in names] == [0, 0, 0, 0]
    one_class = images(NEW)[::2]
    assert value(names[0], one_class) > 0.5
    assert value(names[1], one_class) <= 0.5


def samples_that_look_alike() -> None:
    same = images(NEW)[:1].expand(30, -1, -1, -1)
    assert value("similarity", same) == pytest.approx(1)
    assert value("similarity", images(NEW)) < 0.9


def edges_are_as_strong_as_in_real_images() -> None:
    """Of the test images themselves 1; of the same at half the contrast a quarter; of blurred ones
    less, of ones with noise more."""
    real = images(TEST)
    blurred = nn.functional.avg_pool2d(real.float(), 3, 1, 1).to(torch.uint8)
    noisy = torch.where(torch.arange(real.numel()).view_as(real) % 7 == 0, 255, real)
    assert value("sharpness", real) == pytest.approx(1)
    assert value("sharpness", real // 2) == pytest.approx(0.25, rel=0.01)
    assert value("sharpness", blurred) < 0.1
    assert value("sharpness", noisy.to(torch.uint8)) > 1.2
    found = result("sharpness", real // 2)
    assert found.better == "nearest 1"
    both = [found.protocol[f"laplacian_variance{of}"] for of in ("", "_of_real")]
    beside = [number for number in both if isinstance(number, float)]
    assert len(beside) == 2
    shown = [f"{number:,.0f}" if number >= 1000 else f"{number:.4g}" for number in beside]
    assert found.note == f"{shown[0]}, and {shown[1]} for real images"


def labels_are_followed_or_not() -> None:
    y = torch.from_numpy(NEW.labels)
    for name, better in (("kd_within_label", -1), ("label_accuracy", 1)):
        followed, not_followed = (
            value(f"{name}_{{extractor}}", images(NEW), labels) for labels in (y, 1 - y)
        )
        assert better * followed > better * not_followed
        if name == "label_accuracy":
            assert (followed, not_followed) == (1, 0)


def copies_are_given_away(*names: str, of: Dataset) -> Callable[[], None]:
    """Of one of both sets alone, and far below 0."""

    def check() -> None:
        other = TRAIN if of is TEST else TEST
        for name in names:
            copied, new = value(name, images(of)), value(name, images(NEW))
            assert copied < -5 < -3 < new
            assert value(name, images(other)) > -3

    return check


def share(name: str, of: Dataset) -> Callable[[], None]:
    """All of the copies of one set, and hardly any new image."""

    def check() -> None:
        assert value(name, images(of)) == 1
        assert value(name, images(NEW)) < 0.2

    return check


def copies_are_at_no_distance() -> None:
    """Held-out images are, by definition, as far as held-out images are."""
    ratios = [value("train_distance_ratio", images(of)) for of in (TRAIN, TEST)]
    assert ratios == pytest.approx([0, 1])


def copies_cost() -> None:
    for of, copied in ((TRAIN, True), (TEST, True), (NEW, False)):
        found = result("fd_memorisation_{extractor}", images(of))
        factor, plain = found.protocol["factor"], value("fd_{extractor}", images(of))
        assert isinstance(factor, float)
        assert factor > 100 if copied else factor == 1
        assert found.value == pytest.approx(factor * plain, rel=1e-3, abs=1e-9)


def a_constant_decoder_goes_nowhere() -> None:
    assert value("path_length_{extractor}") == 0


def the_clock_is_read() -> None:
    found = result("sampling_speed")
    assert found.unit == "images/s"
    assert found.value is None or found.value > 0


LIKELIHOOD, BOUND = 700.0, 710.0
# every metric of the table -> what it must hold


class Flat(nn.Module):
    """Completes every image with grey of 100."""

    spec, condition = SPEC, None

    def varied(self) -> bool:
        return False

    def complete(
        self, x: Tensor, known: Tensor, condition: Any = None, candidates: int = 1
    ) -> Tensor:
        assert (x[~known] == 0).all()  # of the truth nothing is seen
        return torch.where(known, x, 100).to(torch.uint8)


def a_flat_completion_is_as_far_as_its_grey() -> None:
    found = METRICS["completion_psnr_{term}"].results(Context(TEST, Bright(), model=Flat()))
    assert [r.metric for r in found] == [f"completion_psnr_{mask}" for mask in TESTED]
    gap = (images(TEST).double() - 100).square()
    for mask, each in zip(TESTED, found, strict=True):
        unknown = regions(mask, len(gap), SPEC.shape, 0)
        error = (gap * unknown).flatten(1).sum(1) / unknown.flatten(1).sum(1)
        assert each.value == pytest.approx(10 * math.log10(255**2 / error.mean().item()))
        assert each.error is not None
        assert 0 < each.error < 1


LAWS: dict[str, Callable[[], None]] = {
    "bits_per_dim{given}": of_the_model(
        "bits_per_dim{given}", LIKELIHOOD / 144 / math.log(2), "<="
    ),
    "nll{given}": of_the_model("nll{given}", LIKELIHOOD, "<="),
    "neg_elbo{given}": of_the_model("neg_elbo{given}", BOUND, "<="),
    "elbo_{term}{given}": the_terms_add_up,
    "elbo_gap{given}": of_the_model("elbo_gap{given}", BOUND - LIKELIHOOD, "="),
    # a likelihood that no code changes is its own average
    "nll_ais{given}": of_the_model("nll_ais{given}", LIKELIHOOD, "<="),
    # the model's categories are the labels, exchanged
    "clustering_accuracy": of_the_model("clustering_accuracy", 1.0, "="),
    "fd_{extractor}": near_and_far("fd_{extractor}"),
    "fd_infinity_{extractor}": near_and_far("fd_infinity_{extractor}"),
    "kd_{extractor}": near_and_far("kd_{extractor}"),
    "score_{extractor}": a_classifier_that_is_sure_of_two_classes,
    "classes_{extractor}": a_classifier_that_is_sure_of_two_classes,
    "class_balance_{extractor}": a_class_is_missing,
    "missing_classes_{extractor}": a_class_is_missing,
    "precision_{extractor}": balls_hold_what_is_there,
    "recall_{extractor}": balls_hold_what_is_there,
    "density_{extractor}": balls_hold_what_is_there,
    "coverage_{extractor}": balls_hold_what_is_there,
    "similarity": samples_that_look_alike,
    "sharpness": edges_are_as_strong_as_in_real_images,
    "kd_within_label_{extractor}": labels_are_followed_or_not,
    "label_accuracy_{extractor}": labels_are_followed_or_not,
    "train_distance_ratio": copies_are_at_no_distance,
    "copied_share": share("copied_share", TRAIN),
    "copying_z": copies_are_given_away("copying_z", of=TRAIN),
    "copied_share_test": share("copied_share_test", TEST),
    "copying_z_test": copies_are_given_away("copying_z_test", of=TEST),
    "copying_z_{extractor}": copies_are_given_away("copying_z_{extractor}", of=TRAIN),
    "copying_z_test_{extractor}": copies_are_given_away("copying_z_test_{extractor}", of=TEST),
    "fd_memorisation_{extractor}": copies_cost,
    "path_length_{extractor}": a_constant_decoder_goes_nowhere,
    "sampling_speed": the_clock_is_read,
    "parameters": of_the_model("parameters", 7, "="),
    "information_gap_{term}": gap_of_known_codes,
    **VECTOR_LAWS,
    **CAPTION_LAWS,
    **TRANSLATION_LAWS,
    "completion_psnr_{term}": a_flat_completion_is_as_far_as_its_grey,
}


@pytest.fixture
def brief(monkeypatch) -> None:
    """Speeds and paths take no time."""
    monkeypatch.setattr(speed, "SECONDS", 0.02)
    monkeypatch.setattr(path_length, "PATHS", 20)


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize("name", METRICS)
def test_every_metric_holds_its_law(name):
    """A new entry needs one in `LAWS`."""
    LAWS[name]()


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize("name", METRICS)
def test_a_law_is_one_of_its_metric(name, monkeypatch):
    """It fails where this metric alone gives a number that has nothing to do with the images."""
    compute = METRICS[name].compute

    def astray(ctx: Context) -> Estimate | dict[str, Estimate]:
        found = compute(ctx)
        if isinstance(found, Estimate):
            return dataclasses.replace(found, value=-12345.678, reason="")
        return {term: dataclasses.replace(each, value=-12345.678) for term, each in found.items()}

    monkeypatch.setitem(METRICS, name, dataclasses.replace(METRICS[name], compute=astray))
    with pytest.raises(AssertionError):
        LAWS[name]()


def test_there_is_a_law_of_no_other_metric():
    assert LAWS.keys() == METRICS.keys()


def test_every_metric_is_listed_and_explained():
    """In the list of the command line and in the documentation."""
    listed = json.loads(CliRunner().invoke(cli, ["metrics", "--json"]).stdout)
    assert [about["section"] for about in listed.values()] == [m.section for m in METRICS.values()]
    text = DOCS.read_text()
    for metric in METRICS.values():
        assert metric.about == listed[metric.title]["about"]
        assert len(metric.about) < 90
        written = [metric.title] if "{term}" not in metric.name else ["elbo_kl"]
        assert all(f"`{name}`" in text for name in written), metric.title


class Silent(nn.Module):
    """It can do nothing."""

    spec = SPEC


@pytest.mark.filterwarnings("ignore:60 samples")
def test_a_row_that_is_not_defined_is_that_of_the_entry(monkeypatch):
    """Names, units, directions and their order are the same, whatever a model can do."""
    monkeypatch.setattr(speed, "SECONDS", 0.02)
    monkeypatch.setattr(path_length, "PATHS", 20)
    full, none = (
        evaluate(model, TEST, TRAIN, n=60, extractor=Bright()) for model in (Everything(), Silent())
    )
    of_bounds = {r.metric for r in full.results if "elbo" in r.metric} | {"clustering_accuracy"}
    rows = [[(r.metric, r.unit, r.better) for r in e.results] for e in (full, none)]
    assert [row for row in rows[0] if row[0] not in of_bounds] == rows[1]
    assert {r.reason for r in none.results} == {"no likelihood", "it cannot sample", ""}
    assert [r.metric for r in none.results if r.value is not None] == ["parameters"]


@pytest.mark.usefixtures("brief")
@pytest.mark.filterwarnings("ignore:60 ")
def test_rows_are_of_the_examples_that_there_are():
    """Of vectors those of any examples and of vectors; what is not known of them is said."""
    known, unknown = rows(FOUR), rows(None)
    found = {
        name: evaluate(model, data, rows(FOUR, "train"), n=60)
        for name, model, data in (
            ("all", Points(FOUR), known),
            ("no density", Sampler(known.batch(slice(0, 60)).x), known),
            ("unknown", Points(FOUR), unknown),
        )
    }
    of_images = evaluate(Everything(), TEST, TRAIN, n=60, extractor=Bright())
    for evaluation, kind in ((found["all"], VectorSpec), (of_images, ImageSpec)):
        entries = [metric_of(r.metric) for r in evaluation.results]
        assert all(entry is not None and kind in entry.of for entry in entries)
    assert [r.metric for r in found["all"].results] == [r.metric for r in found["unknown"].results]
    assert {r.reason for r in found["all"].results} == {"", "it has no codes with a prior"}
    for name, undefined, reason in (
        ("no density", ("kl", "total_variation"), "it has no exact density"),
        ("unknown", ("kl", "modes_found"), "the density of the data is unknown"),
    ):
        for metric in undefined:
            result = found[name].get(metric)
            assert result is not None
            assert result.reason == reason
    holes = dataclasses.replace(known, cells=np.where(known.cells > 5.2, np.nan, known.cells))
    sampler = Sampler(known.batch(slice(0, 60)).x)
    result = evaluate(sampler, holes, None, n=60).get("mmd")
    assert result is not None
    assert "test rows have missing cells" in result.reason


def test_every_result_finds_its_metric_again():
    for model, extractor in ((Everything(), Bright()), (Everything(Labels(CLASSES)), Bright())):
        ctx = Context(TEST, extractor, model=model, train=TRAIN, n=60, ais_images=1)
        for metric in METRICS.values():
            if metric.name != "sampling_speed" and metric.asked(ctx):
                terms = ("kl",) if "{term}" in metric.name else ("",)
                assert [metric_of(metric.called(ctx, term)) for term in terms] == [metric]
    for name, wanted in (
        ("fid", "fd_{extractor}"),
        ("fid_infinity", "fd_infinity_{extractor}"),
        ("fd_infinity_inception-2015", "fd_infinity_{extractor}"),
        ("nll_given_label", "nll{given}"),
        ("nll_ais", "nll_ais{given}"),
        ("elbo_gap_given_label", "elbo_gap{given}"),
    ):
        assert metric_of(name) is METRICS[wanted]
    assert metric_of("something") is None


def test_a_new_entry_is_a_row_of_an_evaluation_and_of_a_report(monkeypatch):
    """Its name, unit, direction, reason and place are read off the entry, and nothing else."""

    def brightness(ctx: Context) -> Estimate:
        return Estimate(ctx.samples.double().mean().item(), error=1.0)

    new = Metric(
        "brightness_{extractor}",
        brightness,
        "mean pixel value of samples",
        Section.COST,
        unit="of 255",
        better="lower",
    )
    none = dataclasses.replace(new, name="gloom", needs=(lambda ctx: "it is too bright",))
    monkeypatch.setitem(METRICS, new.name, new)
    monkeypatch.setitem(METRICS, none.name, none)
    found = evaluate_images(images(NEW), TEST, TRAIN, extractor=Bright())
    *_, last, undefined = found.results
    assert (last.metric, last.unit, last.better) == ("brightness_bright", "of 255", "lower")
    assert undefined.text() == "not defined (it is too bright)"
    assert metric_of("brightness_bright") is new
    (table,) = [t for t in tables({"a": found}, {}, marks={}) if t.title == "Cost"]
    assert table.head == [
        Heading("brightness bright", "of 255", "lower is better"),
        Heading("gloom", "of 255", "lower is better"),
    ]


def test_an_extractor_that_says_it_classifies_and_does_not_is_one_line():
    class Mute(Bright):
        name = "mute"

        def __call__(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
            return super().__call__(x)[0], None

    mute: Extractor = Mute()
    with pytest.raises(PthetaError, match="has 2 classes, but returned no logits"):
        evaluate_images(images(NEW), TEST, TRAIN, extractor=mute)


@pytest.mark.filterwarnings("ignore:100 samples")
def test_a_sampler_without_a_likelihood_needs_no_labels(monkeypatch):
    """What a likelihood would be given is asked for only where there is one."""

    class Sampler(nn.Module):
        spec, condition = SPEC, Labels(CLASSES)

        def sample(self, n: int, condition: Any = None) -> Tensor:
            return images(NEW)[:n]

    monkeypatch.setattr(speed, "SECONDS", 0.02)
    bare = dataclasses.replace(TEST, labels=None)
    found = evaluate(Sampler(), bare, TRAIN, n=100, extractor="pixels")
    missing, bits = found.get("kd_within_label_pixels"), found.get("bits_per_dim")
    assert missing is not None
    assert missing.text() == "not defined (greys has no labels)"
    assert bits is not None
    assert bits.reason == "no likelihood"
