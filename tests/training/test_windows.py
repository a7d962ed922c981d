"""The order of training on shards: exactly once, whatever the processes and the kill point."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import ptheta
from ptheta.data.windows import Windows
from ptheta.errors import PthetaError
from ptheta.training.sampler import BalancedSampler, WindowSampler

TRIPLES = 20


def starts(sizes):
    return np.cumsum(sizes) - sizes


def sampler(sizes, window, batch, seed=0, rank=0, size=1, rows=None):
    order = Windows(starts(sizes), window)
    n = int(sizes.sum()) if rows is None else len(rows)
    return WindowSampler(order.of(rows, n, (seed,)), batch, seed, rank, size)


def stream(make, processes, steps, killed):
    """What the processes take, step by step; all are killed after some steps and start anew."""
    found = []
    for first, last in ((1, killed), (killed + 1, steps)):
        group = [make(rank, processes) for rank in range(processes)]  # nothing is remembered
        for step in range(first, last + 1):
            shares = [one.indices(step) for one in group]
            batch = np.empty(sum(map(len, shares)), np.int64)
            for rank, share in enumerate(shares):
                batch[rank::processes] = share
            found.append(batch)
    return np.concatenate(found)


@pytest.mark.parametrize("case", range(TRIPLES))
def test_every_sample_comes_exactly_once_an_epoch(case):
    rng = np.random.default_rng(case)
    sizes = rng.integers(1, 60, rng.integers(1, 25))
    n, processes = int(sizes.sum()), int(rng.integers(1, 9))
    batch = min(processes * int(rng.integers(1, 9)), max(processes, n - n % processes))
    if n < max(2, processes):
        pytest.skip("too few")
    window, epochs = int(rng.integers(1, 10)), 3
    steps = -(-epochs * n // batch)
    killed = int(rng.integers(0, steps))

    def make(rank, size):
        return sampler(sizes, window, batch, seed=case, rank=rank, size=size)

    taken = stream(make, processes, steps, killed)[: epochs * n].reshape(epochs, n)
    for epoch in taken:
        assert np.array_equal(np.sort(epoch), np.arange(n))
    one = stream(lambda rank, size: sampler(sizes, window, batch, seed=case), 1, steps, 0)
    assert np.array_equal(one[: epochs * n].reshape(epochs, n), taken)
    if n > 20:
        assert not np.array_equal(taken[0], taken[1])


def test_the_batch_size_does_not_change_the_order():
    sizes = np.array([7, 9, 5, 11])
    orders = [
        np.concatenate([sampler(sizes, 2, b).batch(s) for s in range(1, 64 // b + 1)])
        for b in (1, 4, 16)
    ]
    assert all(np.array_equal(orders[0], order) for order in orders)


def test_few_shards_are_open_at_once():
    sizes, window = np.full(40, 50), 4
    one = sampler(sizes, window, 20)
    firsts = starts(sizes)
    for step in range(1, 2 * one.per_epoch):
        both = np.concatenate([one.batch(step), one.batch(step + 1)])
        assert len(np.unique(np.searchsorted(firsts, both, side="right"))) <= 2 * window


def test_windows_are_shuffled_as_a_whole():
    sizes = np.full(12, 100)
    first = sampler(sizes, 12, 400).batch(1)
    assert len(np.unique(first // 100)) == 12
    assert 30 < np.abs(np.diff(np.sort(first))).sum() / 10 < 130


def test_an_order_can_be_entered_anywhere_and_keeps_few_windows():
    sizes = np.full(50, 20)
    order = Windows(starts(sizes), 5).of(None, 1000, (3,))
    whole = order.take(0, 3000)
    for start, stop in ((2990, 3000), (5, 10), (999, 1001), (1500, 1501), (0, 0)):
        assert np.array_equal(order.take(start, stop), whole[start:stop])
        assert len(order._kept) <= 3


def test_a_subset_is_read_in_the_order_of_its_shards():
    sizes = np.full(10, 30)
    rng = np.random.default_rng(0)
    rows = np.sort(rng.choice(300, 200, replace=False))
    mixed = rng.permutation(200)
    one, other = sampler(sizes, 3, 8, rows=rows), sampler(sizes, 3, 8, rows=rows[mixed])
    for step in (1, 2, 25, 26, 60):
        assert np.array_equal(rows[one.batch(step)], rows[mixed][other.batch(step)])


def test_shards_without_examples_of_a_subset_do_no_harm():
    rows = np.array([0, 1, 2, 95, 96])
    one = sampler(np.full(10, 10), 2, 5, rows=rows)
    for epoch in range(4):
        assert np.array_equal(np.sort(one.batch(1 + epoch)), np.arange(5))


def test_domains_in_shards_come_equally_often():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 90)
    rows = np.arange(90)
    order = Windows(starts(np.full(9, 10)), 2)
    one = BalancedSampler(labels, ("a", "b"), 6, 0, rows=rows, order=order)
    counts = np.zeros(90, int)
    for step in range(1, 200):
        batch = one.batch(step)
        assert (labels[batch] == 0).sum() == 3
        np.add.at(counts, batch, 1)
    for k in (0, 1):
        assert np.ptp(counts[labels == k]) <= 1


def test_batches_that_cannot_be_shared_are_refused():
    with pytest.raises(PthetaError, match="does not divide among 3 processes"):
        sampler(np.full(3, 10), 2, 4, size=3)


KILLED = """
import os, sys, threading, time
from pathlib import Path
import ptheta

def kill():
    while len(list(Path(sys.argv[2]).glob("state/*"))) < int(sys.argv[4]):
        time.sleep(0.002)
    os.killpg(0, 9)

if __name__ == "__main__":
    os.setpgid(0, 0)
    if int(sys.argv[4]):
        threading.Thread(target=kill, daemon=True).start()
    ptheta.train(
        "vae", sys.argv[1], sys.argv[2], steps=60, processes=int(sys.argv[3]), resume=True,
        hidden=(8,), latent=2, batch_size=12, checkpoint_every=4, evaluate_every=0,
        sample_every=0, threads=1, best="none",
    )
"""


@pytest.mark.slow
@pytest.mark.parametrize("killed", [((1, 2), (1, 0)), ((2, 1), (1, 0)), ((1, 1), (2, 1), (2, 0))])
def test_runs_that_are_killed_go_on_in_the_middle_of_a_shard(tmp_path, killed):
    """killed: (processes, checkpoints after which all are killed, 0 for never) of each start"""
    x = np.random.default_rng(0).integers(0, 256, (150, 8, 8), dtype=np.uint8)
    shards = str(ptheta.pack(x, tmp_path / "s", images_per_shard=11).folder)
    starts = {"whole": [(1, 0)], "parts": killed}
    for name, each in starts.items():
        for processes, checkpoints in each:
            words = [shards, str(tmp_path / name), str(processes), str(checkpoints)]
            done = subprocess.run([sys.executable, "-c", KILLED, *words], capture_output=True)
            assert done.returncode == (-9 if checkpoints else 0), done.stderr.decode()
    a, b = (load_file(tmp_path / name / "model.safetensors") for name in starts)
    alone = all(processes == 1 for processes, _ in killed)
    for name, values in a.items():
        assert torch.equal(values, b[name]) if alone else torch.allclose(values, b[name], atol=1e-5)
