"""Every kind of source gives the same pixels; every fault gives one line."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ptheta.data import decode, describe, open_images, picture, sources
from ptheta.data import embedded as embedded_sets
from ptheta.data.dataset import Dataset
from ptheta.data.image_data import ImageDataset
from ptheta.data.reader import SourceReader
from ptheta.data.request import Request
from ptheta.data.splits import Part, choose
from ptheta.errors import PthetaError
from tests.data.makers import COLOUR, GREY, LABELS, RNG, idx_bytes, write_folder, write_parquet


def together(source: Path | str, **options) -> tuple[np.ndarray, np.ndarray | None]:
    """All images of both splits and their labels, in an order that does not depend on the split."""
    parts = [
        open_images(source, split, **options).batch(slice(None)) for split in ("train", "test")
    ]
    x = np.concatenate([p.x.numpy() for p in parts])
    order = np.lexsort(x.reshape(len(x), -1).T)
    labels = [p.extra["labels"].numpy() for p in parts if "labels" in p.extra]
    return x[order], np.concatenate(labels)[order] if labels else None


def expected(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.lexsort(images.reshape(len(images), -1).T)
    return images[order], LABELS[order]


def written(root: Path, images: np.ndarray) -> dict[str, Path]:
    np.save(root / "a.npy", images)
    np.savez(root / "a.npz", images=images, labels=LABELS)
    found = {
        "folder of png": write_folder(root / "png", images),
        "folder of lossless webp": write_folder(root / "webp", images, "webp", lossless=True),
        "npz": root / "a.npz",
        "parquet": write_parquet(root / "a.parquet", images),
    }
    if images.ndim == 3:
        (root / "x-images-idx3-ubyte").write_bytes(idx_bytes(images))
        (root / "x-labels-idx1-ubyte").write_bytes(idx_bytes(LABELS))
        found["idx file"] = root / "x-images-idx3-ubyte"
    return found


@pytest.mark.parametrize("images", [GREY, COLOUR], ids=["grey", "colour"])
def test_every_kind_of_source_gives_the_same_pixels(tmp_path, images):
    chw = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    x, y = expected(chw)
    for kind, source in written(tmp_path, images).items():
        got, labels = together(source)
        assert np.array_equal(got, x), kind
        assert labels is not None
        assert np.array_equal(labels, y), kind
        train, test = open_images(source), open_images(source, "test")
        assert (len(train), len(test)) == (18, 2), kind
    assert np.array_equal(together(tmp_path / "a.npy")[0], x)


def test_official_splits_are_used(tmp_path):
    for prefix, part in (("train", slice(0, 15)), ("t10k", slice(15, 20))):
        data = idx_bytes(GREY[part])
        (tmp_path / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(data))
        labels = gzip.compress(idx_bytes(LABELS[part]))
        (tmp_path / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(labels)
    assert np.array_equal(open_images(tmp_path).images[:, 0], GREY[:15])
    test = open_images(tmp_path, "test")
    assert test.labels is not None
    assert np.array_equal(test.images[:, 0], GREY[15:])
    assert np.array_equal(test.labels, LABELS[15:])
    np.savez(tmp_path / "s.npz", x_train=GREY[:15], y_train=LABELS[:15], x_test=GREY[15:])
    assert len(open_images(tmp_path / "s.npz")) == 15
    assert len(open_images(tmp_path / "s.npz", "test")) == 5
    (tmp_path / "p").mkdir()
    write_parquet(tmp_path / "p" / "train-0.parquet", GREY)
    write_parquet(tmp_path / "p" / "test-0.parquet", GREY)
    parquet = open_images(tmp_path / "p", "test")
    assert len(parquet) == 20
    assert parquet.classes == ("a", "b", "c", "d")
    assert parquet.captions is not None
    assert parquet.captions[3] == "number 3"


def test_kinds_of_pixels(tmp_path):
    """16 bits are scaled, palettes looked up, transparency put on white, EXIF turned upright."""
    ramp = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4

    def read(image: Image.Image, name: str, **options) -> np.ndarray:
        path = tmp_path / name
        image.save(path, **options)
        return np.asarray(picture.load(path).image)

    assert np.array_equal(read(Image.fromarray(ramp.astype(np.uint16) * 257), "a.png"), ramp)
    palette = Image.fromarray(ramp // 128).convert("P")
    palette.putpalette([10, 20, 30, 200, 100, 50])
    assert set(map(tuple, read(palette, "b.png").reshape(-1, 3))) == {(10, 20, 30), (200, 100, 50)}
    clear = np.dstack([ramp, ramp, ramp, np.zeros_like(ramp)])
    assert (read(Image.fromarray(clear), "c.png") == 255).all()
    assert (read(palette, "d.png", transparency=0)[ramp < 128] == 255).all()
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    for name, lossless in (("e.png", {}), ("e.tif", {}), ("e.webp", {"lossless": True})):
        turned = read(Image.fromarray(ramp), name, exif=exif, **lossless)
        assert np.array_equal(turned.reshape(8, 8, -1)[..., 0], ramp[::-1, ::-1])
    cmyk = read(Image.fromarray(np.dstack([ramp] * 3)).convert("CMYK"), "f.jpg")
    assert cmyk.shape == (8, 8, 3)
    assert np.asarray(picture.load(tmp_path / "a.png").image).dtype == np.uint8
    bits = Image.fromarray(ramp > 100)
    assert set(np.unique(read(bits, "g.png"))) == {0, 255}
    frames = [Image.fromarray(np.full((8, 8), v, dtype=np.uint8)) for v in (30, 200)]
    first = read(frames[0], "h.gif", save_all=True, append_images=frames[1:])
    assert abs(int(first.flat[0]) - 30) <= 2


def test_sizes_and_colours(tmp_path):
    for i, side in enumerate((40, 90, 200)):
        Image.fromarray(RNG.integers(0, 256, (side, side + 30, 3), dtype=np.uint8)).save(
            tmp_path / f"{i}.jpg"
        )
    assert open_images(tmp_path).spec.shape == (3, 64, 64)
    assert open_images(tmp_path, size=20).spec.shape == (3, 20, 20)
    assert open_images(tmp_path, size=20, channels=1).spec.shape == (1, 20, 20)
    assert open_images("digits", size=16, channels=3).spec.shape == (3, 16, 16)
    # the centre is what is kept
    wide = np.zeros((10, 30), dtype=np.uint8)
    wide[:, 10:20] = 255
    assert (picture.resize_and_crop(Image.fromarray(wide), picture.Shape(1, 10, 10)) == 255).all()


def test_the_second_start_decodes_nothing(tmp_path, monkeypatch):
    folder = write_folder(tmp_path / "f", GREY)
    first = np.array(open_images(folder).images)

    def fail(raw):
        raise AssertionError("decoded again")

    monkeypatch.setattr(decode, "load", fail)
    again = open_images(folder)
    assert isinstance(again.images, np.memmap)
    assert np.array_equal(again.images, first)
    monkeypatch.undo()
    monkeypatch.setenv("PTHETA_CACHE", str(tmp_path / "other"))
    Image.fromarray(255 - GREY[0]).save(folder / "class0" / "00.png")
    assert not np.array_equal(open_images(folder).images, first)


def test_broken_files_are_skipped_counted_and_listed(tmp_path):
    folder = write_folder(tmp_path / "f", GREY)
    whole = (folder / "class1" / "01.png").read_bytes()
    (folder / "class1" / "01.png").write_bytes(whole[: len(whole) // 2])
    (folder / "class2" / "02.png").write_bytes(b"")
    data = open_images(folder, max_broken=0.2)
    assert len(data) + len(open_images(folder, "test", max_broken=0.2)) == 18
    assert [line.split(":")[0] for line in data.skipped] == ["class1/01.png", "class2/02.png"]
    about = describe(folder)
    assert about["skipped files"] == 2
    with pytest.raises(PthetaError, match=r"2 of 20 images .* --max-broken") as error:
        open_images(folder, max_broken=0.05)
    assert "\n" not in str(error.value)


def test_labels_follow_the_kept_files(tmp_path):
    folder = write_folder(tmp_path / "f", GREY)
    (folder / "class0" / "00.png").write_bytes(b"nonsense")
    x, y = together(folder)
    assert y is not None
    for image, label in zip(x, y, strict=True):
        assert LABELS[next(i for i in range(20) if np.array_equal(GREY[i], image[0]))] == label


def read_text(path: Path, request: Request) -> tuple[Dataset, Part]:
    images = np.array([[int(word) for word in line.split()] for line in path.open()], np.uint8)
    return ImageDataset(path.stem, request.split, images[:, None, None]), choose(
        request.split, ["train"], path
    )


def test_a_new_kind_of_source_is_a_function_and_an_entry(tmp_path, monkeypatch):
    rows = RNG.integers(0, 256, (30, 12))
    np.savetxt(tmp_path / "a.TXT", rows, fmt="%d")
    with pytest.raises(PthetaError, match=r"is not a supported data format: .* \.zip or IDX file"):
        open_images(tmp_path / "a.TXT")
    entry = sources.PathKind.of_files(
        ".txt", open=lambda path: SourceReader("text", lambda request: read_text(path, request))
    )
    monkeypatch.setattr(sources, "SOURCES", [*sources.SOURCES, entry])
    train, test = open_images(tmp_path / "a.TXT"), open_images(tmp_path / "a.TXT", "test")
    kept = np.sort(np.concatenate([d.batch(slice(None)).x[:, 0, 0] for d in (train, test)]), 0)
    assert np.array_equal(kept, np.sort(rows, 0))
    assert describe(tmp_path / "a.TXT")["kind"] == "text"
    with pytest.raises(PthetaError, match=r"IDX or \.txt file"):
        open_images(__file__)
    with pytest.raises(PthetaError, match=r"no such file or folder: org/name\.txt"):
        open_images("org/name.txt")


def test_bad_sources_are_one_clear_line(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "note.txt").write_text("x")
    (tmp_path / "cut-images-idx3-ubyte").write_bytes(idx_bytes(GREY)[:-5])
    (tmp_path / "bad-images-idx3-ubyte").write_bytes(b"PK\x03\x04nonsense")
    np.save(tmp_path / "signed.npy", GREY.astype(np.float32) / 127 - 1)
    np.save(tmp_path / "flat.npy", GREY.reshape(20, -1))
    np.savez(tmp_path / "odd.npz", a=GREY, b=GREY)
    np.savez(tmp_path / "few.npz", images=GREY, labels=LABELS[:3])
    np.save(tmp_path / "pickled.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "not.parquet").write_bytes(b"PAR0")
    for source, words in {
        "digts": "did you mean 'digits'",
        tmp_path / "missing": "no such file or folder",
        tmp_path / "empty": "holds no images",
        tmp_path / "note.txt": "not a supported data format",
        tmp_path / "cut-images-idx3-ubyte": "cut short",
        tmp_path / "bad-images-idx3-ubyte": "not an IDX file",
        tmp_path / "signed.npy": r"floats from -1 to",
        tmp_path / "flat.npy": "rows of vectors of 144 numbers",
        tmp_path / "odd.npz": "keys a, b",
        tmp_path / "few.npz": "3 labels for 20 images",
        tmp_path / "pickled.npy": "cannot read",
        tmp_path / "not.parquet": "cannot read",
    }.items():
        with pytest.raises(PthetaError, match=words) as error:
            open_images(source)
        assert "\n" not in str(error.value), source
    with pytest.raises(PthetaError, match="unknown split 'tets': did you mean 'test'"):
        open_images("digits", "tets")


def test_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("PTHETA_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(PthetaError, match="set PTHETA_CACHE"):
        open_images(write_folder(tmp_path / "f", GREY))


def test_hub_names_go_through_the_datasets_library(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b", "c", "d"])}
    )
    rows = {"image": [Image.fromarray(image) for image in GREY], "label": LABELS.tolist()}
    table = datasets.Dataset.from_dict(rows, features=features)
    parts = datasets.DatasetDict({"train": table, "test": table.select(range(5))})
    asked = []

    def load_dataset(name):
        asked.append(name)
        return parts

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    train, test = open_images("mnist"), open_images("someone/mnist", "test")
    assert list(dict.fromkeys(asked)) == ["ylecun/mnist", "someone/mnist"]
    assert test.repeated().all()  # the test part of that table is a part of train
    assert np.array_equal(train.images[:, 0], GREY)
    assert (len(test), train.classes) == (5, ("a", "b", "c", "d"))

    def offline(name):
        raise ConnectionError("no route\nto the hub")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(PthetaError, match=r"cannot load 'org/name' from the hub \(no route\)"):
        open_images("org/name")


@pytest.mark.parametrize("name", ["digits", "fashion"])
def test_embedded_sets_are_balanced_and_apart(name):
    train, test = open_images(name), open_images(name, "test")
    assert (len(train), len(test)) == (10_000, 2_000)
    for data in (train, test):
        assert data.labels is not None
        assert set(np.bincount(data.labels)) == {len(data) // 10}
        assert len(data.classes) == 10
    rows = {image.tobytes() for image in train.images}
    assert sum(image.tobytes() in rows for image in test.images) <= 2  # official near-duplicates


def test_embedded_files_are_small_and_licensed():
    files = list(embedded_sets.FOLDER.iterdir())
    assert sum(f.stat().st_size for f in files if f.is_file()) < 8_000_000
    text = (embedded_sets.FOLDER / "LICENSES.md").read_text()
    assert "Attribution-ShareAlike 3.0" in text
    assert "Zalando" in text
