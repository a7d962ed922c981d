"""Data sets of the hub, through the `datasets` library."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np

from ptheta.data.dataset import Dataset
from ptheta.data.decode import Raw, decode
from ptheta.data.parquet import CAPTIONS, LABELS, to_labels
from ptheta.errors import PthetaError

ALIASES = {
    "mnist": "ylecun/mnist",
    "cifar10": "uoft-cs/cifar10",
    "cifar100": "uoft-cs/cifar100",
    "celeba": "flwrlabs/celeba",
}


def read(
    name: str, split: str, size: int | None, channels: int | None, max_broken: float
) -> tuple[Dataset, bool]:
    """A split of a hub data set, and whether it is all there is.

    Raises PthetaError without the library, without a way to the hub, or without an image column.
    """
    try:
        import datasets
    except ImportError:
        raise PthetaError(
            f"data {name!r} is on the hub, which needs the extra: pip install 'ptheta[hub]'"
        ) from None
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
    present = split if split in found else next((s for s in ("train", *found) if s in found), None)
    if split == "test" and split not in found and "validation" in found:
        present = "validation"
    rows = found[present]
    column = next((c for c, f in rows.features.items() if isinstance(f, datasets.Image)), None)
    if column is None:
        raise PthetaError(f"{name!r} has the columns {', '.join(rows.features)}: none holds images")
    undecoded = rows.select_columns([column]).cast_column(column, datasets.Image(decode=False))

    def items() -> Iterator[tuple[str, Raw]]:
        for number, row in enumerate(undecoded):
            value: dict[str, Any] = row[column] or {}
            data = value.get("bytes")
            if data is None and value.get("path"):
                with open(value["path"], "rb") as file:
                    data = file.read()
            yield f"{present} row {number}", data or b""

    stored = decode(name, (name, present, rows._fingerprint), items, size, channels, max_broken)
    kept = np.array(stored.about["rows"], dtype=np.int64)
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    label_key = next((c for c in LABELS if c in rows.features), None)
    if label_key is not None:
        names = tuple(getattr(rows.features[label_key], "names", None) or ())
        labels, classes = to_labels(list(rows[label_key]), names)
        labels = labels[kept]
    caption_key = next((c for c in CAPTIONS if c in rows.features), None)
    captions = None
    if caption_key is not None:
        texts = list(rows[caption_key])
        captions = tuple(str(texts[i]) for i in kept)
    data = Dataset(
        name=name,
        split=split,
        images=stored.arrays["images"],
        labels=labels,
        classes=classes,
        captions=captions,
        skipped=tuple(stored.about["skipped"]),
    )
    return data, present == "train" and split != "train"
