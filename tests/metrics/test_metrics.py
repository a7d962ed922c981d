"""Metrics against closed forms, brute force, and what they should see."""

from __future__ import annotations

import dataclasses
import json
import math
import warnings
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import ptheta
from ptheta.data import open_images
from ptheta.data.dataset import Dataset
from ptheta.data.image_data import ImageDataset
from ptheta.data.vector_data import VectorDataset
from ptheta.errors import PthetaError
from ptheta.extractors.classifiers import WEIGHTS, Trained
from ptheta.extractors.features import extract
from ptheta.extractors.table import choose_extractor, default_extractor, load_extractor
from ptheta.files.tensors import load_metadata
from ptheta.measures.frechet import Gaussian, fit, frechet
from ptheta.measures.inception_score import class_score, effective_classes
from ptheta.measures.kernel import kernel_distance
from ptheta.measures.memorisation import nearest, ratio_of_medians
from ptheta.measures.results import Evaluation, Result
from ptheta.metrics.evaluate import evaluate, real_baseline
from ptheta.metrics.likelihood import likelihood
from ptheta.metrics.selection import Selection
from ptheta.specs import Column, ImageSpec, VectorSpec
from ptheta.training.progress import Progress
from ptheta.training.scoring import Scored


def normal(n: int, d: int, seed: int = 0, scale: float = 1.0, shift: float = 0.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(d, d, generator=generator, dtype=torch.double) / d**0.5
    x = torch.randn(n, d, generator=generator, dtype=torch.double)
    return x @ (torch.eye(d, dtype=torch.double) + mix) * scale + shift


def by_scipy(x: torch.Tensor, y: torch.Tensor) -> float:
    a, b = np.cov(x.numpy(), rowvar=False), np.cov(y.numpy(), rowvar=False)
    root = scipy.linalg.sqrtm(a @ b).real
    gap = ((x.mean(0) - y.mean(0)) ** 2).sum().item()
    return gap + np.trace(a + b - 2 * root)


def test_frechet_of_known_gaussians():
    """N(0, diag a^2) and N(m, diag b^2): |m|^2 + sum (a - b)^2."""
    a, b = torch.tensor([1.0, 2.0, 3.0]).double(), torch.tensor([2.0, 2.0, 0.5]).double()
    m = torch.tensor([1.0, 0.0, -2.0]).double()
    found = frechet(Gaussian(torch.zeros(3).double(), a.diag()), Gaussian(m, b.diag()))
    assert found == pytest.approx((m.square().sum() + (a - b).square().sum()).item(), abs=1e-12)


@pytest.mark.parametrize(("n", "d"), [(400, 20), (60, 100)])
def test_frechet_equals_scipy_and_is_zero_for_itself(n, d):
    x, y = normal(n, d, 1), normal(n + 7, d, 2, 1.5, 0.3)
    assert frechet(fit(x), fit(y)) == pytest.approx(by_scipy(x, y), rel=1e-6)
    assert frechet(fit(x), fit(x)) <= 1e-8
    assert frechet(fit(x), fit(x[torch.randperm(n)])) <= 1e-8


def test_frechet_of_dependent_features_is_exact():
    x = normal(500, 12, 3)
    x = torch.cat([x, x[:, :6], torch.zeros(500, 4).double()], 1)  # rank 12 of 22
    assert frechet(fit(x), fit(x)) <= 1e-8


def test_frechet_routes_agree():
    """Fewer images than features: the singular values of the features themselves."""
    x, y = normal(30, 50, 4), normal(80, 50, 5, 2.0)
    padded = Gaussian(fit(x).mean, torch.linalg.qr(fit(x).root).R)
    assert frechet(fit(x), fit(y)) == pytest.approx(frechet(padded, fit(y)), rel=1e-9)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.floats(-3, 3), st.floats(0.2, 4))
def test_frechet_is_symmetric_and_follows_moves_and_scales(seed, shift, scale):
    x, y = normal(50, 6, seed), normal(40, 6, seed + 1, 1.3)
    rotation = torch.linalg.qr(normal(6, 6, seed + 2)).Q
    d = frechet(fit(x), fit(y))
    assert frechet(fit(y), fit(x)) == pytest.approx(d, rel=1e-8)
    moved = frechet(fit(x @ rotation + shift), fit(y @ rotation + shift))
    assert moved == pytest.approx(d, rel=1e-7, abs=1e-9)
    assert frechet(fit(x * scale), fit(y * scale)) == pytest.approx(d * scale**2, rel=1e-7)


