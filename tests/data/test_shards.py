"""Tar shards: what is packed is read again, to the bit, and damage is one line."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pickle
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import ptheta
from ptheta.cli.commands import cli
from ptheta.data.identity import keys
from ptheta.data.image_data import ImageDataset
from ptheta.data.rows import LazyImages
from ptheta.data.shards import images as shard_images
from ptheta.data.shards import pack as packing
from ptheta.data.shards.index import Index
from ptheta.errors import PthetaError
from ptheta.files.atomic import digest
from tests.data.makers import COLOUR, GREY, LABELS, noise, png, write_folder, write_parquet


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PTHETA_CACHE", str(tmp_path / "cache"))


def pack(source, out, **options):
    return ptheta.pack(source, out, **{"images_per_shard": 5, **options}).folder


def opened(source, split="train", **options):
    return ptheta.open_images(source, split, **options)


def same_images(shards: ImageDataset, source: ImageDataset, *, divided: bool = True) -> None:
    """The rows of shards are those of their source by their numbers.

    divided: whether both are divided at one size, on which the held-out part depends
    """
    assert isinstance(shards.images, LazyImages)
    assert shards.numbers is not None
    place = {n: row for row, n in enumerate(source.number(np.arange(len(source.stored))))}
    rows = np.array([place[n] for n in shards.numbers])
    assert np.array_equal(shards.images[np.arange(len(shards))], source.images[rows])
    assert np.array_equal(keys(shards), keys(dataclasses.replace(source, index=rows)))
    if divided:
        assert set(rows) == set(source.rows(slice(None)))
    if source.labels is not None:
        assert shards.labels is not None
        assert np.array_equal(shards.labels, source.labels[rows])
        assert shards.classes == source.classes
    if source.captions is not None:
        texts = [source.caption(row) for row in rows]
        assert [shards.caption(row) for row in range(len(shards))] == texts


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
def test_a_folder_keeps_its_files_and_splits(tmp_path, suffix):
    photos = write_folder(tmp_path / "photos", noise(20, 12, 16, 3), suffix)
    folder = pack(photos, tmp_path / "shards")
    for split in ("train", "test", "val"):
        same_images(opened(folder, split), opened(photos, split))
    files = {p.read_bytes() for p in photos.rglob(f"*.{suffix}")}
    found = set()
    for shard in folder.glob("*.tar"):
        with tarfile.open(shard) as tar:
            for member in tar.getmembers():
                assert (member.mtime, member.uid, member.uname) == (0, 0, "")
                file = tar.extractfile(member)
                assert file is not None
                if member.name.endswith(suffix):
                    found.add(file.read())
    assert found == files


def sources(tmp_path: Path):
    both = tmp_path / "both"
    write_folder(both / "train", GREY)
    write_folder(both / "test", noise(20, 12, 12))
    yield both
    yield write_parquet(tmp_path / "t.parquet", COLOUR)
    np.save(tmp_path / "x.npy", noise(30, 9, 7))
    yield tmp_path / "x.npy"
    np.save(tmp_path / "f.npy", (noise(30, 9, 7) / 255).astype(np.float32))
    yield tmp_path / "f.npy"
    shutil.make_archive(str(tmp_path / "zipped"), "zip", both)
    yield tmp_path / "zipped.zip"
    yield noise(12, 6, 6, 3), np.arange(12) % 3
    large = tmp_path / "large"
    large.mkdir()
    for i in range(12):
        Image.fromarray(noise(150 + i, 200, 3)).save(large / f"{i}.jpg")
        (large / f"{i}.txt").write_text(f"ein Bild, Nummer {i} ✓")
    yield large
    deep = tmp_path / "deep"
    deep.mkdir()
    for i in range(12):
        Image.fromarray(noise(10, 10).astype(np.uint16) * 17).save(deep / f"{i}.png")
    yield deep


def test_any_source_of_images_reads_the_same(tmp_path):
    for i, source in enumerate(sources(tmp_path)):
        folder = pack(source, tmp_path / f"shards{i}")
        if isinstance(source, tuple):
            source = opened(source)
        same_images(opened(folder), opened(source))
        small = opened(folder, size=5)
        same_images(small, opened(source, size=5), divided=False)
        assert small.spec == opened(source, size=5).spec


def test_pictures_keep_the_size_of_their_files(tmp_path):
    (tmp_path / "p").mkdir()
    for i in range(12):
        Image.fromarray(noise(150, 200, 3)).save(tmp_path / "p" / f"{i}.png")
    folder = pack(tmp_path / "p", tmp_path / "s")
    assert opened(folder).spec.shape == (3, 64, 64)
    assert opened(folder, size=100).spec.shape == (3, 100, 100)
    grey = {"size": 100, "channels": 1}
    same_images(opened(folder, **grey), opened(tmp_path / "p", **grey), divided=False)


def test_arrays_of_cells_keep_their_size(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = [{"bytes": png(image), "path": "x.png"} for image in noise(12, 140, 150, 3)]
    pq.write_table(pa.table({"image": content}), tmp_path / "t.parquet")
    same_images(
        opened(pack(tmp_path / "t.parquet", tmp_path / "s"), size=99),
        opened(tmp_path / "t.parquet", size=99),
        divided=False,
    )


def test_the_same_source_gives_the_same_bytes(tmp_path):
    photos = write_folder(tmp_path / "photos", GREY)
    a, b = pack(photos, tmp_path / "a"), pack(photos, tmp_path / "b")
    assert [p.name for p in sorted(a.iterdir())] == [p.name for p in sorted(b.iterdir())]
    assert all(digest(p) == digest(b / p.name) for p in a.iterdir())


def test_shards_are_of_the_size_that_is_asked_for(tmp_path):
    x = noise(64, 16, 16)
    folder = ptheta.pack(x, tmp_path / "s", shard_size="10K").folder
    shards = sorted(folder.glob("train-*.tar"))
    assert len(shards) > 3
    assert all(p.stat().st_size <= 2 * 10240 for p in shards)  # tar pads to 10 KiB
    with pytest.raises(PthetaError, match="--shard-size 3: want a size of at least 1K"):
        ptheta.pack(x, tmp_path / "t", shard_size="3")
    with pytest.raises(PthetaError, match="images_per_shard = 0"):
        ptheta.pack(x, tmp_path / "t", images_per_shard=0)


def test_images_are_shuffled_once_or_not_at_all(tmp_path):
    x = noise(60, 8, 8)
    assert (np.diff(opened(pack(x, tmp_path / "a", keep_order=True)).numbers) > 0).all()
    assert (np.diff(opened(pack(x, tmp_path / "b")).numbers) < 0).any()


def test_attributes_masks_and_captions_of_scenes(tmp_path):
    shapes = opened("shapes").subset(range(30))
    folder = pack(shapes, tmp_path / "s")
    data = opened(folder)
    assert data.attribute_names == shapes.attribute_names
    assert data.attribute_values == shapes.attribute_values
    rows = data.numbers
    assert np.array_equal(data.attributes, shapes.attributes[rows])
    assert data.caption_texts() == [shapes.caption(row) for row in rows]
    with tarfile.open(folder / "train-000000.tar") as tar:
        names = tar.getnames()[:4]
        assert {Path(n).suffix for n in names} >= {".png", ".txt", ".json"}
        file = tar.extractfile(next(n for n in names if n.endswith(".json")))
        assert file is not None
        assert set(json.load(file)) == set(shapes.attribute_names)
    where = f"objects={int(shapes.attributes[0][shapes.attribute_names.index('objects')])}"
    assert 0 < len(opened(folder, where=(where,))) < 30
    assert any("masks" in note for note in data.notes)


def test_what_is_there_is_not_touched(tmp_path):
    folder = pack(GREY, tmp_path / "s")
    with pytest.raises(PthetaError, match="is already a set of shards"):
        pack(GREY, folder)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("x")
    with pytest.raises(PthetaError, match="not an empty folder"):
        pack(GREY, tmp_path / "full")
    (tmp_path / "empty").mkdir()
    pack(GREY, tmp_path / "empty")


def test_rows_of_numbers_are_refused(tmp_path):
    with pytest.raises(PthetaError, match="shards are of images: give the table itself"):
        pack("points-moons", tmp_path / "s")


def test_an_interrupted_packing_leaves_nothing(tmp_path, monkeypatch):
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(packing, "_index", stop)
    with pytest.raises(KeyboardInterrupt):
        pack(GREY, tmp_path / "s")
    assert not [p for p in tmp_path.iterdir() if p.name != "cache"]


def truncate_shard(folder: Path) -> None:
    shard = folder / "train-000000.tar"
    shard.write_bytes(shard.read_bytes()[:-512])


def flip(folder: Path) -> None:
    shard = folder / "train-000000.tar"
    content = bytearray(shard.read_bytes())
    content[560] ^= 255
    shard.write_bytes(content)


def remove_shard(folder: Path) -> None:
    (folder / "train-000000.tar").unlink()


def spoil_table(folder: Path) -> None:
    content = (folder / "train.npy").read_bytes()
    (folder / "train.npy").write_bytes(b"x" * len(content))


def spoil_index(folder: Path) -> None:
    text = (folder / "index.json").read_text()
    (folder / "index.json").write_text(text.replace('"samples": 5', '"samples": 6'))


def truncate_index(folder: Path) -> None:
    text = (folder / "index.json").read_text()
    (folder / "index.json").write_text(text[:500])


def lead_outside(folder: Path) -> None:
    index = Index.parse((folder / "index.json").read_bytes(), folder)
    train = index.splits["train"]
    moved = train.model_copy(
        update={"shards": [s.model_copy(update={"name": f"../{s.name}"}) for s in train.shards]}
    )
    text = index.model_copy(update={"splits": {**index.splits, "train": moved}}).text()
    (folder / "index.json").write_text(text)


def spoil_places(folder: Path) -> None:
    table = np.load(folder / "train.npy")
    table["size"] = 2**63
    np.save(folder / "train.npy", table)


def later(folder: Path) -> None:
    text = (folder / "index.json").read_text()
    (folder / "index.json").write_text(text.replace('"version": 1', '"version": 99'))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate_shard, "bytes instead of"),
        (flip, r"is damaged \(its checksum differs\)"),
        (remove_shard, "cannot read .*No such file"),
        (spoil_table, "cannot read .*train.npy"),
        (spoil_index, "does not have the digest"),
        (truncate_index, "not an index of shards: it is not JSON"),
        (lead_outside, r"shards.0.name: String should match pattern"),
        (spoil_places, r"is damaged \(its checksum differs\)"),
        (later, "version 99 of the format .* install a newer ptheta"),
    ],
)
def test_damage_is_one_line(tmp_path, damage, message):
    folder = pack(GREY, tmp_path / "s", keep_order=True)
    damage(folder)
    with pytest.raises(PthetaError, match=message) as caught:
        opened(folder).batch(range(5))
    assert "\n" not in str(caught.value)


def test_data_in_shards_are_as_others(tmp_path):
    x, y = noise(60, 8, 8), np.arange(60) % 3
    data = opened(pack((x, y), tmp_path / "s"))
    again = pickle.loads(pickle.dumps(data))
    assert again.fingerprint() == data.fingerprint()
    assert torch.equal(again.batch([3, 1]).x, data.batch([3, 1]).x)
    assert torch.equal(data[-1][0], data.batch(slice(None)).x[-1])
    assert data.subset(data.conditions(slice(None)).numpy() == 1).present_classes() == ("1",)
    rest, held = data.hold_out(10)
    assert len(rest) + len(held) == len(data)
    assert data.with_levels(2).batch(range(4)).x.unique().tolist() == [0, 255]
    assert data.preview().picture.ndim == 2
    images, every = data.images, np.asarray(data.images)
    assert np.array_equal(images[-1], every[-1])
    assert np.array_equal(images[3:9, 0, ::2], every[3:9, 0, ::2])
    assert np.array_equal(images[[5, 1]], every[[5, 1]])
    assert np.array_equal(next(iter(images)), every[0])
    assert data.files is not None
    assert data.files[0] == "train-000000.tar/000000.png"
    loader = torch.utils.data.DataLoader(data, batch_size=7, num_workers=2)
    taken = torch.cat([part for part, _ in loader])
    assert torch.equal(taken, data.batch(slice(None)).x)


@pytest.mark.parametrize("small", [0, 2**28])
def test_reading_ahead_changes_nothing(tmp_path, monkeypatch, small):
    monkeypatch.setattr(shard_images, "SMALL", small)
    data = opened(pack(noise(60, 8, 8), tmp_path / "s"))
    plain = data.batch(slice(None)).x
    for first in range(0, 40, 7):
        for later in range(first, first + 50, 6):  # more than is kept
            data.expect(range(later % 40, later % 40 + 6))
        assert torch.equal(data.batch(range(first, first + 6)).x, plain[first : first + 6])
    again = data.batch(range(3)).x
    again.zero_()  # a batch belongs to the one who asked
    assert torch.equal(data.batch(range(3)).x, plain[:3])


def test_describe_and_the_command_line(tmp_path):
    photos = write_folder(tmp_path / "photos", COLOUR)
    run = CliRunner().invoke
    out = run(
        cli, ["data", "pack", str(photos), "--out", str(tmp_path / "s"), "--shard-size", "4K"]
    )
    assert out.exit_code == 0, out.output
    assert "train images in" in out.output
    about = ptheta.describe(tmp_path / "s")
    plain = ptheta.describe(photos)
    for key in ("images", "size", "classes", "skipped files"):
        assert about[key] == plain[key]
    assert about["kind"] == "tar shards"
    files = {s: sorted((tmp_path / "s").glob(f"{s}-*.tar")) for s in about["images"]}
    assert about["shards"] == {split: len(found) for split, found in files.items()}
    assert about["shards"]["train"] > 1
    sizes = {split: sum(p.stat().st_size for p in found) for split, found in files.items()}
    assert about["bytes of shards"] == sizes
    assert "shards" not in plain
    told = run(cli, ["data", str(tmp_path / "s")])
    assert told.exit_code == 0
    assert f"shards: {', '.join(f'{s}: {len(found)}' for s, found in files.items())}" in told.output
    assert f"bytes of shards: train: {sizes['train']}" in told.output


def test_training_on_shards_gives_the_bits_of_training_in_memory(tmp_path):
    shards = opened(pack((noise(90, 8, 8), np.arange(90) % 2), tmp_path / "s"))
    assert shards.order is not None
    images = np.asarray(shards.images[np.arange(len(shards))])
    memory = dataclasses.replace(shards, images=images, originals=None)
    runs = [
        ptheta.train("vae", data, tmp_path / name, steps=30, batch_size=16, hidden=(8,), latent=2)
        for name, data in (("a", shards), ("b", memory))
    ]
    a, b = (run.weights_file().read_bytes() for run in runs)
    assert a == b


def test_a_run_on_shards_is_resumed_and_evaluated_by_its_index(tmp_path):
    x, y = noise(200, 8, 8), np.arange(200) % 2
    folder = pack((x, y), tmp_path / "s", images_per_shard=30)
    tiny: dict[str, Any] = {"hidden": (8,), "latent": 2, "batch_size": 16}
    whole = ptheta.train("vae", folder, tmp_path / "whole", steps=40, **tiny)
    ptheta.train("vae", folder, tmp_path / "parts", steps=17, **tiny)
    parts = ptheta.train("vae", folder, tmp_path / "parts", steps=40, resume=True, **tiny)
    assert whole.weights_file().read_bytes() == parts.weights_file().read_bytes()
    assert whole.fingerprint == parts.fingerprint
    assert ptheta.evaluate(whole, n=20, extractor="pixels").results
    assert whole.look(str(folder)).kind == "same"
    moved = folder.rename(tmp_path / "moved")
    assert whole.look(str(moved)).kind == "same"
    assert whole.look((x, y)).kind == "same"
    again = pack((x, y), tmp_path / "again", images_per_shard=40)
    for place, were in ((again, "other shards"), ((x, y), "other shards")):
        assert whole.look(place).kind == "same"
        with pytest.raises(PthetaError, match=f"read them from {were}: the order of training"):
            ptheta.train("vae", place, tmp_path / "parts", steps=50, resume=True, **tiny)
    other = pack((noise(200, 8, 8), y), tmp_path / "other")
    assert whole.look(str(other)).foreign


def test_labels_are_unchanged(tmp_path):
    data = opened(pack(write_folder(tmp_path / "f", GREY), tmp_path / "s"))
    assert data.classes == ("class0", "class1", "class2", "class3")
    assert set(data.labels.tolist()) <= set(LABELS.tolist())


def lie(folder: Path, change: Any) -> None:
    """Changes an index and states the digest of the change."""
    content = json.loads((folder / "index.json").read_text())
    change(content)
    kept = {key: value for key, value in content.items() if key != "digest"}
    text = json.dumps(kept, sort_keys=True).encode()
    content["digest"] = hashlib.sha256(text).hexdigest()
    (folder / "index.json").write_text(json.dumps(content))


def retable(change: Any) -> Any:
    """A change of the rows of training, which the index knows."""

    def apply(folder: Path) -> None:
        file = folder / "train.npy"
        np.save(file, change(np.load(file).copy()))
        size = file.stat().st_size
        lie(folder, lambda content: content["splits"]["train"]["table"].update(bytes=size))

    return apply


def setting(name: str, value: int) -> Any:
    def change(table: np.ndarray) -> np.ndarray:
        table[name] = value
        return table

    return retable(change)


def deep(folder: Path) -> None:
    (folder / "index.json").write_text('{"format": "ptheta-shards", "a":' + "[" * 100_000)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (setting("label", 9), "does not belong to its index"),
        (setting("label", -1), "does not belong to its index"),
        (setting("length", 9), "does not belong to its index"),
        (retable(lambda table: table.reshape(-1, 1)), "is not a table of shards"),
        (retable(lambda table: table[0]), "is not a table of shards"),
        (lambda folder: lie(folder, lambda c: c.update(window=2**70)), "window: "),
        (lambda folder: lie(folder, lambda c: c.update(splits={})), "splits: "),
        (lambda folder: lie(folder, lambda c: c.update(version=0)), "version: "),
        (deep, "it is not JSON"),
    ],
)
def test_what_an_index_cannot_say_is_one_line(tmp_path, change, text):
    folder = pack((noise(12, 8, 8), np.arange(12) % 3), tmp_path / "s")
    change(folder)
    with pytest.raises(PthetaError, match=text) as caught:
        opened(folder)
    assert "\n" not in str(caught.value)


def test_an_index_does_not_write_to_the_terminal(tmp_path):
    folder = pack(noise(12, 8, 8), tmp_path / "s")
    lie(folder, lambda content: content.update(name="a\x1b[31m\nb"))
    assert opened(folder).name.isprintable()


def test_a_pipe_named_as_an_index_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "index.json")
    with pytest.raises(PthetaError, match="holds no images"):
        opened(tmp_path)
