"""The model of a training on many GPUs: its limits, and its parts against counting."""

from __future__ import annotations

import dataclasses
import math

import pytest
from benchmarks.scaling_model import (
    CLUSTERS,
    ETHERNET,
    GPUS,
    NDR,
    NVLINK,
    OTHERS,
    PCIE,
    RESULTS,
    SIZES,
    Cluster,
    Cost,
    Link,
    Measured,
    Row,
    fitted,
    read,
    strong,
    weak,
)
from hypothesis import given
from hypothesis import strategies as st

LINK = Link("any", 1e9, 1e9, 1e-6, 2e-6)
FREE = Link("free", math.inf, math.inf, 0.0, 0.0)
MESSAGES = ((1e6, 2.0), (16.0, 1.0))
# the same work of one process at any number of processes
GAME = Measured(
    {},
    250_000,
    tuple(Row(n, b, 1e-4 * b, MESSAGES if n > 1 else ()) for n in (1, *SIZES) for b in (1, 1024)),
)


def ring(values: list[list[float]]) -> tuple[list[list[float]], int, int]:
    """An all-reduce of R rows of R numbers, one after another as a ring makes it: (the rows, its
    steps, the numbers that each process sends)."""
    size = len(values)
    held = [list(row) for row in values]
    steps = sent = 0
    for adds in (True, False):
        for k in range(size - 1):
            parts = [(r - k + (not adds)) % size for r in range(size)]
            moved = [held[r][part] for r, part in enumerate(parts)]
            for r, (part, number) in enumerate(zip(parts, moved, strict=True)):
                to = held[(r + 1) % size]
                to[part] = to[part] + number if adds else number
            steps, sent = steps + 1, sent + 1
    return held, steps, sent


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
def test_a_ring_takes_the_steps_and_bytes_of_the_formula(size):
    values = [[float(10 * r + part) for part in range(size)] for r in range(size)]
    held, steps, sent = ring(values)
    totals = [sum(column) for column in zip(*values, strict=True)]
    assert held == [totals] * size
    cost = LINK.by_ring(4.0 * size, size)
    assert cost.latency == pytest.approx(steps * LINK.ring)
    assert cost.transfer == pytest.approx(4 * sent / LINK.reached)


@given(st.floats(1, 1e9))
def test_one_process_sends_nothing(size):
    assert LINK.all_reduce(size, 1).seconds == 0
    assert all(cluster.all_reduce(size, 1).seconds == 0 for cluster in CLUSTERS)


@given(st.floats(1, 1e9), st.sampled_from((8, 16, 64, 512)))
def test_machines_of_equal_links_send_what_one_ring_sends(size, processes):
    """Their steps are fewer."""
    link = dataclasses.replace(LINK, tree=math.inf)
    cluster = Cluster("equal", link, link, GPUS, 0.0)
    one, parts = link.by_ring(size, processes), cluster.all_reduce(size, processes)
    assert parts.transfer == pytest.approx(one.transfer, rel=1e-12)
    assert parts.latency <= one.latency


@pytest.mark.parametrize("processes", SIZES)
def test_links_without_limits_lose_nothing(processes):
    cluster = Cluster("free", FREE, FREE, GPUS, 0.0)
    assert weak(GAME, cluster, processes, 32).efficiency == pytest.approx(1)
    assert strong(GAME, cluster, processes, 1024).efficiency == pytest.approx(1)


@pytest.mark.parametrize("cluster", CLUSTERS, ids=lambda cluster: cluster.name)
def test_more_processes_and_larger_messages_take_longer(cluster):
    times = [[cluster.all_reduce(size, n).seconds for n in (1, *SIZES)] for size in (16, 1e6, 1e8)]
    assert all(row == sorted(row) for row in times)
    assert all(list(column) == sorted(column) for column in zip(*times, strict=True))
    steps = [weak(GAME, cluster, n, 32).efficiency for n in SIZES]
    assert steps == sorted(steps, reverse=True)
    assert 0 < min(steps) <= max(steps) < 1


def test_a_shared_port_is_the_limit_of_large_messages():
    """All bytes of a machine pass it twice: 2 (N - 1) / N of the message."""
    cluster = Cluster("one port", FREE, ETHERNET, 1, 0.0)
    for machines in (2, 8, 64):
        found = cluster.all_reduce(1e9, machines * GPUS).transfer
        assert found == pytest.approx(2 * (machines - 1) / machines * 1e9 / ETHERNET.reached)


def test_messages_add_to_the_work():
    cluster = CLUSTERS[0]
    step = weak(GAME, cluster, 64, 32)
    sent = sum(times * cluster.all_reduce(size, 64).seconds for size, times in MESSAGES)
    assert step.seconds == pytest.approx(32e-4 + sent)


@pytest.mark.parametrize(("size", "loss"), [(4.0, "latency"), (1e9, "bandwidth")])
def test_the_largest_loss_depends_on_the_messages(size, loss):
    rows = (Row(1, 32, 1e-3, ()), Row(64, 32, 1.01e-3, ((size, 1.0),)))
    assert weak(Measured({}, 1, rows), CLUSTERS[0], 64, 32).largest_loss() == loss
    slower = (rows[0], dataclasses.replace(rows[1], seconds=1.0))
    assert weak(Measured({}, 1, slower), CLUSTERS[0], 64, 32).largest_loss() == "local work"


@given(st.floats(1e-7, 1e-3), st.floats(1e6, 1e12), st.integers(2, 9))
def test_a_link_is_found_from_its_times(latency, bandwidth, processes):
    link = Link("any", bandwidth, bandwidth, latency, math.inf)
    rows = [(4.0**k, link.by_ring(4.0**k, processes).seconds) for k in range(2, 20)]
    found = fitted(rows, processes)
    for size, seconds in rows:
        assert found.all_reduce(size, processes).seconds == pytest.approx(seconds, rel=1e-6)


def test_steps_between_and_beyond_the_measured_ones():
    rows = (Row(1, 2, 0.5, ()), Row(1, 4, 1.0, ()), Row(8, 4, 3.0, ((8.0, 1.0),)))
    game = Measured({}, 2, rows)
    assert [game.seconds(batch, 1) for batch in (1, 2, 3, 4, 8)] == [0.5, 0.5, 0.75, 1.0, 2.0]
    assert game.seconds(4, 8) == 3.0
    assert game.seconds(3, 64) == 0.75  # no rows: those of one process
    assert game.messages(3, 64) == ((8.0, 1.0),)
    assert game.messages(3, 1) == ()
    assert Measured.of_json(game.to_json()) == game


def test_the_model_is_near_what_others_have_measured():
    """16 GPUs; in between it is too fast, since it takes the start of LL128 at any size."""
    ratios = [CLUSTERS[0].all_reduce(size, 2 * GPUS).seconds / found for size, found in OTHERS]
    assert 0.4 < min(ratios) < max(ratios) < 1.3


def test_numbers_of_links_have_sources():
    for link in (NVLINK, PCIE, NDR, ETHERNET):
        assert link.reached < link.published
        assert len(link.sources) == 3


def test_the_measured_steps_are_of_all_sizes():
    about, games = read(RESULTS / "scaling_steps.json")
    for game in games.values():
        assert {row.processes for row in game.rows} == {1, *SIZES}
        assert game.seconds(about["batch"], 1) > 0
        for row in game.rows:
            assert bool(row.messages) == (row.processes > 1)


def test_costs_add():
    assert (Cost(1, 2) + Cost(3, 4)).times(2) == Cost(8, 12)