def test_kernel_distance_is_the_double_sum():
    x, y = normal(23, 4, 1), normal(31, 4, 2, 1.2, 0.4)

    def k(a: torch.Tensor, b: torch.Tensor) -> float:
        return (float(a @ b) / 4 + 1) ** 3

    xx = sum(k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j) / (23 * 22)
    yy = sum(k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j) / (31 * 30)
    xy = sum(k(a, b) for a in x for b in y) / (23 * 31)
    assert kernel_distance(x, y, chunk=7)[0] == pytest.approx(xx + yy - 2 * xy, rel=1e-10)


def test_kernel_distance_is_unbiased_and_its_error_honest():
    same, apart, errors = [], [], []
    for seed in range(60):
        g = torch.Generator().manual_seed(seed)
        x, y = torch.randn(2, 80, 5, generator=g, dtype=torch.double)
        same.append(kernel_distance(x, y)[0])
        value, error = kernel_distance(x, y + 0.5)
        apart.append(value)
        errors.append(error)
    assert abs(np.mean(same)) < 3 * np.std(same) / 60**0.5
    assert 0.7 < np.mean(errors) / np.std(apart) < 1.4


def test_score_of_known_predictions():
    sure = torch.eye(10).repeat(20, 1) * 200
    assert class_score(sure)[0] == pytest.approx(10, rel=1e-6)
    assert class_score(torch.zeros(100, 10))[0] == pytest.approx(1, abs=1e-9)
    assert class_score(sure[:1].repeat(100, 1))[0] == pytest.approx(1, abs=1e-9)
    assert effective_classes(sure)[0] == pytest.approx(10)
    assert effective_classes(sure[:1].repeat(9, 1))[0] == pytest.approx(1)
    p = torch.tensor([0.7, 0.2, 0.1]).double()
    q = torch.tensor([0.1, 0.3, 0.6]).double()
    m = (p + q) / 2
    kl = ((p * (p / m).log()).sum() + (q * (q / m).log()).sum()) / 2
    logits = torch.stack([p.log(), q.log()]).repeat(10, 1)
    assert class_score(logits, splits=1)[0] == pytest.approx(kl.exp().item(), rel=1e-6)


class Coins(nn.Module):
    """Each pixel white with probability p, on its own."""

    def __init__(self, spec: ImageSpec, p: float) -> None:
        super().__init__()
        self.spec, self.p = spec, p

    def log_prob(self, x, condition=None):
        white = (x > 127).float().flatten(1)
        return (white * math.log(self.p) + (1 - white) * math.log(1 - self.p)).sum(1)


class Copier(nn.Module):
    """Samples that are given."""

    def __init__(self, spec: ImageSpec, images: torch.Tensor) -> None:
        super().__init__()
        self.spec, self.images = spec, images

    def sample(self, n, condition=None):
        return self.images[torch.randint(len(self.images), (n,))]


def test_bits_per_dim_of_a_known_model():
    data = open_images("digits", "test", levels=2).subset(slice(0, 200))
    found = likelihood(Coins(data.spec, 0.5), data)
    assert found is not None
    assert found.relation == "="
    assert found.bits(784)[0] == pytest.approx(1, rel=1e-6)
    assert found.nats == pytest.approx(784 * math.log(2), rel=1e-6)
    white = (data.batch(slice(None)).x > 0).double().mean((1, 2, 3))
    entropy = -(white.mean() * math.log(0.1) + (1 - white.mean()) * math.log(0.9)) / math.log(2)
    best = likelihood(Coins(data.spec, 0.1), data)
    assert best is not None
    assert best.bits(784)[0] == pytest.approx(entropy.item(), rel=1e-5)


