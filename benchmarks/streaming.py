"""Training on tar shards: exactly once, speed, memory, and a server with faults.

    python -m benchmarks.streaming [--only triples,speed,memory,server]
        [--out benchmarks/results/streaming.json]

- triples: 200 random (processes, decoding threads, kill point): every process reads real shards
  through the sampler of training, all are killed after some steps and begin anew. Every image must
  come exactly once an epoch, in the order of one process that is never killed.
- speed: images per second from a local disk at 64x64, against the memory-mapped cache of the folder
  that was packed: of training alone, and of reading alone.
- memory: resident memory while batches are read from a made-up set of 100 GB (400 shards of 256 MB,
  which are links to one file).
- server: a loopback server that stalls, truncates, spoils and fails in a part of its answers.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from PIL import Image

import ptheta
from ptheta.callbacks import Callback, Moment
from ptheta.data.image_data import ImageDataset
from ptheta.data.shards import images as shard_images
from ptheta.data.shards.index import Index, SplitEntry, shard_name
from ptheta.training.ahead import Ahead, Direct
from ptheta.training.sampler import BatchSampler, Sampler, WindowSampler

OUT = Path("benchmarks/results/streaming.json")
TRIPLES = 200
SIDE = 64
CPU = torch.device("cpu")
RNG = np.random.default_rng(0)


def sampler(data: ImageDataset, batch: int, seed: int = 0, rank: int = 0, size: int = 1) -> Sampler:
    if data.order is None:
        return BatchSampler(len(data), batch, seed, rank, size)
    rows = None if data.index is None else data.rows(slice(None))
    return WindowSampler(data.order.of(rows, len(data), (seed,)), batch, seed, rank, size)


# -- exactly once


def numbered(folder: Path, n: int, each: int) -> Path:
    """Shards of n images, of which each shows its number in two grey values."""
    x = np.zeros((n, 6, 6), np.uint8)
    x[:, 0, 0], x[:, 0, 1] = np.arange(n) // 250, np.arange(n) % 250
    x[:, 1:] = 255
    data = {"train": x, "test": x[:2] // 2}
    return ptheta.pack(data, folder, images_per_shard=each).folder


def seen(data: ImageDataset, steps: range, processes: int, batch: int, seed: int) -> np.ndarray:
    """The numbers of the images that the processes read in these steps, in the order of batches."""
    readers = [
        Ahead(
            data.subset(slice(None)) if rank % 2 else data,
            sampler(data, batch, seed, rank, processes),
            Direct(CPU),
        )
        for rank in range(processes)
    ]
    out = []
    for step in steps:
        shares = [reader.take(step).x.numpy() for reader in readers]
        both = np.empty((sum(map(len, shares)), *shares[0].shape[1:]), np.uint8)
        for rank, share in enumerate(shares):
            both[rank::processes] = share
        out.append(both[:, 0, 0, 0].astype(int) * 250 + both[:, 0, 0, 1])
    return np.concatenate(out) if out else np.empty(0, int)


def triple(place: Path, case: int) -> dict[str, int]:
    """One random triple on one of three sets. Raises AssertionError if an image comes twice."""
    rng = np.random.default_rng([1, case])
    folder = place / f"set{case % 3}"
    processes, threads = int(rng.integers(1, 9)), int(rng.integers(1, 9))
    data = ptheta.open_images(folder)
    n, batch = len(data), processes * int(rng.integers(1, 12))
    steps = -(-2 * n // batch)
    killed = int(rng.integers(0, steps + 1))
    with mock.patch.object(shard_images, "workers", return_value=threads):
        parts = [
            seen(ptheta.open_images(folder), range(begin, end + 1), processes, batch, case)
            for begin, end in ((1, killed), (killed + 1, steps))
        ]
    taken = np.concatenate(parts)[: 2 * n].reshape(2, n)
    for epoch in taken:
        assert np.array_equal(np.sort(epoch), np.arange(n)), (case, "not exactly once")
    one = seen(data, range(1, 2 * n // 16 + 1), 1, 16, case)
    assert np.array_equal(taken.reshape(-1)[: len(one)], one), (case, "another order")
    return {"processes": processes, "threads": threads, "killed": killed, "steps": steps}


def triples(place: Path) -> dict[str, object]:
    for i, (n, each) in enumerate(((600, 7), (331, 40), (1000, 11))):
        numbered(place / f"set{i}", n, each)
    began = time.perf_counter()
    done = [triple(place, case) for case in range(TRIPLES)]
    return {
        "triples": len(done),
        "exactly_once": len(done),
        "processes": [min(d["processes"] for d in done), max(d["processes"] for d in done)],
        "threads": [min(d["threads"] for d in done), max(d["threads"] for d in done)],
        "seconds": round(time.perf_counter() - began, 1),
    }


# -- speed


def photos(folder: Path, n: int, side: int, suffix: str) -> Path:
    """Smooth colours with some noise, about as compressible as photographs."""
    folder.mkdir(parents=True)
    for i in range(n):
        low = RNG.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        image = np.asarray(Image.fromarray(low).resize((side, side), Image.Resampling.BICUBIC))
        noisy = image.astype(int) + RNG.integers(-6, 7, image.shape)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(
            folder / f"{i}{suffix}", quality=95
        )
    return folder


def reading(data: ImageDataset, steps: int, batch: int = 64) -> float:
    """Images per second of reading alone."""
    ahead = Ahead(data, sampler(data, batch), Direct(CPU))
    ahead.take(1)
    began = time.perf_counter()
    for step in range(2, steps + 2):
        ahead.take(step)
    return steps * batch / (time.perf_counter() - began)


class Clock(Callback):
    """Reads the clocks at each line of metrics: (step, seconds, seconds of processor time)."""

    def __init__(self) -> None:
        self.read: list[tuple[int, float, float]] = []

    def on_log(self, moment: Moment, values: Mapping[str, float]) -> None:
        self.read.append((moment.step, time.perf_counter(), time.process_time()))


def training(source: Path, out: Path) -> tuple[float, float]:
    """Images per second of a training, by the clock on the wall and by processor time (that of the
    decoding threads included), between its first and its last line of metrics."""
    clock, batch = Clock(), 64
    ptheta.train(
        *("dcgan", str(source), out),
        steps=30,
        batch_size=batch,
        features=16,
        log_every=5,
        evaluate_every=0,
        sample_every=0,
        checkpoint_every=0,
        best="none",
        callbacks=[clock],
    )
    (first, *began), (last, *ended) = clock.read[0], clock.read[5]
    wall, processor = (b - a for a, b in zip(began, ended, strict=True))
    return batch * (last - first) / wall, batch * (last - first) / processor


def speed(place: Path) -> dict[str, object]:
    with mock.patch.object(shard_images, "SMALL", 0):
        return _speed(place)


def _speed(place: Path) -> dict[str, object]:
    found: dict[str, object] = {"threads_of_torch": int(os.environ.get("OMP_NUM_THREADS", "0"))}
    for suffix in (".png", ".jpg"):
        folder = photos(place / f"f{suffix}", 3000, SIDE, suffix)
        shards = ptheta.pack(folder, place / f"s{suffix}", shard_size="1M").folder
        pairs = [
            (
                training(folder, place / f"a{suffix}{i}"),
                training(shards, place / f"b{suffix}{i}"),
            )
            for i in range(3)
        ]
        wall, processor = (
            [(mapped[k], streamed[k]) for mapped, streamed in pairs] for k in range(2)
        )
        found[suffix.removeprefix(".")] = {
            **_rates("training", wall),
            **_rates("training_by_processor_time", processor),
            "reading_mapped_per_s": round(reading(ptheta.open_images(folder), 60)),
            "reading_shards_per_s": round(reading(ptheta.open_images(shards), 60)),
            "reading_kept_per_s": round(kept(shards)),
            "decoding_threads": shard_images.workers(),
            "decoding_us_of_processor": _decoding(folder, ptheta.open_images(shards)),
        }
    return found


def _decoding(folder: Path, data: ImageDataset) -> dict[str, float]:
    """Microseconds of an image by processor time: of Pillow alone, from files in memory, and of all
    that makes a batch of it."""
    contents = [file.read_bytes() for file in sorted(folder.iterdir())[:1024]]
    rows = np.random.default_rng(0).permutation(len(data))[:1024]

    def pillow() -> None:
        for content in contents:
            Image.open(io.BytesIO(content)).load()

    def shards() -> None:
        for at in range(0, len(rows), 64):
            data.images[rows[at : at + 64]]

    best: dict[str, float] = {}
    for name, work in (("pillow", pillow), ("shards", shards)) * 3:
        began = time.process_time()
        work()
        taken = 1e6 * (time.process_time() - began) / 1024
        best[name] = round(min(taken, best.get(name, taken)), 1)
    return best


def kept(shards: Path) -> float:
    """Images per second of reading alone, once the images of a small set are in memory."""
    with mock.patch.object(shard_images, "SMALL", 2**28):
        data = ptheta.open_images(shards)
        reading(data, 60)
        return reading(data, 60)


def _rates(what: str, pairs: list[tuple[float, float]]) -> dict[str, float]:
    mapped, streamed = (statistics.median(column) for column in zip(*pairs, strict=True))
    share = statistics.median(b / a for a, b in pairs)
    return {
        f"{what}_mapped_per_s": round(mapped, 1),
        f"{what}_shards_per_s": round(streamed, 1),
        f"{what}_share": round(share, 3),
    }


# -- memory


def resident() -> float:
    """MiB of memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def made_up(place: Path, shards: int) -> Path:
    """A set of so many shards of 256 MB, all of which are links to one file."""
    folder = photos(place / "large", 60, 512, ".jpg")
    many = [folder / f"{i}.jpg" for i in range(60)]
    for i in range(60, 3600):
        os.link(many[i % 60], folder / f"{i}.jpg")
    out = ptheta.pack(folder, place / "set", shard_size="256M", keep_order=True).folder
    index = Index.parse((out / "index.json").read_bytes(), out)
    train = index.splits["train"]
    one, table = train.shards[0], np.load(out / "train.npy")[: train.shards[0].samples]
    every = np.tile(table, shards)
    every["number"] = every["group"] = np.arange(len(every))
    every["key"] = RNG.integers(0, 2**63, len(every), dtype=np.uint64)
    np.save(out / "train.npy", every)
    entries = []
    for number in range(shards):
        name = shard_name("many", number)
        os.link(out / one.name, out / name)
        entries.append(one.model_copy(update={"name": name}))
    size = (out / "train.npy").stat().st_size
    split = SplitEntry(
        samples=len(every),
        shards=entries,
        table=train.table.model_copy(update={"bytes": size}),
        labelled=train.labelled,
        captions=None,
        notes=[],
        advice=[],
    )
    made = index.model_copy(update={"splits": {**index.splits, "train": split}})
    (out / "index.json").write_text(made.text())
    return out


