"""Cache entries: whole or absent, up to date, and shared by processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ptheta.data import open_images
from ptheta.data.cache import Stored, Writer, cached
from ptheta.errors import PthetaError
from ptheta.files.atomic import TEMPORARY, temporary, tidy
from tests.data.makers import GREY, noise, write_folder

ABOUT = dict[str, str]


def entries(place: Path) -> list[str]:
    return sorted(entry.name for entry in place.iterdir())


def numbers(writer: Writer) -> dict[str, str]:
    for start in range(0, 40, 10):
        writer.add("numbers", np.arange(start, start + 10, dtype=np.uint8)[:, None])
    return {"kind": "numbers"}


def never(writer: Writer) -> dict[str, str]:
    raise AssertionError("built again")


def check(stored: Stored[dict[str, str]]) -> None:
    assert np.array_equal(stored.arrays["numbers"][:, 0], np.arange(40))
    assert stored.about == {"kind": "numbers"}


def test_an_entry_is_built_once_for_a_stamp_and_the_old_one_goes(tmp_path):
    check(cached(tmp_path, "a", 1, numbers, ABOUT))
    check(cached(tmp_path, "a", 1, never, ABOUT))
    check(cached(tmp_path, "b", 1, numbers, ABOUT))
    before = entries(tmp_path)
    old = cached(tmp_path, "a", 1, never, ABOUT)
    check(cached(tmp_path, "a", 2, numbers, ABOUT))
    check(old)  # who has it open goes on
    assert len(entries(tmp_path)) == 2
    assert len(set(entries(tmp_path)) & set(before)) == 1


def test_a_build_that_fails_leaves_nothing(tmp_path):
    def fail(writer: Writer) -> dict[str, str]:
        numbers(writer)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        cached(tmp_path, "a", 1, fail, ABOUT)
    assert entries(tmp_path) == []
    check(cached(tmp_path, "a", 1, numbers, ABOUT))


@pytest.mark.parametrize("file", ["numbers.bin", "about.json"])
def test_a_damaged_entry_is_built_anew(tmp_path, file):
    cached(tmp_path, "a", 1, numbers, ABOUT)
    damaged = next(tmp_path.glob(f"*/{file}"))
    damaged.write_bytes(damaged.read_bytes()[:7])
    check(cached(tmp_path, "a", 1, numbers, ABOUT))
    check(cached(tmp_path, "a", 1, never, ABOUT))


def test_an_entry_that_says_something_else_than_is_expected_is_built_anew(tmp_path):
    def pairs(writer: Writer) -> list[int]:
        numbers(writer)
        return [1, 2]

    check(cached(tmp_path, "a", 1, numbers, ABOUT))
    assert cached(tmp_path, "a", 1, pairs, list[int]).about == [1, 2]
    check(cached(tmp_path, "a", 1, numbers, ABOUT))


def test_what_a_killed_process_left_is_removed(tmp_path):
    """At once where it is known to be dead, a day later where it ran on another machine."""
    here = temporary(tmp_path).name
    host, pid = here.removeprefix(TEMPORARY).split("-")[:2]
    dead = subprocess.Popen(["true"])
    dead.wait()
    gone = [here.replace(f"-{pid}-", f"-{dead.pid}-"), here.replace(host, "f" * 8) + "0"]
    stay = [here, here.replace(host, "f" * 8)]
    for name in gone + stay:
        (tmp_path / name).mkdir()
    os.utime(tmp_path / gone[1], (time.time() - 200_000,) * 2)
    cached(tmp_path, "a", 1, numbers, ABOUT)
    assert sorted(n for n in entries(tmp_path) if n.startswith(TEMPORARY)) == sorted(stay)


def test_two_processes_that_decode_at_once_agree(tmp_path):
    folder = write_folder(tmp_path / "f", [noise(60, 60, 3) for _ in range(20)])
    code = "import sys, ptheta; print(ptheta.open_images(sys.argv[1]).images.sum())"
    command = [sys.executable, "-c", code, str(folder)]
    env = {**os.environ, "PTHETA_CACHE": str(tmp_path / "cache")}
    both = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) for _ in "ab"]
    said = {process.communicate(timeout=60)[0] for process in both}
    assert len(said) == 1
    assert int(said.pop()) == np.sum(open_images(folder, cache_dir=tmp_path / "cache").images)
    assert len(entries(tmp_path / "cache")) == 1


def test_a_given_folder_is_used(tmp_path, monkeypatch):
    monkeypatch.setenv("PTHETA_CACHE", str(tmp_path / "unused"))
    data = open_images(write_folder(tmp_path / "f", GREY), cache_dir=tmp_path / "mine")
    assert isinstance(data.images, np.memmap)
    assert not (tmp_path / "unused").exists()
    assert len(entries(tmp_path / "mine")) == 1


def test_the_share_of_broken_files_is_no_reason_to_decode_again(tmp_path):
    folder = write_folder(tmp_path / "f", GREY)
    (folder / "class0" / "00.png").write_bytes(b"nonsense")
    with pytest.raises(PthetaError, match=r"1 of 20 images .* --max-broken"):
        open_images(folder, max_broken=0.01)
    before = entries(Path(os.environ["PTHETA_CACHE"]))
    assert len(open_images(folder, max_broken=0.05)) == 17
    assert entries(Path(os.environ["PTHETA_CACHE"])) == before


def test_floats_and_other_sizes_are_converted_once(tmp_path):
    np.save(tmp_path / "f.npy", (GREY / 255).astype(np.float32))
    data = open_images(tmp_path / "f.npy")
    assert isinstance(data.images, np.memmap)
    assert np.array_equal(data.images[:, 0], GREY)
    np.save(tmp_path / "u.npy", GREY[:, None])
    straight = open_images(tmp_path / "u.npy").images
    assert isinstance(straight, np.memmap)
    assert str(straight.filename) == str(tmp_path / "u.npy")  # nothing was copied
    small = open_images(tmp_path / "u.npy", size=8, channels=3)
    assert isinstance(small.images, np.memmap)
    wanted = Image.fromarray(GREY[0]).resize((8, 8), Image.Resampling.LANCZOS)
    assert np.array_equal(small.images[0, 2], np.asarray(wanted))


def test_a_wrong_clock_does_not_remove_what_another_machine_writes(tmp_path, monkeypatch):
    theirs = tmp_path / f"{TEMPORARY}otherhost-1-abcd"
    theirs.mkdir()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 30 * 86_400)
    tidy.cache_clear()
    tidy(tmp_path)
    assert theirs.exists()
