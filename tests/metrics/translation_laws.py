"""What every metric of translations must hold: `TRANSLATION_LAWS`, part of the laws of
test_table.py."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ptheta.conditions import Image
from ptheta.data import open_images
from ptheta.data.image_data import ImageDataset
from ptheta.data.inputs import StoredInputs
from ptheta.extractors.classifiers import Pixels
from ptheta.measures.results import Result
from ptheta.metrics import labeller
from ptheta.metrics.context import Context
from ptheta.metrics.table import METRICS
from ptheta.specs import ImageSpec, LabelMapSpec

GREY = ImageSpec(1, 16, 16)
LABELS = LabelMapSpec(1, 16, 16, palette=((0,), (128,), (255,)))
Answer = Callable[[Tensor], Tensor]


def grey_pairs(split: str, seed: int, n: int = 24) -> ImageDataset:
    """The target of an image is its negative."""
    x = np.random.default_rng(seed).integers(20, 220, (n, *GREY.shape)).astype(np.uint8)
    return ImageDataset("negatives", split, 255 - x, inputs=StoredInputs(x, GREY))


def label_maps(seed: int, n: int) -> Tensor:
    """Of four bands in any order two have label 0, and one each the labels 1 and 2."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(n, 4, generator=generator).argsort(1)
    bands = torch.tensor([0, 0, 1, 2])[order].repeat_interleave(4, 1)
    return bands[:, :, None].expand(-1, -1, 16).contiguous()


