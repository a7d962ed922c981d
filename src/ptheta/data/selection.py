"""Selection of examples: those with certain attributes (`--where`), and without the combinations of
attributes that are held out of training (`--unseen`).

Whether a combination is unseen depends only on its names and values: its hash, as a number in 0..1,
is below the share. It is therefore the same in all splits and all data, a larger share holds out a
superset of a smaller one, and other examples have no influence.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from ptheta.config import brief
from ptheta.data.dataset import Dataset
from ptheta.data.names import some_of
from ptheta.data.request import DataSettings, Request, asked_values
from ptheta.data.words import Words, meant, word_of
from ptheta.errors import PthetaError, unknown

D = TypeVar("D", bound=Dataset)
LABEL = "label"  # name of the labels among the attributes


def selected(data: D, request: Request) -> D:
    """Select the examples of a part and mark those unseen in training.

    Data other than those of the run that lack one of the attributes are used completely.

    Raises:
        PthetaError: for a missing attribute, and if no example is left.
    """
    settings, known = request.settings, _names(data)
    where = asked_values(settings.where)
    asked = {**dict.fromkeys(where, "--where"), **dict.fromkeys(settings.unseen, "--unseen")}
    lacking = next((name for name in asked if name not in known), None)
    if lacking is None:
        training = request.split == "train"
        return _held_out(_kept(data, where, training=training), settings, training=training)
    flag = asked[lacking]
    if request.learned.target is None:
        raise _no_attribute(data, flag, lacking, known)
    note = f"{flag} is ignored: {data.name} has no attribute {lacking!r}"
    return dataclasses.replace(data, notes=(*data.notes, note))


def _names(data: Dataset) -> tuple[str, ...]:
    """The values of the attributes and the labels."""
    return (*(() if data.labels is None else (LABEL,)), *data.attributes_named())


def _no_attribute(data: Dataset, flag: str, name: str, known: tuple[str, ...]) -> PthetaError:
    if known:
        return unknown(f"attribute for {flag}", name, known)
    return PthetaError(
        f"{flag} {name}: {data.name} has neither attributes nor labels: give data that has some, "
        f"or leave out {flag}"
    )


def values_of(data: Dataset, name: str) -> np.ndarray:
    """An attribute of each example, or its label by name, as words (N,)."""
    return _told(data, name, _words(data, name))


def _words(data: Dataset, name: str) -> Words:
    return data.attribute_values.get(name, {})


def _told(data: Dataset, name: str, words: Words) -> np.ndarray:
    """Compare values, with words mapped to their numbers."""
    rows = data.rows(slice(None))
    if name in data.attributes_named():
        assert data.attributes is not None
        column = data.attributes_named().index(name)
        different, at = np.unique(np.asarray(data.attributes[rows, column]), return_inverse=True)
        return np.array([word_of(float(value), words) for value in different])[at]
    assert data.labels is not None
    different, at = np.unique(data.labels[rows], return_inverse=True)
    return np.array([data.class_name(k) for k in different.tolist()])[at]


# -- selected examples


def _kept(data: D, where: Mapping[str, list[str]], *, training: bool) -> D:
    """The examples that have, of each name, one of the values. Raises PthetaError where there are
    none, and in training for a value that no example has."""
    if not where:
        return data
    keep = np.logical_and.reduce(
        [_has(data, name, asked, "--where", strict=training) for name, asked in where.items()]
    )
    said = ",".join(f"{name}={value}" for name, asked in where.items() for value in asked)
    if not keep.any():
        raise PthetaError(
            f"--where {said}: none of the {len(data):,} {data.split} {data.examples} of "
            f"{data.name} matches: relax the condition"
        )
    note = f"{keep.sum():,} of {len(data):,} {data.split} {data.examples} have {said}"
    return dataclasses.replace(data.subset(keep), notes=(*data.notes, note))


def matching(data: Dataset, texts: Sequence[str], flag: str) -> np.ndarray:
    """Which examples have, of each name, one of the values: bool (N,).

    texts: NAME=VALUE; flag: what gave them, for messages
    Raises PthetaError for a name that is not there, and for a value that no example has.
    """
    each = []
    for name, asked in asked_values(tuple(texts), flag).items():
        if name not in _names(data):
            raise _no_attribute(data, flag, name, _names(data))
        each.append(_has(data, name, asked, flag, strict=True))
    found: np.ndarray = np.logical_and.reduce(each)
    return found


def _has(data: Dataset, name: str, asked: list[str], flag: str, *, strict: bool) -> np.ndarray:
    """Which examples have one of the values, each a word or its number: bool (N,).

    Raises PthetaError where this is strict for a value that no example has.
    """
    values = values_of(data, name)
    there, words = set(values.tolist()), _words(data, name)
    wanted = [value if value in there else meant(value, words) for value in asked]
    strange = next((value for value in wanted if value not in there), None)
    if strict and strange is not None:
        few = some_of(sorted(there))
        raise PthetaError(f"{flag} {name}={strange}: no example has this {name}; there is {few}")
    found: np.ndarray = np.isin(values, wanted)
    return found


# -- combinations that training does not see


def _held_out(data: D, settings: DataSettings, *, training: bool) -> D:
    names = tuple(sorted(set(settings.unseen)))
    if not names:
        return data
    # of numbers, whatever they are called, so that the same is held out where words are another's
    values = np.stack([_told(data, name, {}) for name in names], 1)
    different, at = np.unique(values, axis=0, return_inverse=True)
    out = np.array(
        [
            is_unseen(dict(zip(names, row, strict=True)), settings.unseen_share)
            for row in different.tolist()
        ]
    )
    unseen = out[at.reshape(-1)]
    total = f"{out.sum()} of {len(out)} combinations of {', '.join(names)} are unseen"
    count = f"{unseen.sum():,} of {len(data):,} {data.examples}"
    if training:
        _check(data, unseen, names)
        notes = (*data.notes, f"{total} in training: {count} are left out")
        return dataclasses.replace(data.subset(~unseen), notes=notes)
    stored = np.zeros(len(data.stored), dtype=bool)
    stored[data.rows(slice(None))] = unseen
    notes = (*data.notes, f"{total} in training: {count} here{_one(data, unseen)}")
    return dataclasses.replace(data, unseen=stored, notes=notes)


def _one(data: Dataset, unseen: np.ndarray) -> str:
    """The caption of an example that training does not see, where there are captions."""
    if data.captions is None or not unseen.any():
        return ""
    row = int(data.rows(slice(None))[unseen.argmax()])
    return f", such as {brief(data.caption(row))!r}"


def is_unseen(values: Mapping[str, str], share: float) -> bool:
    """Whether a combination, the values of attributes by their names, is held out of training."""
    text = repr(sorted(values.items()))
    digest = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") < share * 2**64


def _check(data: Dataset, unseen: np.ndarray, names: tuple[str, ...]) -> None:
    """Raise PthetaError if no combination is held out, or if a value occurs in no other
    combination, so that it could not be learned."""
    named = f"--unseen {','.join(names)}"
    if not unseen.any():
        raise PthetaError(
            f"{named}: no combination of {data.name} is held out: give a larger --unseen-share, "
            "or more attributes"
        )
    for name in names:
        own = values_of(data, name)
        lost = sorted(set(own.tolist()) - set(own[~unseen].tolist()))
        if lost:
            raise PthetaError(
                f"{named}: training would never see {name}={lost[0]}: give a smaller "
                "--unseen-share, or more attributes"
            )
