"""Data sets of the hub, through the `datasets` library."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ptheta.data.dataset import Dataset
from ptheta.data.decode import PEEK, Source, decode
from ptheta.data.labels import Labels, number
from ptheta.data.picture import Raw
from ptheta.data.request import Request
from ptheta.data.splits import Part, choose, named
from ptheta.data.table import (
    CAPTIONS,
    LABELS,
    choose_column,
    image_column,
    no_labels,
    notes_on,
    picture,
    texts,
)
from ptheta.data.tabular import as_dataset
from ptheta.errors import PthetaError

ALIASES = {
    "mnist": "ylecun/mnist",
    "fashion_mnist": "zalando-datasets/fashion_mnist",
    "cifar10": "uoft-cs/cifar10",
    "cifar100": "uoft-cs/cifar100",
    "celeba": "flwrlabs/celeba",
}

LEAST = 4  # version of the library; those before it run scripts of a repository
KIN = {"ylecun/mnist": "digits", "zalando-datasets/fashion_mnist": "fashion"}


def read(name: str, request: Request) -> tuple[Dataset, Part]:
    """The part of a hub data set that answers to a split.

    Raises PthetaError without the library, without a way to the hub, or without an image column.
    """
    datasets = _library(name)
    tables = _load(datasets, name)
    part = choose(request.split, tables, name)
    rows, training = tables[part.name], tables["train"]
    images = [c for c, f in rows.features.items() if isinstance(f, datasets.Image)]
    column = image_column(request.image_column, images, rows.features, name)

    def items() -> Iterator[tuple[str, Raw]]:
        for at, raw in enumerate(_pictures(datasets, rows, column)):
            yield f"{part.name} row {at}", raw

    def sample() -> Iterator[Raw]:
        some = np.linspace(0, len(training) - 1, min(PEEK, len(training))).astype(int)
        return _pictures(datasets, training.select(some), column)

    stamp = (rows._fingerprint, training._fingerprint)
    decoded = decode(Source(name, (name, part.name, column), stamp, items, sample), request)
    declared = [c for c, f in rows.features.items() if isinstance(f, datasets.ClassLabel)]
    usual = (*LABELS, *declared)
    key = choose_column("label", request.label_column, usual, rows.features, name)
    labels, classes = _labels(tables, part.name, key)
    said = choose_column("caption", request.caption_column, CAPTIONS, rows.features, name)
    captions = None if said is None else texts(list(rows[said]), decoded.kept)
    told = (*notes_on(column, images), *no_labels(key, labels))
    kin = KIN.get(ALIASES.get(name, name), "")
    data = as_dataset(name, request.split, decoded, (labels, classes), captions, told, kin)
    return data, part


def _library(name: str) -> Any:
    """`datasets`. Raises PthetaError where it is missing, or may run programs of a repository."""
    try:
        import datasets
    except ImportError:
        raise PthetaError(
            f"data {name!r} is on the hub, which needs the extra: pip install 'ptheta[hub]'"
        ) from None
    if int(datasets.__version__.partition(".")[0]) < LEAST:
        raise PthetaError(
            f"datasets {datasets.__version__} may run programs of a repository: "
            f"pip install 'datasets>={LEAST}'"
        )
    return datasets


def _pictures(datasets: Any, table: Any, column: str) -> Iterator[Raw]:
    """The pictures of a column, not decoded yet."""
    from huggingface_hub.constants import HF_HUB_CACHE

    # where the library keeps the files of a repository
    homes = (Path(datasets.config.HF_DATASETS_CACHE), Path(HF_HUB_CACHE))
    only = table.select_columns([column])
    if isinstance(table.features[column], datasets.Image):
        only = only.cast_column(column, datasets.Image(decode=False))
    return (picture(row[column], *homes) for row in only)


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


def _labels(tables: dict[str, Any], name: str, key: str | None) -> Labels:
    if key is None:
        return None, ()
    features = tables[name].features
    every = {split: list(table[key]) for split, table in tables.items() if key in table.features}
    return number(every[name], every.values(), getattr(features[key], "names", None) or ())
