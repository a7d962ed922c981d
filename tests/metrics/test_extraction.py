"""Features: from several processes, from files, and from transformers; and what needs them."""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ptheta.conditions import Labels
from ptheta.data import open_images
from ptheta.data.dataset import Dataset
from ptheta.data.image_data import ImageDataset
from ptheta.errors import PthetaError
from ptheta.extractors import features, vision
from ptheta.extractors.features import Features, extract
from ptheta.extractors.pretrained import Own
from ptheta.extractors.table import load_extractor
from ptheta.measures.kernel import kernel_distance
from ptheta.measures.results import Result
from ptheta.metrics.context import Context, Given
from ptheta.metrics.evaluate import evaluate
from ptheta.metrics.metric import measure
from ptheta.metrics.path_length import STEP, path_length
from ptheta.metrics.table import METRICS
from ptheta.specs import ImageSpec


def mapped(path: Path, n: int) -> ImageDataset:
    """Images in a memory-mapped file, 64 bytes after its begin."""
    file = np.memmap(path, np.uint8, "w+", 64, (n, 1, 28, 28))
    file[:] = open_images("digits", "test").images[:n]
    file.flush()
    return ImageDataset("mapped", "test", np.memmap(path, np.uint8, "r", 64, (n, 1, 28, 28)))


@pytest.mark.slow
def test_two_processes_give_the_features_of_one(tmp_path, monkeypatch):
    by = load_extractor("digits")
    data = mapped(tmp_path / "images", 330)
    one = extract(data, by, batch_size=50)
    two = extract(data, by, batch_size=50, processes=2)
    assert torch.equal(one.features, two.features)
    assert one.logits is not None
    assert two.logits is not None
    assert torch.equal(one.logits, two.logits)
    some = data.batch(slice(0, 120)).x
    assert torch.equal(extract(some, by, 50, 2).features, extract(some, by, 50).features)
    monkeypatch.setattr(features, "IN_MEMORY", 1000)  # which a single process then maps
    assert torch.equal(extract(some, by, 50, 2).features, extract(some, by, 50).features)
    with pytest.raises(PthetaError, match="at least one"):
        extract(some, by, processes=0)


def test_a_mapped_data_set_goes_to_another_process_by_the_name_of_its_file(tmp_path):
    data = mapped(tmp_path / "images", 300)
    text = pickle.dumps(data)
    assert len(text) < 2000
    assert np.array_equal(pickle.loads(text).images, data.images)
    part = ImageDataset("part", "test", data.images[100:200])  # does not know where it begins
    assert np.array_equal(pickle.loads(pickle.dumps(part)).images, part.images)


def test_many_features_lie_in_a_file_and_few_images_in_memory(monkeypatch):
    data, by = open_images("digits", "test"), load_extractor("digits")
    seen: list[int] = []

    class Counting:
        name, digest, reads, classes = "counting", "0", "", 0

        def __call__(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
            seen.append(len(x))
            return by(x)[0], None

    wanted = extract(data, by).features
    monkeypatch.setattr(features, "IN_MEMORY", 1000)
    found = extract(data, Counting(), batch_size=64)
    assert torch.equal(found.features, wanted)
    assert sum(seen) == len(data)
    assert max(seen) == 64


def test_features_that_are_no_numbers_are_refused():
    class Broken:
        name, digest, reads, classes = "broken", "0", "", 0

        def __call__(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
            return x.flatten(1).float().log() * 0, None

    with pytest.raises(PthetaError, match="broken features hold NaN"):
        extract(torch.zeros(3, 1, 4, 4, dtype=torch.uint8), Broken())


# -- transformers


@pytest.fixture
def dinov2(tmp_path: Path) -> Path:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    about = transformers.Dinov2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
    )
    transformers.Dinov2Model(about).save_pretrained(tmp_path / "dinov2")
    return tmp_path / "dinov2"


def test_dinov2_is_its_class_token(dinov2, monkeypatch):
    import transformers

    monkeypatch.setenv("PTHETA_DINOV2", str(dinov2))
    by = vision.Dinov2()
    assert by.reads == "224x224 colour, bicubic, antialiased"
    x = torch.randint(0, 256, (3, 3, 224, 224), dtype=torch.uint8)
    with torch.no_grad():
        found, logits = by(x)
        u = (x / 255 - torch.tensor(by.mean).view(3, 1, 1)) / torch.tensor(by.deviation).view(
            3, 1, 1
        )
        wanted = transformers.Dinov2Model.from_pretrained(dinov2).eval()(u).last_hidden_state[:, 0]
    assert logits is None
    torch.testing.assert_close(found, wanted)
    grey = extract(torch.randint(0, 256, (4, 1, 28, 28), dtype=torch.uint8), by)
    assert grey.features.shape == (4, 16)


def test_clip_reads_at_the_size_of_its_network(tmp_path, monkeypatch):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    about = transformers.CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=32,
        patch_size=16,
        projection_dim=8,
    )
    transformers.CLIPVisionModelWithProjection(about).save_pretrained(tmp_path / "clip")
    monkeypatch.setenv("PTHETA_CLIP", str(tmp_path / "clip"))
    by = vision.Clip()
    assert by.reads.startswith("32x32")
    x = torch.randint(0, 256, (4, 3, 40, 40), dtype=torch.uint8)
    assert extract(x, by).features.shape == (4, 8)
    assert by.digest == vision.Clip().digest


