"""Data sets of the hub, through the `datasets` library."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np

from ptheta.data.dataset import Dataset
from ptheta.data.decode import PEEK, Raw, Source, decode
from ptheta.data.labels import Labels, number
from ptheta.data.request import Request
from ptheta.data.splits import Part, choose, named
from ptheta.data.table import CAPTIONS, LABELS, image_column, notes_on, picture, text
from ptheta.errors import PthetaError

ALIASES = {
    "mnist": "ylecun/mnist",
    "fashion_mnist": "zalando-datasets/fashion_mnist",
    "cifar10": "uoft-cs/cifar10",
    "cifar100": "uoft-cs/cifar100",
    "celeba": "flwrlabs/celeba",
}

KIN = {"ylecun/mnist": "digits", "zalando-datasets/fashion_mnist": "fashion"}


def read(name: str, request: Request) -> tuple[Dataset, Part]:
    """The part of a hub data set that answers to a split.

    Raises PthetaError without the library, without a way to the hub, or without an image column.
    """
    try:
        import datasets
    except ImportError:
        raise PthetaError(
            f"data {name!r} is on the hub, which needs the extra: pip install 'ptheta[hub]'"
        ) from None
    tables = _load(datasets, name)
    part = choose(request.split, tables, name)
    rows, training = tables[part.name], tables["train"]
    images = [c for c, f in rows.features.items() if isinstance(f, datasets.Image)]
    column = image_column(request.column, images, rows.features, name)

    def undecoded(table: Any) -> Any:
        return table.select_columns([column]).cast_column(column, datasets.Image(decode=False))

    def items() -> Iterator[tuple[str, Raw]]:
        for at, row in enumerate(undecoded(rows)):
            yield f"{part.name} row {at}", picture(row[column])

    def sample() -> Iterator[Raw]:
        some = np.linspace(0, len(training) - 1, min(PEEK, len(training))).astype(int)
        return (picture(row[column]) for row in undecoded(training.select(some)))

    stamp = (rows._fingerprint, training._fingerprint)
    decoded = decode(Source(name, (name, part.name, column), stamp, items, sample), request)
    labels, classes = _labels(datasets, tables, part.name)
    captions = None
    caption_key = next((c for c in CAPTIONS if c in rows.features), None)
    if caption_key is not None:
        cells = list(rows[caption_key])
        captions = tuple(text(cells[i]) for i in decoded.kept)
    data = Dataset(
        name=name,
        split=request.split,
        images=decoded.images,
        labels=None if labels is None else labels[decoded.kept],
        classes=classes,
        captions=captions,
        skipped=decoded.skipped,
        notes=(*decoded.notes, *notes_on(column, images)),
        kin=KIN.get(ALIASES.get(name, name), ""),
    )
    return data, part


def _load(datasets: Any, name: str) -> dict[str, Any]:
    """The table of each split; train where the data set has one split of another name."""
    for noisy in ("huggingface_hub", "datasets"):  # what matters is in the error below
        logging.getLogger(noisy).setLevel(logging.ERROR)
    try:
        found = datasets.load_dataset(ALIASES.get(name, name))
    except Exception as error:  # the library raises many kinds, for names and networks alike
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PthetaError(
            f"cannot load {name!r} from the hub ({reason}): check the name and the network; "
            "no such file or folder exists either"
        ) from None
    tables: dict[str, Any] = {}
    for split, table in found.items():
        tables.setdefault(named(split) or "", table)
    rest = tables.pop("", None)
    return tables if "train" in tables or rest is None else {"train": rest} | tables


def _labels(datasets: Any, tables: dict[str, Any], name: str) -> Labels:
    features = tables[name].features
    declared = [c for c, f in features.items() if isinstance(f, datasets.ClassLabel)]
    key = next((c for c in (*LABELS, *declared) if c in features), None)
    if key is None:
        return None, ()
    every = {split: list(table[key]) for split, table in tables.items() if key in table.features}
    return number(every[name], every.values(), getattr(features[key], "names", None) or ())