def memory(place: Path) -> dict[str, object]:
    before = resident()
    folder = made_up(place, 400)
    data = ptheta.open_images(folder)
    total = sum(p.stat().st_size for p in folder.glob("many-*.tar"))
    first, _ = data.hold_out(1000)
    opened, ahead = resident(), Ahead(first, sampler(first, 32), Direct(CPU))
    steps, places = 600, []
    for step in range(1, steps + 1):
        # a step of every part of the epoch, so that all shards are opened
        ahead.take(1 + (step - 1) * (len(first) // 32) // steps)
        if step % (steps // 10) == 0:
            places.append(round(resident()))
    return {
        "bytes": total,
        "images": len(data),
        "shards": 400,
        "rss_start_mib": round(before),
        "rss_opened_mib": round(opened),
        "rss_mib": places,
        "grown_mib_after_a_tenth": places[-1] - places[0],
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


# -- a bad server


def server(place: Path) -> dict[str, object]:
    from tests.data.test_addresses import FAULTS, Server, start

    from ptheta.data.shards import remote

    folder = numbered(place / "s", 600, 7)
    rng = np.random.default_rng(0)
    counts = {fault.__name__: 0 for fault in FAULTS}
    with (
        start(Server(folder.parent)) as made,
        mock.patch.object(remote, "STALL", 0.3),
        mock.patch.object(remote, "WAIT", 0.01),
    ):

        def chosen() -> Callable[..., None] | None:
            if rng.random() > 0.3:
                return None
            fault = FAULTS[int(rng.integers(len(FAULTS)))]
            counts[fault.__name__] += 1
            return fault

        made.choose = chosen
        with mock.patch.dict(os.environ, {"PTHETA_CACHE": str(place / "cache")}):
            data = ptheta.open_images(made.address)
            taken = seen(data, range(1, len(data) // 16 + 1), 2, 16, 0)
        asked = made.asked.total()
    local = seen(ptheta.open_images(folder), range(1, 600 // 16 + 1), 2, 16, 0)
    assert np.array_equal(taken, local)
    return {"answers": asked, "faults": counts, "same_as_local": True}


PARTS: dict[str, Callable[[Path], dict[str, object]]] = {
    "triples": triples,
    "speed": speed,
    "memory": memory,
    "server": server,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    results = json.loads(options.out.read_text()) if options.out.exists() else {}
    results["machine"] = f"{platform.machine()}, {os.cpu_count()} cores, shared"
    for name in options.only.split(","):
        with tempfile.TemporaryDirectory() as place:
            results[name] = PARTS[name](Path(place))
        print(name, json.dumps(results[name]), flush=True)
        options.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
