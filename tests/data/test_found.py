"""What is found below a folder or in an archive: read, or left out and named; never waited for."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import shutil
import socket
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ptheta.compute import room
from ptheta.data import describe, formats, open_images
from ptheta.data.archive import open_archive
from ptheta.data.names import shown
from ptheta.data.table import picture
from ptheta.errors import PthetaError
from ptheta.files import paths
from tests.data.makers import COLOUR, GREY, LABELS, idx_bytes, png, write_folder
from tests.data.test_faults import line


def written(suffix: str, name: str) -> bytes | None:
    """A picture of a format, or None where Pillow only reads it."""
    if name == "SUN":
        return None
    image = Image.fromarray(COLOUR[0])
    if suffix == ".pfm":
        image = Image.fromarray(GREY[0].astype(np.float32))
    buffer = io.BytesIO()
    image.save(buffer, name)
    return buffer.getvalue()


@pytest.mark.parametrize("name", formats.readable())
def test_every_suffix_of_a_safe_format_is_read(tmp_path, name):
    for suffix in formats.FORMATS[name]:
        data = written(suffix, name)
        if data is None:
            pytest.skip("Pillow does not write it")
        for i, case in enumerate((str.lower, str.upper)):
            (tmp_path / f"{i}{case(suffix)}").write_bytes(data)
    found = open_images(tmp_path)
    assert len(found) == 2 * len(formats.FORMATS[name])
    assert found.skipped == found.left_out == ()


def test_a_file_without_a_suffix_is_known_by_its_first_bytes(tmp_path):
    for name in set(formats.readable()) - set(formats.VAGUE) - {"SUN"}:
        data = written("", name)
        assert data is not None
        (tmp_path / name.lower()).write_bytes(data)
    n = len(list(tmp_path.iterdir()))
    for i, text in enumerate(
        (b"", b"P1", b"Pick one", b"BMW and others are makers of cars", b"GI")
    ):
        (tmp_path / f"text{i}").write_bytes(text)
    assert len(open_images(tmp_path)) == n
    assert "5 files without a suffix" in describe(tmp_path)["left out"]


@pytest.mark.parametrize("suffix", [".ps", ".eps", ".pdf", ".wmf", ".psd", ".svg", ".fits"])
def test_other_suffixes_are_named(tmp_path, suffix):
    write_folder(tmp_path, GREY)
    (tmp_path / f"a{suffix}").write_bytes(b"x")
    about = describe(tmp_path)
    assert f"1 file of suffix {suffix}" in about["left out"]
    assert any(suffix in note for note in about["notes"])
    assert any(suffix in note for note in open_images(tmp_path).notes)  # as training tells


PROGRAMS = {
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
    "EPS of DOS": b"\xc5\xd0\xd3\xc6" + struct.pack("<II", 32, 60) + b"%!PS" * 30,
    "PDF": b"%PDF-1.4\n",
    "WMF": b"\xd7\xcd\xc6\x9a" + bytes(40),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_another_program_would_draw_is_no_picture(tmp_path, monkeypatch, name):
    from PIL import EpsImagePlugin

    def run(*args, **kwargs):
        raise AssertionError("Ghostscript was called")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", run)
    folder = write_folder(tmp_path / "f", GREY)
    (folder / "class0" / "00.png").write_bytes(PROGRAMS[name])
    assert open_images(folder).skipped == ("class0/00.png: not an image",)
    (folder / "class0" / "00.png").rename(folder / "class0" / "00")
    assert "1 file without a suffix" in open_images(folder).left_out


def test_what_is_no_file_is_skipped(tmp_path):
    folder = write_folder(tmp_path / "f", GREY)
    before = np.array(open_images(folder).images)
    os.mkfifo(folder / "class0" / "pipe.png")
    os.mkfifo(folder / "class0" / "metadata.csv")
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(os.path.relpath(folder / "socket.png"))
    (folder / "device.png").symlink_to("/dev/zero")
    (folder / "class1" / "up").symlink_to(folder)
    (folder / "around").symlink_to("around")
    found = open_images(folder)
    assert np.array_equal(found.images, before)
    assert found.classes == ("class0", "class1", "class2", "class3")
    assert "5 non-files (pipe, socket or device)" in found.left_out
    assert "1 link to a folder that was already read" in found.left_out
    for source in (folder / "pipe", "/dev/zero"):
        assert "neither a file nor a folder" in line(source)
    assert "no such file" in line(folder / "around")


def test_a_linked_class_is_read_where_it_is(tmp_path):
    """Whatever order the system lists them in, a link comes after the folder that it leads to."""
    folder = write_folder(tmp_path / "f", GREY)
    for name in ("a", "class00", "z"):
        (folder / name).symlink_to("class0", target_is_directory=True)
    assert open_images(folder).classes == ("class0", "class1", "class2", "class3")


@pytest.mark.parametrize(("strays", "labelled"), [(1, True), (2, True), (5, False)])
def test_pictures_beside_classes(tmp_path, strays, labelled):
    folder = write_folder(tmp_path, GREY)
    for i in range(strays):
        Image.fromarray(255 - GREY[i]).save(folder / f"cover{i}.png")
    found = open_images(folder)
    assert (found.labels is not None) == labelled
    assert len(found.images) == 20 + (0 if labelled else strays)
    told = [*found.notes, *found.left_out]
    assert any("outside the class folders (cover0.png" in text for text in told) == labelled
    assert any(text.startswith("no labels: 5 pictures of 25") for text in told) != labelled


@given(st.binary(min_size=1, max_size=30))
def test_any_name_can_be_printed(name):
    text = shown(os.fsdecode(name))
    assert text.encode().decode() == text
    assert len(text.splitlines()) == 1


@pytest.mark.skipif(sys.platform == "darwin", reason="names are UTF-8 there")
def test_classes_of_any_name(tmp_path):
    names = [b"caf\xe9", b"$x_1$", b"<b>", b"two\nlines", "naïve".encode()]
    for k, name in enumerate(names):
        place = os.path.join(os.fsencode(tmp_path / "d"), name)
        os.makedirs(place)
        for i in range(4):
            with open(os.path.join(place, b"%d.png" % i), "wb") as file:
                file.write(png(GREY[4 * k + i]))
    about = describe(tmp_path / "d")
    assert set(about["classes"]) == {"caf\\xe9", "$x_1$", "<b>", "two\\nlines", "naïve"}
    assert json.loads(json.dumps(about)) == about
    assert not open_images(tmp_path / "d").skipped


def test_pairs_are_remarked_on(tmp_path):
    for i in range(12):
        Image.fromarray(np.hstack([GREY[i], GREY[i + 1]])).save(tmp_path / f"{i}.png")
    assert any(
        "12 of 12 pictures are twice as wide" in s for s in describe(tmp_path)["suggestions"]
    )
    Image.fromarray(GREY[0]).save(tmp_path / "one.png")
    assert open_images(write_folder(tmp_path / "square", GREY)).advice == ()


def zipped(folder: Path, to: Path, **options) -> Path:
    with zipfile.ZipFile(to, "w", **options) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return to


@pytest.mark.parametrize("parts", [("",), ("set",), ("train", "test"), ("set/train", "set/test")])
def test_an_archive_is_read_as_its_folder_is(tmp_path, parts):
    for part in parts:
        write_folder(tmp_path / "f" / part, GREY if part != "test" else 255 - GREY)
    (tmp_path / "f" / parts[0] / "notes.md").write_text("x")
    (tmp_path / "f" / parts[0] / "class0" / "00.txt").write_text("a caption")
    (tmp_path / "f" / "__MACOSX").mkdir()
    (tmp_path / "f" / "__MACOSX" / "00.png").write_bytes(b"x")
    folder = tmp_path / "f" / ("set" if parts == ("set",) else "")
    archive = zipped(tmp_path / "f", tmp_path / "f.ZIP")
    for split in ("train", "test"):
        a, b = open_images(folder, split), open_images(archive, split)
        assert np.array_equal(a.images, b.images)
        assert np.array_equal(a.rows(slice(None)), b.rows(slice(None)))
        assert a.classes == b.classes
        assert a.labels is not None
        assert b.labels is not None
        assert np.array_equal(a.labels, b.labels)
        assert list(a.captions or ()) == list(b.captions or ())
    captions = pickle.loads(pickle.dumps(open_images(archive))).captions
    assert captions is not None
    assert captions[0] == "a caption"


def test_a_damaged_picture_in_an_archive_is_skipped(tmp_path):
    archive = zipped(write_folder(tmp_path / "f", GREY), tmp_path / "a.zip")
    data = bytearray(archive.read_bytes())
    data[data.find(png(GREY[5])) + 30] ^= 255
    archive.write_bytes(data)
    skipped = open_images(archive).skipped
    assert [text.split(":")[0] for text in skipped] == ["class1/05.png"]


def test_archives_that_are_refused(tmp_path):
    def of(name: str, data: bytes = png(GREY[0])) -> Path:
        with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("b/1.png", png(GREY[1]))
            archive.writestr(name, data)
        return tmp_path / "a.zip"

    for name in ("../x.png", "/etc/x.png", "a/../../x.png", "C:/x.png", "..\\x.png"):
        assert "leads outside the archive" in line(of(name)), name
    whole = bytearray(of("x.png").read_bytes())
    at = whole.find(b"PK\x01\x02")
    whole[at + 8] |= 1
    (tmp_path / "locked.zip").write_bytes(whole)
    assert "is encrypted" in line(tmp_path / "locked.zip")
    (tmp_path / "cut.zip").write_bytes(whole[:-30])
    assert "cannot read" in line(tmp_path / "cut.zip")
    of("x.png").with_name("notes.zip").write_bytes(b"PK nothing")
    assert "cannot read" in line(tmp_path / "notes.zip")
    assert "holds no images" in line(zipped(tmp_path / "none", tmp_path / "empty.zip"))


def test_an_archive_that_claims_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("ptheta.data.archive.SMALL", 1000)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(10**6))
    assert "its declared size is 1,000,000 bytes" in line(tmp_path / "a.zip")
    monkeypatch.setattr("ptheta.data.archive.MOST_PACKED", 1000)
    monkeypatch.setattr("ptheta.data.archive.MOST_RATIO", 10**6)
    assert "1,000,000 bytes, more than 1,000" in line(tmp_path / "a.zip")
    assert open_archive(tmp_path / "a.zip").place.endswith("a.zip")


def header(shape: object, kind: str = "|u1") -> bytes:
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


BOMBS = {
    "claims 1e15 bytes": (header((10**9, 1024, 1024)) + bytes(64), "is truncated"),
    "holds more": (header((2, 8, 8)) + bytes(10**5), "too long: 100,000 bytes instead of 128"),
    "no array": (b"hello", "images is not an array"),
    "objects": (header((2, 8, 8), "|O") + bytes(1024), "Python objects"),
    "negative": (header((-2, 8, 8)) + bytes(128), "has the shape"),
    "of a later version": (b"\x93NUMPY\x09\x00" + bytes(200), "version"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_members_of_npz_that_lie(tmp_path, name):
    data, words = BOMBS[name]
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", data)
    assert words in line(tmp_path / "a.npz")


def test_what_does_not_fit_into_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "room", lambda: 10**5)
    np.savez_compressed(tmp_path / "a.npz", images=np.zeros((2000, 8, 8), np.uint8))
    packed = gzip.compress(idx_bytes(np.zeros((2000, 8, 8))))
    (tmp_path / "a-images-idx3-ubyte").write_bytes(packed)
    for name in ("a.npz", "a-images-idx3-ubyte"):
        said = line(tmp_path / name)
        assert "claims to hold 128,000 bytes" in said
        assert "room for 100,000" in said
    monkeypatch.setattr(room, "room", lambda: None)
    assert len(open_images(tmp_path / "a.npz").images) == 2000


def test_no_more_is_unpacked_than_the_header_says(tmp_path):
    bomb = gzip.compress(idx_bytes(GREY) + bytes(2**24), 1)
    for data, words in (
        (bomb, "too long: more than the 2880 bytes"),
        (gzip.compress(idx_bytes(GREY)[:-7]), "cut short: 2873 bytes"),
        (b"\0\0\x08" + bytes([100]) + bytes(400), "100 axes"),
        (gzip.compress(b"\0\0\x08\x03" + b"\xff" * 12), "claims to hold"),
    ):
        (tmp_path / "train-images-idx3-ubyte").write_bytes(data)
        assert words in line(tmp_path)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.full(20, np.inf), "inf or NaN"),
        (np.where(LABELS > 1, np.nan, 1), "inf or NaN"),
        (np.full(20, "9" * 5000), "5000 characters"),
        (np.full(20, 1j), "complex"),
        (np.zeros(20, "V4"), "whole numbers or names"),
    ],
)
def test_labels_that_are_none(tmp_path, labels, words):
    np.savez(tmp_path / "a.npz", images=GREY, labels=labels)
    assert words in line(tmp_path / "a.npz")


PIECES = ("..", ".", "/", "a", "~", "é", "\n", "\0", "*", "test_found.py", str(Path(__file__)))


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_a_table_reads_no_file_that_is_not_below_its_folder(name):
    home = Path(__file__).parent
    try:
        file = picture({"bytes": None, "path": name}, home)
    except PthetaError:
        return
    assert isinstance(file, Path)
    assert file.is_relative_to(home.resolve())


def test_links_do_not_lead_a_table_out_of_its_folder(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "secret.png").write_bytes(png(GREY[0]))
    (tmp_path / "d" / "out.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "d" / "up").symlink_to(tmp_path)
    for name in ("out.png", "up/secret.png", "../secret.png", str(tmp_path / "secret.png")):
        with pytest.raises(PthetaError, match="only files in the folder of the data are read"):
            picture(name, tmp_path / "d")


def test_paths_that_are_none(tmp_path, monkeypatch):
    for path, words in (
        ("", "empty path"),
        ("  ", "empty path"),
        ("~nobody-here/x", "no home folder ~nobody-here"),
        ("a\0b", "null character"),
    ):
        with pytest.raises(PthetaError, match=words):
            paths.expand(path)
        assert words in line(path)
    assert "unknown data" in line("a" * 5000)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert paths.expand("~/x") == tmp_path / "x"


def test_a_user_without_a_home_has_a_cache_of_their_own(tmp_path, monkeypatch):
    def homeless(cls=None):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    with pytest.warns(UserWarning, match="set PTHETA_CACHE"):
        place = paths.user_cache()
    assert place.parent == tmp_path
    assert place.stat().st_mode & 0o077 == 0
    place.chmod(0o777)
    with pytest.raises(PthetaError, match="another user"):
        paths.user_cache()
    shutil.rmtree(place)
    place.symlink_to(tmp_path)
    with pytest.raises(PthetaError, match=r"another user|cannot create"):
        paths.user_cache()
