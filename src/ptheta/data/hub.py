"""Data sets of the hub, through the `datasets` library."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Protocol

import numpy as np

from ptheta.data.dataset import Dataset
from ptheta.data.decode import PEEK
from ptheta.data.picture import Raw
from ptheta.data.reader import SourceReader
from ptheta.data.request import Request
from ptheta.data.splits import Part, by_split, named
from ptheta.data.table import picture
from ptheta.data.tabular import IMAGE, STORED, Features, Table, features_of, of_type, read_table
from ptheta.errors import PthetaError

ALIASES = {
    "mnist": "ylecun/mnist",
    "fashion_mnist": "zalando-datasets/fashion_mnist",
    "cifar10": "uoft-cs/cifar10",
    "cifar100": "uoft-cs/cifar100",
    "celeba": "flwrlabs/celeba",
}

LEAST = 4  # version of the library; those before it run scripts of a repository
# the embedded sets that show the same kind of images
RESEMBLES = {"ylecun/mnist": "digits", "zalando-datasets/fashion_mnist": "fashion"}


class HubFeatures(Protocol):
    """The columns of a table."""

    def to_dict(self) -> dict[str, object]: ...


class HubTable(Protocol):
    """The used part of the interface of `datasets.Dataset`."""

    features: HubFeatures
    column_names: list[str]
    _fingerprint: str

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Mapping[str, object]]: ...

    def __getitem__(self, column: str) -> list[object]: ...

    def select(self, rows: np.ndarray) -> HubTable: ...

    def select_columns(self, columns: list[str]) -> HubTable: ...

    def cast_column(self, column: str, feature: object) -> HubTable: ...


@dataclass(frozen=True)
class HubRows:
    """The rows of a split: see `ptheta.data.tabular.Rows`.

    homes: where the library keeps the files of a repository, which a table may name
    """

    split: str
    table: HubTable
    library: ModuleType
    homes: tuple[Path, ...]

    @property
    def columns(self) -> list[str]:
        return list(self.table.column_names)

    @property
    def features(self) -> Features:
        return features_of(self.table.features.to_dict())

    @property
    def image_columns(self) -> list[str]:
        return of_type(self.features, IMAGE)

    def state(self) -> list[object]:
        return [self.table._fingerprint]

    def items(self, column: str) -> Iterator[tuple[str, Raw]]:
        for at, raw in enumerate(self._pictures(self.table, column)):
            yield f"{self.split} row {at}", raw

    def sample(self, column: str) -> Iterator[Raw]:
        n = len(self.table)
        rows = np.linspace(0, n - 1, min(PEEK, n)).astype(int)
        return self._pictures(self.table.select(rows), column)

    def cells(self, column: str, *, needed: bool = True) -> list[object]:
        return list(self.table[column]) if needed or column in self.columns else []

    def _pictures(self, table: HubTable, column: str) -> Iterator[Raw]:
        """The pictures of a column, not decoded yet."""
        only = table.select_columns([column])
        if column in self.image_columns:
            only = only.cast_column(column, self.library.Image(decode=False))
        return (picture(row[column], *self.homes) for row in only)


def is_on_hub(name: str) -> bool:
    """Whether a name may be one on the hub."""
    return name in ALIASES or re.fullmatch(r"\w[\w.-]*/[\w.-]+", name) is not None


def open_hub(name: str) -> SourceReader:
    read = partial(read_hub, name)
    return SourceReader("on the hub", read, has_columns=lambda: True, pairs=STORED)


def read_hub(name: str, request: Request) -> tuple[Dataset, Part]:
    """The part of a hub data set that answers to a split.

    Raises PthetaError without the library, without a way to the hub, or without an image column.
    """
    try:
        import datasets
        from huggingface_hub.constants import HF_HUB_CACHE
    except ImportError:
        raise PthetaError(
            f"data {name!r} is on the hub, which needs the extra: pip install 'ptheta[hub]'"
        ) from None
    if int(datasets.__version__.partition(".")[0]) < LEAST:
        raise PthetaError(
            f"datasets {datasets.__version__} may run programs of a repository: "
            f"pip install 'datasets>={LEAST}'"
        )
    homes = (Path(datasets.config.HF_DATASETS_CACHE), Path(HF_HUB_CACHE))
    repository = ALIASES.get(name, name)
    tables = _load(datasets, name, repository)
    rows = {split: HubRows(split, table, datasets, homes) for split, table in tables.items()}
    table = Table(name, name, name, rows, RESEMBLES.get(repository, ""))
    return read_table(table, request)


def _load(datasets: ModuleType, name: str, repository: str) -> dict[str, HubTable]:
    """The table of each split; train where the data set has one split of another name."""
    for noisy in ("huggingface_hub", "datasets"):  # what matters is in the error below
        logging.getLogger(noisy).setLevel(logging.ERROR)
    try:
        loaded = datasets.load_dataset(repository)
    except Exception as error:  # the library raises many kinds, for names and networks alike
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PthetaError(
            f"cannot load {name!r} from the hub ({reason}): check the name and the network; "
            "no such file or folder exists either"
        ) from None
    return by_split((named(split), table) for split, table in loaded.items())