def photos(numbers: Tensor, seed: int = 0) -> Tensor:
    """A brightness for each label, with noise."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randint(-15, 16, numbers.shape, generator=generator)
    return (torch.tensor([40, 120, 200])[numbers] + noise)[:, None].to(torch.uint8)


def pictures_of_labels(split: str, seed: int, n: int = 24) -> ImageDataset:
    """Photos of label maps."""
    numbers = label_maps(seed, n)
    inputs = StoredInputs(LABELS.coloured(numbers).numpy(), LABELS)
    return ImageDataset("photos", split, photos(numbers, seed).numpy(), inputs=inputs)


def labels_of_pictures(split: str, seed: int, n: int = 24) -> ImageDataset:
    """The same pairs the other way round."""
    pairs = pictures_of_labels(split, seed, n)
    assert isinstance(pairs.inputs, StoredInputs)
    return ImageDataset(
        *("maps", split, pairs.inputs.images),
        inputs=StoredInputs(pairs.images, GREY),
        palette=LABELS.palette,
    )


class Answers(nn.Module):
    """A model that answers images by a function."""

    def __init__(self, data: ImageDataset, answer: Answer) -> None:
        super().__init__()
        assert data.inputs is not None
        self.spec, self.condition, self.answer = data.spec, Image(data.inputs.spec), answer
        self.weight = nn.Parameter(torch.zeros(1))

    def sample(self, n: int, condition: Any = None) -> Tensor:
        return self.answer(condition)


def rows(name: str, answer: Answer, make: Callable[..., ImageDataset], **more: Any) -> list[Result]:
    """Of test pairs and of training pairs."""
    test, train = make("test", 0), make("train", 1)
    ctx = Context(test, Pixels(), model=Answers(test, answer), train=train, n=24, **more)
    return METRICS[name].results(ctx)


def values(name: str, answer: Answer, make: Callable[..., ImageDataset]) -> list[float]:
    found = rows(name, answer, make)
    title = METRICS[name].title
    assert [r.metric for r in found] == [title, f"{title}_train"]
    return [r.value for r in found if r.value is not None]


def shifted(by: int) -> Answer:
    return lambda x: 255 - x + by


def knows_training_by_heart(x: Tensor) -> Tensor:
    """Right on the training pairs alone."""
    known = grey_pairs("train", 1).inputs
    assert isinstance(known, StoredInputs)
    seen = {image.tobytes() for image in known.images}
    right = torch.tensor([image.numpy().tobytes() in seen for image in x])
    return torch.where(right[:, None, None, None], 255 - x, 255 - x + 10)


def error_of_pixels(name: str, exact: float, by_ten: float) -> Callable[[], None]:
    """Of exact answers, of answers that are off by 10, and of those that are so on test pairs
    alone."""

    def check() -> None:
        for answer, wanted in (
            (shifted(0), (exact, exact)),
            (shifted(10), (by_ten, by_ten)),
            (knows_training_by_heart, (by_ten, exact)),
        ):
            assert values(name, answer, grey_pairs) == pytest.approx(wanted, rel=1e-9)

    return check


def structure_is_alike() -> None:
    name = "ssim_to_target{pairs}"
    assert values(name, shifted(0), grey_pairs) == pytest.approx([1, 1])
    near, far = (values(name, answer, grey_pairs) for answer in (shifted(10), lambda x: x))
    assert all(0.9 < a < 1 for a in near)
    assert all(b < 0 for b in far)


def all_but_label_two(x: Tensor) -> Tensor:
    """Label 2 is taken for label 1."""
    return LABELS.coloured((x[:, 0] > 80).long())


def labels_of_made_maps(name: str, wanted: float) -> Callable[[], None]:
    """Of n_00 = 1/2, n_11 = n_21 = 1/4 of all pixels; and of right maps."""

    def check() -> None:
        right = values(name, lambda x: LABELS.coloured((x[:, 0].long() - 1) // 80), make_maps)
        assert right == [1, 1]
        assert values(name, all_but_label_two, make_maps) == pytest.approx([wanted] * 2)

    return check


make_maps = labels_of_pictures


def labels_read_off_pictures(name: str, wanted: float) -> Callable[[], None]:
    """Of new photos of the labels nearly all that there is; where label 2 looks like label 1, what
    follows from that; the ceiling is that of the real photos."""

    def check() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(labeller, "STEPS", 70)
            patch.setattr(labeller, "BATCH", 8)
            right = rows(name, lambda x: photos(LABELS.numbers(x), 7), pictures_of_labels)
            wrong = rows(
                name, lambda x: photos(LABELS.numbers(x).clamp(max=1), 7), pictures_of_labels
            )
        assert [r.metric.endswith("_train") for r in right] == [False, True]
        for r in right:
            assert r.value == pytest.approx(1, abs=0.06)
            assert r.value == pytest.approx(r.protocol["ceiling"], abs=0.03)
            assert "on the real pictures" in r.note
        assert [r.value for r in wrong] == pytest.approx([wanted] * 2, abs=0.06)

    return check


def noise_like(x: Tensor) -> Tensor:
    return torch.randint(0, 256, x.shape, dtype=torch.uint8)


def styles(name: str) -> float:
    """Of answers at random."""
    ctx = Context(
        *(grey_pairs("test", 0), Pixels()),
        model=Answers(grey_pairs("test", 0), noise_like),
        train=grey_pairs("train", 1),
        n=24,
    )
    (found,) = METRICS[name].results(ctx)
    assert found.value is not None
    return found.value


def answers_differ() -> None:
    """Two draws of 0..255 differ by (256^2 - 1) / (3 * 256); the same answer not at all."""
    assert styles("style_l1") == pytest.approx(65535 / 768, rel=0.02)
    (found,) = rows("style_l1", shifted(0), grey_pairs)
    assert found.value == 0


def answers_differ_as_real_images_do() -> None:
    """The deviation of uniform noise over 0..255 is that over 20..219 times 256 / 200."""
    assert styles("style_distance_{extractor}") == pytest.approx(256 / 200, rel=0.1)
    (found,) = rows("style_distance_{extractor}", shifted(0), grey_pairs)
    assert found.value == 0


# -- domains


@cache
def scenes() -> ImageDataset:
    """30 scenes by day and the same by night."""
    data = open_images("day-night", "test")
    some = np.concatenate([np.arange(30), 1000 + np.arange(30)])
    return data.subset(some)


class Carries(nn.Module):
    """A model that carries scenes over by a function of image and domain."""

    condition = None

    def __init__(self, carry: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.spec, self.carry = scenes().spec, carry
        self.weight = nn.Parameter(torch.zeros(1))

    def input_spec(self) -> ImageSpec:
        return self.spec

    def domains(self) -> tuple[str, ...]:
        return ("night", "day")  # in another order than the data's

    def varied(self) -> bool:
        return False

    def translate(self, x: Tensor, to: Tensor | None = None) -> Tensor:
        assert to is not None
        return self.carry(x, to)


@cache
def _known() -> Mapping[bytes, int]:
    data = scenes()
    return {data.images[row].tobytes(): int(row) for row in data.rows(slice(None))}


def rightly(x: Tensor, to: Tensor) -> Tensor:
    """The same scene in the domain, found by its pixels."""
    data, found = scenes(), []
    assert data.partners is not None
    assert data.labels is not None
    for image, domain in zip(x, to.tolist(), strict=True):
        row = _known()[image.numpy().tobytes()]
        there = data.classes[int(data.labels[row])] == ("night", "day")[domain]
        found.append(data.images[row if there else data.partners[row]])
    return torch.from_numpy(np.stack(found))


def not_at_all(x: Tensor, to: Tensor) -> Tensor:
    return x


def another_scene(x: Tensor, to: Tensor) -> Tensor:
    """Of the right domain."""
    return rightly(x, to).roll(1, 0)


def black(x: Tensor, to: Tensor) -> Tensor:
    return torch.zeros_like(x)


def to_domains(
    name: str, carry: Callable[[Tensor, Tensor], Tensor], test: ImageDataset | None = None
) -> dict[str, Result]:
    data = test or scenes()
    ctx = Context(data, Pixels(), model=Carries(carry), n=200)
    found = METRICS[name].results(ctx)
    return dict(zip(("night", "day"), found, strict=True))


def of_domains(
    name: str, carry: Callable[[Tensor, Tensor], Tensor], test: ImageDataset | None = None
) -> list[float]:
    found = to_domains(name, carry, test)
    for domain, result in found.items():
        extractor = "_pixels" if "{extractor}" in name else ""
        assert result.metric == f"{METRICS[name].family}_{domain}{extractor}"
    return [r.value for r in found.values() if r.value is not None]


def distance_to_the_domain(name: str) -> Callable[[], None]:
    """None of the images of the domain themselves; that of the other domain of a copy, which
    stands in the note."""

    def check() -> None:
        right, copied = of_domains(name, rightly), of_domains(name, not_at_all)
        assert all(a < 0.02 * b for a, b in zip(right, copied, strict=True))
        for found, copy in zip(to_domains(name, rightly).values(), copied, strict=True):
            assert found.protocol["copy"] == pytest.approx(copy, abs=2e-6)
            assert found.note == f"{copy:.4g} for the input copied"

    return check


def there_and_back() -> None:
    """Nothing is lost by what finds the way back; all of the picture by what makes it black."""
    name = "cycle_l1_to_{domain}"
    assert of_domains(name, rightly) == [0, 0]
    data = scenes()
    day, night = (data.images[start : start + 30] for start in (0, 1000))
    assert of_domains(name, black) == pytest.approx([day.mean(), night.mean()])


def partner(name: str, right: float, measure: Callable[[Any, Any], float]) -> Callable[[], None]:
    """Of the partner itself, and of a copy by the measure written out."""

    def check() -> None:
        assert of_domains(name, rightly) == pytest.approx([right] * 2)
        data = scenes()
        day, night = (data.images[start : start + 30].astype(float) for start in (0, 1000))
        copied = [measure(day, night), measure(night, day)]
        assert of_domains(name, not_at_all) == pytest.approx(copied)
        assert [r.protocol["copy"] for r in to_domains(name, rightly).values()] == pytest.approx(
            copied, abs=1e-5
        )
        none = replace(data, partners=np.full(2000, -1))
        assert of_domains(name, rightly, none) == []

    return check


def _l1(a: Any, b: Any) -> float:
    return float(np.abs(a - b).mean())


def _psnr(a: Any, b: Any) -> float:
    mse = ((a - b) ** 2).mean((1, 2, 3))
    return float((20 * math.log10(255) - 10 * np.log10(mse)).mean())


def structure_of_partners() -> None:
    name = "partner_ssim_to_{domain}"
    assert of_domains(name, rightly) == pytest.approx([1, 1])
    copied = of_domains(name, not_at_all)
    assert all(0 < value < 0.6 for value in copied)
    assert copied[0] == pytest.approx(copied[1])


def scenes_are_read(name: str, copied: float, other: float) -> Callable[[], None]:
    """Right of the partner; of a copy the look is wrong and the rest kept; of another scene of the
    domain the other way round."""

    def check() -> None:
        assert of_domains(name, rightly) == [1, 1]
        assert of_domains(name, not_at_all) == [copied] * 2
        assert of_domains(name, another_scene) == pytest.approx([other] * 2, abs=0.1)

    return check


TEN = 20 * math.log10(25.5)
TRANSLATION_LAWS: dict[str, Callable[[], None]] = {
    "l1_to_target{pairs}": error_of_pixels("l1_to_target{pairs}", 0, 10),
    "psnr_to_target{pairs}": error_of_pixels("psnr_to_target{pairs}", 100, TEN),
    "ssim_to_target{pairs}": structure_is_alike,
    "pixel_accuracy{pairs}": labels_of_made_maps("pixel_accuracy{pairs}", 3 / 4),
    "class_accuracy{pairs}": labels_of_made_maps("class_accuracy{pairs}", 2 / 3),
    "iou{pairs}": labels_of_made_maps("iou{pairs}", 1 / 2),
    "labeller_pixel_accuracy{pairs}": labels_read_off_pictures(
        "labeller_pixel_accuracy{pairs}", 3 / 4
    ),
    "labeller_class_accuracy{pairs}": labels_read_off_pictures(
        "labeller_class_accuracy{pairs}", 2 / 3
    ),
    "labeller_iou{pairs}": labels_read_off_pictures("labeller_iou{pairs}", 1 / 2),
    "style_l1": answers_differ,
    "style_distance_{extractor}": answers_differ_as_real_images_do,
    "translation_fd_to_{domain}_{extractor}": distance_to_the_domain(
        "translation_fd_to_{domain}_{extractor}"
    ),
    "translation_kd_to_{domain}_{extractor}": distance_to_the_domain(
        "translation_kd_to_{domain}_{extractor}"
    ),
    "cycle_l1_to_{domain}": there_and_back,
    "partner_l1_to_{domain}": partner("partner_l1_to_{domain}", 0, _l1),
    "partner_psnr_to_{domain}": partner("partner_psnr_to_{domain}", 100, _psnr),
    "partner_ssim_to_{domain}": structure_of_partners,
    "scene_look_to_{domain}": scenes_are_read("scene_look_to_{domain}", 0, 1),
    "scene_kept_to_{domain}": scenes_are_read("scene_kept_to_{domain}", 1, 0),
}
