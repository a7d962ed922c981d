"""Batches that are read before their step, as for a GPU: the same batches, noise and weights."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ptheta
from ptheta.batch import Batch, Together
from ptheta.compute.constants import on
from ptheta.data.image_data import ImageDataset
from ptheta.specs.trust import is_trusted, trusted
from ptheta.training import loop
from ptheta.training.ahead import Ahead, Direct, carrier
from ptheta.training.sampler import BatchSampler
from tests.conftest import TINY
from tests.training.test_runs import QUIET, same

IMAGES = np.random.default_rng(3).integers(0, 256, (40, 1, 8, 8), dtype=np.uint8)


class Early:
    """A carrier that begins before the step, as that of a GPU does. log: (what, sum of x)"""

    device, early = torch.device("cpu"), True

    def __init__(self) -> None:
        self.log: list[tuple[str, int]] = []

    def begin(self, batch: Batch) -> Batch:
        self.log.append(("begin", int(batch.x.sum())))
        return batch.each(torch.clone)

    def end(self, begun: Batch) -> Batch:
        self.log.append(("end", int(begun.x.sum())))
        return begun


def data(**options: Any) -> ImageDataset:
    return ImageDataset("noise", "train", IMAGES, labels=np.arange(40) % 3, **options)


def test_the_next_batch_is_begun_before_this_one_is_done():
    carried, sampler = Early(), BatchSampler(40, 8, 0)
    ahead = Ahead(data(), sampler, carried, last=3)
    sums = [int(data().batch(sampler.indices(step)).x.sum()) for step in (1, 2, 3)]
    for step in (1, 2, 3):
        assert torch.equal(ahead.take(step).x, data().batch(sampler.indices(step)).x)
        ahead.begin(step + 1)
    one, two, three = sums
    assert carried.log == [
        *(("begin", one), ("end", one), ("begin", two)),
        *(("end", two), ("begin", three), ("end", three)),  # and none beyond the last step
    ]


def test_a_batch_of_another_step_is_not_used():
    sampler = BatchSampler(40, 8, 0)
    ahead = Ahead(data(), sampler, Early())
    ahead.begin(2)
    assert torch.equal(ahead.take(5).x, data().batch(sampler.indices(5)).x)


def test_batches_that_draw_noise_are_made_in_their_step():
    drawing = data(levels=2, dynamic=True)
    assert drawing.draws
    assert not data(levels=2).draws
    carried = Early()
    ahead = Ahead(drawing, BatchSampler(40, 8, 0), carried)
    ahead.begin(1)
    assert not carried.log


def test_the_carrier_of_the_cpu_copies_nothing():
    direct, batch = carrier(torch.device("cpu")), data().batch(slice(0, 4))
    assert isinstance(direct, Direct)
    assert not direct.early
    assert direct.end(direct.begin(batch)).x.data_ptr() == batch.x.data_ptr()


def test_every_tensor_of_a_batch_moves():
    parts = Together({"labels": torch.zeros(4), "attributes": torch.ones(4, 2)})
    batch = Batch(torch.zeros(4, 1), parts, {"masks": torch.zeros(4, 3)})
    assert [tuple(t.shape) for t in batch.tensors()] == [(4, 1), (4,), (4, 2), (4, 3)]
    moved = batch.to(torch.device("meta"))
    assert {t.device.type for t in moved.tensors()} == {"meta"}
    assert isinstance(moved.condition, Together)


@pytest.mark.parametrize("dynamic", [False, True])
def test_runs_are_the_same_with_batches_read_ahead_also_when_resumed(
    dynamic: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The last step of the first part has begun no batch of the second one's noise."""
    options: dict[str, Any] = {**TINY["vae"], **QUIET, "held_out": 0, "levels": 2}
    options |= {"dynamic": dynamic, "checkpoint_every": 3}
    plain = ptheta.train("vae", IMAGES, tmp_path / "plain", steps=10, **options)
    monkeypatch.setattr(loop, "carrier", lambda device: Early())
    ahead = ptheta.train("vae", IMAGES, tmp_path / "ahead", steps=10, **options)
    ptheta.train("vae", IMAGES, tmp_path / "parts", steps=5, **options)
    parts = ptheta.train("vae", IMAGES, tmp_path / "parts", steps=10, resume=True, **options)
    assert same(plain.path, ahead.path)
    assert same(plain.path, parts.path)


def test_trust_is_of_a_thread_and_ends():
    inside, ended = threading.Event(), threading.Event()

    def other() -> None:
        with trusted():
            inside.set()
            ended.wait()

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait()
    assert not is_trusted()
    with trusted():
        ended.set()
        thread.join()
        assert is_trusted()
    assert not is_trusted()


def test_a_constant_used_first_in_inference_can_be_used_in_training():
    constant = torch.arange(3)
    with torch.inference_mode():
        on(constant, torch.device("meta"))
    assert not on(constant, torch.device("meta")).is_inference()
