"""Pairs from two folders with matching file names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from ptheta.data.labels import natural
from ptheta.data.names import shown
from ptheta.data.tree import File, count
from ptheta.errors import PthetaError

MOST_NAMED = 3  # pictures without a partner


@dataclass(frozen=True)
class Partners:
    """Pictures of two folders, those of one name at the same place of both.

    alone: a line on those that have no partner; empty where all have
    """

    inputs: list[File]
    targets: list[File]
    alone: str = ""


def partners(
    files: Sequence[File], tops: Mapping[str, str | None], inner: Mapping[str, str], place: str
) -> Partners:
    """The pictures of two folders, matched by relative path without suffix.

    tops: the folder of each file; inner: its path in that folder
    The folder with the alphabetically first name holds the inputs. Raises PthetaError unless there
    are two folders, and if no picture has a partner.
    """
    folders = sorted({str(top) for top in tops.values() if top is not None}, key=natural)
    if len(folders) != 2:
        named = f" ({', '.join(folders[:8])})" if folders else ""
        raise PthetaError(
            f"{place} has {count(len(folders), 'folder')} with pictures{named}, and --pairs "
            "folders needs two: give one for the inputs and one for the targets, such as A and B"
        )
    first, second = (
        _by_stem((file for file in files if tops[file[0]] == folder), inner) for folder in folders
    )
    both = [stem for stem in second if stem in first]
    if not both:
        raise PthetaError(
            f"{place}: no picture of {folders[0]}{os.sep} has the name of one of "
            f"{folders[1]}{os.sep}: give both pictures of a pair the same name"
        )
    taken = {file[0] for stem in both for file in (first[stem], second[stem])}
    alone = [file[0] for file in files if file[0] not in taken]
    return Partners([first[s] for s in both], [second[s] for s in both], _alone(alone))


def _by_stem(files: Iterable[File], inner: Mapping[str, str]) -> dict[str, File]:
    """The files of a folder by their names; of two that differ in their suffix the first."""
    stems: dict[str, File] = {}
    for file in files:
        stems.setdefault(str(PurePath(inner[file[0]]).with_suffix("")), file)
    return stems


def _alone(names: Sequence[str]) -> str:
    if not names:
        return ""
    more = ", ..." if len(names) > MOST_NAMED else ""
    which = ", ".join(map(shown, names[:MOST_NAMED]))
    return f"{count(len(names), 'picture')} without a partner ({which}{more})"
