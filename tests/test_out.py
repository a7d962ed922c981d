"""Places to write to are judged before the work, and judging creates nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ptheta.errors import PthetaError
from ptheta.files.out import check_file, check_folder, listed

PICTURES = (".png", ".npy")


@pytest.mark.parametrize("address", ["https://host/s", "s3://bucket/s", "file:///s"])
def test_an_address_is_no_folder(address: str) -> None:
    for check in (check_file, check_folder):
        with pytest.raises(PthetaError, match=r"this is an address, and files of this machine"):
            check(address)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a folder, a file, a FIFO, a link to nothing and a circle of links in it."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file.png").write_text("kept")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nothing")
    (tmp_path / "circle.png").symlink_to(tmp_path / "circle.png")
    return tmp_path


def listing(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))


def as_file(path: Path | str) -> Path:
    return check_file(path, PICTURES)


@pytest.mark.parametrize(
    "name", ["new.png", "NEW.PNG", "new.npy", "file.png", "missing/deep/new.png", "folder/new.png"]
)
def test_files_that_can_be_written(place: Path, name: str) -> None:
    before = listing(place)
    assert as_file(place / name) == place / name
    assert listing(place) == before


@pytest.mark.parametrize("name", ["folder", "new", "missing/deep", "with.dot", "y" * 250])
def test_folders_that_can_be_written(place: Path, name: str) -> None:
    before = listing(place)
    assert check_folder(place / name) == place / name
    assert listing(place) == before


@pytest.mark.parametrize(
    ("check", "name", "why"),
    [
        (as_file, "new.jpg", r"\.png or \.npy, not '\.jpg'"),
        (as_file, "new", "without a suffix"),
        (as_file, "folder.png", "is a folder"),
        (as_file, "pipe.png", "no ordinary file"),
        (as_file, "dangling.png", "link to nothing"),
        (as_file, "circle.png", "choose another"),
        (as_file, "file.png/new.png", "file.png is a file"),
        (as_file, "file.png/deep/new.png", "file.png is a file"),
        (as_file, "x" * 300 + ".png", "304 bytes"),
        (as_file, "é" * 130 + ".png", "264 bytes"),
        (as_file, "missing/" + "x" * 300 + "/x.png", "300 bytes"),
        (as_file, "/".join(["x" * 200] * 30) + "/x.png", "choose another"),
        (as_file, "nul\0.png", "null character"),
        (check_folder, "file.png", "is a file"),
        (check_folder, "pipe.png", "is a file"),
        (check_folder, "dangling.png", "link to nothing"),
        (check_folder, "file.png/new", "file.png is a file"),
        (check_folder, "x" * 256, "256 bytes"),
        (check_folder, "missing/" + "x" * 256, "256 bytes"),
        (check_folder, "odd\udcff", "not UTF-8"),
    ],
)
def test_places_that_are_refused(
    place: Path, check: Callable[[Path | str], Path], name: str, why: str
) -> None:
    before = listing(place)
    with pytest.raises(PthetaError, match=why) as error:
        check(f"{place}/{name}")
    assert "\n" not in str(error.value)
    assert str(error.value).startswith("--out")
    assert listing(place) == before


@pytest.mark.parametrize("check", [as_file, check_folder])
@pytest.mark.parametrize("name", ["", "~nobody-of-this-name/x.png"])
def test_names_that_are_no_places(check: Callable[[Path | str], Path], name: str) -> None:
    with pytest.raises(PthetaError, match="--out"):
        check(name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.parametrize(("check", "name"), [(as_file, "x.png"), (check_folder, "x")])
def test_a_folder_without_the_right_to_write(
    tmp_path: Path, check: Callable[[Path | str], Path], name: str
) -> None:
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(PthetaError, match="cannot write into"):
            check(tmp_path / name)
    finally:
        tmp_path.chmod(0o755)


def test_a_list_reads_as_one() -> None:
    assert listed((".a", ".b", ".c")) == ".a, .b or .c"
    assert listed((".a",)) == ".a"


@pytest.mark.parametrize("check", [as_file, check_folder])
@pytest.mark.parametrize("name", ["example:vae.png", "example:new.png", "./example:a/b.png"])
def test_nothing_is_written_where_examples_are_named(check: Callable[[str], Path], name: str):
    """What lay there could not be opened: such a name is taken for that of an example."""
    with pytest.raises(
        PthetaError,
        match=r"--out .*example:.* of ptheta or of the hub, .*: choose another",
    ):
        check(name)