def test_what_is_not_defined_says_so():
    data = open_images("digits", "test", levels=2).subset(slice(0, 60))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        silent = evaluate(Coins(data.spec, 0.2), data, data, n=20)
        blind = evaluate(Copier(data.spec, data.batch(slice(None)).x), data, data, n=20)
    missing = silent.get("fd_digits")
    assert missing is not None
    assert missing.value is None
    assert missing.text() == "not defined (it cannot sample)"
    bits = blind.get("bits_per_dim")
    assert bits is not None
    assert bits.text() == "not defined (no likelihood)"
    text = json.dumps(blind.to_json(), allow_nan=False)
    assert Evaluation.from_json(json.loads(text)).to_json() == json.loads(text)
    assert {r.metric for r in silent.results} == {r.metric for r in blind.results}


def test_one_binarisation_serves_every_run():
    """Runs of different seeds are scored on the same pixels."""
    test, train = open_images("digits", "test"), open_images("digits", levels=2)
    bits = []
    for seed in (0, 7):
        data = test.subset(slice(0, 50)).with_levels(2, seed=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = evaluate(Coins(data.spec, 0.1), data, train).get("bits_per_dim")
        assert found is not None
        bits.append((found.value, found.protocol["fingerprint"]))
    assert bits[0] == bits[1]


def test_a_density_of_zero_is_not_a_number():
    data = open_images("digits", "test", levels=2).subset(slice(0, 20))

    class Sure(Coins):
        def log_prob(self, x, condition=None):
            return torch.where(torch.arange(len(x)) == 0, -torch.inf, -1.0)

    found = evaluate(Sure(data.spec, 0.5), data, data)
    bits = found.get("bits_per_dim")
    assert bits is not None
    assert bits.text() == "not defined (-log p is infinite for 1 of 20 images)"
    json.dumps(found.to_json(), allow_nan=False)


def test_results_as_text():
    assert Result("b", 0.1624, "bits/dim", "<=", 0.0012).text() == "<= 0.1624 +- 0.0012 bits/dim"
    assert Result("p", 12, "images/s").text() == "12 images/s"


def test_the_same_seed_gives_the_same_numbers():
    data = open_images("digits", "test", levels=2).subset(slice(0, 300))
    model = Copier(data.spec, data.batch(slice(0, 200)).x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        a, b = (evaluate(model, data, data, n=100, seed=3) for _ in range(2))
    for x, y in zip(a.results, b.results, strict=True):
        if x.metric != "sampling_speed":
            times: dict[str, object] = {"time": ""}
            again = dataclasses.replace(y, protocol={**y.protocol, **times})
            assert dataclasses.replace(x, protocol={**x.protocol, **times}) == again
            assert x.draws == y.draws
    assert a.protocol["extractor_digest"] == load_extractor("digits").digest
    assert a.protocol["real_images"] == 300


def fd(images: torch.Tensor, reference: Dataset) -> float:
    by = load_extractor("digits")
    return frechet(fit(extract(images, by).features), fit(extract(reference, by).features))


def test_a_copied_training_set_is_seen():
    train, test = open_images("digits"), open_images("digits", "test")
    held_out = nearest(test.batch(slice(0, 200)).x, train)[1]
    copied, _ = ratio_of_medians(nearest(train.batch(slice(0, 200)).x, train)[1], held_out)
    fresh, error = ratio_of_medians(nearest(test.batch(slice(200, 400)).x, train)[1], held_out)
    assert copied < 0.01
    assert abs(fresh - 1) < 4 * error


def test_nearest_is_the_brute_force_minimum():
    train = open_images("digits", levels=2).subset(slice(0, 70))
    x = open_images("digits", "test", levels=2).batch(slice(0, 9)).x
    where, distance = nearest(x, train, chunk=13)
    pixels = train.batch(slice(None)).x.float()
    full = ((x.float()[:, None] - pixels[None]) ** 2).mean((2, 3, 4)).sqrt()
    assert np.array_equal(where, full.argmin(1).numpy())
    torch.testing.assert_close(distance, full.min(1).values, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("name", ["digits", "fashion"])
def test_shipped_weights_are_small_and_as_good_as_they_say(name):
    assert (WEIGHTS / f"{name}.safetensors").stat().st_size < 1_000_000
    by = load_extractor(name)
    assert isinstance(by, Trained)
    for levels, key in ((256, "test_accuracy"), (2, "test_accuracy_binarised")):
        batch = open_images(name, "test", levels=levels).batch(slice(None))
        with torch.no_grad():
            _, logits = by(batch.x)
        assert logits is not None
        accuracy = logits.argmax(1).eq(batch.extra["labels"]).float().mean().item()
        assert accuracy == pytest.approx(float(by.about[key]), abs=0.005)
    assert accuracy > {"digits": 0.98, "fashion": 0.83}[name]


def test_extractors_take_other_sizes_and_colours():
    for name in ("digits", "fashion", "pixels"):
        for shape in ((3, 40, 30), (1, 28, 28), (3, 16, 16)):
            features = extract(
                torch.randint(0, 256, (4, *shape), dtype=torch.uint8), load_extractor(name)
            )
            assert len(features) == 4
            assert features.features.dtype == torch.float32


MNIST_LIKE = ("digits", "fashion")


@pytest.mark.parametrize("name", ["old-fashioned-cars", "house-digits-of-rooms", "mnist-of-noise"])
@pytest.mark.parametrize("kind", [*MNIST_LIKE, "noise"])
def test_the_extractor_follows_what_the_images_are_and_not_their_name(name, kind):
    """A source that does not say what it shows is looked up by its pixels, in any order."""
    if kind == "noise":
        images = np.random.default_rng(0).integers(0, 256, (200, 1, 28, 28), dtype=np.uint8)
    else:
        images = open_images(kind, "test").shuffled(3).batch(range(200)).x.numpy()
    wanted = "pixels" if kind == "noise" else kind
    data = ImageDataset(name, "test", images)
    assert default_extractor(data) == wanted
    assert default_extractor(data.with_levels(2)) == wanted
    assert default_extractor(ImageDataset(kind, "test", images[:, :, :16, :16].copy())) == "pixels"
    by, why = choose_extractor(data, None)
    assert by.name == wanted
    assert ("give --extractor digits or fashion" in why["extractor_chosen"]) == (kind == "noise")


@pytest.mark.parametrize("kind", MNIST_LIKE)
def test_a_source_that_says_what_it_shows_is_believed(kind):
    data = open_images(kind)
    assert data.resembles == kind
    nine = np.zeros((9, 1, 28, 28), np.uint8)
    black = dataclasses.replace(data, images=nine, index=None, labels=None, groups=None)
    assert default_extractor(black) == kind
    assert default_extractor(open_images("shapes-64", "test")) == "pixels"
    # a few among many others are not what the data shows
    other = np.random.default_rng(0).integers(0, 256, (990, 1, 28, 28), dtype=np.uint8)
    mixed = np.concatenate([other, data.batch(range(10)).x.numpy()])
    assert default_extractor(ImageDataset("mixed", "test", mixed)) == "pixels"


def test_floor_is_low():
    train, test = open_images("digits"), open_images("digits", "test")
    real = real_baseline(test, train, n=1000)
    distance, score = real.get("fd_digits"), real.get("score_digits")
    assert distance is not None
    assert score is not None
    assert distance.value is not None
    assert score.value is not None
    noise = torch.randint(0, 256, (1000, 1, 28, 28), dtype=torch.uint8)
    assert distance.value < 0.1 * fd(noise, test)
    assert score.value > 8


def scored(held: Dataset, model: nn.Module) -> Scored:
    found = Selection(held, "digits")(model)
    assert found is not None
    return found


MSE = "held_out/reconstruction_mse"


class Blur(nn.Module):
    """Codes that are the images, and a decoder that loses a share of each pixel."""

    def __init__(self, lost: float) -> None:
        super().__init__()
        self.lost = lost

    def encode(self, x: Tensor, condition: Any = None) -> Tensor:
        return x.flatten(1).float()

    def decode(self, z: Tensor, condition: Any = None) -> Tensor:
        return ((1 - self.lost) * z).round().to(torch.uint8).view(-1, 1, 28, 28)


def test_what_cannot_sample_is_chosen_by_what_its_codes_lose():
    held = open_images("digits", "test").subset(slice(0, 50))
    name, exact, lower, _ = scored(held, Blur(0))
    assert (name, exact, lower) == ("reconstruction_mse", 0, True)
    x = held.batch(slice(None)).x.double() / 127.5
    assert scored(held, Blur(1)).value == pytest.approx(x.square().mean().item())
    assert 0 < scored(held, Blur(0.1)).value < scored(held, Blur(0.2)).value
    assert Selection(held, "digits")(nn.Linear(1, 1)) is None


def test_codes_that_give_no_number_are_never_the_best():
    """Of vectors; what is missing in the rows themselves is left out."""
    spec = VectorSpec((Column("a", missing=True), Column("b")))
    cells = torch.randn(40, 2)
    cells[::3, 0] = math.nan
    held = VectorDataset("rows", "train", cells.numpy(), spec)

    class Copies(nn.Module):
        def __init__(self, lost: float) -> None:
            super().__init__()
            self.lost = lost

        def encode(self, x: Tensor, condition: Any = None) -> Tensor:
            return x

        def decode(self, z: Tensor, condition: Any = None) -> Tensor:
            return torch.zeros_like(z) + self.lost

    nothing = scored(held, Copies(math.nan))
    assert math.isnan(nothing.value)
    assert not nothing.beats(Progress())
    exact = cells.nan_to_num(0).square().mean().item()
    assert scored(held, Copies(0)).value == pytest.approx(exact, rel=1e-5)


def test_an_autoencoder_keeps_the_weights_of_its_best_score_not_of_its_first(tmp_path):
    small: Any = {"hidden": (8,), "latent": 2, "log_every": 10, "sample_every": 0}
    run = ptheta.train("ae", "digits", tmp_path / "ae", steps=30, evaluate_every=10, **small)
    scores = [row[MSE] for row in run.metrics() if MSE in row]
    steps = [row["step"] for row in run.metrics() if MSE in row]
    best = steps[scores.index(min(scores))]
    assert len(scores) == 3
    assert load_metadata(run.weights_file())["step"] == str(best)
    assert best > 10


def test_selection_prefers_likelihood_then_distance():
    held = open_images("digits", "test", levels=2).subset(slice(0, 100))
    name, value, lower, _ = scored(held, Coins(held.spec, 0.5))
    assert (name, lower) == ("bits_per_dim", True)
    assert value == pytest.approx(1)
    copier = Copier(held.spec, open_images("digits", levels=2).batch(range(200)).x)
    name, good, lower, others = scored(held, copier)
    assert (name, lower) == ("kd_digits", True)
    assert others["classes_digits"] > 8
    white = Copier(held.spec, torch.zeros(2, 1, 28, 28, dtype=torch.uint8))
    _, bad, _, others = scored(held, white)
    assert good < bad
    assert others["classes_digits"] == 1


def test_bad_input_is_one_line():
    data = open_images("digits", "test")
    model = Copier(data.spec, data.batch(slice(0, 9)).x)
    for call, words in (
        (lambda: load_extractor("digit"), "did you mean 'digits'"),
        (lambda: extract(data.batch([0]).x, load_extractor("pixels")), "at least two"),
        (lambda: evaluate(model, data, data, n=1), "at least two"),
        (lambda: evaluate(model, data.subset([1]), data), "give at least two"),
        (lambda: evaluate(model, open_images("shapes"), data), "the model is for 1x28x28"),
        (lambda: fit(torch.zeros(1, 3)), "at least two"),
        (lambda: class_score(torch.zeros(5, 10)), "20 or more"),
        (lambda: kernel_distance(torch.zeros(1, 3), torch.zeros(9, 3)), "at least two"),
    ):
        with pytest.raises(PthetaError, match=words) as error:
            call()
        assert "\n" not in str(error.value)

    def spoiled(x):
        return torch.full((len(x), 4), float("nan")), None

    spoiled.name = "spoiled"  # type: ignore[attr-defined]
    with pytest.raises(PthetaError, match="NaN or infinity"):
        extract(data.batch(slice(0, 9)).x, spoiled)  # type: ignore[arg-type]


def test_few_samples_are_warned_of():
    data = open_images("digits", "test").subset(slice(0, 100))
    with pytest.warns(UserWarning, match="prefer the kernel distance"):
        evaluate(Copier(data.spec, data.batch(slice(0, 9)).x), data, data, n=30)
