"""Many images: drawn in parts, written as they come, and gone on with after a kill."""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

import ptheta
from ptheta import tasks
from ptheta.api.draw import samples
from ptheta.api.export import Images, check_out, check_size, export
from ptheta.data.own import drawn
from ptheta.errors import InUse, PthetaError
from ptheta.files.atomic import SAMPLES, locked
from ptheta.files.images import PICTURES
from ptheta.runs.folder import Run
from ptheta.specs import ImageSpec
from ptheta.tasks.sample import Part
from tests.conftest import tiny, write_images

SPEC = ImageSpec(1, 8, 8, 2)
N, BATCH = 10, 4
WRITTEN = ["a.npy", "a.NPY", "a.npz", "folder", *(f"a{suffix}" for suffix in PICTURES)]


@pytest.fixture(scope="module")
def run(strokes: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("sampled") / "cvae"
    options: dict[str, Any] = {"hidden": (8,), "latent": 2, "levels": 2, "batch_size": 8}
    return ptheta.train("cvae", strokes, out, steps=1, evaluate_every=0, **options)


def pixels(n: int, channels: int = 1) -> Tensor:
    return torch.randint(0, 256, (n, channels, 8, 8), dtype=torch.uint8)


@settings(max_examples=30, deadline=None)
@given(
    name=st.sampled_from(["vae", "cvae", "nade"]),
    n=st.integers(1, 12),
    size=st.integers(1, 13),
    stopped=st.integers(0, 12),
    seed=st.integers(0, 2**63 - 1),
)
def test_parts_are_the_images_of_one_call_wherever_it_goes_on(name, n, size, stopped, seed):
    model = tiny(name, SPEC).eval()
    whole = tasks.sample(model, n, seed=seed, batch_size=size)
    parts: list[Part] = []
    for part in tasks.sample_batches(model, n, seed=seed, batch_size=size):
        parts.append(part)
        torch.rand(3)  # what the caller draws between two parts changes nothing
        if len(parts) == stopped:
            break
    start = parts[-1].stop
    parts += tasks.sample_batches(model, n, seed=seed, batch_size=size, start=start)
    assert [part.start for part in parts] == list(range(0, n, size))
    assert torch.equal(torch.cat([part.x for part in parts]), whole)


def test_a_part_leaves_the_stream_of_the_caller_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    for _ in tasks.sample_batches(tiny("vae", SPEC).eval(), 5, batch_size=2):
        assert not torch.equal(before, torch.get_rng_state())  # `tiny` draws weights
        before = torch.get_rng_state()
        break
    list(tasks.sample_batches(tiny("vae", SPEC).eval(), 5, batch_size=2))
    model, before = tiny("vae", SPEC).eval(), torch.get_rng_state()
    for _ in tasks.sample_batches(model, 5, batch_size=2):
        assert torch.equal(before, torch.get_rng_state())


def test_a_request_in_vain_is_refused_before_the_first_part():
    of_attributes = tiny("cvae", SPEC, condition=ptheta.Attributes(("a", "b")))
    with pytest.raises(PthetaError, match="takes no labels"):
        tasks.sample_batches(tiny("vae", SPEC), 5, labels=[1])
    with pytest.raises(PthetaError, match="give finite numbers"):
        tasks.sample_batches(of_attributes, 5, attributes=[1.0, float("nan")])
    with pytest.raises(PthetaError, match="start = 2: want a multiple of batch_size = 256"):
        tasks.sample_batches(tiny("vae", SPEC), 5, start=2)


@pytest.mark.parametrize("name", ["x.npy", "x.NPZ", "folder"])
def test_only_the_part_at_hand_is_in_memory(name, tmp_path):
    alive: list[weakref.ref[Tensor]] = []

    def parts(first: int) -> Iterator[Part]:
        for start in range(first, 40, 4):
            assert sum(ref() is not None for ref in alive) <= 1  # the one before
            x = pixels(4)
            alive.append(weakref.ref(x))
            yield Part(start, x)
            del x

    export(Images(40, (1, 8, 8), {"seed": 0}, parts, 4), check_out(tmp_path / name))
    assert len(alive) == 10


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_holds_the_images(name, channels, tmp_path):
    x = pixels(9, channels)
    path = write_images(x, tmp_path / "new" / name)
    umask = os.umask(0)
    os.umask(umask)
    if path.is_dir():
        found = np.stack([np.asarray(Image.open(p)) for p in sorted(path.glob("*.png"))])
        assert torch.equal(torch.from_numpy(found).view(9, 8, 8, -1).permute(0, 3, 1, 2), x)
        assert all(p.stat().st_mode & 0o777 == 0o666 & ~umask for p in path.iterdir())
        return
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask
    if "np" in path.suffix.lower():
        array = np.load(path)
        kept = array if isinstance(array, np.ndarray) else array["images"]
        assert np.array_equal(kept, x.numpy())
    else:
        with Image.open(path) as picture:
            assert picture.size == (8 * (3 * 9 - 1), 8 * (3 * 9 - 1))
        assert drawn(lambda most: path.read_bytes()[:most])


def test_too_many_for_a_picture_are_refused_and_small_ones_are_drawn_smaller(tmp_path):
    check_size(tmp_path / "a.png", 100_000, (1, 8, 8))
    for name in ("a.png", "a.webp", "a.JPG"):
        with pytest.raises(PthetaError, match=r"as \.npy or into a folder"):
            check_size(tmp_path / name, 10**9, (1, 8, 8))
    with pytest.raises(PthetaError, match="GiB are free there"):
        check_size(tmp_path / "a.npy", 10**15, (1, 8, 8))
    check_size(tmp_path / "folder", 10**9, (1, 8, 8))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def files_touched(work: Callable[[], object], stop_before: int) -> int:
    """How many operations on files `work` does in a process of its own, which is killed before
    operation `stop_before`."""
    events = {"open", "os.rename", "os.remove", "os.chmod", "os.mkdir", "os.rmdir", "os.listdir"}
    read, write = os.pipe()
    child = os.fork()
    if not child:
        done = 0

        def hook(event: str, _: object) -> None:
            nonlocal done
            if event not in events:
                return
            if done >= stop_before:
                os.write(write, done.to_bytes(4, "big"))
                os._exit(9)
            done += 1

        sys.addaudithook(hook)
        work()
        os.write(write, done.to_bytes(4, "big"))
        os._exit(0)
    os.waitpid(child, 0)
    found = int.from_bytes(os.read(read, 4), "big")
    os.close(read)
    os.close(write)
    return found


def check_kills(run: Run, tmp_path: Path, name: str, step: int) -> None:
    """Killed before every `step`-th operation on a file, the same request gives the same files."""

    def work(out: Path) -> Path:
        return export(samples(run, N, seed=3, batch_size=BATCH), check_out(out))

    work(tmp_path / "whole" / name)
    whole = contents(tmp_path / "whole" / name if name == "x" else tmp_path / "whole")
    total = files_touched(lambda: work(tmp_path / "count" / name), 10**6)
    assert total > 8
    for stop in range(0, total, step):
        folder = tmp_path / str(stop)
        assert files_touched(partial(work, folder / name), stop) == stop
        if name != "x" and (folder / name).exists():
            assert (folder / name).read_bytes() == whole[name]
        work(folder / name)
        assert contents(folder / name if name == "x" else folder) == whole


def test_a_folder_goes_on_after_some_kills(run, tmp_path):
    check_kills(run, tmp_path, "x", 23)


def test_an_array_is_whole_or_not_there(run, tmp_path):
    check_kills(run, tmp_path, "x.npy", 1)


@pytest.mark.slow
def test_a_folder_goes_on_after_every_kill(run, tmp_path):
    check_kills(run, tmp_path, "x", 1)


REQUESTS: dict[str, dict[str, Any]] = {
    "seed": {"seed": 4},
    "images": {"n": 11},
    "condition": {"labels": [1]},
}


@pytest.mark.parametrize("what", REQUESTS)
def test_images_of_another_request_are_not_mixed_in(what, run, tmp_path):
    first: dict[str, Any] = {"run": run, "n": N, "seed": 3, "batch_size": BATCH}
    export(samples(**first), check_out(tmp_path / "x"))
    before = contents(tmp_path / "x")
    with pytest.raises(PthetaError, match=f"were started with {what} ") as error:
        export(samples(**{**first, **REQUESTS[what]}), check_out(tmp_path / "x"))
    assert "\n" not in str(error.value)
    assert contents(tmp_path / "x") == before
    (tmp_path / "x" / "00001.png").unlink()  # what is missing is drawn again
    export(samples(**first), check_out(tmp_path / "x"))
    assert contents(tmp_path / "x") == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Samples of a model", "images of an older version"),
        ("{", "is not valid JSON"),
        ("{}", "field required"),
        ('{"format": 1, "asked": {}, "done": 4, "noise": []}', "input should be 2"),
        ('{"format": 2, "asked": {}, "done": -1}', "greater than or equal to 0"),
        ('{"format": 2, "asked": {"seed": 1}, "done": 4}', "started with images none"),
    ],
)
def test_a_damaged_record_is_one_line(text, words, tmp_path):
    (tmp_path / SAMPLES).write_text(text)
    with pytest.raises(PthetaError, match=words) as error:
        write_images(pixels(3), tmp_path)
    assert "\n" not in str(error.value)
    assert contents(tmp_path) == {SAMPLES: text.encode()}


def test_one_process_at_a_time_writes_into_a_folder(tmp_path):
    x = pixels(3)
    write_images(x, tmp_path / "x")
    with locked(tmp_path / "x", "writing images"), pytest.raises(InUse, match="is in use"):
        write_images(x, tmp_path / "x")
    write_images(x, tmp_path / "x")
