"""Threads are chosen by the size of the work, and by what the user says before all."""

from __future__ import annotations

import click
import pytest
import torch
from click.testing import CliRunner

from ptheta.cli.commands import cli
from ptheta.compute import threads
from ptheta.specs import ImageSpec
from ptheta.tasks.sample import sampling_threads
from tests.conftest import tiny

IN_ONE = {"compress", "decompress"}  # thread, or other digits would be decoded than encoded
COMPUTE_NOTHING = {"metrics", "models", "data", "completion", "report", "study", "log", "launch"}
SPEC = ImageSpec(1, 8, 8, 2)
COMPUTE_NOTHING |= {"push", "data pack"}  # pictures keep their bytes


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two, of which none has been asked for."""
    monkeypatch.delenv(threads.VARIABLE, raising=False)
    monkeypatch.setattr(threads, "available", lambda: 2)


def small() -> None:
    x = torch.ones(4, 4)
    for _ in range(2 * threads.ENOUGH):
        x = x @ x


def large() -> None:
    torch.ones(1000, 1000) @ torch.ones(1000, 1000)


def mixed() -> None:
    """Large at the start, then many small calls."""
    large()
    small()


@pytest.mark.parametrize(("work", "count"), [(small, 1), (large, 2), (mixed, 1)])
def test_small_calls_get_one_thread_and_large_ones_all(work, count, two_cores):
    assert threads.suited(work) == count
    assert threads.suited(work) == count  # nothing that is measured, nothing by chance


@pytest.mark.parametrize("name", ["vae", "nade", "gan"])
def test_more_images_never_get_fewer_threads(name, two_cores):
    model = tiny(name, SPEC).eval()
    found = [sampling_threads(model, n, n) for n in (1, 10**3, 10**6, 10**9)]
    assert found == sorted(found)
    assert found[0] == 1


def test_judging_leaves_everything_as_it_was(two_cores):
    model, noise = tiny("vae", SPEC).eval(), torch.get_rng_state()
    count = torch.get_num_threads()
    assert threads.work(lambda: model.sample(3)) > 0
    assert torch.equal(torch.get_rng_state(), noise)
    with threads.using(2):
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == count


@pytest.mark.parametrize("work", [small, large])
def test_what_the_user_says_goes_before(work, two_cores, monkeypatch):
    with threads.fixed(3):
        assert threads.suited(work) == torch.get_num_threads() == 3
    assert torch.get_num_threads() == 1
    monkeypatch.setenv(threads.VARIABLE, "1")
    assert threads.suited(large) == 1


def test_sampling_is_the_same_with_any_number(two_cores):
    """Threads share the outputs of a product, not its sums."""
    model = tiny("vae", ImageSpec(1, 28, 28, 2), hidden=(400,)).eval()
    drawn = []
    for count in (1, 2):
        with threads.fixed(count), torch.no_grad():
            torch.manual_seed(0)
            drawn.append(model.sample(256))
    assert torch.equal(*drawn)


def verbs() -> dict[str, click.Command]:
    found = dict(cli.commands)
    for group in ("train", "sweep"):
        parent = found.pop(group)
        assert isinstance(parent, click.Group)
        child = parent.get_command(click.Context(parent, info_name=group), "vae")
        assert child is not None
        found[group] = child
    return found


@pytest.mark.parametrize("name", sorted(set(verbs()) - COMPUTE_NOTHING - IN_ONE))
def test_every_verb_that_computes_takes_threads(name):
    assert any("--threads" in param.opts for param in verbs()[name].params)


@pytest.mark.parametrize("value", ["-1", "1e12", "1000000000000", "many", ""])
def test_a_number_that_is_none_is_refused(value):
    done = CliRunner().invoke(cli, ["sample", "x", "--out", "y.npy", "--threads", value])
    assert f"--threads {value}".strip() in str(done.exception)
    assert torch.get_num_threads() == 1
