"""The cases of `benchmarks.malformed`: what is damaged how, and which verb meets it."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import random
import shutil
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import ptheta
from ptheta import api, config
from ptheta.cli.commands import cli
from ptheta.measures.results import Evaluation, Result
from ptheta.models import registry
from ptheta.runs import plan
from ptheta.study.analysis.simulate import People, simulate
from ptheta.study.analysis.stein import BY_IMAGE
from ptheta.study.files import Answer, dump_answers

Damage = Callable[[Path], object]
LONG = "a" * 5000
HUGE = 10**30
DEEP = "[" * 100_000
TRAIN = ("--steps", "2", "--threads", "1", "--evaluate-every", "0", "--sample-every", "0")
SMALL = ("--hidden", "8", "--latent", "3")


@dataclass(frozen=True)
class Case:
    """damage: of a copy of the world, given its folder; argv: of the command, run in that folder
    call: in the place of a command: a function of Python
    may_pass: the damage does no harm, so that status 0 is right as well
    """

    surface: str
    name: str
    damage: Damage
    argv: tuple[str, ...] = ()
    call: Callable[[], object] | None = None
    may_pass: bool = False


def make_world(world: Path) -> None:
    """Small runs, a sweep, arrays and pictures in the folder `world`, which is made."""
    world.mkdir(parents=True)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (120, 8, 8)).astype("uint8")
    np.save(world / "tiny.npy", images)
    np.savez(world / "labelled.npz", images=images, labels=np.arange(120) % 3)
    for i in range(24):
        place = world / "pictures" / f"class{i % 2}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[i]).save(place / f"{i:02d}.png")
    (world / "captioned").mkdir()
    for i in range(24):
        Image.fromarray(images[i]).save(world / "captioned" / f"{i:02d}.png")
        (world / "captioned" / f"{i:02d}.txt").write_text(f"a {'red' if i % 2 else 'blue'} dot")
    quiet: dict[str, Any] = {"steps": 4, "checkpoint_every": 2, "log_every": 1, "threads": 1}
    quiet |= {"evaluate_every": 2, "sample_every": 0, "batch_size": 16}
    with _inside(world):
        api.train("vae", "tiny.npy", "vae", hidden=(8,), latent=3, ema=0.9, **quiet)
        api.train("ae", "tiny.npy", "ae", hidden=(8,), latent=2, **quiet)
        api.train("gsn", "tiny.npy", "gsn", hidden=(8,), latent=2, **quiet)
        api.fit("ae", components=2)
        api.train("cvae", "labelled.npz", "cvae", hidden=(8,), latent=3, **quiet)
        api.train("pixelcnn", "tiny.npy", "pix", features=4, blocks=1, head=4, levels=2, **quiet)
        words: dict[str, Any] = {"condition": "text", "text_encoder": "gru", "text_width": 4}
        api.train("cvae", "captioned", "words", hidden=(8,), latent=3, **words, **quiet)
        shutil.copytree("vae", "sweep/seed=0")
        about = {"model": "vae", "data": "tiny.npy", "runs": ["seed=0"], "failed": {}}
        Path("sweep/sweep.json").write_text(json.dumps(about), encoding="utf-8")
        Evaluation((Result("bits_per_dim", 1.0, "bits/dim"),)).write(Path("vae/evaluation.json"))


@contextmanager
def _inside(folder: Path, cache: str = "cache") -> Iterator[None]:
    """Inside, `folder` is where paths begin and nothing is told."""
    here, before = Path.cwd(), os.environ.get("PTHETA_CACHE")
    os.environ["PTHETA_CACHE"] = str(folder / cache)
    os.chdir(folder)
    try:
        with redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        os.chdir(here)
        del os.environ["PTHETA_CACHE"]
        if before is not None:
            os.environ["PTHETA_CACHE"] = before


def every_case(seed: int = 0) -> Iterator[Case]:
    """All cases. seed: of the bytes that are changed at random"""
    rng = random.Random(seed)
    yield from _json_cases()
    yield from _line_cases()
    yield from _tensor_cases(rng)
    yield from _state_cases(rng)
    yield from _cache_cases(rng)
    yield from _option_cases()
    yield from _train_option_cases()
    yield from _config_file_cases()
    yield from _caption_cases()
    yield from _array_cases(rng)
    yield from _idx_cases()
    yield from _parquet_cases(rng)
    yield from _table_cases(rng)
    yield from _folder_cases()
    yield from _zip_cases()
    yield from _study_cases(rng)


# -- JSON

SAMPLE = ("sample", "vae", "-n", "4", "--out", "o.png")
EVALUATE = ("evaluate", "vae", "-n", "20", "--is-k", "2")
COMPARE = ("compare", "sweep", "-n", "20", "--out", "report")
RESUME = ("train", "vae", "--data", "tiny.npy", "--out", "vae", "--resume", "--steps", "6")

# what a reader cannot do without; every other key has a default or only tells something
REQUIRED = {
    "config.json": {
        *("format", "model", "recipe", "config", "source", "data", "train", "spec", "dataset"),
        *("spec.channels", "spec.height", "spec.width", "spec.levels"),
        *("dataset.name", "dataset.images", "condition.kind", "condition.names"),
    },
    "sweep.json": {"runs"},
    "evaluation.json": {"protocol", "results"},
    "progress.json": {"step", "seconds", "best_value"},
}
MUTANTS: dict[str, Any] = {
    "null": None,
    "list": [1],
    "text": "x",
    "huge": HUGE,
    "nested": {"a": {}},
}
OF_TYPE: dict[str, type | tuple[type, ...]] = {
    "null": type(None),
    "list": list,
    "text": str,
    "huge": (int, float),
    "nested": dict,
}
# keys whose values a reader takes as they are
FREE = ("protocol.", "versions", "failed")
NONE = {"condition", "dataset.fingerprint", "best_value"}  # keys that may be null


def _json_cases() -> Iterator[Case]:
    files = (
        ("config.json", "vae/config.json", SAMPLE),
        ("config.json", "cvae/config.json", ("sample", "cvae", "-n", "4", "--out", "o.png")),
        ("sweep.json", "sweep/sweep.json", COMPARE),
        ("evaluation.json", "vae/evaluation.json", ()),
        ("progress.json", "vae/state/*/progress.json", (*RESUME, *TRAIN[2:])),
    )
    for surface, file, argv in files:
        yield from _mutated(surface, file, argv, _example(surface, file))
        yield from _broken_json(surface, file, argv)
    yield from _odd_configs()


def _example(surface: str, file: str) -> dict[str, Any]:
    """Keys and types of a file of the world, before there is a world."""
    plain: dict[str, Any] = {"config": {}, "data": {}, "train": {}}
    for part, cls in plan.sections("vae").items():
        plain["config" if part == "model" else part] = config.as_dict(cls())
    spec = {"channels": 1, "height": 8, "width": 8, "levels": 256}
    dataset = {"name": "x", "images": 1, "classes": [], "skipped": [], "notes": []}
    about = {"format": 1, "model": "vae", "recipe": "default", **plain, "source": "x", "spec": spec}
    about |= {"condition": None, "dataset": dataset, "parameters": 1, "versions": {"torch": "2"}}
    if file.startswith("cvae"):
        return {"condition": {"kind": "labels", "names": ["0"]}}
    examples: dict[str, dict[str, Any]] = {
        "config.json": about,
        "sweep.json": {"model": "vae", "data": "x", "runs": ["x"], "failed": {}},
        "evaluation.json": {"protocol": {}, "results": [{}]},
        "progress.json": {
            "step": 4,
            "seconds": 1.0,
            "ema_updates": 4,
            "best_step": 2,
            "best_metric": "x",
            "best_value": 1.0,
            "scored_step": 4,
        },
    }
    return examples[surface]


def _paths(values: dict[str, Any], before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in values.items():
        yield (*before, key)
        if isinstance(value, dict):
            yield from _paths(value, (*before, key))


def _mutated(
    surface: str, file: str, argv: tuple[str, ...], like: dict[str, Any]
) -> Iterator[Case]:
    for path in _paths(like):
        name = ".".join(path)
        old: Any = like
        for key in path:
            old = old[key]
        free = name.startswith(FREE)
        harmless = name not in REQUIRED[surface]
        yield _of_json(surface, file, argv, f"without {name}", path, None, drop=True, ok=harmless)
        for kind, new in MUTANTS.items():
            same = isinstance(old, OF_TYPE[kind]) or (kind == "null" and name in NONE)
            unread = surface == "sweep.json" and name in ("model", "data")
            # the default of an option may be null, a list or a text where another value may be, too
            ok = same or free or unread or (old is None and "." in name and kind != "nested")
            yield _of_json(surface, file, argv, f"{name} {kind}", path, new, ok=ok)


def _of_json(
    surface: str,
    file: str,
    argv: tuple[str, ...],
    name: str,
    path: tuple[str, ...],
    new: Any,
    drop: bool = False,
    ok: bool = False,
) -> Case:
    def damage(place: Path) -> None:
        for found in place.glob(file):
            values = json.loads(found.read_text(encoding="utf-8"))
            at = values
            for key in path[:-1]:
                at = at[key]
            if drop:
                del at[path[-1]]
            else:
                at[path[-1]] = new
            found.write_text(json.dumps(values), encoding="utf-8")
            _seal(found.parent)

    call = partial(_read_evaluation, file) if surface == "evaluation.json" else None
    return Case(surface, f"{file}: {name}", damage, argv, call, may_pass=ok)


def _read_evaluation(file: str) -> None:
    Evaluation.read(Path(file))


def _seal(folder: Path) -> None:
    """Makes the digests of a checkpoint fit its files, so that what is in them is read."""
    record = folder / "files.json"
    if record.exists():
        files = [file for file in sorted(folder.iterdir()) if file != record and file.is_file()]
        digests = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
        record.write_text(json.dumps(digests), encoding="utf-8")


TEXTS: dict[str, bytes] = {
    "empty": b"",
    "list": b"[]",
    "null": b"null",
    "number": b"3",
    "text": b'"x"',
    "empty table": b"{}",
    "cut short": b'{"format": 1, "mod',
    "not UTF-8": b'{"format": 1, "model": "\xff"}',
    "UTF-16": '{"format": 1}'.encode("utf-16"),
    "deep": DEEP.encode(),
    "deep tables": b'{"a":' * 50_000,
    "5000 digits": b'{"format": ' + b"9" * 5000 + b"}",
    "not a number": b'{"format": NaN}',
    "half a character": b'{"format": 1, "model": "\\ud800"}',
    "zeros": b"\0" * 4096,
}


def _broken_json(surface: str, file: str, argv: tuple[str, ...]) -> Iterator[Case]:
    call = partial(_read_evaluation, file) if surface == "evaluation.json" else None
    for name, data in TEXTS.items():
        yield Case(surface, f"{file}: {name}", partial(_write, file, data), argv, call)
    for name, replace in PLACES.items():
        yield Case(surface, f"{file}: {name}", partial(_replace, file, replace), argv, call)


def _write(pattern: str, data: bytes, place: Path) -> None:
    for file in place.glob(pattern):
        file.write_bytes(data)
        _seal(file.parent)


def _replace(pattern: str, make: Callable[[Path], object], place: Path) -> None:
    for file in list(place.glob(pattern)):
        file.unlink()
        make(file)
        _seal(file.parent)


PLACES: dict[str, Callable[[Path], object]] = {
    "a folder": lambda file: file.mkdir(),
    "a pipe": lambda file: os.mkfifo(file),
    "a link to itself": lambda file: file.symlink_to(file.name),
}


def _odd_configs() -> Iterator[Case]:
    changes: dict[str, tuple[dict[str, Any], bool]] = {
        "another model": ({"model": "gan"}, False),
        "no model": ({"model": "vaee"}, False),
        "newer format": ({"format": 2}, False),
        "format true": ({"format": True}, False),
        "extra key": ({"later": {"a": 1}}, True),
        "spec extra": ({"spec.x": 1}, False),
        "spec 16": ({"spec.height": 16}, False),
        "spec of a billion": ({"spec.height": 10**9}, False),
        "spec of 16,384": ({"spec.height": 16384, "spec.width": 16384}, False),
        "spec 0": ({"spec.height": 0}, False),
        "levels 1": ({"spec.levels": 1}, False),
        "levels 300": ({"spec.levels": 300}, False),
        "latent 9": ({"config.latent": 9}, False),
        "latent a billion": ({"config.latent": 10**9}, False),
        "hidden a million each": ({"config.hidden": [10**6] * 8}, False),
        "latent true": ({"config.latent": True}, False),
        "lr infinite": ({"config.lr": float("inf")}, False),
        "lr NaN": ({"train.clip": float("nan")}, False),
        "an option of later": ({"config.later": 1}, False),
        "source empty": ({"source": ""}, False),
        "source of 5000": ({"source": LONG}, True),  # sampling needs no data
        "source NUL": ({"source": "a\0b"}, False),
        "classes as once": ({"config.classes": 10**12}, False),
        "classes text": ({"config.classes": "x"}, False),
        "condition of no kind": ({"condition": {"kind": "x", "names": ["a"]}}, False),
        "condition of no names": ({"condition": {"kind": "labels", "names": []}}, False),
        "condition twice": ({"condition": {"kind": "labels", "names": ["a", "a"]}}, False),
    }
    for name, (change, ok) in changes.items():
        yield Case("config.json", name, partial(_change, change), SAMPLE, may_pass=ok)
    change = {"source": "/" + LONG}
    yield Case("config.json", "long source", partial(_change, change), EVALUATE)


def _change(changes: dict[str, Any], place: Path) -> None:
    file = place / "vae" / "config.json"
    values = json.loads(file.read_text(encoding="utf-8"))
    for name, new in changes.items():
        at = values
        *path, last = name.split(".")
        for key in path:
            at = at[key]
        at[last] = new
    file.write_text(json.dumps(values), encoding="utf-8")


# -- lines

LINES: dict[str, bytes] = {
    "list": b"[1]",
    "number": b"2",
    "text": b'"x"',
    "null": b"null",
    "empty table": b"{}",
    "step text": b'{"step": "1"}',
    "step -1": b'{"step": -1}',
    "step 1e999": b'{"step": 1e999}',
    "step huge": b'{"step": ' + b"9" * 400 + b"}",
    "value text": b'{"step": 1, "x": "y"}',
    "value nested": b'{"step": 1, "x": {"y": 1}}',
    "value infinite": b'{"step": 1, "x/y": Infinity}',
    "not UTF-8": b"\xff\xfe",
    "half a character": b'{"step": 1, "\\ud800": 1}',
    "zeros": b"\0" * 512,
    "deep": DEEP.encode(),
    "cut short": b'{"step": 1, "x',
}


def _line_cases() -> Iterator[Case]:
    compare = ("compare", "vae", "-n", "20", "--out", "report")
    for file, verbs in (
        ("metrics.jsonl", (("resume", (*RESUME, *TRAIN[2:])), ("compare", compare))),
        ("warnings.jsonl", (("resume", (*RESUME, *TRAIN[2:])),)),
    ):
        for verb, argv in verbs:
            for name, line in LINES.items():
                damage = partial(_insert, f"vae/{file}", line)
                yield Case(file, f"{verb}: {name}", damage, argv, may_pass=True)
            for name, make in PLACES.items():
                damage = partial(_put, f"vae/{file}", make)
                yield Case(file, f"{verb}: {name}", damage, argv, may_pass=True)


def _insert(name: str, line: bytes, place: Path) -> None:
    file = place / name
    before = file.read_bytes() if file.exists() else b'{"step": 1, "warning": "x"}\n'
    file.write_bytes(line + b"\n" + before + line + b"\n" + before)


def _put(name: str, make: Callable[[Path], object], place: Path) -> None:
    file = place / name
    file.unlink(missing_ok=True)
    make(file)


# -- tensors

Tensors = dict[str, torch.Tensor]
CHANGES: dict[str, Callable[[Tensors], Tensors]] = {
    "empty": lambda t: {},
    "extra": lambda t: t | {"zzz": torch.zeros(1)},
    "missing": lambda t: dict(list(t.items())[1:]),
    "renamed": lambda t: {f"{name}x": tensor for name, tensor in t.items()},
    "other shape": lambda t: _first(t, torch.zeros(7, 7)),
    "scalar": lambda t: _first(t, torch.tensor(1.0)),
    "no rows": lambda t: {name: tensor[:0] for name, tensor in t.items() if tensor.ndim},
    "NaN": lambda t: {name: _full(tensor, float("nan")) for name, tensor in t.items()},
    "infinite": lambda t: {name: _full(tensor, float("inf")) for name, tensor in t.items()},
    "as integers": lambda t: {name: tensor.int() for name, tensor in t.items()},
    "as booleans": lambda t: {name: tensor.bool() for name, tensor in t.items()},
}
RAW: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "no bytes": lambda data, rng: b"",
    "7 bytes": lambda data, rng: data[:7],
    "header cut": lambda data, rng: data[:20],
    "cut by one": lambda data, rng: data[:-1],
    "half": lambda data, rng: data[: len(data) // 2],
    "longer": lambda data, rng: data + b"x",
    "huge header": lambda data, rng: struct.pack("<Q", 2**62) + data[8:],
    "random header": lambda data, rng: data[:8] + rng.randbytes(40) + data[48:],
    "random": lambda data, rng: rng.randbytes(len(data)),
    "pickle": lambda data, rng: b"\x80\x04N.",
}


def _first(tensors: Tensors, other: torch.Tensor) -> Tensors:
    return tensors | {min(tensors): other}


def _full(tensor: torch.Tensor, value: float) -> torch.Tensor:
    return torch.full(tensor.shape, value)


def _tensor_cases(rng: random.Random) -> Iterator[Case]:
    fitted = ("sample", "ae", "-n", "4", "--out", "o.png")
    for surface, file, argv in (
        ("weights", "vae/model.safetensors", SAMPLE),
        ("weights", "pix/model.safetensors", ("sample", "pix", "-n", "2", "--out", "o.png")),
        ("data.safetensors", "vae/data.safetensors", EVALUATE),
        ("data.safetensors", "vae/data.safetensors", (*RESUME, *TRAIN[2:])),
        ("fitted.safetensors", "ae/fitted.safetensors", fitted),
    ):
        yield from _damaged(surface, file, argv, rng)
    for verb in ("reconstruct", "interpolate", "manifold", "traverse", "denoise", "latents"):
        out = () if verb == "latents" else ("--out", "o.png")
        nan = partial(_change_tensors, "vae/model.safetensors", CHANGES["NaN"])
        yield Case("weights", f"{verb}: NaN", nan, (verb, "vae", *out))
    for name, change in {
        "other keys": lambda t: (
            t | {"images": t["images"].view(torch.int64).flip(0).view(torch.uint64)}
        ),
        "negative numbers": lambda t: t | {"numbers": -t["numbers"] - 1},
        "numbers too large": lambda t: t | {"numbers": torch.full_like(t["numbers"], 2**63 - 1)},
        "fewer numbers": lambda t: t | {"numbers": t["numbers"][:3]},
        "keys as int64": lambda t: t | {"images": t["images"].to(torch.int64)},
        "two axes": lambda t: t | {"images": t["images"][None]},
    }.items():
        damage = partial(_change_tensors, "vae/data.safetensors", change)
        ok = name == "other keys"  # an order that is not that of training is another data set
        yield Case("data.safetensors", f"evaluate: {name}", damage, EVALUATE, may_pass=ok)
    for name, change in {
        "codes of 5": lambda t: (
            t | {"means": torch.zeros(2, 5), "factors": torch.eye(5)[None] * 1.0}
        ),
        "negative weights": lambda t: t | {"weights": -t["weights"]},
        "no weights": lambda t: t | {"weights": t["weights"] * 0},
        "singular": lambda t: t | {"factors": t["factors"] * 0},
    }.items():
        damage = partial(_change_tensors, "ae/fitted.safetensors", change)
        yield Case("fitted.safetensors", name, damage, fitted)


def _damaged(
    surface: str, file: str, argv: tuple[str, ...], rng: random.Random, ok: bool = False
) -> Iterator[Case]:
    verb = argv[0]
    for name, change in CHANGES.items():
        damage = partial(_change_tensors, file, change)
        more = name == "extra" and "rng" in file  # such as the stream of a GPU that is not there
        yield Case(surface, f"{verb} {file}: {name}", damage, argv, may_pass=ok or more)
    for name, raw in RAW.items():
        damage = partial(_change_bytes, file, raw, rng.randrange(2**32))
        yield Case(surface, f"{verb} {file}: {name}", damage, argv, may_pass=ok)
    for name, make in PLACES.items():
        damage = partial(_replace, file, make)
        yield Case(surface, f"{verb} {file}: {name}", damage, argv, may_pass=ok)


def _change_tensors(pattern: str, change: Callable[[Tensors], Tensors], place: Path) -> None:
    for file in place.glob(pattern):
        with safe_open(file, "pt") as opened:
            about = opened.metadata()
        changed = {name: t.contiguous().clone() for name, t in change(load_file(file)).items()}
        save_file(changed, file, about)
        _seal(file.parent)


def _change_bytes(
    pattern: str, change: Callable[[bytes, random.Random], bytes], seed: int, place: Path
) -> None:
    for file in place.glob(pattern):
        file.write_bytes(change(file.read_bytes(), random.Random(seed)))
        _seal(file.parent)


def _state_cases(rng: random.Random) -> Iterator[Case]:
    """With both checkpoints damaged there is nothing to go back to; with one, there is."""
    argv = (*RESUME, *TRAIN[2:])
    for name in ("model", "optimizers", "ema", "rng-0"):
        yield from _damaged("state", f"vae/state/*/{name}.safetensors", argv, rng)
        yield from _damaged("state, newest", f"vae/state/*4/{name}.safetensors", argv, rng, ok=True)
        gone = partial(_remove, f"vae/state/*/{name}.safetensors")
        yield Case("state", f"without {name}", gone, argv)
    for name, text in TEXTS.items():
        damage = partial(_write_record, text)
        yield Case("state", f"files.json: {name}", damage, argv, may_pass=True)


def _write_record(text: bytes, place: Path) -> None:
    for folder in (place / "vae" / "state").iterdir():
        (folder / "files.json").write_bytes(text)


def _remove(pattern: str, place: Path) -> None:
    for file in list(place.glob(pattern)):
        file.unlink()
        _seal(file.parent)


def _cache_cases(rng: random.Random) -> Iterator[Case]:
    """A damaged entry is built anew."""
    argv = ("data", "pictures")
    for name, text in TEXTS.items():
        damage = partial(_cached, partial(_overwrite, text), "about.json")
        yield Case("cache", f"about.json: {name}", damage, argv, may_pass=True)
    for name, new in {
        "shapes list": {"shapes": [], "about": {}},
        "shapes text": {"shapes": {"images": "x"}, "about": {}},
        "shapes huge": {"shapes": {"images": [2**62, 8]}, "about": {}},
        "shapes negative": {"shapes": {"images": [-24, -64]}, "about": {}},
        "shapes elsewhere": {"shapes": {"../../tiny": [24, 1, 8, 8]}, "about": {}},
        "about list": {"shapes": {}, "about": []},
        "nothing": {"shapes": {}, "about": {}},
        "no about": {"shapes": {}},
    }.items():
        text = json.dumps(new).encode()
        damage = partial(_cached, partial(_overwrite, text), "about.json")
        yield Case("cache", name, damage, argv, may_pass=True)
    for name, raw in RAW.items():
        seed = rng.randrange(2**32)

        def change(f: Path, raw: Any = raw, seed: int = seed) -> None:
            f.write_bytes(raw(f.read_bytes(), random.Random(seed)))

        yield Case(
            "cache", f"images: {name}", partial(_cached, change, "*.bin"), argv, may_pass=True
        )
        yield Case(
            "cache",
            f"reference: {name}",
            partial(_referenced, change),
            EVALUATE,
            may_pass=True,
        )


def _overwrite(text: bytes, file: Path) -> None:
    file.write_bytes(text)


def _cached(change: Callable[[Path], object], name: str, place: Path) -> None:
    with _inside(place):
        ptheta.open_data("pictures")
    for file in (place / "cache").glob(f"*/{name}"):
        change(file)


def _referenced(change: Callable[[Path], object], place: Path) -> None:
    with _inside(place):
        api.evaluate("vae", n=20, is_k=2)
    for file in (place / "cache" / "reference").glob("*.safetensors"):
        change(file)


# -- options

NUMBERS = ("inf", "nan", "x", "", "-1", "0", "1000000000000", str(2**64), "1e999", "0x10")
VERBS: dict[str, tuple[str, ...]] = {
    "sample": ("vae", "--out", "o.png"),
    "inpaint": ("pix", "--out", "o.png"),
    "surprise": ("pix", "--out", "o.png"),
    "context": ("pix",),
    "reconstruct": ("vae", "--out", "o.png"),
    "denoise": ("vae", "--out", "o.png"),
    "interpolate": ("vae", "--codes", "--out", "o.png"),
    "manifold": ("vae", "--out", "o.png"),
    "traverse": ("vae", "--out", "o.png"),
    "classify": ("cvae", "--samples", "2"),
    "cluster": ("vae", "--clusters", "3"),
    "compress": ("pix", "tiny.npy", "--out", "x.ptc"),
    "chain": ("gsn", "--steps", "3", "--out", "o.png"),
    "density": ("vae",),
    "ratio": ("vae",),
    "tradeoff": ("vae", "-n", "20", "--extractor", "pixels"),
    "latents": ("vae",),
    "fit": ("ae",),
    "probe": ("vae", "--data", "labelled.npz", "--labels", "3", "--steps", "1"),
    "evaluate": ("vae",),
    "compare": ("vae", "--out", "report"),
    "report": ("report",),
    "data": ("tiny.npy",),
    "demo": ("--out", "demo", "--data", "tiny.npy"),
}


def _option_cases() -> Iterator[Case]:
    for verb, rest in VERBS.items():
        for param in cli.commands[verb].params:
            if isinstance(param, click.Option) and not param.is_flag:
                yield from _values(verb, rest, param)
        if verb not in ("demo",):
            for name, value in (("long", LONG), ("empty", ""), ("not UTF-8", "\udcff")):
                yield Case("options", f"{verb}: {name}", _nothing, (verb, value, *rest[1:]))


def _values(verb: str, rest: tuple[str, ...], param: click.Option) -> Iterator[Case]:
    flag = param.opts[0]
    whole, real = isinstance(param.type, click.IntRange), isinstance(param.type, click.FloatRange)
    if whole or real:
        for value in NUMBERS:
            wrong = value in ("inf", "nan", "x", "", "1e999")
            most = 2**63 if flag == "--seed" else 2**32
            wrong |= value == "0x10" or (whole and value.isdecimal() and int(value) > most)
            if verb == "demo" and not wrong:
                continue  # it would train
            argv = (verb, *rest, f"{flag}={value}" if flag.startswith("--") else f"{flag}{value}")
            if value == "" and not flag.startswith("--"):
                argv = (verb, *rest, flag, "")
            yield Case("options", " ".join(argv)[:80], _nothing, argv, may_pass=not wrong)
        return
    if verb == "demo":
        return  # it would train
    for name, value in (("long", LONG), ("empty", ""), ("not UTF-8", "\udcff"), ("nan", "nan,inf")):
        ok = not (flag == "--data" and name in ("long", "empty"))
        argv = (verb, *rest, flag, value)
        yield Case("options", f"{verb} {flag}: {name}", _nothing, argv, may_pass=ok)


def _nothing(place: Path) -> None:
    """The world as it is."""


def _train_option_cases() -> Iterator[Case]:
    """Every option of every model once, whichever model has it first."""
    seen = set()
    for model in registry.MODELS:
        for part, cls in plan.sections(model).items():
            for opt in config.options(cls).values():
                known = (opt.name, str(opt.hint))
                if known in seen or opt.is_flag or opt.name in ("processes", "minutes", "epochs"):
                    continue
                seen.add(known)
                yield from _train_values(model, part, opt)
    for name, argv in {
        "seeds": ("--seeds", "1e9"),
        "vary": ("--vary", "latent=1000000000000"),
        "vary infinite": ("--vary", "lr=inf"),
        "vary nothing": ("--vary", ""),
        "vary long": ("--vary", "hidden=" + "+".join(["8"] * 300)),
        "vary seed": ("--vary", "seed=1"),
    }.items():
        rest = (
            "sweep",
            "vae",
            "--data",
            "tiny.npy",
            "--out",
            "new",
            "--seeds",
            "1",
            *SMALL,
            *TRAIN,
        )
        yield Case("options", f"sweep {name}", _nothing, (*rest, *argv))


def _train_values(model: str, part: str, opt: config.Option) -> Iterator[Case]:
    hint, flag = str(opt.hint), "--" + opt.name.replace("_", "-")
    whole = "int" in hint and not opt.is_tuple and opt.name != "seed"
    small: tuple[str, ...] = (
        SMALL if model == "vae" and opt.name not in ("hidden", "latent") else ()
    )
    if opt.name in ("g_hidden", "d_hidden"):  # of this network alone
        small = ("--net", "mlp")
    data = "labelled.npz" if model in ("cvae", "cgan", "acgan", "projection-gan") else "tiny.npy"
    rest = ("train", model, "--data", data, "--out", "new", *small, *TRAIN)
    if opt.choices or (opt.is_tuple and "int" not in hint):
        values = {"x": False, "": opt.is_tuple, LONG: False, "\udcff": False}
    else:
        values = dict.fromkeys(("inf", "nan", "x", "1e999"), False) | {"-1": False, "0": True}
        values |= {
            "1000000000000": not (whole or opt.is_tuple),
            str(2**64): not (whole or opt.is_tuple),
        }
        values |= {"": opt.is_tuple}  # no layers, where a model can do without
    if opt.is_tuple and "int" in hint:
        values["1000000000,1000000000"] = False
    for value, ok in values.items():
        argv = (*rest, f"{flag}={value}")
        name = f"{model} ({part}) {flag}={value[:30]!r}"
        yield Case("options of train", name, _nothing, argv, may_pass=ok)


# -- config files

FILES: dict[str, tuple[str, bytes, bool]] = {
    "byte-order mark": ("toml", b"\xef\xbb\xbflatent = 2\n", True),
    "CRLF": ("toml", b"latent = 2\r\n[train]\r\nclip = 1.0\r\n", True),
    "UTF-16": ("toml", "latent = 2\n".encode("utf-16"), False),
    "UTF-16 without a mark": ("toml", "latent = 2\n".encode("utf-16-le"), False),
    "Latin-1": ("toml", b"# caf\xe9\nlatent = 2\n", False),
    "UTF-8": ("toml", "# café\nlatent = 2\n".encode(), True),
    "deep": ("json", DEEP.encode(), False),
    "deep toml": ("toml", b"a = " + DEEP.encode(), False),
    "1e999": ("json", b'{"lr": 1e999}', False),
    "lr inf": ("toml", b"lr = inf\n", False),
    "lr nan": ("toml", b"lr = nan\n", False),
    "NaN": ("json", b'{"lr": NaN}', False),
    "list": ("json", b"[1]", False),
    "number": ("json", b"3", False),
    "null": ("json", b"null", False),
    "empty": ("json", b"", False),
    "empty toml": ("toml", b"", True),
    "latent null": ("json", b'{"latent": null}', False),
    "latent true": ("json", b'{"latent": true}', False),
    "latent text": ("json", b'{"latent": "x"}', False),
    "latent table": ("json", b'{"latent": {"a": 1}}', False),
    "latent date": ("toml", b"latent = 2020-01-01\n", False),
    "latent huge": ("json", b'{"latent": ' + b"9" * 4000 + b"}", False),
    "latent 5000 digits": ("json", b'{"latent": ' + b"9" * 5000 + b"}", False),
    "hidden nested": ("json", b'{"hidden": [[8]]}', False),
    "hidden texts": ("json", b'{"hidden": ["x"]}', False),
    "twice": ("toml", b"latent = 2\nlatent = 3\n", False),
    "twice, JSON": ("json", b'{"latent": 2, "latent": 3}', False),
    "in two tables": ("toml", b"latent = 2\n[model]\nlatent = 3\n", False),
    "table twice": ("toml", b"[model]\nlatent = 2\n[model]\nlatent = 3\n", False),
    "data": ("toml", b'data = "digits"\n', True),
    "out": ("toml", b'out = "elsewhere"\n', True),
    "recipe": ("toml", b'recipe = "demo"\n', True),
    "no recipe": ("toml", b'recipe = "x"\n', True),
    "model": ("toml", b'model = "gan"\n', False),
    "train text": ("toml", b'train = "x"\n', False),
    "resume": ("toml", b"resume = true\n", False),
    "more_data": ("toml", b"more_data = true\n", False),
    "config": ("toml", b'config = "c.toml"\n', False),
    "data number": ("toml", b"data = 3\n", False),
    "data NUL": ("json", b'{"data": "a\\u0000b"}', True),  # the flag wins
    "half a character": ("json", b'{"recipe": "\\ud800"}', False),
    "unknown": ("toml", b"laten = 2\n", False),
    "zeros": ("toml", b"\0" * 64, False),
    "another suffix": ("yaml", b"latent: 2\n", False),
}


def _config_file_cases() -> Iterator[Case]:
    rest = ("train", "vae", "--data", "tiny.npy", "--out", "new", *TRAIN)
    for name, (suffix, data, ok) in FILES.items():
        file = f"c.{suffix}"
        damage = partial(_put_bytes, file, data)
        small = () if b"hidden" in data else ("--hidden", "8")
        yield Case("config file", name, damage, (*rest, *small, "--config", file), may_pass=ok)
    for name, value in (("long", LONG), ("empty", ""), ("a folder", "vae"), ("missing", "no.toml")):
        yield Case("config file", name, _nothing, (*rest, "--config", value))
    for name, text in (
        ("data in it", b'data = "tiny.npy"\nhidden = [8]\n'),
        ("data NUL in it", b'data = "tiny\\u0000"\n'),
        ("data empty in it", b'data = ""\n'),
        ("data missing in it", b'data = "no-such"\n'),
    ):
        argv = ("train", "vae", "--out", "new", *TRAIN, "--config", "c.toml")
        ok = name == "data in it"
        yield Case("config file", name, partial(_put_bytes, "c.toml", text), argv, may_pass=ok)


# -- captions

CAPTION_FILES: dict[str, tuple[bytes, bool]] = {
    "byte-order mark": (b"\xef\xbb\xbfa red dot\n", True),
    "CRLF": (b"a red dot\r\na blue dot\r\n", True),
    "no end of line": (b"a red dot", True),
    "empty": (b"", False),
    "blank lines": (b"\n \n\n", False),
    "a blank line": (b"a red dot\n\na blue dot", False),
    "a long caption": (b"a red dot " * 1000, False),
    "a long word": (b"r" * 10_000, False),
    "other script": ("красная точка\n".encode(), False),
    "right to left": ("نقطة حمراء\n".encode(), False),
    "signs": ("🔴 •\n".encode(), False),
    "NUL": (b"a red\0dot\n", False),
    "UTF-16": ("a red dot\n".encode("utf-16"), True),
    "Latin-1": (b"a r\xe9d dot\n", False),
    "bytes": (bytes(range(256)), False),
}


def _caption_cases() -> Iterator[Case]:
    rest = ("sample", "words", "--out", "o.png")
    for name, (data, ok) in CAPTION_FILES.items():
        damage, argv = partial(_put_bytes, "c.txt", data), (*rest, "--caption-file", "c.txt")
        yield Case("caption file", name, damage, argv, may_pass=ok)
    for name, value in (("long", LONG), ("empty", ""), ("a folder", "vae"), ("missing", "no.txt")):
        yield Case("caption file", name, _nothing, (*rest, "--caption-file", value))
    for name, value in (("empty", ""), ("spaces", "  "), ("long", LONG), ("not UTF-8", "\udcff")):
        yield Case("captions", name, _nothing, (*rest, "--caption", value))
    few = ("--caption", "a red dot", "--between", "3")
    yield Case("captions", "between one", _nothing, (*rest, *few))
    yield Case("captions", "both", _nothing, (*rest, *few[:2], "--caption-file", "vae/config.json"))


def dumped(answers: Iterable[Answer]) -> str:
    """answers.csv as a text."""
    file = io.StringIO()
    dump_answers(file, answers)
    return file.getvalue()


def _put_bytes(name: str, data: bytes, place: Path) -> None:
    (place / name).write_bytes(data)


# -- data

Make = Callable[[Path], object]


def _pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (40, 8, 8)).astype("uint8")


def _npy(array: Any) -> Make:
    return lambda place: np.save(place / "x.npy", array)


def _npz(**arrays: Any) -> Make:
    return lambda place: np.savez(place / "x.npz", **arrays)


def _header(shape: str, descr: str = "|u1") -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    line = text.ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(line)) + line


def _array_cases(rng: random.Random) -> Iterator[Case]:
    im, n = _pixels(), 40
    arrays: dict[str, tuple[str, Make]] = {
        "float NaN": ("x.npy", _npy(np.full((4, 8, 8), np.nan))),
        "float infinite": ("x.npy", _npy(np.full((4, 8, 8), np.inf))),
        "objects": ("x.npy", lambda p: np.save(p / "x.npy", np.array([{}] * 4), allow_pickle=True)),
        "texts": ("x.npy", _npy(np.array(["x"] * 4))),
        "complex": ("x.npy", _npy(im.astype(complex))),
        "records": ("x.npy", _npy(np.zeros(4, dtype=[("a", "u1")]))),
        "one axis": ("x.npy", _npy(im.ravel())),
        "eight axes": ("x.npy", _npy(im.reshape(1, 1, 1, 1, 1, 40, 8, 8))),
        "no axis": ("x.npy", _npy(np.uint8(3))),
        "no image": ("x.npy", _npy(im[:0])),
        "no pixel": ("x.npy", _npy(im[:, :0])),
        "one image": ("x.npy", _npy(im[0])),
        "dates": ("x.npy", _npy(np.zeros((4, 8, 8), "M8[s]"))),
        "shape huge": ("x.npy", lambda p: (p / "x.npy").write_bytes(_header("(1000000000, 9, 9)"))),
        "shape 2^70": ("x.npy", lambda p: (p / "x.npy").write_bytes(_header(f"({2**70}, 8, 8)"))),
        "shape negative": ("x.npy", lambda p: (p / "x.npy").write_bytes(_header("(-1, 8, 8)"))),
        "shape text": ("x.npy", lambda p: (p / "x.npy").write_bytes(_header("('a', 8)"))),
        "descr odd": ("x.npy", lambda p: (p / "x.npy").write_bytes(_header("(1, 8)", "|O"))),
        "header deep": ("x.npy", lambda p: (p / "x.npy").write_bytes(_header("(" * 60))),
        "labels NaN": ("x.npz", _npz(images=im, labels=np.full(n, np.nan))),
        "labels infinite": ("x.npz", _npz(images=im, labels=np.full(n, np.inf))),
        "labels of 5000 digits": ("x.npz", _npz(images=im, labels=np.full(n, "9" * 5000))),
        "labels negative": ("x.npz", _npz(images=im, labels=np.full(n, -(2**62)))),
        "labels too few": ("x.npz", _npz(images=im, labels=np.arange(3))),
        "labels of two axes": ("x.npz", _npz(images=im, labels=np.zeros((n, 2, 2)))),
        "labels complex": ("x.npz", _npz(images=im, labels=np.zeros(n, complex))),
        "labels dates": ("x.npz", _npz(images=im, labels=np.zeros(n, "M8[s]"))),
        "no arrays": ("x.npz", _npz()),
        "other names": ("x.npz", _npz(a=im, b=im)),
        "member no array": ("x.npz", lambda p: _zip(p / "x.npz", {"images.npy": b"hello"})),
        "member huge": (
            "x.npz",
            lambda p: _zip(
                p / "x.npz", {"images.npy": _header("(1000000000, 999, 999)") + b"\0" * 64}
            ),
        ),
        "member bomb": (
            "x.npz",
            lambda p: _zip(p / "x.npz", {"images.npy": _header("(1, 8, 8)") + b"\0" * 300_000_000}),
        ),
        "encrypted": ("x.npz", partial(_encrypted, "x.npz")),
    }
    for name, (file, make) in arrays.items():
        ok = name in ("labels negative", "labels dates", "labels of 5000 digits", "member bomb")
        ok |= name == "one image"  # of H rows of W numbers
        yield Case("arrays", name, make, ("data", file), may_pass=ok)
    for suffix, make in (("npy", _npy(im)), ("npz", _npz(images=im, labels=np.arange(n) % 2))):
        for name, raw in RAW.items():
            seed = rng.randrange(2**32)

            def damage(
                place: Path,
                make: Make = make,
                suffix: str = suffix,
                raw: Any = raw,
                seed: int = seed,
            ) -> None:
                make(place)
                _change_bytes(f"x.{suffix}", raw, seed, place)

            yield Case(
                "arrays",
                f"{suffix}: {name}",
                damage,
                ("data", f"x.{suffix}"),
                may_pass=name == "longer",
            )
        for name, place_it in PLACES.items():
            damage = partial(_put, f"x.{suffix}", place_it)
            yield Case("arrays", f"{suffix}: {name}", damage, ("data", f"x.{suffix}"))


def _zip(file: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def _encrypted(name: str, place: Path) -> None:
    np.savez(place / "plain.npz", images=_pixels())
    data = bytearray((place / "plain.npz").read_bytes())
    data[data.find(b"PK\x01\x02") + 8] |= 1
    data[6] |= 1
    (place / name).write_bytes(data)


def _idx(*shape: int, kind: int = 8) -> bytes:
    return bytes([0, 0, kind, len(shape)]) + b"".join(struct.pack(">I", n) for n in shape)


def _idx_cases() -> Iterator[Case]:
    good = _idx(40, 8, 8) + _pixels().tobytes()
    files: dict[str, bytes] = {
        "empty": b"",
        "header cut": good[:9],
        "cut": good[:-1],
        "longer": good + b"x",
        "100 axes": _idx(*[1] * 100) + b"\0",
        "255 axes": b"\0\0\x08\xff" + b"\xff" * 1020,
        "huge": _idx(2**32 - 1, 2**32 - 1, 2**32 - 1) + b"\0",
        "no image": _idx(0, 8, 8),
        "no pixel": _idx(40, 0, 8),
        "no axis": _idx() + b"\0",
        "floats": _idx(40, 8, 8, kind=0x0D) + b"\xff" * 4 * 2560,
        "no type": _idx(40, 8, 8, kind=7) + good[16:],
        "labels": _idx(40) + b"\0" * 40,
    }
    for name, data in files.items():
        for suffix, packed in (("", data), (".gz", gzip.compress(data))):
            file = f"f/train-images-idx3-ubyte{suffix}"
            damage = partial(_put_in_folder, {file: packed})
            yield Case("idx", f"{name}{suffix}", damage, ("data", "f"))
    images = "f/train-images-idx3-ubyte.gz"
    whole = gzip.compress(good)
    bomb = _bomb(_idx(40, 8, 8), 300_000_000)
    for name, data in (
        ("gz cut", whole[:-20]),
        ("no gz", good),
        ("gz random", whole[:12] + b"x" * 99),
    ):
        yield Case(
            "idx",
            name,
            partial(_put_in_folder, {images: data}),
            ("data", "f"),
            may_pass=name == "no gz",
        )
    yield Case("idx", "gz bomb", partial(_put_in_folder, {images: bomb}), ("data", "f"))
    labels = "f/train-labels-idx1-ubyte"
    for name, data in (("too few", _idx(7) + b"\0" * 7), ("two axes", _idx(40, 1) + b"\0" * 40)):
        files = {"f/train-images-idx3-ubyte": good, labels: data}
        yield Case("idx", f"labels {name}", partial(_put_in_folder, files), ("data", "f"))


def _bomb(head: bytes, zeros: int) -> bytes:
    made = io.BytesIO()
    with gzip.GzipFile(fileobj=made, mode="wb", compresslevel=1) as packed:
        packed.write(head)
        for _ in range(zeros // 10**6):
            packed.write(b"\0" * 10**6)
    return made.getvalue()


def _put_in_folder(files: dict[str, bytes], place: Path) -> None:
    for name, data in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)


def _png(size: tuple[int, int] = (8, 8)) -> bytes:
    made = io.BytesIO()
    Image.new("L", size, 99).save(made, "PNG")
    return made.getvalue()


def _parquet_cases(rng: random.Random) -> Iterator[Case]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{"bytes": _png(), "path": None}] * 20

    def table(**columns: Any) -> Make:
        return lambda place: pq.write_table(pa.table(columns), place / "x.parquet")

    tables: dict[str, Make] = {
        "no images": table(label=list(range(20))),
        "no rows": table(image=pa.array([], pa.struct([("bytes", pa.binary())]))),
        "all null": table(image=pa.array([None] * 20, pa.struct([("bytes", pa.binary())]))),
        "not pictures": table(image=[{"bytes": b"x", "path": None}] * 20),
        "paths elsewhere": table(image=[{"bytes": None, "path": "/etc/passwd"}] * 20),
        "labels NaN": table(image=rows, label=[float("nan")] * 20),
        "labels lists": table(image=rows, label=[[1]] * 20),
        "labels null": table(image=rows, label=pa.array([None] * 20, pa.int64())),
        "dates": table(x=list(range(20)), day=pa.array(range(20), pa.date32())),
        "infinite": table(x=[1.0, float("inf")] * 10),
        "structs": table(x=[{"a": 1}] * 20),
        "texts": table(x=[f"sentence {i} of a book" for i in range(100)]),
        "one row": table(x=[1.0]),
        "decimals": table(x=pa.array([10**30] * 20, pa.decimal128(38))),
    }
    for name, make in tables.items():
        ok = name.startswith("labels") or name == "decimals"
        yield Case("parquet", name, make, ("data", "x.parquet"), may_pass=ok)
    for name, raw in RAW.items():
        seed = rng.randrange(2**32)

        def damage(place: Path, raw: Any = raw, seed: int = seed) -> None:
            table(image=rows)(place)
            _change_bytes("x.parquet", raw, seed, place)

        yield Case("parquet", name, damage, ("data", "x.parquet"))
    for name, make in PLACES.items():
        yield Case("parquet", name, partial(_put, "x.parquet", make), ("data", "x.parquet"))


def _table_cases(rng: random.Random) -> Iterator[Case]:
    good = "a,b,pet\n" + "".join(f"{i},{i / 7},{'cat' if i % 3 else 'dog'}\n" for i in range(60))
    tables: dict[str, str | bytes] = {
        "empty": "",
        "lines without cells": "\n\n\n",
        "names alone": "a,b\n",
        "one row": "a,b\n1,2\n",
        "no names": good.partition("\n")[2],
        "a name twice": good.replace("b", "a", 1),
        "a cell too few": good + "1,2\n",
        "a cell too many": good + "1,2,cat,4\n",
        "infinite": good + "inf,2,cat\n",
        "too large": good + "1e300,2,cat\n",
        "a column of nothing": "a,b\n1,\n2,NA\n",
        "dates": "a,b\n1,2020-01-01\n2,2021-01-01\n",
        "identifiers": "a,b\n" + "".join(f"{i},u{i}\n" for i in range(50)),
        "sentences": "text\n" + "".join(f"sentence {i} of a book\n" for i in range(50)),
        "a cell of a million letters": f"a,b\n1,{'x' * 10**6}\n2,y\n",
        "10,000 columns and a short row": ",".join(f"c{i}" for i in range(10_000)) + "\n1,2\n",
        "latin-1": good.replace("cat", "ch\xe8vre").encode("latin-1"),
        "UTF-16 cut": good.encode("utf-16")[:-1],
        "a quote that never ends": good + '1,2,"cat\n',
        "zeros": "\0" * 1000,
        "a picture": _png(),
        "packed": gzip.compress(good.encode()),
    }
    for name, text in tables.items():
        data = text if isinstance(text, bytes) else text.encode()
        damage = partial(_put_bytes, "x.csv", data)
        yield Case("table", name, damage, ("data", "x.csv"))
    for name, raw in RAW.items():
        seed = rng.randrange(2**32)

        def changed(place: Path, raw: Any = raw, seed: int = seed) -> None:
            _put_bytes("x.csv", good.encode(), place)
            _change_bytes("x.csv", raw, seed, place)

        yield Case("table", name, changed, ("data", "x.csv"), may_pass=True)
    for name, make in PLACES.items():
        yield Case("table", name, partial(_put, "x.csv", make), ("data", "x.csv"))


REPORT = ("study", "report", "answers.csv", "--out", "made")
STUDY: dict[str, Any] = {
    "name": "a",
    "protocol": "hype-infinity",
    "sources": [{"name": "real", "kind": "reference", "path": "x", "n": 1}],
}


def _study_cases(rng: random.Random) -> Iterator[Case]:
    """Answers of a study, what is said of it, and public answers."""
    good = dumped(simulate(People({"gan": 0.3}, people=3, trials=8, images=4), 0))
    header, *lines = good.splitlines(keepends=True)
    tables: dict[str, str | bytes] = {
        "empty": "",
        "header alone": header,
        "a column too few": good.replace("truth", "truht", 1),
        "a cell too few": good + "1,2\n",
        "a line twice": good + lines[0],
        "another protocol": good.replace("hype-infinity", "hype"),
        "two protocols": good.replace("hype-infinity", "hype-time", 1),
        "another answer": good.replace(",fake,", ",maybe,"),
        "another truth": good.replace(",1,,", ",0,,", 1),
        "a negative time": good.replace(",,,", ",-1,,", 1),
        "a time that is none": good.replace("2025-01-01T00:00:00Z", "soon", 1),
        "a trial of 100 digits": good.replace(",1,0,main", f",1,{'9' * 100},main", 1),
        "nobody": good.replace("simulated-0", ""),
        "a name of a million letters": good.replace("simulated-0", "x" * 10**6),
        "no main answers": good.replace(",main,", ",practice,"),
        "a quote that never ends": good + 'a,"b\n',
        "UTF-16": good.encode("utf-16"),
        "zeros": "\0" * 1000,
        "public answers cut": "id,model,num_correct,err_rt,f_err_rt,r_err_rt\na,b,1\n",
        "public answers alone": ",".join(BY_IMAGE) + "\n",
    }
    for name, text in tables.items():
        data = text if isinstance(text, bytes) else text.encode()
        yield Case("answers.csv", name, partial(_put_bytes, "answers.csv", data), REPORT)
    for name, raw in RAW.items():
        seed = rng.randrange(2**32)

        def changed(place: Path, raw: Any = raw, seed: int = seed) -> None:
            _put_bytes("answers.csv", good.encode(), place)
            _change_bytes("answers.csv", raw, seed, place)

        yield Case("answers.csv", name, changed, REPORT, may_pass=True)
    for name, make in PLACES.items():
        yield Case("answers.csv", name, partial(_put, "answers.csv", make), REPORT)
    odd: dict[str, object] = {
        **{f"{key} {kind}": STUDY | {key: new} for key in STUDY for kind, new in MUTANTS.items()},
        "a source twice": STUDY | {"sources": [*STUDY["sources"], *STUDY["sources"]]},
        "a rule of 2": STUDY | {"attention": {"least_correct": 2}},
        "a list": [STUDY],
    }
    for name, values in odd.items():

        def told(place: Path, values: object = values) -> None:
            _put_bytes("answers.csv", good.encode(), place)
            _put_bytes("study.json", json.dumps(values).encode(), place)

        harmless = name == "name text"
        yield Case("study.json", name, told, REPORT, may_pass=harmless)


def _pair_cases() -> Iterator[Case]:
    """Pairs and domains that are none."""
    png, big = _png(), _big_png()
    two = {f"f/{side}/{i}.png": png for side in "ab" for i in range(3)}
    folders: dict[str, tuple[dict[str, bytes], str, bool]] = {
        "no two folders": ({f"f/{i}.png": png for i in range(3)}, "folders", False),
        "two folders": (two, "folders", True),
        "three folders": (two | {"f/c/0.png": png}, "folders", False),
        "one is missing": (two | {"f/a/3.png": png}, "folders", True),
        "none has a partner": ({"f/a/0.png": png, "f/b/1.png": png}, "folders", False),
        "an empty folder": ({"f/a/0.png": png, "f/b/x.txt": b"x"}, "folders", False),
        "a broken half": (two | {f"f/b/{i}.png": b"x" for i in range(3)}, "folders", False),
        "bombs in two": (
            {f"f/{side}/{i}.png": big for side in "ab" for i in "01"},
            "folders",
            False,
        ),
        "bombs": ({f"f/{i}.png": big for i in range(3)}, "side-by-side", False),
        "squares": ({f"f/{i}.png": png for i in range(3)}, "side-by-side", True),
        "no columns": (two, "columns", False),
        "no masks": (two, "masks", False),
        "no kind": (two, "twins", False),
    }
    for name, (files, kind, ok) in folders.items():
        asked = ("data", "f", "--pairs", kind)
        yield Case("folder", f"pairs: {name}", partial(_folder, files), asked, may_pass=ok)
    for name, options in {
        "planes of noise": ("--pairs", "side-by-side", "--label-maps", "both"),
        "strength of a hole": ("--pairs", "hole", "--pair-strength", "2"),
        "enlarged": ("--pairs", "small", "--pair-strength", "1e-9"),
        "reverse alone": ("--reverse",),
        "input of none": ("--label-maps", "input"),
        "colours of none": ("--label-colours", "3"),
        "domains of folders": ("--domain-columns", "a,b"),
        "no value": ("--where", "label"),
        "no such attribute": ("--where", "size=1"),
        "unseen of nothing": ("--unseen", "size"),
        "more than all": ("--unseen", "label", "--unseen-share", "1.5"),
    }.items():
        argv = ("data", "f", *options)
        yield Case("folder", f"pairs: {name}", partial(_folder, two), argv)


def _folder_cases() -> Iterator[Case]:
    png = _png()
    folders: dict[str, tuple[dict[str, bytes], bool]] = {
        "empty": ({}, False),
        "no pictures": ({"f/x.txt": b"x"}, False),
        "broken pictures": ({f"f/{i}.png": b"x" for i in range(3)}, False),
        "cut pictures": ({f"f/{i}.png": png[:30] for i in range(3)}, False),
        "one picture": ({"f/a.png": png}, True),
        "a bomb": ({"f/a.png": _big_png(), "f/b.png": _big_png()}, False),
        "PostScript": ({f"f/{i}.png": b"%!PS-Adobe-3.0\nshowpage\n" for i in range(3)}, False),
        "line breaks": ({f"f/a\nb{i}.png": png for i in range(3)}, True),
        "line breaks, broken": ({f"f/a\nb{i}.png": b"x" for i in range(3)}, False),
        "names of 250": ({f"f/{'a' * 240}{i}.png": png for i in range(3)}, True),
        "$ and quotes": ({f"f/$a'\"<{i}.png": png for i in range(3)}, True),
        "a run of another": ({"f/config.json": b"{}", "f/a.png": png}, True),
    }
    for name, (files, ok) in folders.items():
        damage = partial(_folder, files)
        yield Case("folder", name, damage, ("data", "f"), may_pass=ok)
    yield from _pair_cases()
    special: dict[str, Make] = {
        "self link": lambda p: (p / "f" / "a.png").symlink_to("a.png"),
        "links in a circle": lambda p: (p / "f" / "up").symlink_to(p / "f", True),
        "link to nothing": lambda p: (p / "f" / "a.png").symlink_to("no.png"),
        "a pipe": lambda p: os.mkfifo(p / "f" / "a.png"),
        "a device": lambda p: (p / "f" / "a.png").symlink_to("/dev/zero"),
        "folders called .png": lambda p: (p / "f" / "a.png").mkdir(),
        "names not UTF-8": lambda p: (p / "f" / "\udcff.png").write_bytes(b"x"),
        "deep": lambda p: (p / "f" / "/".join(["d"] * 900)).mkdir(parents=True),
    }
    for name, make in special.items():
        yield Case("folder", name, partial(_special, make), ("data", "f"))
    for name, value in (("missing", "no-such"), ("a pipe", "p"), ("a device", "/dev/zero")):
        pipe = partial(_put, "p", PLACES["a pipe"])
        yield Case("folder", name, pipe, ("data", value))


def _special(make: Make, place: Path) -> None:
    _folder({}, place)
    make(place)


def _big_png() -> bytes:
    """A picture of 20,000 x 20,000 pixels in some kilobytes."""
    data = bytearray(_png())
    data[16:24] = struct.pack(">II", 20_000, 20_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def _folder(files: dict[str, bytes], place: Path) -> None:
    (place / "f").mkdir(exist_ok=True)
    _put_in_folder(files, place)


def _zip_cases() -> Iterator[Case]:
    png = _png()
    members: dict[str, dict[str, bytes]] = {
        "empty": {},
        "no pictures": {"x.txt": b"x"},
        "out of it": {f"../../{i}.png": png for i in range(3)},
        "absolute": {f"/tmp/ptheta-{i}.png": png for i in range(3)},
        "broken pictures": {f"{i}.png": b"x" for i in range(3)},
        "in itself": {"a.zip": b"PK\x05\x06" + b"\0" * 18},
        "bomb": {"a.png": b"\0" * 300_000_000},
    }
    for name, files in members.items():
        ok = name in ("out of it", "absolute")
        damage = partial(_zip_at, files)
        yield Case("zip", name, damage, ("data", "x.zip"), may_pass=ok)
    for name, data in (
        ("no bytes", b""),
        ("no zip", b"hello"),
        ("cut", b"PK\x03\x04" + b"\0" * 30),
    ):
        yield Case("zip", name, partial(_put_bytes, "x.zip", data), ("data", "x.zip"))
    for name, make in PLACES.items():
        yield Case("zip", name, partial(_put, "x.zip", make), ("data", "x.zip"))


def _zip_at(files: dict[str, bytes], place: Path) -> None:
    _zip(place / "x.zip", files)
