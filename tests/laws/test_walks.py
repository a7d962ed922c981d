"""Walks end where they should and keep the noise that they say; films hold each image."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import one_hot

from ptheta import tasks
from ptheta.api.films import HELD, Moving, Screen
from ptheta.capabilities import code_parts
from ptheta.compute.streams import seeded
from ptheta.conditions import Labels
from ptheta.data import ImageDataset
from ptheta.errors import PthetaError
from ptheta.extractors.classifiers import Pixels
from ptheta.models.variational.base import Variational
from ptheta.specs import ImageSpec
from ptheta.tasks.averaged import averaged
from ptheta.tasks.interpolate import between
from ptheta.tasks.midway import FADE, PIXELS, cross_fade, distances, midways
from ptheta.tasks.traverse import fixed, most_answered, named_parts
from tests.conftest import tiny

SPEC = ImageSpec(1, 8, 8, 2)


def images(n: int, seed: int = 0) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randint(0, 2, (n, 1, 8, 8), generator=g, dtype=torch.uint8) * 255


@pytest.mark.parametrize("straight", [False, True])
def test_a_walk_between_images_ends_at_their_reconstructions(straight):
    model, x = tiny("vae", SPEC).eval(), images(6)
    walk = tasks.interpolate(model, 3, 4, ends=(x[:3], x[3:]), straight=straight)
    rows = walk.unflatten(0, (3, 4))
    back = tasks.reconstruct(model, x)
    assert torch.equal(rows[:, 0], back[:3])
    assert torch.equal(rows[:, -1], back[3:])


def test_the_condition_walks_where_both_ends_have_one():
    model, x = tiny("cvae", SPEC).eval(), images(6)
    first, last = torch.tensor([0, 1, 2]), torch.tensor([2, 0, 2])
    walk = tasks.interpolate(model, 3, 5, ends=(x[:3], x[3:]), condition=first, to=last)
    rows = walk.unflatten(0, (3, 5))
    back = tasks.reconstruct(model, x, torch.cat([first, last]))
    assert torch.equal(rows[:, 0], back[:3])
    assert torch.equal(rows[:, -1], back[3:])


def test_a_model_without_an_encoder_walks_between_codes_that_it_looks_for():
    model = tiny("gan", SPEC).eval()
    x = tasks.sample(model, 4, seed=1)
    walk = tasks.interpolate(model, 2, 3, ends=(x[:2], x[2:])).unflatten(0, (2, 3))
    found = tasks.invert(model, x[:2], restarts=4, steps=300, drawn=2000)
    assert torch.equal(walk[:, 0], model.decode(found.codes))


@pytest.mark.parametrize("name", ["cgan", "projection-gan", "cvae", "made", "pixelcnn"])
def test_a_walk_between_labels_begins_and_ends_at_samples_of_these_labels(name):
    """Of the same noise: of a VAE, their means."""
    model = tiny(name, SPEC, condition=Labels(("a", "b", "c"))).eval()
    rows = between(model, 3, 4, torch.tensor([0]), torch.tensor([2]), seed=5)
    rows = rows.unflatten(0, (3, 4))
    shown = averaged(model) if name == "cvae" else model
    for step, label in ((0, 0), (-1, 2)):
        same = tasks.sample(shown, 3, seed=5, labels=[label])
        assert torch.equal(rows[:, step], same)


def test_a_walk_needs_two_conditions_that_something_lies_between():
    with pytest.raises(PthetaError, match="takes no condition"):
        between(tiny("vae", SPEC).eval(), 1, 3, torch.tensor([0]), torch.tensor([1]))
    with pytest.raises(PthetaError, match="2 or more"):
        between(tiny("cvae", SPEC).eval(), 1, 1, torch.tensor([0]), torch.tensor([1]))


def test_means_are_those_of_the_codes_that_samples_are_drawn_of():
    model = tiny("vae", SPEC).eval()
    assert isinstance(model, Variational)
    with seeded(3):
        z = model.sample_latent(5)
    means = tasks.sample(averaged(model), 5, seed=3)
    assert torch.equal(means, model.decode(z))
    drawn = torch.stack([tasks.sample(model, 5, seed=3).double(), *_redrawn(model, z, 400)])
    assert (drawn.mean(0) - means.double()).abs().mean() < 255 / 400**0.5
    assert set(tasks.sample(model, 5, seed=3).unique().tolist()) <= {0, 255}
    with pytest.raises(PthetaError, match="does not sample given a code"):
        averaged(tiny("gan", SPEC))


def _redrawn(model: Variational, z: torch.Tensor, times: int) -> list[torch.Tensor]:
    return [model.likelihood(z).sample().double() for _ in range(times)]


def test_a_category_is_traversed_by_its_values_and_each_is_what_is_sampled_with_it():
    model = tiny("infogan", SPEC).eval()
    parts = {part.name: part for part in code_parts(model)}
    c0 = parts["c0"]
    for seed in range(3):
        x = tasks.sample(model, 1, seed=seed)
        with seeded(seed):
            z = model.sample_latent(1)
        own = int(z[0, c0.start : c0.start + c0.size].argmax())
        row = tasks.traverse(model, z[0], ["c0"])
        assert len(row) == c0.size
        assert torch.equal(row[own], x[0])
        each = fixed(model, z.repeat(c0.size, 1), {})
        each[:, c0.start : c0.start + c0.size] = one_hot(torch.arange(c0.size), c0.size)
        assert torch.equal(row, model.decode(each))
        assert torch.equal(fixed(model, z, {"c0": 2}), each[2:3])


def test_numbers_with_a_name_go_over_their_range_and_others_by_the_prior():
    model = tiny("infogan", SPEC).eval()
    z = model.sample_latent(1)
    c1 = next(part for part in code_parts(model) if part.name == "c1")
    ends = z.repeat(2, 1)
    ends[:, c1.start] = torch.tensor([-1.0, 1.0])
    row = tasks.traverse(model, z[0], ["c1"], steps=5, reach=9.0)
    assert torch.equal(row[[0, -1]], model.decode(ends))
    assert torch.equal(row, tasks.traverse(model, z[0], [c1.start], steps=5))
    ends = z.repeat(2, 1)
    ends[:, 1] = torch.tensor([-2.0, 2.0])
    assert torch.equal(tasks.traverse(model, z[0], ["z1"], steps=2, reach=2.0), model.decode(ends))
    size = z.shape[1]
    assert sum(part.size for part in named_parts(model, size).values()) == size
    for dim, words in (
        ("c9", "unknown part of the code"),
        (size, f"has 0 to {size - 1}"),
        (c1.start - 1, "is of the category c0"),
    ):
        with pytest.raises(PthetaError, match=words):
            tasks.traverse(model, z[0], [dim])
    with pytest.raises(PthetaError, match="an image each"):
        tasks.traverse(model, z[0], ["c0"], steps=2)
    with pytest.raises(PthetaError, match="one of 0 to"):
        fixed(model, z, {"c0": 99})
    with pytest.raises(PthetaError, match="one of 0 to"):
        fixed(model, z, {"c0": 0.5})


def test_the_numbers_that_change_images_most_come_after_the_parts_with_a_name():
    model = tiny("gan", SPEC).eval()
    dead = 4
    layer = next(m for m in model.generator.modules() if isinstance(m, torch.nn.Linear))
    with torch.no_grad():
        layer.weight[:, dead] = 0
    order = most_answered(model)
    assert order[-1] == f"z{dead}"
    assert sorted(order) == sorted(f"z{i}" for i in range(len(order)))
    assert most_answered(tiny("infogan", SPEC).eval())[0] == "c0"


def test_a_film_goes_there_and_back_and_its_ends_stay(tmp_path: Path):
    x = torch.arange(3 * 5, dtype=torch.uint8).view(3, 1, 5, 1, 1, 1) * 16
    x = x.expand(3, 1, 5, 1, 8, 8)
    screen = Screen.at(tmp_path / "walk.gif", None, 10)
    screen.check(3, 1, 5, SPEC)
    grid = screen.write(Moving(x), "walks")
    assert grid.x.shape == (15, 1, 8, 8)
    film = Image.open(tmp_path / "walk.gif")
    assert film.info["loop"] == 0
    assert film.n_frames == 2 * 5 - 2  # type: ignore[attr-defined]
    frames, times = [], []
    for t in range(8):
        film.seek(t)
        frames.append(np.asarray(film.convert("L")).copy())
        times.append(film.info["duration"])
    assert times == [100 * HELD, 100, 100, 100, 100 * HELD, 100, 100, 100]
    for t, back in ((1, 7), (2, 6), (3, 5)):
        assert np.array_equal(frames[t], frames[back])
    assert all(not np.array_equal(a, b) for a, b in pairwise(frames))
    side = 64 // 8
    assert frames[0].shape == (17 * side, 17 * side)  # three of 8 pixels in a square of two
    assert abs(int(frames[4][4, 4]) - 64) <= 2


def test_a_film_has_members_below_each_other_and_groups_side_by_side():
    x = torch.zeros(2, 3, 4, 1, 8, 8, dtype=torch.uint8)
    x[1, 2, 3] = 200
    moving = Moving(x, ("a", "b", "c"))
    frames = moving.frames(1)
    assert len(frames) == 6
    assert frames[0].shape[0] == 3 * 9 - 1
    assert (frames[3] == 200).sum() >= 64
    assert (frames[3][18:, -8:] == 200).all()
    assert len(moving.images().captions) == 6


def test_a_cross_fade_is_the_mean_of_pixels():
    a, b = images(3), images(3, 1)
    fade = cross_fade(a, b, 5)
    assert torch.equal(fade[:, 0], a)
    assert torch.equal(fade[:, -1], b)
    assert torch.equal(fade[:, 2], ((a.double() + b.double()) / 2).round_().to(torch.uint8))


def test_middles_are_as_far_as_they_are():
    """Training images are black and white; a middle of grey is half way from either, and one that
    is among them is at 0."""
    train = torch.zeros(20, 1, 8, 8, dtype=torch.uint8)
    train[10:] = 255
    known = distances(ImageDataset("some", "train", train.numpy()), Pixels())
    assert list(known) == [PIXELS]
    a, b = train[:10], train[10:]
    a = a.clone()
    a[:, :, 0, 0] = 51  # of 64 pixels one is off: sqrt(51^2 / 64)
    walk = torch.stack([a, b, b], 1)
    far = midways({"jump": walk}, a, b, known)[PIXELS]
    assert far["jump"].middle.value == pytest.approx(0, abs=1e-3)
    assert far["jump"].ends.value == pytest.approx(51 / 8 / 2, rel=1e-4)
    assert far[FADE].middle.value == pytest.approx(127.5, rel=0.01)
    assert far[FADE].nearer is None
    assert far["jump"].nearer is not None
    assert far["jump"].nearer.value == pytest.approx(far[FADE].middle.value, rel=1e-3)
    with pytest.raises(PthetaError, match="at least two"):
        midways({}, a[:1], b[:1], known)