def test_weights_that_are_not_here_say_how_to_get_them(dinov2, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(vision, "_cached", lambda name: None)
    with pytest.raises(PthetaError, match="hf download facebook/dinov2-large"):
        vision.Dinov2()
    monkeypatch.setenv("PTHETA_DINOV2", str(tmp_path / "nowhere"))
    with pytest.raises(PthetaError, match="not on this machine at"):
        vision.Dinov2()
    monkeypatch.setenv("PTHETA_DINOV2", str(dinov2))
    (dinov2 / "model.safetensors").rename(dinov2 / "pytorch_model.bin")
    with pytest.raises(PthetaError, match="other weight files are not read"):
        vision.Dinov2()


# -- paths


class Latent(nn.Module):
    """Codes of a normal prior, decoded by a given function to images of 8x8."""

    spec = ImageSpec(1, 8, 8)

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def sample_latent(self, n: int, condition: Any = None) -> Tensor:
        return torch.randn(n, 64)

    def decode(self, z: Tensor, condition: Any = None) -> Tensor:
        return self.function(z).clamp(0, 255).round().to(torch.uint8).view(-1, 1, 8, 8)


def test_the_path_length_of_a_linear_decoder_is_that_of_an_arc():
    """Along a quarter of a circle of radius r: (pi/2 r)^2, in units of 2 r^2 for independent
    codes; the chord of a step is a little shorter than its arc."""
    by, spread = Own(nn.Identity(), "itself"), 20.0
    real = (torch.randn(500, 64) * spread + 128) / 255
    each, unit = path_length(Latent(lambda z: 128 + spread * z), by, real, paths=400)
    assert unit == pytest.approx(2 * 64 * (spread / 255) ** 2, rel=0.1)
    w = math.pi / 2
    chord = (2 * math.sin(w * STEP / 2) / STEP) ** 2 / 2
    assert each.mean().item() == pytest.approx(chord, rel=0.08)


def test_jumps_make_a_path_long_and_collapse_makes_it_none():
    by = Own(nn.Identity(), "itself")
    real = torch.rand(100, 64)
    smooth, _ = path_length(Latent(lambda z: 128 + 60 * z), by, real, paths=100)
    jumps, _ = path_length(Latent(lambda z: 255.0 * (z > 0)), by, real, paths=100)
    none, _ = path_length(Latent(lambda z: 128 + 0 * z), by, real, paths=100)
    assert jumps.mean() > 4 * smooth.mean() > 0
    assert (none == 0).all()
    with pytest.raises(PthetaError, match="give at least two"):
        path_length(Latent(lambda z: z), by, real, paths=1)


# -- labels


def by_label(fake: Features, asked: Tensor, real: Features, test: Dataset) -> list[Result]:
    """How well samples follow the labels that they were asked for."""
    ctx = Context(test, load_extractor("digits"), given=Given(None, fake, real, asked))
    names = ("kd_within_label_{extractor}", "label_accuracy_{extractor}")
    return measure(ctx, (METRICS[name] for name in names))


def test_samples_that_follow_their_labels_are_told_from_those_that_do_not():
    by, test = load_extractor("digits"), open_images("digits", "test")
    batch = open_images("digits").batch(slice(0, 600))
    theirs = batch.extra["labels"]
    fake, real = extract(batch.x, by), extract(test, by)
    right = by_label(fake, theirs, real, test)
    shuffled = theirs[torch.randperm(600, generator=torch.Generator().manual_seed(0))]
    wrong = by_label(fake, shuffled, real, test)
    names = [r.metric for r in right]
    assert names == ["kd_within_label_digits", "label_accuracy_digits"]
    values = [[r.value or 0.0 for r in results] for results in (right, wrong)]
    assert values[0][0] < 0.05 * values[1][0]
    assert values[0][1] > 0.97
    assert values[1][1] < 0.2
    assert all(r.error is not None for r in right)


def test_an_absent_class_leaves_the_mean_over_the_others_and_is_named():
    by, test = load_extractor("digits"), open_images("digits", "test")
    batch = open_images("digits").batch(slice(0, 600))
    theirs = batch.extra["labels"]
    labels = test.batch(slice(0, len(test))).extra["labels"]
    fake, real = extract(batch.x, by), extract(test, by)
    each = [
        kernel_distance(fake.features[theirs == y], real.features[labels == y])[0]
        for y in range(10)
    ]
    for side in ("samples", "real images"):
        i, j = (theirs != 7, labels >= 0) if side == "samples" else (theirs >= 0, labels != 7)
        some = test.subset(j.nonzero()[:, 0].numpy())
        found, _ = by_label(fake.rows(i), theirs[i], real.rows(j), some)
        assert found.value == pytest.approx(sum(each[:7] + each[8:]) / 9)
        assert "without 7" in found.note
    none, _ = by_label(fake.rows(torch.tensor([0])), theirs[:1], real, test)
    assert none.text() == "not defined (no label has two samples and two real images)"


def test_a_class_missing_from_the_labels_is_not_asked_for():
    class Copies(nn.Module):
        def __init__(self, spec: ImageSpec, x: Tensor, classes: tuple[str, ...]) -> None:
            super().__init__()
            self.spec, self.x, self.condition = spec, x, Labels(classes)

        def sample(self, n: int, condition: Any = None) -> Tensor:
            return self.x[torch.randint(len(self.x), (n,))]

    train = open_images("digits").subset(slice(0, 300))
    test = open_images("digits", "test")
    assert test.labels is not None
    some = test.subset(np.flatnonzero(test.labels != 3)[:200])
    found = evaluate(
        Copies(test.spec, train.batch(slice(0, 300)).x, test.classes), some, train, n=700
    )
    result = found.get("kd_within_label_digits")
    assert result is not None
    assert result.value is not None
    # nor is it asked for: the labels are those of the test images
    assert "without" not in result.note
    other = found.get("kd_digits")
    assert other is not None
    assert other.value is not None
